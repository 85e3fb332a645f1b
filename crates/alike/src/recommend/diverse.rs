//! Lists that are not all of a kind.

use super::Recommender;
use crate::scorer::cosine;

impl Recommender {
    /// `top` of `candidates` (items and scores, best first), chosen one after another by maximal marginal
    /// relevance: next is the item with the largest
    ///
    /// `(1 - weight) · r_i - weight · max_{j chosen} cos(v_i, v_j)`
    ///
    /// where `r_i` is its score, scaled so that the candidates' scores fill 0 to 1, and `v` are the model's
    /// item vectors or, where it has none, the features of the first modality. Weight 0 leaves the order as
    /// it is. Without vectors and features nothing tells items apart, and the order stays too.
    pub fn diversified(&self, candidates: &[(u32, f32)], weight: f32, top: usize) -> Vec<(u32, f32)> {
        self.diversified_with(candidates, weight, top, &|_| None)
    }

    /// The same where items are among the candidates that the data do not have: `new` gives their vectors, as
    /// [`Placed`](super::Placed) has them. One without is like no other.
    pub fn diversified_with<'a>(
        &'a self,
        candidates: &[(u32, f32)],
        weight: f32,
        top: usize,
        new: &dyn Fn(u32) -> Option<&'a [f32]>,
    ) -> Vec<(u32, f32)> {
        let Some(known) = self.vector_of_items() else {
            return candidates[..top.min(candidates.len())].to_vec();
        };
        let items = self.run.data.items.len() as u32;
        let vector = |item: u32| if item < items { Some(known(item)) } else { new(item) };
        let likeness = |a: Option<&[f32]>, b: Option<&[f32]>| match (a, b) {
            (Some(a), Some(b)) if a.len() == b.len() => cosine(a, b),
            _ => 0.0,
        };
        let worst = candidates.iter().map(|c| c.1).fold(f32::INFINITY, f32::min);
        let span = candidates.iter().map(|c| c.1).fold(f32::NEG_INFINITY, f32::max) - worst;
        let relevance = |score: f32| if span > 0.0 { (score - worst) / span } else { 1.0 };
        // Candidates that are left, each with its largest cosine with what was chosen.
        let mut left: Vec<(usize, f32)> = (0..candidates.len()).map(|at| (at, 0.0)).collect();
        let mut chosen = Vec::with_capacity(top.min(candidates.len()));
        while chosen.len() < top && !left.is_empty() {
            let gain =
                |&(at, near): &(usize, f32)| (1.0 - weight) * relevance(candidates[at].1) - weight * near;
            let ahead =
                |a: usize, b: usize| gain(&left[b]).total_cmp(&gain(&left[a])).then(a.cmp(&b)).is_lt();
            let next = (1..left.len()).fold(0, |best, at| if ahead(at, best) { at } else { best });
            let (at, _) = left.remove(next);
            chosen.push(candidates[at]);
            let own = vector(candidates[at].0);
            for (other, near) in &mut left {
                let likeness = likeness(own, vector(candidates[*other].0));
                *near = if chosen.len() == 1 { likeness } else { near.max(likeness) };
            }
        }
        chosen
    }

    /// What tells items apart; `None` where nothing does.
    fn vector_of_items<'a>(&'a self) -> Option<Box<dyn Fn(u32) -> &'a [f32] + 'a>> {
        match self.run.scorer.item_vectors() {
            Some(rows) => Some(Box::new(|i| rows.row(i as usize))),
            None => {
                let features = self.run.data.features.first()?;
                let values = features.values();
                Some(Box::new(move |i| &values[i as usize * features.dim..(i as usize + 1) * features.dim]))
            }
        }
    }
}
