//! The one place where graphs are built and normalised. Everything is sparse; node ids are users first, then
//! items at `U + i`.

mod sample;

use std::sync::Arc;

use alike_ops::{ConstSparse, Csr, Transposed, knn_cosine};
use rayon::prelude::*;

use crate::config::ModalityWeights;
use crate::data::Dataset;
use crate::error::{Error, Result};
pub use sample::{prune_edges, sample_neighbors};

crate::choice! {
    /// How the edges of the bipartite graph are weighted.
    pub enum Normalization {
        /// `D^-1/2 A D^-1/2`.
        Symmetric = "symmetric",
        /// `D^-1 A`.
        RowMean = "row-mean",
    }
}

crate::choice! {
    /// What the edges of the user graph count.
    pub enum UserWeight {
        /// Number of shared items.
        Count = "count",
        /// Shared items over the union of both users' items.
        Jaccard = "jaccard",
        /// Shared items over the geometric mean of both users' numbers of items.
        Cosine = "cosine",
    }
}

/// At most `k` weighted neighbours per row, each list by falling weight; `u32::MAX` pads.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbors {
    /// Places per row.
    pub k: usize,
    /// Neighbour of each place, `rows × k`.
    pub idx: Vec<u32>,
    /// Weight of each place, `rows × k`.
    pub weight: Vec<f32>,
}

impl Neighbors {
    /// Rows without neighbours.
    pub fn none(rows: usize) -> Self {
        Self { k: 1, idx: vec![u32::MAX; rows], weight: vec![0.0; rows] }
    }

    /// One row.
    pub(crate) fn single(idx: Vec<u32>, weight: Vec<f32>) -> Self {
        Self { k: idx.len(), idx, weight }
    }

    /// Every row its own only neighbour.
    pub fn own(rows: usize) -> Self {
        Self { k: 1, idx: (0..rows as u32).collect(), weight: vec![1.0; rows] }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.idx.len().checked_div(self.k).unwrap_or(0)
    }

    /// The filled places of row `r`.
    pub fn row(&self, r: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let at = r * self.k..(r + 1) * self.k;
        let idx = self.idx[at.clone()].iter().copied();
        idx.zip(self.weight[at].iter().copied()).filter(|&(j, _)| j != u32::MAX)
    }

    /// Softmax over each row's filled places.
    pub fn softmax(mut self) -> Self {
        for r in 0..self.rows() {
            let at = r * self.k..(r + 1) * self.k;
            let n = self.idx[at.clone()].iter().filter(|&&j| j != u32::MAX).count();
            let row = &mut self.weight[at][..n];
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|w| *w = (*w - max).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|w| *w /= sum);
        }
        self
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = (self.k as u64).to_le_bytes().to_vec();
        out.extend(self.idx.iter().flat_map(|v| v.to_le_bytes()));
        out.extend(self.weight.iter().flat_map(|v| v.to_le_bytes()));
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (k, rest) = bytes.split_first_chunk::<8>()?;
        let k = u64::from_le_bytes(*k) as usize;
        let (words, tail) = rest.as_chunks::<4>();
        if k == 0 || !tail.is_empty() || words.len() % (2 * k) != 0 {
            return None;
        }
        let (idx, weight) = words.split_at(words.len() / 2);
        Some(Self {
            k,
            idx: idx.iter().map(|w| u32::from_le_bytes(*w)).collect(),
            weight: weight.iter().map(|w| f32::from_le_bytes(*w)).collect(),
        })
    }
}

/// Builds `neighbors` once and keeps them in the prepared folder under `key`.
fn cached(data: &Dataset, key: &str, build: impl Fn() -> Result<Neighbors>) -> Result<Neighbors> {
    let bytes = data.cached(key, &mut || build().map(|n| n.to_bytes()))?;
    match Neighbors::from_bytes(&bytes) {
        Some(n) => Ok(n),
        None => build(),
    }
}

/// The bipartite pattern of all `N = U + I` nodes: a user's row holds their items at `U + i`, an item's row
/// its users.
pub fn bipartite_pattern(train: &Csr) -> Result<Csr> {
    let (users, items) = (train.rows(), train.cols());
    let t = train.transposed();
    let mut ptr = Vec::with_capacity(users + items + 1);
    ptr.extend_from_slice(train.ptr());
    ptr.extend(t.ptr[1..].iter().map(|p| p + train.nnz() as u32));
    let mut idx = Vec::with_capacity(2 * train.nnz());
    idx.extend(train.idx().iter().map(|i| i + users as u32));
    idx.extend_from_slice(&t.rows);
    Ok(Csr::new(users + items, users + items, ptr, idx)?)
}

/// The normalised bipartite graph of all nodes; `self_loops` adds the identity before normalising.
pub fn bipartite(train: &Csr, normalization: Normalization, self_loops: bool) -> Result<ConstSparse> {
    let mut pattern = bipartite_pattern(train)?;
    if self_loops {
        let rows: Vec<Vec<u32>> = (0..pattern.rows())
            .map(|r| {
                let mut row = pattern.row(r).to_vec();
                let at = row.partition_point(|&j| (j as usize) < r);
                row.insert(at, r as u32);
                row
            })
            .collect();
        pattern = Csr::from_rows(pattern.cols(), &rows)?;
    }
    let degree: Vec<f64> = (0..pattern.rows()).map(|r| pattern.degree(r) as f64).collect();
    let mut values = Vec::with_capacity(pattern.nnz());
    for r in 0..pattern.rows() {
        values.extend(pattern.row(r).iter().map(|&j| match normalization {
            Normalization::Symmetric => (degree[r] * degree[j as usize]).sqrt().recip() as f32,
            Normalization::RowMean => degree[r].recip() as f32,
        }));
    }
    Ok(ConstSparse::new(Arc::new(pattern), values)?)
}

/// The users' rows of the bipartite graph, `[U, I]`.
pub fn users_block(train: &Arc<Csr>, bipartite: &ConstSparse) -> Result<ConstSparse> {
    Ok(ConstSparse::new(train.clone(), bipartite.values()[..train.nnz()].to_vec())?)
}

/// Weights of the item graph that most papers use: image 0.1, text 0.9.
pub fn text_first() -> ModalityWeights {
    ModalityWeights([("image".to_string(), 0.1), ("text".to_string(), 0.9)].into())
}

/// For each user the `k` others with the largest co-interaction weight; ties go to the smaller user id.
/// Counting walks the items' user lists, one user at a time: memory is `O(U)` a thread.
pub fn co_interaction(train: &Csr, k: usize, weight: UserWeight) -> Neighbors {
    let users = train.rows();
    let users_of_item = train.transposed();
    let mut idx = vec![u32::MAX; users * k];
    let mut weights = vec![0f32; users * k];
    let scratch = || (CoCounts::new(train, users_of_item), Vec::<(f32, u32)>::new());
    idx.par_chunks_mut(k).zip(weights.par_chunks_mut(k)).enumerate().for_each_init(
        scratch,
        |(shared, best), (u, (idx, weights))| {
            shared.nearest(train.row(u), Some(u as u32), k, weight, best);
            for (at, (w, o)) in best.drain(..).enumerate() {
                (idx[at], weights[at]) = (o, w);
            }
        },
    );
    Neighbors { k, idx, weight: weights }
}

/// Counts the items that one person shares with each user.
pub(crate) struct CoCounts<'a> {
    train: &'a Csr,
    users_of_item: &'a Transposed,
    count: Vec<u32>,
    touched: Vec<u32>,
}

impl<'a> CoCounts<'a> {
    /// For the users of `train`, whose transposed matrix is `users_of_item`.
    pub(crate) fn new(train: &'a Csr, users_of_item: &'a Transposed) -> Self {
        Self { train, users_of_item, count: vec![0; train.rows()], touched: Vec::new() }
    }

    /// The `k` users who share most with somebody who took `items`, by falling weight, ties by the smaller
    /// user; `exclude` is left out. They go into `best`, which is empty.
    pub(crate) fn nearest(
        &mut self,
        items: &[u32],
        exclude: Option<u32>,
        k: usize,
        weight: UserWeight,
        best: &mut Vec<(f32, u32)>,
    ) {
        let Self { train, users_of_item, count, touched } = self;
        for &i in items {
            for &o in users_of_item.rows_of(i as usize) {
                if Some(o) != exclude {
                    if count[o as usize] == 0 {
                        touched.push(o);
                    }
                    count[o as usize] += 1;
                }
            }
        }
        let own = items.len() as f32;
        best.extend(touched.drain(..).map(|o| {
            let shared = std::mem::take(&mut count[o as usize]) as f32;
            let other = train.degree(o as usize) as f32;
            let w = match weight {
                UserWeight::Count => shared,
                UserWeight::Jaccard => shared / (own + other - shared),
                UserWeight::Cosine => shared / (own * other).sqrt(),
            };
            (w, o)
        }));
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if best.len() > k {
            best.select_nth_unstable_by(k - 1, order);
            best.truncate(k);
        }
        best.sort_unstable_by(order);
    }
}

/// [`co_interaction`], kept in the prepared folder.
pub fn user_graph(data: &Dataset, k: usize, weight: UserWeight) -> Result<Neighbors> {
    let key = format!("users-{weight:?}-{k}").to_lowercase();
    cached(data, &key, || Ok(co_interaction(&data.train, k, weight)))
}

/// For each item its `k` nearest others by cosine in modality `name`: from the given kNN graph where the
/// prepared folder has one of that name, else from the features.
pub fn item_neighbors(data: &Dataset, name: &str, k: usize) -> Result<Neighbors> {
    if let Some(given) = data.knn.iter().find(|g| g.name == name) {
        return Ok(without_self(&given.idx, &given.cos, given.k, k));
    }
    let features = data.features.iter().find(|f| f.name == name).ok_or_else(|| {
        let have: Vec<&str> = modalities(data);
        Error::Data(format!(
            "no features and no kNN graph named `{name}`; the data have: {}",
            have.join(", ")
        ))
    })?;
    let key = format!("items-{}-{k}", features.hash());
    cached(data, &key, || {
        let knn = knn_cosine(features.values(), data.items.len(), features.dim, k, false);
        let mut out = without_self(&knn.idx, &knn.cos, knn.k, k);
        for i in (0..data.items.len()).filter(|&i| features.missing[i]) {
            out.idx[i * k..(i + 1) * k].fill(u32::MAX);
            out.weight[i * k..(i + 1) * k].fill(0.0);
        }
        Ok(out)
    })
}

fn without_self(idx: &[u32], cos: &[f32], from: usize, k: usize) -> Neighbors {
    let rows = idx.len() / from;
    let mut out = Neighbors { k, idx: vec![u32::MAX; rows * k], weight: vec![0.0; rows * k] };
    for r in 0..rows {
        let at = r * from..(r + 1) * from;
        let kept = idx[at.clone()].iter().zip(&cos[at]).filter(|&(&j, _)| j != r as u32 && j != u32::MAX);
        for (place, (&j, &c)) in kept.take(k).enumerate() {
            out.idx[r * k + place] = j;
            out.weight[r * k + place] = c;
        }
    }
    out
}

/// Names of all modalities that give an item graph: features first, then kNN graphs of other names.
pub fn modalities(data: &Dataset) -> Vec<&str> {
    let mut names: Vec<&str> = data.features.iter().map(|f| f.name.as_str()).collect();
    names.extend(
        data.knn.iter().map(|g| g.name.as_str()).filter(|n| !data.features.iter().any(|f| f.name == *n)),
    );
    names
}

/// The mixed item graph as rows of `(item, weight)`: softmax over each modality's neighbours, then the mean
/// over modalities with `weights` (normalised over the modalities of which the item has neighbours).
pub fn item_graph(
    data: &Dataset,
    names: &[&str],
    k: usize,
    weights: &ModalityWeights,
) -> Result<Vec<Vec<(u32, f32)>>> {
    mixed(data, names, weights, |name| Ok(item_neighbors(data, name, k)?.softmax()))
}

/// As [`item_neighbors`], the item itself among its `k`, first and with cosine 1. An item without features
/// has none.
pub fn item_neighbors_and_self(data: &Dataset, name: &str, k: usize) -> Result<Neighbors> {
    let others = item_neighbors(data, name, k)?;
    let rows = others.rows();
    let mut out = Neighbors { k, idx: vec![u32::MAX; rows * k], weight: vec![0.0; rows * k] };
    for r in (0..rows).filter(|&r| others.row(r).next().is_some()) {
        for (place, (j, w)) in std::iter::once((r as u32, 1.0)).chain(others.row(r)).take(k).enumerate() {
            (out.idx[r * k + place], out.weight[r * k + place]) = (j, w);
        }
    }
    Ok(out)
}

/// The item graph of DRAGON and FREEDOM as rows of `(item, weight)`: the mean of each modality's `k` nearest,
/// the item itself among them, mixed with `weights`.
pub fn item_mean_graph(
    data: &Dataset,
    names: &[&str],
    k: usize,
    weights: &ModalityWeights,
) -> Result<Vec<Vec<(u32, f32)>>> {
    mixed(data, names, weights, |name| {
        let mut graph = item_neighbors_and_self(data, name, k)?;
        for r in 0..graph.rows() {
            let n = graph.row(r).count();
            graph.weight[r * k..r * k + n].fill(1.0 / n as f32);
        }
        Ok(graph)
    })
}

/// The item graph of LATTICE and MGCN for one modality: cosines of the `k` nearest (the item itself among
/// them; below 0: 0), `D^-1/2 W D^-1/2` with the row sums in `D`, `[I, I]`.
pub fn item_cosine_graph(data: &Dataset, name: &str, k: usize) -> Result<ConstSparse> {
    let graph = item_neighbors_and_self(data, name, k)?;
    let rows: Vec<Vec<(u32, f32)>> = (0..graph.rows())
        .map(|r| {
            let mut row: Vec<(u32, f32)> = graph.row(r).map(|(j, w)| (j, w.max(0.0))).collect();
            row.sort_unstable_by_key(|&(j, _)| j);
            row
        })
        .collect();
    let sums: Vec<f32> = rows.iter().map(|row| row.iter().map(|(_, w)| w).sum()).collect();
    let scaled = |(r, row): (usize, &Vec<(u32, f32)>)| -> Vec<(u32, f32)> {
        // An item that others are near to but that has no neighbours itself has row sum 0, and no weight.
        let scale = |j: u32| (sums[r] * sums[j as usize]).sqrt();
        row.iter().map(|&(j, w)| (j, if scale(j) > 0.0 { w / scale(j) } else { 0.0 })).collect()
    };
    let rows: Vec<_> = rows.iter().enumerate().map(scaled).collect();
    block_diagonal(&Neighbors::none(0), &rows)
}

/// The mean over the modalities `names` of the graphs that `of` gives, with `weights`.
fn mixed(
    data: &Dataset,
    names: &[&str],
    weights: &ModalityWeights,
    of: impl Fn(&str) -> Result<Neighbors>,
) -> Result<Vec<Vec<(u32, f32)>>> {
    let graphs = names.iter().map(|name| of(name)).collect::<Result<Vec<_>>>()?;
    Ok(mix(&graphs, &weights.normalized(names), data.items.len()))
}

fn mix(graphs: &[Neighbors], share: &[f64], rows: usize) -> Vec<Vec<(u32, f32)>> {
    let row = |i: usize| {
        let have: f64 =
            graphs.iter().zip(share).filter(|(g, _)| g.row(i).next().is_some()).map(|(_, s)| s).sum();
        let mut row: Vec<(u32, f32)> = Vec::new();
        for (graph, s) in graphs.iter().zip(share).filter(|&(_, &s)| s > 0.0) {
            for (j, w) in graph.row(i) {
                let w = w * (s / have) as f32;
                match row.iter_mut().find(|(o, _)| *o == j) {
                    Some((_, sum)) => *sum += w,
                    None => row.push((j, w)),
                }
            }
        }
        row.sort_unstable_by_key(|&(j, _)| j);
        row
    };
    (0..rows).into_par_iter().map(row).collect()
}

/// One `N × N` graph with the user graph and the item graph as its two diagonal blocks.
pub fn block_diagonal(users: &Neighbors, items: &[Vec<(u32, f32)>]) -> Result<ConstSparse> {
    let offset = users.rows() as u32;
    let n = users.rows() + items.len();
    let (mut ptr, mut idx, mut values) = (vec![0u32], Vec::new(), Vec::new());
    for u in 0..users.rows() {
        let mut row: Vec<(u32, f32)> = users.row(u).collect();
        row.sort_unstable_by_key(|&(o, _)| o);
        for (o, w) in row {
            idx.push(o);
            values.push(w);
        }
        ptr.push(idx.len() as u32);
    }
    for row in items {
        for &(j, w) in row {
            idx.push(offset + j);
            values.push(w);
        }
        ptr.push(idx.len() as u32);
    }
    Ok(ConstSparse::new(Arc::new(Csr::new(n, n, ptr, idx)?), values)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toy() -> Csr {
        // u0: 0 1 2, u1: 0 1, u2: 2, u3: none, u4: 0
        Csr::from_rows(4, &[vec![0, 1, 2], vec![0, 1], vec![2], vec![], vec![0]]).unwrap()
    }

    #[test]
    fn bipartite_graph_is_symmetric_and_normalised() {
        let g = bipartite(&toy(), Normalization::Symmetric, false).unwrap();
        let p = g.pattern();
        assert_eq!((p.rows(), p.nnz()), (9, 14));
        assert_eq!(p.row(0), [5, 6, 7]);
        assert_eq!(p.row(5), [0, 1, 4]);
        assert!((g.values()[0] - 1.0 / 3.0).abs() < 1e-6);
        let with_loops = bipartite(&toy(), Normalization::RowMean, true).unwrap();
        assert_eq!(with_loops.pattern().row(3), [3]);
        let sums: f32 = with_loops.values().iter().sum();
        assert!((sums - 9.0).abs() < 1e-5);
    }

    #[test]
    fn co_interaction_counts_shared_items_and_breaks_ties_by_id() {
        let n = co_interaction(&toy(), 2, UserWeight::Count);
        assert_eq!(n.row(0).collect::<Vec<_>>(), [(1, 2.0), (2, 1.0)]);
        assert_eq!(n.row(4).collect::<Vec<_>>(), [(0, 1.0), (1, 1.0)]);
        assert_eq!(n.row(3).count(), 0);
        let j = co_interaction(&toy(), 2, UserWeight::Jaccard);
        assert!((j.row(0).next().unwrap().1 - 2.0 / 3.0).abs() < 1e-6);
        let c = co_interaction(&toy(), 2, UserWeight::Cosine);
        assert!((c.row(0).next().unwrap().1 - 2.0 / 6f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn given_neighbours_lose_the_item_itself() {
        let n = without_self(&[0, 1, 2, 2, 0, 1], &[1.0, 0.5, 0.2, 0.9, 0.8, 0.7], 3, 2);
        assert_eq!(n.row(0).collect::<Vec<_>>(), [(1, 0.5), (2, 0.2)]);
        assert_eq!(n.row(1).collect::<Vec<_>>(), [(2, 0.9), (0, 0.8)]);
    }

    #[test]
    fn mixing_keeps_rows_normalised() {
        let a = without_self(&[1, 2, u32::MAX, u32::MAX], &[0.5, 0.5, 0.0, 0.0], 2, 2).softmax();
        let b = without_self(&[2, 3, 0, u32::MAX], &[0.5, 0.5, 0.1, 0.0], 2, 2).softmax();
        let rows = mix(&[a, b], &[0.25, 0.75], 2);
        assert_eq!(rows[0].iter().map(|r| r.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert!((rows[0][1].1 - 0.5).abs() < 1e-6);
        // The second item has neighbours in one modality only: they carry all the weight.
        assert_eq!(rows[1], [(0, 1.0)]);
    }

    #[test]
    fn bytes_round_trip_and_damage_is_seen() {
        let n = co_interaction(&toy(), 2, UserWeight::Cosine);
        let bytes = n.to_bytes();
        assert_eq!(Neighbors::from_bytes(&bytes), Some(n));
        assert_eq!(Neighbors::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Neighbors::from_bytes(&[0; 8]), None);
    }
}
