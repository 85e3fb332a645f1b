//! A pattern on a device, copied there when it is first needed.

use std::sync::Arc;

use super::Csr;
use crate::gpu::{Cached, Gpu, Graph, Words};

/// What devices hold of a pattern.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    graph: Cached<Graph>,
    transposed: Cached<TransposedOn>,
    entry_rows: Cached<Words>,
}

/// The entries sorted by column.
#[derive(Debug)]
pub(crate) struct TransposedOn {
    /// Indices are the rows of the entries.
    pub(crate) rows: Graph,
    /// Where each entry stands in the pattern.
    pub(crate) edges: Words,
}

impl Csr {
    /// The pattern on the device of `like`.
    pub(crate) fn graph_on(&self, like: &Gpu) -> Arc<Graph> {
        self.copies.graph.get(like.device(), || Graph::new(like.client(), &self.ptr, &self.idx))
    }

    /// The entries by column there.
    pub(crate) fn transposed_on(&self, like: &Gpu) -> Arc<TransposedOn> {
        self.copies.transposed.get(like.device(), || {
            let t = self.transposed();
            TransposedOn {
                rows: Graph::new(like.client(), &t.ptr, &t.rows),
                edges: Words::new(like.client(), &t.edges),
            }
        })
    }

    /// The row of each entry there.
    pub(crate) fn entry_rows_on(&self, like: &Gpu) -> Arc<Words> {
        self.copies.entry_rows.get(like.device(), || {
            let rows: Vec<u32> =
                (0..self.rows as u32).flat_map(|r| std::iter::repeat_n(r, self.degree(r as usize))).collect();
            Words::new(like.client(), &rows)
        })
    }
}
