//! SOIL's second-order graph: users and the items that lie nearest to those that they took.

use std::ops::Range;
use std::sync::Arc;

use alike_ops::{ConstSparse, Csr};
use rayon::prelude::*;

use crate::data::Dataset;
use crate::error::Result;
use crate::graph::bipartite::bipartite_pattern;
use crate::graph::cosines::{Cosines, best_items};
use crate::graph::neighbors::{Neighbors, cached};
use crate::graph::sum::merged;

/// The second-order graph of all nodes, `[N, N]`, `D^-1/2 [[0, R] ; [Rᵀ, 0]] D^-1/2` with the row sums in
/// `D`: `R_uj` is 1 for the items that `u` took, plus `p(i, j)` for the `k` pairs of one of these, `i`, and
/// another item `j`, taken or not, with the largest `p` above 0 (ties: smaller `i`, then smaller `j`). `p(i,
/// j)` is the product of `cos(i, j)` over the modalities `names`.
///
/// # Errors
/// The data lack a modality.
pub fn second_order_graph(data: &Dataset, names: &[&str], k: usize) -> Result<ConstSparse> {
    let near = cached(data, &format!("second-order-{}-{k}", names.join("+")), || {
        let all = names.iter().map(|name| Cosines::of(data, name)).collect::<Result<Vec<_>>>()?;
        Ok(near_in_all(&all, data.items.len(), k))
    })?;
    both_ways(data.items.len(), &extended(&data.train, &near, k))
}

/// The users' rows of a graph of all nodes, `[U, I]`.
pub fn users_rows(graph: &ConstSparse, users: usize) -> Result<ConstSparse> {
    let (p, offset) = (graph.pattern(), users as u32);
    let end = p.ptr()[users] as usize;
    let idx = p.idx()[..end].iter().map(|j| j - offset).collect();
    let pattern = Csr::new(users, p.rows() - users, p.ptr()[..=users].to_vec(), idx)?;
    Ok(ConstSparse::new(Arc::new(pattern), graph.values()[..end].to_vec())?)
}

/// For each item the `k` others with the largest product of cosines above 0.
fn near_in_all(all: &[Cosines], items: usize, k: usize) -> Neighbors {
    let products = |rows: Range<usize>| {
        let own: Vec<u32> = (rows.start as u32..rows.end as u32).collect();
        let sets: Vec<&[u32]> = own.chunks(1).collect();
        let mut products = vec![1f32; own.len() * items];
        for cosines in all {
            products.iter_mut().zip(cosines.sums(&sets)).for_each(|(p, c)| *p *= c);
        }
        for (row, &i) in products.chunks_exact_mut(items).zip(&own) {
            row[i as usize] = 0.0;
        }
        products
    };
    let mut near = best_items(items, items, k, products);
    let places = near.idx.par_chunks_mut(k).zip(near.weight.par_chunks_mut(k)).enumerate();
    places.for_each(|(i, (idx, weight))| {
        // The same bits for both items of a pair: where a user took both, their order is that of numbers.
        let p = |j: u32| all.iter().map(|c| c.between(i as u32, j)).product::<f32>();
        let mut list: Vec<(f32, u32)> =
            idx.iter().take_while(|&&j| j != u32::MAX).map(|&j| (p(j), j)).collect();
        list.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (place, (w, j)) in list.into_iter().enumerate() {
            (idx[place], weight[place]) = (j, w);
        }
    });
    near
}

/// The rows of `R`, columns ascending.
fn extended(train: &Csr, near: &Neighbors, k: usize) -> Vec<Vec<(u32, f32)>> {
    let of = |u: usize| {
        let own = train.row(u);
        let mut others: Vec<(u32, f32)> = own.iter().flat_map(|&i| near.row(i as usize)).collect();
        // Equal ones stay in the order of the items that they are near to.
        others.sort_by(|a, b| b.1.total_cmp(&a.1));
        others.truncate(k);
        merged(own.iter().map(|&i| (i, 1.0)).chain(others).collect())
    };
    (0..train.rows()).into_par_iter().map(of).collect()
}

/// The rows of `R`, normalised, and of its transpose as one graph.
fn both_ways(items: usize, rows: &[Vec<(u32, f32)>]) -> Result<ConstSparse> {
    let columns: Vec<Vec<u32>> = rows.iter().map(|row| row.iter().map(|&(j, _)| j).collect()).collect();
    let pattern = Csr::from_rows(items, &columns)?;
    let mut of_items = vec![0f64; items];
    rows.iter().flatten().for_each(|&(j, w)| of_items[j as usize] += f64::from(w));
    let scaled = |row: &Vec<(u32, f32)>| -> Vec<f32> {
        let of_user: f64 = row.iter().map(|&(_, w)| f64::from(w)).sum();
        row.iter().map(|&(j, w)| (f64::from(w) / (of_user * of_items[j as usize]).sqrt()) as f32).collect()
    };
    let mut values: Vec<f32> = rows.iter().flat_map(scaled).collect();
    values.extend(pattern.transposed().edges.iter().map(|&e| values[e as usize]).collect::<Vec<_>>());
    Ok(ConstSparse::new(Arc::new(bipartite_pattern(&pattern)?), values)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::toy::{IMAGE, TEXT, assert_is, cosine, normalised, toy};

    const NONE: u32 = u32::MAX;

    /// The paper's words over a dense matrix: of all pairs of an own item and any item the `k + |N_u|` with
    /// the largest values above 0, an item with itself having 1.
    fn dense(train: &Csr, modalities: &[(&[f32], usize)], k: usize) -> Vec<f64> {
        let (users, n) = (train.rows(), train.rows() + train.cols());
        let mut r = vec![0f64; n * n];
        for u in 0..users {
            let own = train.row(u);
            let of = |i: usize, j: usize| match i == j {
                true => 1.0,
                false => modalities.iter().map(|&(x, dim)| cosine(x, dim, i, j)).product(),
            };
            let pairs = own.iter().flat_map(|&i| (0..train.cols()).map(move |j| (i as usize, j)));
            let mut all: Vec<(f64, usize, usize)> = pairs.map(|(i, j)| (of(i, j), i, j)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            for &(value, _, j) in all.iter().take(k + own.len()).filter(|pair| pair.0 > 0.0) {
                r[u * n + users + j] += value;
                r[(users + j) * n + u] += value;
            }
        }
        normalised(&r, n)
    }

    #[test]
    fn the_graph_is_that_of_the_equations_for_one_to_three_modalities() {
        let all: [(&[f32], usize); 3] = [(&IMAGE, 2), (&TEXT, 3), (&[1.0, 2.0, 3.0, -4.0], 1)];
        for (count, k) in (1..=3).flat_map(|count| (1..=4).map(move |k| (count, k))) {
            let cosines: Vec<Cosines> = all[..count].iter().map(|m| Cosines::of_features(m.0, m.1)).collect();
            let rows = extended(&toy(), &near_in_all(&cosines, 4, k), k);
            let graph = both_ways(4, &rows).unwrap();
            assert_is(&graph, &dense(&toy(), &all[..count], k));
            assert!(graph.is_symmetric());
        }
    }

    #[test]
    fn own_items_need_no_features_and_pairs_need_all_modalities() {
        // Item 3 has no neighbour; 0 and 1 are alike by .5 in one modality and by .8 in the other, 1 and 2 in
        // the first only.
        let first = Cosines::of_lists(&[1, 2, NONE, NONE], &[0.5, 0.5, 0.0, 0.0], 1);
        let second = Cosines::of_lists(&[1, NONE, NONE, NONE], &[0.8, 0.0, 0.0, 0.0], 1);
        let near = near_in_all(&[first, second], 4, 2);
        assert_eq!(near.row(1).collect::<Vec<_>>(), [(0, 0.4)]);
        let train = Csr::from_rows(4, &[vec![1, 3], vec![0, 1], vec![]]).unwrap();
        let rows = extended(&train, &near, 1);
        assert_eq!(rows[0], [(0, 0.4), (1, 1.0), (3, 1.0)]);
        assert_eq!(rows[1], [(0, 1.0), (1, 1.4)]);
        assert!(rows[2].is_empty());
        // With two more, both pairs of the two own items count.
        assert_eq!(extended(&train, &near, 2)[1], [(0, 1.4), (1, 1.4)]);
        let graph = both_ways(4, &rows).unwrap();
        assert!((graph.values()[0] - 0.4 / (2.4f32 * 1.4).sqrt()).abs() < 1e-6);
        let block = users_rows(&graph, 3).unwrap();
        assert_eq!((block.pattern().rows(), block.pattern().cols()), (3, 4));
        assert_eq!(block.pattern().idx(), [0, 1, 3, 0, 1]);
        assert_eq!(block.values(), &graph.values()[..5]);
    }
}
