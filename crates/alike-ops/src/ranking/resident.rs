//! Items packed once and kept: for a service, which ranks few users per call but calls all the time.
//!
//! [`crate::top_k_dot`] packs the items in each call and gives each thread users of its own. Here the items
//! stay packed, and threads share one user's items: panels are split into chunks, and the best of the chunks
//! are merged. The order of items is total, so the result is the same for any number of threads, and the same
//! as that of the other functions.

use rayon::prelude::*;

use super::exclusions::Mask;
use super::heap::TopKHeap;
use super::panels::{ItemPanels, UserBlock};
use super::tile::{Formula, TileScan};
use super::topk::TopK;

/// Panels of a task: 48 items each.
const CHUNK: usize = 64;

/// Items `[I, d]`, packed, and how they are scored.
#[derive(Debug)]
pub struct Ranker {
    panels: ItemPanels,
    dim: usize,
    out: Option<Vec<f32>>,
}

impl Ranker {
    /// Scores are `user · items[i]`.
    ///
    /// # Panics
    /// When a length is not a multiple of `dim`.
    pub fn dot(items: &[f32], dim: usize) -> Self {
        Self::new(items, dim, None)
    }

    /// Scores are `out · ReLU(user + items[i])`: `items [I, h]`, `out [h]`.
    ///
    /// # Panics
    /// When a length is not a multiple of `h`.
    pub fn pair_mlp(items: &[f32], out: &[f32]) -> Self {
        Self::new(items, out.len(), Some(out.to_vec()))
    }

    fn new(items: &[f32], dim: usize, out: Option<Vec<f32>>) -> Self {
        assert!(
            dim > 0 && items.len().is_multiple_of(dim),
            "rows of {dim} values, not {} values",
            items.len()
        );
        let formula = out.as_deref().map_or(Formula::Dot, Formula::PairMlp);
        Self { panels: ItemPanels::new(items, dim, None, formula), dim, out }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.panels.items()
    }

    /// Width of a user's vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    fn scan(&self) -> TileScan<'_> {
        TileScan::new(self.out.as_deref().map_or(Formula::Dot, Formula::PairMlp), self.dim)
    }

    /// The `k` best items of each of `users [B, d]` of those that the row's mask lets through.
    ///
    /// # Panics
    /// When there is not one mask per row.
    pub fn top_k(&self, users: &[f32], masks: &[Mask<'_>], k: usize) -> TopK {
        assert_eq!(users.len(), masks.len() * self.dim, "one mask for each user of dim values");
        let mut top = TopK::empty(masks.len(), k);
        let panels = self.panels.len();
        if k == 0 || panels == 0 {
            return top;
        }
        let block = UserBlock::new(users, self.dim, masks.len(), None, |i| i);
        let scan = self.scan();
        // The first chunk has the longest items: its limits let the others skip most of theirs.
        let mut best: Vec<TopKHeap> = masks.iter().map(|m| m.heap(k)).collect();
        self.panels.offer(&scan, &block, 0..CHUNK.min(panels), &mut best);
        let parts: Vec<Vec<TopKHeap>> = (1..panels.div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let among = chunk * CHUNK..((chunk + 1) * CHUNK).min(panels);
                let mut other: Vec<TopKHeap> = best.iter().map(TopKHeap::fork).collect();
                self.panels.offer(&scan, &block, among, &mut other);
                other
            })
            .collect();
        for part in parts {
            best.iter_mut().zip(part).for_each(|(best, other)| best.merge(other));
        }
        for (at, ((items, scores), best)) in top.rows_mut().zip(best).enumerate() {
            let row = || self.panels.scores(&scan, &block.row(at));
            best.with_fallback(k, row).write(items, scores);
        }
        top
    }

    /// The scores of one user `[d]` for all items, the same bits as [`Self::top_k`] ranks by.
    pub fn scores(&self, user: &[f32]) -> Vec<f32> {
        assert_eq!(user.len(), self.dim, "the user's vector has dim values");
        self.panels.scores(&self.scan(), user)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::ranking::exclusions::Exclusions;
    use crate::ranking::item_set::ItemSet;
    use crate::ranking::tile::COLS;
    use crate::ranking::topk::{top_k_dot, top_k_pair_mlp};
    use crate::sparse::csr::Csr;

    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random_range(-4i32..5) as f32 / 4.0).collect()
    }

    #[test]
    fn ranks_as_the_functions_that_rank_everybody() {
        // More items than a chunk has, many equal scores, an excluded item in each chunk.
        let (items, users, dim) = (CHUNK * COLS * 2 + 77, 11, 5);
        let (x, y) = (numbers(users * dim, 1), numbers(items * dim, 2));
        let excluded: Vec<Vec<u32>> =
            (0..users as u32).map(|u| (u..items as u32).step_by(701 + u as usize).collect()).collect();
        let seen = Csr::from_rows(items, &excluded).unwrap();
        let masks = Exclusions { seen: Some(&seen), extra: None };
        let rows: Vec<u32> = (0..users as u32).collect();
        let of = |hidden| Mask { hidden, among: None };
        let lists: Vec<Mask<'_>> = excluded.iter().map(|list| of(list)).collect();
        for k in [1, 20, 300] {
            let all = top_k_dot(&x, &y, dim, &rows, &masks, k);
            assert_eq!(Ranker::dot(&y, dim).top_k(&x, &lists, k), all);
            let out = numbers(dim, 3);
            let all = top_k_pair_mlp(&x, &y, &out, &rows, &masks, k);
            assert_eq!(Ranker::pair_mlp(&y, &out).top_k(&x, &lists, k), all);
        }
    }

    #[test]
    fn only_items_of_the_set_are_taken() {
        let (items, users, dim, k) = (CHUNK * COLS * 2 + 77, 6, 5, 20);
        let (x, y) = (numbers(users * dim, 1), numbers(items * dim, 2));
        // Everything, half, a hundredth, fewer than are asked for, nothing, and everything again.
        let sets = [1, 2, 100, items / 7, usize::MAX, 1].map(|step| {
            let members = (0..items as u32).filter(|&i| step < items && (i as usize).is_multiple_of(step));
            Arc::new(ItemSet::of(items, members))
        });
        let hidden = [0, 2, 100, 300];
        let masks: Vec<Mask<'_>> =
            sets.iter().map(|set| Mask { hidden: &hidden, among: Some(set) }).collect();
        let ranker = Ranker::dot(&y, dim);
        let found = ranker.top_k(&x, &masks, k);
        for (u, mask) in masks.iter().enumerate() {
            let scores = ranker.scores(&x[u * dim..][..dim]);
            let mut all: Vec<u32> = (0..items as u32).filter(|&i| mask.passes(i)).collect();
            all.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b)));
            all.resize(all.len().max(k), u32::MAX);
            assert_eq!(found.row(u).0.len(), k.min(found.pairs(u).count()));
            assert!(found.pairs(u).map(|p| p.0).eq(all.iter().copied().take(k).filter(|&i| i != u32::MAX)));
        }
    }

    #[test]
    fn few_items_and_no_numbers() {
        let ranker = Ranker::dot(&[1.0, f32::NAN, 3.0], 1);
        let top = ranker.top_k(&[1.0], &[Mask { hidden: &[2], among: None }], 4);
        assert_eq!(top.items, [0, 1, u32::MAX, u32::MAX]);
        assert_eq!(ranker.scores(&[2.0])[2], 6.0);
        assert_eq!(Ranker::dot(&[], 2).top_k(&[1.0, 1.0], &[Mask::default()], 1).items, [u32::MAX]);
    }
}
