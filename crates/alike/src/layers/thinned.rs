//! The graph of users and items that models thin in training: each epoch has a part of the interactions,
//! evaluation all.

use std::sync::Arc;

use alike_ops::{ConstSparse, Csr};

use super::Builder;
use crate::config::Draw;
use crate::error::Result;
use crate::graph::{self, Normalization};

/// `Â = D^-1/2 A D^-1/2` of all interactions, and of those of an epoch.
#[derive(Debug)]
pub struct ThinnedGraph {
    train: Arc<Csr>,
    dropout: f64,
    /// Of all interactions, `[N, N]`.
    pub whole: Arc<ConstSparse>,
    /// Of those of this epoch, `[N, N]`.
    pub epoch: Arc<ConstSparse>,
}

impl ThinnedGraph {
    /// Declares the graphs; each epoch leaves out the share `dropout` of the interactions.
    ///
    /// # Errors
    /// The graph is too large for its index type.
    pub fn new(b: &mut Builder<'_>, dropout: f64) -> Result<Self> {
        let whole = b.bipartite(Normalization::Symmetric, false)?;
        let train = b.data().train.clone();
        b.holds(4 * train.nnz());
        Ok(Self { train, dropout, epoch: whole.clone(), whole })
    }

    /// Draws the interactions of an epoch.
    ///
    /// # Errors
    /// Those of [`graph::prune_edges`].
    pub fn start_epoch(&mut self, draw: Draw) -> Result<()> {
        if self.dropout > 0.0 {
            let kept = graph::prune_edges(&self.train, 1.0 - self.dropout, draw)?;
            self.epoch = Arc::new(graph::bipartite(&kept, Normalization::Symmetric, false)?);
        }
        Ok(())
    }
}
