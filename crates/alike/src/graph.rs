//! The one place where graphs are built and normalised. Everything is sparse; node ids are users first, then
//! items at `U + i`.

mod bipartite;
mod blocks;
mod items;
mod neighbors;
mod sample;
mod users;

pub use bipartite::{Normalization, bipartite, bipartite_pattern, users_block};
pub use blocks::block_diagonal;
pub use items::{
    item_cosine_graph, item_graph, item_mean_graph, item_neighbors, item_neighbors_and_self, modalities,
    text_first,
};
pub use neighbors::Neighbors;
pub use sample::{prune_edges, sample_neighbors};
pub(crate) use users::CoCounts;
pub use users::{UserWeight, co_interaction, user_graph};
