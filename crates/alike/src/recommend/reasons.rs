//! Why an item has its rank: by what its score would lose without each item of the history.

use super::{Recommender, UserVector};
use crate::error::Result;
use crate::scorer::{Hybrid, Scorer, UserHistory, best};

/// Items of a history that reasons are looked for among; of longer ones, those with the highest numbers are
/// left out.
pub const HISTORY_LOOKED_AT: usize = 200;

/// One item of the history that carries a recommendation.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The item of the history.
    pub item: u32,
    /// What the score would lose if the person had not taken it.
    pub loss: f32,
    /// The modality in which most of that would be lost, where the model's vectors have parts by modality and
    /// weights between items lose less.
    pub modality: Option<String>,
}

impl Recommender {
    /// For each of `items`, the at most `most` items of the person's history that its score would lose most
    /// without, most important first. Those that the score would not lose by are not named.
    pub fn reasons(&self, person: &UserHistory, items: &[u32], most: usize) -> Result<Vec<Vec<Reason>>> {
        let history = &person.history[..person.history.len().min(HISTORY_LOOKED_AT)];
        let without = |&left_out: &u32| UserHistory {
            user: person.user,
            history: person.history.iter().copied().filter(|&j| j != left_out).collect(),
        };
        let people: Vec<UserHistory> =
            std::iter::once(person.clone()).chain(history.iter().map(without)).collect();
        let vectors = self.placed(&people)?;
        let (whole, less) = vectors.split_first().expect("the person as they are comes first");
        let one = |&item: &u32| {
            let score = self.score(whole, item);
            let losses = (0u32..).zip(less).map(|(at, vector)| (at, score - self.score(vector, item)));
            // Places in the history ascend as its items do, so equal losses go by the item.
            let found = best(losses.filter(|l| l.1 > 0.0).collect(), most);
            let reason = |(at, loss): (u32, f32)| Reason {
                item: history[at as usize],
                loss,
                modality: self.modality(whole, &less[at as usize], item),
            };
            found.into_iter().map(reason).collect()
        };
        Ok(items.iter().map(one).collect())
    }

    /// The part of the vectors in which a score loses most from `whole` to `less`; none where it loses more by
    /// weights between items.
    fn modality(&self, whole: &UserVector, less: &UserVector, item: u32) -> Option<String> {
        let (items, by_weights) = match &self.run.scorer {
            Scorer::Dot { items, .. } => (items, f32::NEG_INFINITY),
            Scorer::Hybrid(Hybrid { items, weights, .. }) => {
                (items, weights.sum(&whole.history, item) - weights.sum(&less.history, item))
            }
            _ => return None,
        };
        let (whole, less) = (&whole.row, &less.row);
        let item = items.row(item as usize);
        let mut at = 0;
        let mut largest: Option<(&str, f32)> = None;
        for (name, width) in &self.parts {
            let part = at..at + width;
            at += width;
            let change = whole[part.clone()].iter().zip(&less[part.clone()]).map(|(a, b)| a - b);
            let loss: f32 = change.zip(&item[part]).map(|(c, v)| c * v).sum();
            if largest.is_none_or(|(_, most)| loss > most) {
                largest = Some((name, loss));
            }
        }
        largest.filter(|(_, loss)| *loss >= by_weights).map(|(name, _)| name.to_string())
    }
}
