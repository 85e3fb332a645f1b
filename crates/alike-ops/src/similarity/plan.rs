//! How the work of a pattern is cut: a function of the pattern alone, kept with it.

use crate::sparse::csr::Csr;
use crate::tensor::partition::balanced;

/// Rows and columns of a tile of similarities.
pub(super) const TILE: usize = 4;

/// Boundaries of blocks of targets of about equal work.
#[derive(Debug)]
pub(super) struct Blocks(pub(super) Vec<usize>);

impl Blocks {
    pub(super) fn new(pattern: &Csr) -> Self {
        let rows = pattern.rows();
        let mut work = Vec::with_capacity(rows + 1);
        work.push(0);
        for r in 0..rows {
            let n = pattern.degree(r);
            let tiles = n.div_ceil(TILE);
            // Rounded cycles of a tile, of a neighbour and of a target.
            work.push(work[r] + 8 * tiles * tiles + 8 * n + 12);
        }
        Self(balanced(rows, 32 * 1024, |r| work[r]))
    }
}
