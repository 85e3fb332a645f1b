//! Items that are alike.

use alike_ops::{Exclusions, top_k_dot};
use rayon::prelude::*;

use super::{Scorer, best, cosine, norm};
use crate::error::{Error, Result};

/// Items that are compared at a time.
const BLOCK: usize = 1 << 14;

impl Scorer {
    /// The `k` items most like `item`, best first, the item itself left out: by cosine of the item vectors,
    /// or by their weights where the model has those.
    pub fn similar(&self, item: u32, k: usize) -> Result<Vec<(u32, f32)>> {
        if let Self::ItemItem(w) = self {
            return Ok(best(w.row(item).filter(|&(j, _)| j != item).collect(), k));
        }
        let vectors = self.item_vectors().ok_or_else(none)?;
        let own = vectors.row(item as usize);
        // The best of all are among the best of each block.
        let block = |first: usize| {
            let others = (first..(first + BLOCK).min(vectors.rows)).filter(|&j| j != item as usize);
            best(others.map(|j| (j as u32, cosine(own, vectors.row(j)))).collect(), k)
        };
        let blocks: Vec<_> =
            (0..vectors.rows.div_ceil(BLOCK)).into_par_iter().map(|b| block(b * BLOCK)).collect();
        Ok(best(blocks.concat(), k))
    }

    /// The same for many items in one sweep over all of them; the last digit of a cosine may be another,
    /// since rows are brought to unit length first.
    pub fn similar_each(&self, items: &[u32], k: usize) -> Result<Vec<Vec<(u32, f32)>>> {
        if let Self::ItemItem(_) = self {
            return items.par_iter().map(|&item| self.similar(item, k)).collect();
        }
        let mut unit = self.item_vectors().ok_or_else(none)?.clone();
        unit.data.par_chunks_mut(unit.cols.max(1)).for_each(|row| {
            let scale = norm(row);
            if scale > 0.0 {
                row.iter_mut().for_each(|v| *v /= scale);
            }
        });
        // One more, since each is most like itself.
        let longer = (k + 1).min(unit.rows);
        let masks = Exclusions { seen: None, extra: None };
        let top = top_k_dot(&unit.data, &unit.data, unit.cols, items, &masks, longer);
        let list = |(at, &own): (usize, &u32)| top.pairs(at).filter(|&(j, _)| j != own).take(k).collect();
        Ok(items.iter().enumerate().map(list).collect())
    }
}

fn none() -> Error {
    Error::Data("this model has no item vectors to compare items by".into())
}
