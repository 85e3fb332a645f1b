//! One training step, as a model sees it: the batch, typed, and randomness of its own.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use alike_ops::{Triples, l2_rows};
use burn::tensor::{Tensor, TensorData};
use bytemuck::TransparentWrapper;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Batch, Row, StepObjective, Table, Weights};
use crate::config::{Draw, Stream};
use crate::ids::{ItemId, UserId, numbers};

/// A batch with what a loss draws as well.
pub struct Step {
    batch: Batch,
    users: usize,
    items: usize,
    /// Seeded by run, epoch and step: a resumed run draws the same.
    start: ChaCha8Rng,
    rng: RefCell<ChaCha8Rng>,
    /// Calls of [`Self::dropout`] so far.
    calls: Cell<u64>,
    /// Dropout masks to use before any is drawn.
    masks: RefCell<VecDeque<Vec<f32>>>,
    nodes: OnceCell<Arc<Triples>>,
    objective: Arc<StepObjective>,
}

impl Step {
    /// Step `at` (from 0) of the epoch of `draw`, over tables of `users` and `items` rows.
    pub fn new(batch: Batch, users: usize, items: usize, draw: Draw, at: u32) -> Self {
        let start = draw.rng_of(Stream::Step, at);
        let rng = RefCell::new(start.clone());
        let calls = Cell::new(1);
        let (masks, nodes, objective) = (RefCell::default(), OnceCell::new(), Arc::default());
        Self { batch, users, items, start, rng, calls, masks, nodes, objective }
    }

    /// The same step of a model that ranks by this loss.
    #[must_use]
    pub fn ranked_by(self, objective: Arc<StepObjective>) -> Self {
        Self { objective, ..self }
    }

    /// The loss by which the model ranks.
    pub(super) fn objective(&self) -> &StepObjective {
        &self.objective
    }

    /// The same step with these dropout masks in place of the first that it would draw; each holds a factor
    /// per value, row by row.
    #[must_use]
    pub fn with_masks(self, masks: Vec<Vec<f32>>) -> Self {
        Self { masks: RefCell::new(masks.into()), ..self }
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The user of each pair.
    pub fn users(&self) -> &[UserId] {
        &self.batch.users
    }

    /// The item of each pair.
    pub fn positives(&self) -> &[ItemId] {
        &self.batch.positives
    }

    /// The negatives, one per pair or shared by all, as the model's sampling says.
    pub fn negatives(&self) -> &[ItemId] {
        &self.batch.negatives
    }

    /// All items of the batch: positives, then negatives.
    pub fn items(&self) -> Vec<ItemId> {
        [self.positives(), self.negatives()].concat()
    }

    /// The batch as rows of a table of all nodes. Losses over triples take negatives per pair: no other
    /// sampling.
    pub fn nodes(&self) -> &Arc<Triples> {
        self.nodes.get_or_init(|| {
            let items = |list: &[ItemId]| list.iter().map(|i| i.0 + self.users as u32).collect();
            Arc::new(Triples {
                users: numbers(self.users()).to_vec(),
                positives: items(self.positives()),
                negatives: items(self.negatives()),
            })
        })
    }

    /// The users and the positives of `batch`, each pair once: those of [`Self::nodes`], or of
    /// [`BatchRows::triples`], where a pair is there once for each of its negatives.
    pub fn pairs(&self, batch: &Triples) -> [Vec<u32>; 2] {
        let each = self.objective.sampling.repeats();
        [&batch.users, &batch.positives].map(|list| list.iter().copied().step_by(each).collect())
    }

    /// All nodes of the batch: users, positives, negatives.
    pub fn node_rows(&self) -> Arc<Vec<u32>> {
        rows_of(self.nodes())
    }

    /// The rows of all nodes that the batch needs, each once.
    pub fn local(&self) -> BatchRows {
        BatchRows::new(self.nodes(), self.users, self.users + self.items)
    }

    /// `weight` times the mean over the pairs of the squared norms of the rows `rows` of a table.
    pub fn l2<R: Row>(&self, w: &Weights, table: Table<R>, rows: &[R], weight: f64) -> Tensor<1> {
        l2_rows(w.table(table), &Arc::new(numbers(rows).to_vec()), self.share(weight))
    }

    /// `weight` over the number of pairs: what turns a sum over the batch into a weighted mean.
    pub fn share(&self, weight: f64) -> f32 {
        weight as f32 / self.len() as f32
    }

    /// `x` with a share `rate` of its values set to zero and the others divided by `1 - rate`; `rows` numbers
    /// its rows. What is dropped of a row depends on its number and on how many calls came before in this
    /// step, not on the other rows.
    pub fn dropout(&self, x: Tensor<2>, rows: &[u32], rate: f64) -> Tensor<2> {
        if rate == 0.0 {
            return x;
        }
        let [count, cols] = x.dims();
        assert_eq!(count, rows.len(), "rows are numbered one by one");
        let call = self.calls.replace(self.calls.get() + 1);
        let given = self.masks.borrow_mut().pop_front();
        let mask = given.unwrap_or_else(|| {
            let kept = (1.0 / (1.0 - rate)) as f32;
            let dropped = (rate * (1u64 << 32) as f64) as u64;
            let mut rng = self.start.clone();
            let mut mask = Vec::with_capacity(count * cols);
            for &row in rows {
                rng.set_stream(call << 32 | u64::from(row));
                rng.set_word_pos(0);
                mask.extend((0..cols).map(|_| if u64::from(rng.next_u32()) < dropped { 0.0 } else { kept }));
            }
            mask
        });
        let device = x.device();
        x * Tensor::from_data(TensorData::new(mask, [count, cols]), &device)
    }

    /// A draw from the step's own generator, for noise of other kinds.
    pub fn draw<T>(&self, from: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        from(&mut self.rng.borrow_mut())
    }
}

/// All rows of a batch: users, positives, negatives.
pub fn rows_of(batch: &Triples) -> Arc<Vec<u32>> {
    Arc::new([&batch.users[..], &batch.positives, &batch.negatives].concat())
}

/// The rows that a batch needs, and the batch in their numbers: what follows the last propagation of a model
/// is worked out for these rows only.
#[derive(Debug, Clone)]
pub struct BatchRows {
    /// Rows of all nodes, each once, in growing order: users first.
    pub rows: Vec<u32>,
    /// The batch; its numbers are positions in `rows`.
    pub triples: Arc<Triples>,
    users: usize,
    /// Rows of users among them.
    count: usize,
}

impl BatchRows {
    fn new(batch: &Triples, users: usize, nodes: usize) -> Self {
        let mut position = vec![u32::MAX; nodes];
        let lists = [&batch.users, &batch.positives, &batch.negatives];
        lists.into_iter().flatten().for_each(|&r| position[r as usize] = 0);
        let rows: Vec<u32> = (0..nodes as u32).filter(|&r| position[r as usize] == 0).collect();
        (0u32..).zip(&rows).for_each(|(at, &r)| position[r as usize] = at);
        let [of_users, positives, negatives] =
            lists.map(|list| list.iter().map(|&r| position[r as usize]).collect());
        let triples = Arc::new(Triples { users: of_users, positives, negatives });
        let count = rows.partition_point(|&r| (r as usize) < users);
        Self { rows, triples, users, count }
    }

    /// The users among the rows.
    pub fn users(&self) -> &[UserId] {
        UserId::wrap_slice(&self.rows[..self.count])
    }

    /// The items among the rows.
    pub fn items(&self) -> Vec<ItemId> {
        self.rows[self.count..].iter().map(|r| ItemId(r - self.users as u32)).collect()
    }

    /// [`Self::items`], and where in them the item of each pair is.
    pub fn positive_items(&self) -> (Vec<ItemId>, Vec<u32>) {
        (self.items(), self.triples.positives.iter().map(|p| p - self.count as u32).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn step(seed: u64, epoch: u64, at: u32) -> Step {
        let batch = Batch {
            users: vec![UserId(2), UserId(0)],
            positives: vec![ItemId(1), ItemId(4)],
            negatives: vec![ItemId(4), ItemId(0)],
        };
        Step::new(batch, 3, 5, Draw::new(seed, epoch), at)
    }

    fn dropped(step: &Step) -> Vec<f32> {
        let rows: Vec<u32> = (0..50).collect();
        step.dropout(Tensor::ones([50, 40], &Device::flex()), &rows, 0.25)
            .into_data()
            .try_into_vec::<f32>()
            .unwrap()
    }

    #[test]
    fn what_a_step_draws_is_named_by_seed_epoch_and_step() {
        let first = step(1, 1, 0);
        let mask = dropped(&first);
        assert_eq!(mask, dropped(&step(1, 1, 0)));
        for other in
            [dropped(&step(2, 1, 0)), dropped(&step(1, 2, 0)), dropped(&step(1, 1, 1)), dropped(&first)]
        {
            assert_ne!(mask, other);
        }
        let zeros = mask.iter().filter(|&&v| v == 0.0).count();
        assert!((400..600).contains(&zeros), "{zeros} of 2000 at a rate of a quarter");
        assert!(mask.iter().all(|&v| v == 0.0 || v == 4.0 / 3.0));
        let some = step(1, 1, 0).dropout(Tensor::ones([2, 40], &Device::flex()), &[7, 3], 0.25);
        let some = some.into_data().try_into_vec::<f32>().unwrap();
        assert_eq!((&some[..40], &some[40..]), (&mask[280..320], &mask[120..160]));
        let given = step(1, 1, 0).with_masks(vec![vec![2.0; 2000]]);
        assert_eq!(dropped(&given), vec![2.0; 2000]);
    }

    #[test]
    fn rows_of_a_batch_are_its_nodes_each_once() {
        let step = step(1, 1, 0);
        assert_eq!(step.nodes().positives, [4, 7]);
        let local = step.local();
        assert_eq!(local.rows, [0, 2, 3, 4, 7]);
        assert_eq!(local.triples.users, [1, 0]);
        assert_eq!(local.triples.positives, [3, 4]);
        assert_eq!(local.triples.negatives, [4, 2]);
        assert_eq!(local.users(), [UserId(0), UserId(2)]);
        let (items, positives) = local.positive_items();
        assert_eq!(items, [ItemId(0), ItemId(1), ItemId(4)]);
        assert_eq!(positives, [1, 2]);
    }
}
