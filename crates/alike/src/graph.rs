//! The one place where graphs are built and normalised. Everything is sparse; node ids are users first, then
//! items at `U + i`.

mod bipartite;
mod blocks;
mod cosines;
mod interest;
mod items;
mod neighbors;
mod sample;
mod second_order;
mod sum;
#[cfg(test)]
mod toy;
mod users;

pub use bipartite::{Normalization, bipartite, bipartite_pattern, users_block};
pub use blocks::block_diagonal;
pub use interest::{interest_entries, interest_graph};
pub use items::{
    item_cosine_graph, item_graph, item_mean_graph, item_neighbors, item_neighbors_and_self, modalities,
    text_first,
};
pub use neighbors::Neighbors;
pub use sample::{prune_edges, sample_neighbors};
pub use second_order::{second_order_graph, users_rows};
pub(crate) use sum::merged;
pub use sum::sum;
pub(crate) use users::CoCounts;
pub use users::{UserWeight, co_interaction, user_graph};
