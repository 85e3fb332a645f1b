//! The user graph and the item graph as one.

use std::sync::Arc;

use alike_ops::{ConstSparse, Csr};

use crate::error::Result;
use crate::graph::neighbors::Neighbors;

/// One `N × N` graph with the user graph and the item graph as its two diagonal blocks.
pub fn block_diagonal(users: &Neighbors, items: &[Vec<(u32, f32)>]) -> Result<ConstSparse> {
    let offset = users.rows() as u32;
    let n = users.rows() + items.len();
    let (mut ptr, mut idx, mut values) = (vec![0u32], Vec::new(), Vec::new());
    for u in 0..users.rows() {
        let mut row: Vec<(u32, f32)> = users.row(u).collect();
        row.sort_unstable_by_key(|&(o, _)| o);
        for (o, w) in row {
            idx.push(o);
            values.push(w);
        }
        ptr.push(idx.len() as u32);
    }
    for row in items {
        for &(j, w) in row {
            idx.push(offset + j);
            values.push(w);
        }
        ptr.push(idx.len() as u32);
    }
    Ok(ConstSparse::new(Arc::new(Csr::new(n, n, ptr, idx)?), values)?)
}
