//! Neighbour similarity: aggregation weighted by how alike a target's neighbours are among themselves.
//!
//! `x [C, d]`, a pattern of `R` targets over `C` nodes; with `n` the number of neighbours of target `t`:
//!
//! - `x̂_j = (x_j - mean(x_j)) / ‖x_j - mean(x_j)‖`, a zero row where the norm is below 1e-12 (Pearson 0)
//! - `α_j = 1/n Σ_k ReLU(x̂_j · x̂_k)` over all neighbours `k`, `j` included
//! - `y_t = c_t Σ_j α_j x_j`, `c_t = 1/√n` when scaled, else 1; 0 without neighbours
//!
//! Backward, with `g = c_t ∂y_t`, `a_j = g · x_j / n`, `M_jk = 1[x̂_j · x̂_k > 0]`:
//!
//! - `∂x_j += α_j g` and `∂x̂_j += Σ_k M_jk (a_j + a_k) x̂_k`
//! - `∂x = (I - 11ᵀ/d)(∂x̂ - x̂ (x̂ · ∂x̂)) / ‖x - mean‖`
//!
//! How it is computed. Every row is normalised once. A target's similarities come in tiles of 4 × 4 on and above
//! the diagonal; nothing is padded beyond the next multiple of 4 neighbours. The forward pass keeps `x̂`, `α` and one
//! bit a pair. Since `x_j = ‖x_j - mean‖ x̂_j + mean(x_j)`, only `x̂` is gathered. In the backward pass the direct term
//! `α_j g` travels with `∂x̂_j`: the normalisation takes its parts along `x̂_j` and along 1 away again, and two
//! scalars a node put them back. Targets are cut into parts of equal work, each with its own sums, added in the
//! order of the parts: neither atomics nor the number of threads can change a bit.

mod backward;
mod forward;
#[cfg(feature = "gpu")]
pub(crate) mod gpu;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::dense::{collect_rows, cut, cut_at, uniform};
use crate::extension::{Operator, apply1};
use crate::lanes::LANES;
use crate::scratch::Scratch;
use crate::simd::{Level, level};
use crate::{Csr, Dense};
use backward::{Inputs, PartSums, Sums};
use forward::{Outputs, Rows};
pub(crate) use plan::Plan;

/// `y_t = c_t Σ_j α_j x_j` over the neighbours of each of the pattern's rows: `x [C, d]` → `[R, d]`.
///
/// Panics when `x` does not have `C` rows.
pub fn neighbor_similarity(pattern: &Arc<Csr>, x: Tensor<2>, scale: bool) -> Tensor<2> {
    apply1(Similarity { pattern: pattern.clone(), scale, level: level() }, x)
}

#[derive(Debug)]
struct Similarity {
    pattern: Arc<Csr>,
    scale: bool,
    level: Level,
}

/// Unit rows `[C + 1, ⌈d/16⌉·16]` with mean and norm of each, `α` of each entry, signs of each tile.
#[derive(Debug, Clone)]
struct Saved {
    unit: Scratch,
    stats: Vec<[f32; 2]>,
    alpha: Vec<f32>,
    signs: Vec<u16>,
    d: usize,
}

impl Saved {
    fn rows(&self) -> Rows<'_> {
        Rows { unit: &self.unit, stats: &self.stats, groups: self.d.div_ceil(LANES) }
    }
}

/// Rows that one task normalises.
const ROWS: usize = 512;

impl Operator<1> for Similarity {
    type Saved = Saved;

    fn forward(&self, [x]: [Dense; 1], _: bool) -> (Dense, Saved) {
        let (pattern, level) = (&*self.pattern, self.level);
        let (nodes, d) = (x.rows(), x.cols());
        assert_eq!(nodes, pattern.cols(), "rows of x and columns of the pattern");
        let plan = pattern.similarity_plan();
        let stride = d.next_multiple_of(LANES);
        let mut unit = Scratch::new((nodes + 1) * stride);
        unit[nodes * stride..].fill(0.0);
        let mut stats = vec![[0.0; 2]; nodes];
        let bounds = uniform(nodes, ROWS);
        let parts = cut(&mut unit[..nodes * stride], stride, &bounds).into_par_iter();
        parts.zip(cut(&mut stats, 1, &bounds)).for_each(|((rows, unit), (_, stats))| {
            forward::center(level, &x.data()[rows.start * d..rows.end * d], d, unit, stats);
        });

        let (mut alpha, mut signs) = (Vec::with_capacity(pattern.nnz()), Vec::new());
        let tiles = plan.tiles[pattern.rows()];
        signs.reserve_exact(tiles);
        let rows = Rows { unit: &unit, stats: &stats, groups: d.div_ceil(LANES) };
        let entries: Vec<usize> = plan.blocks.iter().map(|&r| pattern.ptr()[r] as usize).collect();
        let marks: Vec<usize> = plan.blocks.iter().map(|&r| plan.tiles[r]).collect();
        let mut y = Vec::with_capacity(pattern.rows() * d);
        let ys = cut(&mut y.spare_capacity_mut()[..pattern.rows() * d], d, &plan.blocks);
        let alphas = cut_at(&mut alpha.spare_capacity_mut()[..pattern.nnz()], &entries);
        let signses = cut_at(&mut signs.spare_capacity_mut()[..tiles], &marks);
        ys.into_par_iter().with_max_len(1).zip(alphas).zip(signses).for_each(
            |(((targets, y), alpha), signs)| {
                let out = Outputs { y, alpha, signs };
                forward::targets(level, pattern, rows, targets, d, self.scale, out);
            },
        );
        // SAFETY: the blocks cover all targets, hence all entries and tiles, and the kernel writes each.
        unsafe {
            y.set_len(pattern.rows() * d);
            alpha.set_len(pattern.nnz());
            signs.set_len(tiles);
        }
        (Dense::new(y, [pattern.rows(), d]), Saved { unit, stats, alpha, signs, d })
    }

    fn backward(&self, saved: Saved, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        if !needed {
            return [None];
        }
        let (pattern, level, d) = (&*self.pattern, self.level, saved.d);
        let (plan, rows) = (pattern.similarity_plan(), saved.rows());
        let stride = d.next_multiple_of(LANES);
        let sums: Vec<(Scratch, Vec<[f32; 2]>)> = plan
            .parts
            .par_iter()
            .with_max_len(1)
            .map(|part| {
                let mut sums = Scratch::new(part.nodes.len() * stride);
                let mut scalars = vec![[0.0; 2]; part.nodes.len()];
                let signs = &saved.signs[plan.tiles[part.targets.start]..plan.tiles[part.targets.end]];
                let inputs = Inputs { grad: grad.data(), alpha: &saved.alpha, signs };
                let out = Sums { rows: &mut sums[..part.nodes.len() * stride], scalars: &mut scalars };
                backward::part(level, pattern, rows, part, d, self.scale, inputs, out);
                (sums, scalars)
            })
            .collect();
        let parts: Vec<PartSums<'_>> = plan
            .parts
            .iter()
            .zip(&sums)
            .map(|(part, (rows, scalars))| PartSums { nodes: part.nodes.clone(), rows, scalars })
            .collect();
        let bounds = uniform(pattern.cols(), ROWS);
        // SAFETY: the kernel writes every row that it is given.
        let dx = unsafe {
            collect_rows(d, &bounds, |nodes, dx| backward::finish(level, rows, nodes, d, &parts, dx))
        };
        [Some(Dense::new(dx, [pattern.cols(), d]))]
    }
}
