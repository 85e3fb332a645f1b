//! What a trained model leaves behind to rank items: evaluation and recommendation see only this.

mod dense;
mod every;
mod hybrid;
mod item_item;
mod similar;

use std::sync::Arc;

use alike_ops::{
    Csr, Exclusions, TopK, TopKRequest, dot, top_k_dot, top_k_dot_device, top_k_item_item, top_k_pair_mlp,
    top_k_pair_mlp_device, top_k_static,
};
use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Result;

use dense::not_finite;
pub use dense::{Floats, Matrix};
pub use hybrid::Hybrid;
pub use item_item::ItemItem;

/// Somebody to rank items for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserHistory {
    /// Their number, if the model was trained on them.
    pub user: Option<u32>,
    /// Every item that they took and that counts, those of training included: ascending, without repeats.
    pub history: Vec<u32>,
}

/// How a user's items are scored.
#[derive(Debug, Clone, PartialEq)]
pub enum Scorer {
    /// `users[u] · items[i]`.
    Dot {
        /// `[U, D]`.
        users: Matrix,
        /// `[I, D]`.
        items: Matrix,
    },
    /// `out · ReLU(users[u] + items[i])`: one hidden layer over both sides, split so that each side's product
    /// with the first weights is done once.
    PairMlp {
        /// `Z_u W_u + b`, `[U, h]`.
        users: Matrix,
        /// `Z_i W_i`, `[I, h]`.
        items: Matrix,
        /// Output weights `[h]`.
        out: Vec<f32>,
        /// `Z_i`, `[I, D]`, for similar items.
        vectors: Matrix,
    },
    /// `Σ_{j ∈ history of u} w_ji`.
    ItemItem(ItemItem),
    /// `users[u] · items[i] + Σ_{j ∈ history of u} w_ji`.
    Hybrid(Hybrid),
    /// The same scores for everybody.
    Static {
        /// Number of users.
        users: usize,
        /// Score of each item.
        scores: Vec<f32>,
    },
}

impl Scorer {
    /// The same on a device; `None` where it scores by something else than rows of users and items.
    pub fn to_device(&self, device: &Device) -> Option<DeviceScorer> {
        let tensor =
            |m: &Matrix| Tensor::from_data(TensorData::new(m.data.to_vec(), [m.rows, m.cols]), device);
        let mut hybrid = None;
        let (users, items, hidden) = match self {
            Self::Dot { users, items } => (users, items, None),
            Self::Hybrid(all) => {
                hybrid = Some(Arc::new(all.clone()));
                (&all.users, &all.items, None)
            }
            Self::PairMlp { users, items, out, vectors } => {
                let out = Matrix::new(1, out.len(), out.clone());
                (users, items, Some(HiddenLayer { out: tensor(&out), vectors: tensor(vectors) }))
            }
            Self::ItemItem(_) | Self::Static { .. } => return None,
        };
        Some(DeviceScorer { users: tensor(users), items: tensor(items), hidden, hybrid })
    }
}

/// What ranks items for users.
pub trait Ranks {
    /// Number of users.
    fn users(&self) -> usize;
    /// Number of items.
    fn items(&self) -> usize;
    /// The `k` best items of each of the users `rows`, without those of `seen` and `extra` (both `U × I`).
    ///
    /// # Errors
    /// The device failed.
    fn rank(&self, rows: &[u32], seen: Option<&Arc<Csr>>, extra: Option<&Arc<Csr>>, k: usize)
    -> Result<TopK>;
}

impl Ranks for Scorer {
    fn users(&self) -> usize {
        Scorer::users(self)
    }

    fn items(&self) -> usize {
        Scorer::items(self)
    }

    fn rank(
        &self,
        rows: &[u32],
        seen: Option<&Arc<Csr>>,
        extra: Option<&Arc<Csr>>,
        k: usize,
    ) -> Result<TopK> {
        Ok(self.top_k(rows, seen.map(|m| &**m), extra.map(|m| &**m), k))
    }
}

/// A [`Scorer`] while its model trains: still on the device of the model.
#[derive(Debug, Clone)]
pub struct DeviceScorer {
    /// A row per user, `[U, d]`.
    pub users: Tensor<2>,
    /// A row per item, `[I, d]`.
    pub items: Tensor<2>,
    /// What scores a pair of rows where that is not their inner product.
    pub hidden: Option<HiddenLayer>,
    /// The same with weights between items, where these are added to the inner product.
    pub hybrid: Option<Arc<Hybrid>>,
}

/// One hidden layer over both sides, `out · ReLU(users[u] + items[i])`.
#[derive(Debug, Clone)]
pub struct HiddenLayer {
    /// Output weights `[1, d]`.
    pub out: Tensor<2>,
    /// The items' vectors before the layer, `[I, D]`, for similar items.
    pub vectors: Tensor<2>,
}

impl DeviceScorer {
    /// The inner product of final vectors `[N, D]`, rows of `users` users first.
    pub fn dot(vectors: Tensor<2>, users: usize) -> Self {
        let items = vectors.dims()[0] - users;
        Self {
            users: vectors.clone().narrow(0, 0, users),
            items: vectors.narrow(0, users, items),
            hidden: None,
            hybrid: None,
        }
    }

    /// The same inner product and `share` times the sums of `weights`, as if both kinds of scores spread
    /// equally; `spread` is that of the sums, as [`Hybrid::spread_of_sums`] has it.
    pub fn with_weights(self, weights: &ItemItem, spread: f64, share: f64) -> Self {
        let [users, items] = [&self.users, &self.items].map(|t| matrix(t.clone()));
        let hybrid = Some(Arc::new(Hybrid::new(users, items, weights, spread, share)));
        Self { hybrid, ..self }
    }

    /// As [`Ranks::rank`] without those of `masks`, a ranking for each of `scales`, times which weights
    /// between items are taken.
    ///
    /// # Errors
    /// The device failed.
    pub fn rank_scaled(
        &self,
        rows: &[u32],
        masks: [Option<&Arc<Csr>>; 2],
        k: usize,
        scales: &[f32],
    ) -> Result<Vec<TopK>> {
        let wanted = TopKRequest { rows: rows.to_vec(), excluded: masks.map(|m| m.cloned()), k };
        let (users, items) = (self.users.clone(), self.items.clone());
        let top = match &self.hidden {
            None => top_k_dot_device(users, items, &wanted)?,
            Some(layer) => top_k_pair_mlp_device(users, items, layer.out.clone(), &wanted)?,
        };
        let [seen, extra] = masks.map(|m| m.map(|m| &**m));
        Ok(match &self.hybrid {
            None => vec![top; scales.len()],
            Some(hybrid) => hybrid.with_sums(&top, rows, &Exclusions { seen, extra }, scales),
        })
    }

    /// The same with weights between items `scale` times as large.
    pub fn rescaled(self, scale: f32) -> Self {
        let hybrid = self.hybrid.map(|h| Arc::new(Arc::unwrap_or_clone(h).rescaled(scale)));
        Self { hybrid, ..self }
    }

    /// A copy that needs no device.
    pub fn to_host(&self) -> Scorer {
        if let Some(hybrid) = &self.hybrid {
            return Scorer::Hybrid((**hybrid).clone());
        }
        let [users, items] = [&self.users, &self.items].map(|t| matrix(t.clone()));
        match &self.hidden {
            None => Scorer::Dot { users, items },
            Some(HiddenLayer { out, vectors }) => {
                let [out, vectors] = [out, vectors].map(|t| matrix(t.clone()));
                Scorer::PairMlp { users, items, out: out.data.into_vec(), vectors }
            }
        }
    }
}

impl Ranks for DeviceScorer {
    fn users(&self) -> usize {
        self.users.dims()[0]
    }

    fn items(&self) -> usize {
        self.items.dims()[0]
    }

    fn rank(
        &self,
        rows: &[u32],
        seen: Option<&Arc<Csr>>,
        extra: Option<&Arc<Csr>>,
        k: usize,
    ) -> Result<TopK> {
        Ok(self.rank_scaled(rows, [seen, extra], k, &[1.0])?.remove(0))
    }
}

/// A tensor's values as a matrix.
pub fn matrix(t: Tensor<2>) -> Matrix {
    let [rows, cols] = t.dims();
    let data = t.into_data().try_into_vec::<f32>().expect("parameters are f32");
    Matrix::new(rows, cols, data)
}

impl Scorer {
    /// Whether its rows are those of a mapped file.
    pub fn is_mapped(&self) -> bool {
        self.user_rows().is_some_and(|rows| rows.data.is_mapped())
    }

    /// A row per user, `[U, D]` or `[U, h]`, where scores come from rows.
    pub fn user_rows(&self) -> Option<&Matrix> {
        match self {
            Self::Dot { users, .. } | Self::PairMlp { users, .. } => Some(users),
            Self::Hybrid(all) => Some(&all.users),
            Self::ItemItem(_) | Self::Static { .. } => None,
        }
    }

    /// A row per item that tells what is like it, `[I, D]`, where there are such.
    pub fn item_vectors(&self) -> Option<&Matrix> {
        match self {
            Self::Dot { items, .. } => Some(items),
            Self::PairMlp { vectors, .. } => Some(vectors),
            Self::Hybrid(all) => Some(&all.items),
            Self::ItemItem(_) | Self::Static { .. } => None,
        }
    }

    /// Number of users.
    pub fn users(&self) -> usize {
        match self {
            Self::Dot { users, .. } | Self::PairMlp { users, .. } => users.rows,
            Self::Hybrid(all) => all.users.rows,
            Self::ItemItem(w) => w.history.rows(),
            Self::Static { users, .. } => *users,
        }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        match self {
            Self::Dot { items, .. } | Self::PairMlp { items, .. } => items.rows,
            Self::Hybrid(all) => all.items.rows,
            Self::ItemItem(w) => w.history.cols(),
            Self::Static { scores, .. } => scores.len(),
        }
    }

    /// What is wrong with the shapes or values, if anything: what was read from a file has yet to show that
    /// its parts go together. Kernels take that for granted.
    pub fn flaw(&self) -> Option<String> {
        let (sound, values): (_, Vec<&[f32]>) = match self {
            Self::Dot { users, items } => {
                if let Some(flaw) = users.unlike(items) {
                    return Some(flaw);
                }
                (true, vec![&users.data, &items.data])
            }
            Self::PairMlp { users, items, out, vectors } => {
                let widths = [users.cols, items.cols, out.len()];
                if widths.iter().any(|&w| w != widths[0] || w == 0) {
                    let [users, items, out] = widths;
                    return Some(format!(
                        "its users are {users} wide, its items {items}, and it has {out} output weights"
                    ));
                }
                let sound = vectors.rows == items.rows && vectors.cols > 0;
                (sound, vec![&users.data, &items.data, out, &vectors.data])
            }
            Self::Hybrid(all) => return all.flaw(),
            Self::ItemItem(w) => {
                let sound = w.pattern.rows() == w.history.cols() && w.pattern.cols() == w.history.cols();
                (sound, vec![&w.values])
            }
            Self::Static { scores, .. } => (true, vec![scores]),
        };
        if !sound {
            return Some("its parts describe different numbers of items".into());
        }
        not_finite(&values)
    }

    /// The `k` best items of each of the users `rows`, without those of `seen` and `extra` (both `U × I`).
    pub fn top_k(&self, rows: &[u32], seen: Option<&Csr>, extra: Option<&Csr>, k: usize) -> TopK {
        let masks = Exclusions { seen, extra };
        match self {
            Self::Dot { users, items } => top_k_dot(&users.data, &items.data, users.cols, rows, &masks, k),
            Self::PairMlp { users, items, out, .. } => {
                top_k_pair_mlp(&users.data, &items.data, out, rows, &masks, k)
            }
            Self::Hybrid(all) => all.top_k(rows, &masks, k),
            Self::ItemItem(w) => top_k_item_item(&w.history, &w.pattern, &w.values, rows, &masks, k),
            Self::Static { scores, .. } => top_k_static(scores, rows, &masks, k),
        }
    }

    /// Score of one user for one item.
    pub fn score(&self, user: u32, item: u32) -> f32 {
        match self {
            Self::ItemItem(w) => w.sum(w.history.row(user as usize), item),
            Self::Hybrid(all) => all.score(user, item),
            _ => self.score_of(self.user_row(user).unwrap_or_default(), item),
        }
    }

    /// The row of a user, `[D]` or `[h]`, where scores come from rows.
    pub fn user_row(&self, user: u32) -> Option<&[f32]> {
        self.user_rows().map(|rows| rows.row(user as usize))
    }

    /// Score of somebody with the row `user` for one item; weights between items need a history, and give 0.
    pub fn score_of(&self, user: &[f32], item: u32) -> f32 {
        match self {
            Self::Dot { items, .. } | Self::PairMlp { items, .. } | Self::Hybrid(Hybrid { items, .. }) => {
                self.score_rows(user, items.row(item as usize))
            }
            Self::ItemItem(_) => 0.0,
            Self::Static { scores, .. } => scores[item as usize],
        }
    }

    /// Score of somebody with the row `user` for an item with the row `item`; 0 where scores do not come from
    /// rows. Weights between items give nothing.
    pub fn score_rows(&self, user: &[f32], item: &[f32]) -> f32 {
        match self {
            Self::Dot { .. } | Self::Hybrid(_) => dot(user, item),
            Self::PairMlp { out, .. } => {
                let hidden = user.iter().zip(item).map(|(a, b)| (a + b).max(0.0));
                hidden.zip(out).map(|(h, w)| h * w).sum()
            }
            Self::ItemItem(_) | Self::Static { .. } => 0.0,
        }
    }
}

/// The `k` best of scored items or users, best first, equal ones by number.
pub fn best(mut all: Vec<(u32, f32)>, k: usize) -> Vec<(u32, f32)> {
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k < all.len() && k > 0 {
        all.select_nth_unstable_by(k - 1, order);
    }
    all.truncate(k);
    all.sort_unstable_by(order);
    all
}

/// Cosine of two vectors; 0 where one has no length.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let scale = norm(a) * norm(b);
    if scale > 0.0 { dot(a, b) / scale } else { 0.0 }
}

/// Length of a vector.
pub(crate) fn norm(v: &[f32]) -> f32 {
    dot(v, v).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f32]]) -> Matrix {
        Matrix::new(rows.len(), rows[0].len(), rows.concat())
    }

    #[test]
    fn masked_items_are_never_recommended() {
        let scorer = Scorer::Dot {
            users: matrix(&[&[1.0, 0.0]]),
            items: matrix(&[&[3.0, 0.0], &[2.0, 0.0], &[1.0, 0.0]]),
        };
        let seen = Csr::from_rows(3, &[vec![0u32]]).unwrap();
        let also = Csr::from_rows(3, &[vec![1u32]]).unwrap();
        assert_eq!(scorer.top_k(&[0], Some(&seen), None, 2).items, [1, 2]);
        assert_eq!(scorer.top_k(&[0], Some(&seen), Some(&also), 2).items, [2, u32::MAX]);
    }

    #[test]
    fn pair_scores_agree_with_the_ranking() {
        let users = matrix(&[&[0.5, -1.0], &[-0.2, 0.3]]);
        let items = matrix(&[&[0.1, 0.9], &[-0.6, 2.0], &[1.0, 1.0]]);
        let scorer = Scorer::PairMlp { users, vectors: items.clone(), items, out: vec![0.7, -0.4] };
        let top = scorer.top_k(&[0, 1], None, None, 3);
        for u in 0..2 {
            for p in 0..3 {
                let item = top.items[u * 3 + p];
                assert!((top.scores[u * 3 + p] - scorer.score(u as u32, item)).abs() < 1e-6);
            }
            assert!(top.scores[u * 3..u * 3 + 3].is_sorted_by(|a, b| a >= b));
        }
    }

    #[test]
    fn weights_between_items_score_and_compare() {
        let weights = ItemItem {
            history: Arc::new(Csr::from_rows(3, &[vec![0u32, 1], vec![]]).unwrap()),
            pattern: Arc::new(Csr::from_rows(3, &[vec![1u32, 2], vec![2], vec![0]]).unwrap()),
            values: vec![0.5, 1.0, 0.25, 2.0],
        };
        let scorer = Scorer::ItemItem(weights);
        let top = scorer.top_k(&[0, 1], None, None, 3);
        assert_eq!(top.row(0), (&[2, 1, 0][..], &[1.25, 0.5, 0.0][..]));
        assert_eq!(top.row(1), (&[0, 1, 2][..], &[0.0; 3][..]));
        assert_eq!(scorer.score(0, 2), 1.25);
        assert_eq!(scorer.similar(0, 5).unwrap(), [(2, 1.0), (1, 0.5)]);
    }

    #[test]
    fn parts_that_do_not_go_together_are_told() {
        let m = |rows, cols| Matrix::new(rows, cols, vec![1.0; rows * cols]);
        let says = |scorer: Scorer, part: &str| {
            let flaw = scorer.flaw().unwrap_or_default();
            assert!(flaw.contains(part), "{flaw:?} for {part:?}");
        };
        let pair =
            |users, items, out, vectors| Scorer::PairMlp { users, items, out: vec![1.0; out], vectors };
        assert_eq!(Scorer::Dot { users: m(2, 3), items: m(4, 3) }.flaw(), None);
        assert_eq!(pair(m(2, 3), m(4, 3), 3, m(4, 5)).flaw(), None);
        says(Scorer::Dot { users: m(2, 2), items: m(4, 3) }, "users are 2 wide and its items 3");
        says(Scorer::Dot { users: m(2, 0), items: m(4, 0) }, "0 wide");
        says(pair(m(2, 3), m(4, 2), 3, m(4, 5)), "its items 2");
        says(pair(m(2, 3), m(4, 3), 2, m(4, 5)), "2 output weights");
        says(pair(m(2, 3), m(4, 3), 3, m(3, 5)), "numbers of items");
        says(pair(m(2, 3), m(4, 3), 3, m(4, 0)), "numbers of items");
        says(Scorer::Static { users: 1, scores: vec![1.0, f32::INFINITY] }, "not finite");
        let square = |n: usize| Arc::new(Csr::from_rows(n, &vec![vec![0u32]; n]).unwrap());
        let weights = ItemItem { history: square(3), pattern: square(2), values: vec![1.0; 2] };
        says(Scorer::ItemItem(weights), "numbers of items");
        let weights = ItemItem { history: square(2), pattern: square(2), values: vec![1.0, f32::NAN] };
        says(Scorer::ItemItem(weights), "not finite");
    }

    #[test]
    fn similar_items_are_ordered_by_cosine() {
        let items = matrix(&[&[1.0, 0.0], &[10.0, 1.0], &[0.0, 1.0], &[0.0, 0.0]]);
        let scorer = Scorer::Dot { users: matrix(&[&[0.0, 0.0]]), items };
        let similar = scorer.similar(0, 2).unwrap();
        assert_eq!(similar.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2]);
        // A row without a length is like nothing, itself included.
        for (item, list) in [3, 0, 1].into_iter().zip(scorer.similar_each(&[3, 0, 1], 3).unwrap()) {
            let one = scorer.similar(item, 3).unwrap();
            assert_eq!(
                list.iter().map(|s| s.0).collect::<Vec<_>>(),
                one.iter().map(|s| s.0).collect::<Vec<_>>()
            );
            assert!(list.iter().zip(&one).all(|(a, b)| (a.1 - b.1).abs() < 1e-6), "{list:?} {one:?}");
        }
        assert!(Scorer::Static { users: 1, scores: vec![1.0] }.similar(0, 1).is_err());
    }
}
