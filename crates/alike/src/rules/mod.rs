//! Which items a list may hold, said by what they are: filters over attributes such as price, brand or
//! category, compiled to sets of items.

mod filter;
mod index;
mod listing;
mod value;

pub use filter::ItemFilter;
pub use index::{AttributeIndex, catalogue_values};
pub use listing::{LISTED_BY, is_listed, limited};
pub use value::{AttributeValue, values_of_json, values_of_text};
