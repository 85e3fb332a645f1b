//! Graphs of items: which are alike in each modality, and these mixed.

use alike_ops::{ConstSparse, knn_cosine};
use rayon::prelude::*;

use crate::config::ModalityWeights;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::graph::blocks::block_diagonal;
use crate::graph::neighbors::{Neighbors, cached};

/// Weights of the item graph that most papers use: image 0.1, text 0.9.
pub fn text_first() -> ModalityWeights {
    ModalityWeights([("image".to_string(), 0.1), ("text".to_string(), 0.9)].into())
}

/// For each item its `k` nearest others by cosine in modality `name`: from the given kNN graph where the
/// prepared folder has one of that name, else from the features.
pub fn item_neighbors(data: &Dataset, name: &str, k: usize) -> Result<Neighbors> {
    if let Some(given) = data.knn.iter().find(|g| g.name == name) {
        return Ok(without_self(&given.idx, &given.cos, given.k, k));
    }
    let features = data.features.iter().find(|f| f.name == name).ok_or_else(|| no_modality(data, name))?;
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

/// An error about a modality that the data lack.
pub(super) fn no_modality(data: &Dataset, name: &str) -> Error {
    let have = modalities(data).join(", ");
    Error::Data(format!("no features and no kNN graph named `{name}`; the data have: {have}"))
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

/// The mean over the modalities `names` of the graphs that `neighbors` gives, with `weights`.
fn mixed(
    data: &Dataset,
    names: &[&str],
    weights: &ModalityWeights,
    neighbors: impl Fn(&str) -> Result<Neighbors>,
) -> Result<Vec<Vec<(u32, f32)>>> {
    let graphs = names.iter().map(|name| neighbors(name)).collect::<Result<Vec<_>>>()?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
