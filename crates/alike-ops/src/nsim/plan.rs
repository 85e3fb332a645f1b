//! How the work of a pattern is cut: a function of the pattern alone, so that threads never change a sum.

use std::ops::Range;

use crate::Csr;
use crate::dense::balanced;

/// Rows and columns of a tile of similarities.
pub(crate) const TILE: usize = 4;

/// Parts of the backward pass, each with its own sums of gradients; added in this order at the end.
const PARTS: usize = 4;

/// Cuts of a pattern, made once and kept with it.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Tiles before each target: a target of `n` neighbours has `b(b+1)/2` of them, `b = ⌈n/4⌉`.
    pub(crate) tiles: Vec<usize>,
    /// Blocks of targets of about equal work, for the forward pass.
    pub(crate) blocks: Vec<usize>,
    /// Parts of the backward pass.
    pub(crate) parts: Vec<Part>,
}

/// Targets whose gradients are summed by one thread, and the range of nodes that they reach.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) targets: Range<usize>,
    pub(crate) nodes: Range<usize>,
}

impl Plan {
    pub(crate) fn new(pattern: &Csr) -> Self {
        let rows = pattern.rows();
        let (mut tiles, mut work) = (Vec::with_capacity(rows + 1), Vec::with_capacity(rows + 1));
        tiles.push(0);
        work.push(0);
        for r in 0..rows {
            let n = pattern.degree(r);
            let b = n.div_ceil(TILE);
            tiles.push(tiles[r] + b * (b + 1) / 2);
            // Rounded cycles of a tile, of a neighbour and of a target.
            work.push(work[r] + 8 * b * b + 8 * n + 12);
        }
        let per_part = work[rows].div_ceil(PARTS).max(1);
        let bounds = balanced(rows, per_part, |r| work[r]);
        let parts = bounds.windows(2).map(|w| {
            let (start, end) = (pattern.ptr()[w[0]] as usize, pattern.ptr()[w[1]] as usize);
            let reached = &pattern.idx()[start..end];
            let low = reached.iter().min().map_or(0, |&j| j as usize);
            let high = reached.iter().max().map_or(0, |&j| j as usize + 1);
            Part { targets: w[0]..w[1], nodes: low..high }
        });
        let parts = parts.filter(|p| !p.nodes.is_empty()).collect();
        let blocks = balanced(rows, 32 * 1024, |r| work[r]);
        Self { tiles, blocks, parts }
    }
}
