//! Neighbour similarity: a convolution whose weights are the similarities among the neighbours. May import `sparse`.

pub(crate) mod forward;
pub(crate) mod operator;
mod plan;
