//! Weights between items.

use std::sync::Arc;

use alike_ops::Csr;

/// Weights between items.
#[derive(Debug, Clone)]
pub struct ItemItem {
    /// What each user took, `[U, I]`.
    pub history: Arc<Csr>,
    /// Row `j`: the items to whose scores item `j` adds, `[I, I]`.
    pub pattern: Arc<Csr>,
    /// Weight of each entry.
    pub values: Vec<f32>,
}

impl PartialEq for ItemItem {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Csr, b: &Csr| a.cols() == b.cols() && a.ptr() == b.ptr() && a.idx() == b.idx();
        same(&self.history, &other.history)
            && same(&self.pattern, &other.pattern)
            && self.values == other.values
    }
}

impl ItemItem {
    /// Puts the row pointers and indices of both matrices together; `None` where they do not fit.
    pub fn from_parts(
        history: (Vec<u32>, Vec<u32>),
        pattern: (Vec<u32>, Vec<u32>),
        values: Vec<f32>,
    ) -> Option<Self> {
        let items = pattern.0.len().checked_sub(1)?;
        let csr = |(ptr, idx): (Vec<u32>, Vec<u32>)| {
            Some(Arc::new(Csr::new(ptr.len().checked_sub(1)?, items, ptr, idx).ok()?))
        };
        let (history, pattern) = (csr(history)?, csr(pattern)?);
        (values.len() == pattern.nnz()).then_some(Self { history, pattern, values })
    }

    /// The items to whose scores `item` adds, with weights.
    pub fn row(&self, item: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        let at = self.pattern.ptr()[item as usize] as usize;
        self.pattern.row(item as usize).iter().copied().zip(self.values[at..].iter().copied())
    }

    /// What `from` adds to the score of `to`.
    pub fn weight(&self, from: u32, to: u32) -> f32 {
        let at = self.pattern.ptr()[from as usize] as usize;
        self.pattern.row(from as usize).binary_search(&to).map_or(0.0, |place| self.values[at + place])
    }

    /// What the items of `history` add to the score of `to`.
    pub fn sum(&self, history: &[u32], to: u32) -> f32 {
        history.iter().map(|&j| self.weight(j, to)).sum()
    }

    /// Adds what the items of `history` add to every score, `[I]`.
    pub fn add_sums(&self, history: &[u32], scores: &mut [f32]) {
        for (item, weight) in history.iter().flat_map(|&j| self.row(j)) {
            scores[item as usize] += weight;
        }
    }
}
