//! How the work of a pattern is cut: a function of the pattern alone.

use crate::Csr;
use crate::dense::balanced;

/// Rows and columns of a tile of similarities.
pub(crate) const TILE: usize = 4;

/// Cuts of a pattern, made once and kept with it.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Blocks of targets of about equal work.
    pub(crate) blocks: Vec<usize>,
}

impl Plan {
    pub(crate) fn new(pattern: &Csr) -> Self {
        let rows = pattern.rows();
        let mut work = Vec::with_capacity(rows + 1);
        work.push(0);
        for r in 0..rows {
            let n = pattern.degree(r);
            let tiles = n.div_ceil(TILE);
            // Rounded cycles of a tile, of a neighbour and of a target.
            work.push(work[r] + 8 * tiles * tiles + 8 * n + 12);
        }
        Self { blocks: balanced(rows, 32 * 1024, |r| work[r]) }
    }
}
