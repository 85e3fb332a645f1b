//! An approximate index over item vectors: a navigable graph that finds most of the largest inner products
//! without looking at every item.
//!
//! What the graph takes for the distance of two vectors is `M² - a · b`, with `M` the length of the longest
//! item and people brought to that length, so that it is never negative. It is no distance in the strict
//! sense, since the nearest to an item need not be the item itself; but long items, which are in most lists,
//! become places that every way passes, and that is what a search for large inner products needs (Morozov and
//! Babenko, 2018). Adding a coordinate that makes all items equally long, so that it would be one, found a
//! fifth less.
//!
//! Items are inserted one after another and the levels come from a fixed seed: the same vectors give the same
//! graph.

#[cfg(feature = "hnsw")]
use alike_ops::dot;
#[cfg(feature = "hnsw")]
use hnsw_rs::prelude::{Distance, Hnsw};

use crate::error::{Error, Result};
#[cfg(feature = "hnsw")]
use crate::scorer::norm;
use crate::scorer::{Hybrid, Matrix, Scorer};

#[cfg(feature = "hnsw")]
/// Links of an item at each level but the lowest, which has twice as many.
const LINKS: usize = 16;
#[cfg(feature = "hnsw")]
/// Candidates among which the links of a new item are chosen.
const BUILD_WIDTH: usize = 200;
#[cfg(feature = "hnsw")]
/// Candidates that a search keeps at least. More find more and take longer.
const SEARCH_WIDTH: usize = 200;
#[cfg(feature = "hnsw")]
/// Levels at most.
const LEVELS: usize = 16;

#[cfg(feature = "hnsw")]
/// Item vectors, arranged so that the nearest to a person are found without a look at all of them.
pub struct Index {
    graph: Hnsw<'static, f32, Gap>,
    /// Length of the longest item.
    longest: f32,
}

#[cfg(feature = "hnsw")]
/// How much an inner product lacks of the largest that there can be.
#[derive(Debug, Clone, Copy)]
struct Gap {
    most: f32,
}

#[cfg(feature = "hnsw")]
impl Distance<f32> for Gap {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        // Rounding may make it negative, which the graph does not bear.
        (self.most - dot(a, b)).max(0.0)
    }
}

#[cfg(feature = "hnsw")]
impl Index {
    /// Arranges the items of `scorer`, on one thread.
    ///
    /// # Errors
    /// The scorer is no inner product, or a value is not finite.
    pub fn new(scorer: &Scorer) -> Result<Self> {
        let items = dot_items(scorer)?;
        if let Some(at) = items.data.iter().position(|v| !v.is_finite()) {
            let item = at / items.cols.max(1);
            return Err(Error::Data(format!("the vector of item number {item} is not finite")));
        }
        let longest = items.data.chunks_exact(items.cols.max(1)).map(norm).fold(0.0, f32::max);
        let most = longest * longest;
        let mut graph = Hnsw::new(LINKS, items.rows, LEVELS, BUILD_WIDTH, Gap { most });
        // Items get all their links, those that lead where others lead already included: short ones are found
        // by few.
        graph.set_keeping_pruned(true);
        for item in 0..items.rows {
            graph.insert((items.row(item), item));
        }
        Ok(Self { graph, longest })
    }

    /// About the `count` items with the largest inner products with `row`, fewer where no more are found; in
    /// no order that counts, since anyone who asked scores them.
    pub fn nearest(&self, row: &[f32], count: usize) -> Vec<u32> {
        let scale = self.longest / norm(row);
        if !scale.is_normal() {
            // Nobody in particular: every item is as near as any other.
            return Vec::new();
        }
        let vector: Vec<f32> = row.iter().map(|v| v * scale).collect();
        let found = self.graph.search(&vector, count, (2 * count).max(SEARCH_WIDTH));
        found.into_iter().map(|near| near.d_id as u32).collect()
    }
}

/// There is none in a build without the feature `hnsw`.
#[cfg(not(feature = "hnsw"))]
pub enum Index {}

#[cfg(not(feature = "hnsw"))]
impl Index {
    /// # Errors
    /// Always.
    pub fn new(_: &Scorer) -> Result<Self> {
        Err(Error::Data("this build has no index in memory; build it with the feature `hnsw`".into()))
    }

    /// Never called.
    pub fn nearest(&self, _: &[f32], _: usize) -> Vec<u32> {
        match *self {}
    }
}

/// The item vectors of an inner product, weights between items beside it or not.
///
/// # Errors
/// The scorer is another one.
pub fn dot_items(scorer: &Scorer) -> Result<&Matrix> {
    let what = match scorer {
        Scorer::Dot { items, .. } | Scorer::Hybrid(Hybrid { items, .. }) => return Ok(items),
        Scorer::PairMlp { .. } => "a pair MLP",
        Scorer::ItemItem(_) => "weights between items",
        Scorer::Static { .. } => "the same scores for everybody",
    };
    Err(Error::Data(format!("an index needs a model that ranks by inner product; this one has {what}")))
}

#[cfg(all(test, feature = "hnsw"))]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::scorer::best;

    /// Items around a hundred centres, of lengths that vary as popularity does, and people between three of
    /// the centres: `(items, users)`.
    fn groups(items: usize, users: usize, dim: usize) -> (Matrix, Matrix) {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut normal = move || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        let centres: Vec<Vec<f32>> = (0..100).map(|_| (0..dim).map(|_| normal()).collect()).collect();
        let mut rows = Vec::new();
        for i in 0..items {
            let length = (0.5 * normal()).exp();
            rows.extend(
                centres[i * 31 % 100].iter().map(|c| length * (c + 0.7 * normal())).collect::<Vec<_>>(),
            );
        }
        let mut people = Vec::new();
        for u in 0..users {
            let of = |d: usize| (0..3).map(|n| centres[(u * 17 + n * 29) % 100][d]).sum::<f32>();
            people.extend((0..dim).map(|d| of(d) + normal()).collect::<Vec<_>>());
        }
        (Matrix::new(items, dim, rows), Matrix::new(users, dim, people))
    }

    #[test]
    fn most_of_the_best_are_found() {
        let (items, users) = groups(4000, 200, 16);
        let scorer = Scorer::Dot { users: users.clone(), items: items.clone() };
        let index = Index::new(&scorer).unwrap();
        let (mut found, mut wanted) = (0, 0);
        for u in 0..users.rows {
            let row = users.row(u);
            let all = (0..items.rows as u32).map(|i| (i, dot(row, items.row(i as usize)))).collect();
            let near = index.nearest(row, 40);
            assert_eq!(near.len(), 40);
            wanted += 20;
            found += best(all, 20).iter().filter(|(i, _)| near.contains(i)).count();
        }
        assert!(found * 100 >= wanted * 98, "{found} of {wanted}");
        // The same once more, and wider.
        let again = Index::new(&scorer).unwrap();
        for u in 0..20 {
            assert_eq!(index.nearest(users.row(u), 300), again.nearest(users.row(u), 300));
        }
    }

    #[test]
    fn few_items_equal_items_and_people_without_a_direction() {
        let rows = |rows: &[&[f32]]| Matrix::new(rows.len(), 2, rows.concat());
        let index = |items: Matrix| Index::new(&Scorer::Dot { users: rows(&[&[0.0, 0.0]]), items });
        let few = index(rows(&[&[1.0, 0.0], &[3.0, 0.0], &[0.0, 2.0]])).unwrap();
        assert_eq!(few.nearest(&[1.0, 0.1], 1), [1]);
        assert_eq!(few.nearest(&[1.0, 0.1], 9).len(), 3);
        for none in [[0.0, 0.0], [f32::NAN, 1.0], [f32::INFINITY, 0.0]] {
            assert!(few.nearest(&none, 2).is_empty());
        }
        let equal = index(Matrix::new(500, 2, vec![0.0; 1000])).unwrap();
        assert!(equal.nearest(&[1.0, 0.0], 5).len() <= 5);
        let bad = index(rows(&[&[0.0, 1.0], &[f32::NAN, 0.0]])).err().unwrap().to_string();
        assert!(bad.contains("item number 1 is not finite"), "{bad}");
    }

    #[test]
    fn other_scorers_are_refused() {
        let error = Index::new(&Scorer::Static { users: 1, scores: vec![1.0] }).err().unwrap().to_string();
        assert!(error.contains("ranks by inner product; this one has the same scores"), "{error}");
    }
}
