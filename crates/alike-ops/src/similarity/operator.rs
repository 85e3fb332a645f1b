//! Neighbour similarity: aggregation weighted by the similarities among a target's neighbours.
//!
//! `x [C, d]`, a pattern of `R` targets over `C` nodes; with `n` the number of neighbours of target `t`:
//!
//! - `x̂_j = (x_j - mean(x_j)) / ‖x_j - mean(x_j)‖`, a zero row where the norm is below 1e-12 (Pearson 0)
//! - `α_j = 1/n Σ_k ReLU(x̂_j · x̂_k)` over all neighbours `k`, `j` included
//! - `w_j = α_j / (√n · 1/n Σ_k α_k)`: weights of mean `1/√n`, whatever the similarities
//! - `y_t = Σ_j w_j x_j`; 0 without neighbours, and where no neighbour has a direction
//!
//! Backward: the weights are constants, `∂x_j += w_j ∂y_t`, a product with the transposed pattern.
//!
//! Computation: every row is normalised once. A target's similarities come in tiles of 4 × 4 on and above the
//! diagonal; nothing is padded beyond the next multiple of 4 neighbours. The forward pass keeps the weights
//! only. Since `x_j = ‖x_j - mean‖ x̂_j + mean(x_j)`, only `x̂` is gathered. Every target is summed by one
//! thread in the order of its neighbours: the number of threads does not change a bit.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::forward::{self, Outputs, Rows};
use super::plan::Blocks;
use crate::autodiff::{Operator, apply1};
use crate::simd::f32x16::LANES;
use crate::simd::isa::Isa;
use crate::sparse::csr::Csr;
use crate::sparse::spmm::transposed_product;
use crate::tensor::buffer_pool::PooledBuffer;
use crate::tensor::dense::Dense;
use crate::tensor::partition::{cut, cut_at, uniform};

/// `y_t = Σ_j w_j x_j` over the neighbours of each of the pattern's rows: `x [C, d]` → `[R, d]`.
///
/// # Panics
/// When `x` does not have `C` rows.
pub fn neighbor_similarity(pattern: &Arc<Csr>, x: Tensor<2>) -> Tensor<2> {
    apply1(Similarity { pattern: pattern.clone(), isa: Isa::best() }, x)
}

#[derive(Debug)]
struct Similarity {
    pattern: Arc<Csr>,
    isa: Isa,
}

/// Rows normalised per task.
const ROWS: usize = 512;

impl Operator<1> for Similarity {
    /// The weight of each entry.
    type Saved = Vec<f32>;

    fn forward(&self, [x]: [Dense; 1], _: bool) -> (Dense, Vec<f32>) {
        let (pattern, isa) = (&*self.pattern, self.isa);
        let (nodes, d) = (x.rows(), x.cols());
        assert_eq!(nodes, pattern.cols(), "rows of x and columns of the pattern");
        let blocks = pattern.derived(Blocks::new);
        let blocks = &blocks.0;
        let stride = d.next_multiple_of(LANES);
        let mut unit = PooledBuffer::new((nodes + 1) * stride);
        unit[nodes * stride..].fill(0.0);
        let mut stats = vec![[0.0; 2]; nodes];
        let bounds = uniform(nodes, ROWS);
        let parts = cut(&mut unit[..nodes * stride], stride, &bounds).into_par_iter();
        parts.zip(cut(&mut stats, 1, &bounds)).for_each(|((rows, unit), (_, stats))| {
            forward::center(isa, &x.data()[rows.start * d..rows.end * d], d, unit, stats);
        });

        let mut weights = Vec::with_capacity(pattern.nnz());
        let rows = Rows { unit: &unit, stats: &stats, groups: d.div_ceil(LANES) };
        let entries: Vec<usize> = blocks.iter().map(|&r| pattern.ptr()[r] as usize).collect();
        let mut y = Vec::with_capacity(pattern.rows() * d);
        let ys = cut(&mut y.spare_capacity_mut()[..pattern.rows() * d], d, blocks);
        let parts = cut_at(&mut weights.spare_capacity_mut()[..pattern.nnz()], &entries);
        ys.into_par_iter().with_max_len(1).zip(parts).for_each(|((targets, y), weights)| {
            forward::targets(isa, pattern, rows, targets, d, Outputs { y, weights });
        });
        // SAFETY: the blocks cover all targets, hence all entries, and the kernel writes each.
        unsafe {
            y.set_len(pattern.rows() * d);
            weights.set_len(pattern.nnz());
        }
        (Dense::new(y, [pattern.rows(), d]), weights)
    }

    fn backward(&self, weights: Vec<f32>, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        [needed.then(|| transposed_product(self.isa, &self.pattern, &weights, &grad))]
    }
}

#[cfg(feature = "gpu")]
mod gpu;
#[cfg(test)]
mod tests;
