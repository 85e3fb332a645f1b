//! Graphs cut down by chance: sampled neighbours, thinned interactions.

use alike_ops::Csr;
use rand::RngExt;
use rayon::prelude::*;

use crate::config::{Draw, Stream};
use crate::error::Result;

/// Cuts every row of `pattern` to at most `k` entries, drawn uniformly without replacement; rows that fit
/// stay as they are.
pub fn sample_neighbors(pattern: &Csr, k: usize, draw: Draw) -> Result<Csr> {
    let rows: Vec<(usize, Vec<u32>)> = (0..pattern.rows())
        .into_par_iter()
        .filter(|&r| pattern.degree(r) > k)
        .map(|r| {
            let mut rng = draw.rng_of(Stream::Neighbors, r as u32);
            let mut row = pattern.row(r).to_vec();
            for i in 0..k {
                let j = rng.random_range(i..row.len());
                row.swap(i, j);
            }
            row.truncate(k);
            row.sort_unstable();
            (r, row)
        })
        .collect();
    let mut cut = rows.into_iter().peekable();
    let (mut ptr, mut idx) = (vec![0u32], Vec::with_capacity(pattern.nnz()));
    for r in 0..pattern.rows() {
        match cut.next_if(|(at, _)| *at == r) {
            Some((_, row)) => idx.extend_from_slice(&row),
            None => idx.extend_from_slice(pattern.row(r)),
        }
        ptr.push(idx.len() as u32);
    }
    Ok(Csr::new(pattern.rows(), pattern.cols(), ptr, idx)?)
}

/// A share `keep` of the interactions, drawn without replacement, an interaction with weight `1/√(d_u d_i)`:
/// FREEDOM's degree-sensitive edge pruning.
pub fn prune_edges(train: &Csr, keep: f64, draw: Draw) -> Result<Csr> {
    let t = train.transposed();
    let item_degree = |i: u32| f64::from(t.ptr[i as usize + 1] - t.ptr[i as usize]);
    let mut rng = draw.rng(Stream::Dropout);
    // The largest of u^(1/w) are a weighted sample (Efraimidis and Spirakis 2006).
    let mut keys: Vec<(f64, u32)> = Vec::with_capacity(train.nnz());
    for u in 0..train.rows() {
        for &i in train.row(u) {
            let weight = (train.degree(u) as f64 * item_degree(i)).sqrt().recip();
            let uniform: f64 = rng.random();
            keys.push((uniform.max(f64::MIN_POSITIVE).ln() / weight, keys.len() as u32));
        }
    }
    let kept = ((train.nnz() as f64 * keep).round() as usize).clamp(1, train.nnz().max(1));
    let order = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if kept < keys.len() {
        keys.select_nth_unstable_by(kept - 1, order);
        keys.truncate(kept);
    }
    let mut edges: Vec<u32> = keys.into_iter().map(|(_, e)| e).collect();
    edges.sort_unstable();
    let mut at = edges.into_iter().peekable();
    let (mut ptr, mut idx) = (vec![0u32], Vec::with_capacity(kept));
    for u in 0..train.rows() {
        while let Some(e) = at.next_if(|&e| e < train.ptr()[u + 1]) {
            idx.push(train.idx()[e as usize]);
        }
        ptr.push(idx.len() as u32);
    }
    Ok(Csr::new(train.rows(), train.cols(), ptr, idx)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampled_rows_are_subsets_and_seeded() {
        let rows: Vec<Vec<u32>> = vec![(0..50).collect(), vec![1, 2], vec![]];
        let p = Csr::from_rows(50, &rows).unwrap();
        let s = sample_neighbors(&p, 10, Draw::new(7, 1)).unwrap();
        assert_eq!(s.degree(0), 10);
        assert!(s.row(0).windows(2).all(|w| w[0] < w[1]));
        assert_eq!(s.row(1), [1, 2]);
        assert_eq!(s.idx(), sample_neighbors(&p, 10, Draw::new(7, 1)).unwrap().idx());
        assert_ne!(s.idx(), sample_neighbors(&p, 10, Draw::new(7, 2)).unwrap().idx());
        assert_ne!(s.idx(), sample_neighbors(&p, 10, Draw::new(8, 1)).unwrap().idx());
    }

    #[test]
    fn thinning_is_seeded_and_prefers_edges_of_small_degrees() {
        // One item that all take, and one of each user's own.
        let rows: Vec<Vec<u32>> = (0..200).map(|u| vec![0, u + 1]).collect();
        let train = Csr::from_rows(201, &rows).unwrap();
        let kept = prune_edges(&train, 0.25, Draw::new(3, 1)).unwrap();
        assert_eq!((kept.rows(), kept.cols(), kept.nnz()), (200, 201, 100));
        assert!((0..200).all(|u| kept.row(u).iter().all(|i| train.row(u).contains(i))));
        let popular = kept.idx().iter().filter(|&&i| i == 0).count();
        assert!(popular < 25, "weight 1/20 against 1/1.4: {popular} of 100");
        assert_eq!(kept.idx(), prune_edges(&train, 0.25, Draw::new(3, 1)).unwrap().idx());
        assert_ne!(kept.idx(), prune_edges(&train, 0.25, Draw::new(3, 2)).unwrap().idx());
        assert_eq!(prune_edges(&train, 1.0, Draw::new(3, 1)).unwrap().idx(), train.idx());
    }
}
