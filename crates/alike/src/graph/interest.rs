//! SOIL's interest graph: items are joined to what lies nearest to all that their users took.

use alike_ops::{ConstSparse, Csr, SparseSums};
use rayon::prelude::*;

use crate::data::Dataset;
use crate::error::Result;
use crate::graph::blocks::block_diagonal;
use crate::graph::cosines::{Cosines, best_items};
use crate::graph::neighbors::{Neighbors, cached};

/// The interest graph of modality `name`, `[I, I]`: `W_ij = Σ_u cos(i, j)` over the users `u` who took `i`
/// and of whose interests `j` is one, cosines below 0 as 0; `D^-1/2 W D^-1/2` with the row sums in `D`, 0
/// where one is 0. A user's interests are, together, the `k` items of each of the modalities `names` with the
/// largest `Σ_{i ∈ N_u} cos(i, ·)` above 0.
///
/// # Errors
/// The data lack a modality.
pub fn interest_graph(data: &Dataset, names: &[&str], name: &str, k: usize) -> Result<ConstSparse> {
    let nearest = |name: &&str| -> Result<Neighbors> {
        let key = format!("interests-{name}-{k}");
        cached(data, &key, || Ok(nearest_to_users(&data.train, &Cosines::of(data, name)?, k)))
    };
    let nearest = names.iter().map(nearest).collect::<Result<Vec<_>>>()?;
    symmetric(&joined(&data.train, &interests(&nearest, data.users.len()), &Cosines::of(data, name)?))
}

/// How many entries that graph has, about: one for each interaction and interest of its user, of which those
/// of two modalities, or of two users of an item, may be the same; in public data a third are.
pub fn interest_entries(data: &Dataset, modalities: usize, k: usize) -> usize {
    let items = data.items.len();
    (data.train.nnz() * k.min(items) * modalities * 2 / 3).min(items * items)
}

/// For each user the `k` items that are nearest to all that they took.
fn nearest_to_users(train: &Csr, cosines: &Cosines, k: usize) -> Neighbors {
    best_items(train.rows(), train.cols(), k, |users| {
        cosines.sums(&users.map(|u| train.row(u)).collect::<Vec<_>>())
    })
}

/// The interests of each user, ascending: those of all modalities.
fn interests(nearest: &[Neighbors], users: usize) -> Vec<Vec<u32>> {
    let of = |u: usize| {
        let mut all: Vec<u32> = nearest.iter().flat_map(|n| n.row(u).map(|(j, _)| j)).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    (0..users).map(of).collect()
}

/// The rows of `W`.
fn joined(train: &Csr, interests: &[Vec<u32>], cosines: &Cosines) -> Vec<Vec<(u32, f32)>> {
    let users = train.transposed();
    (0..train.cols())
        .into_par_iter()
        .map_init(
            || SparseSums::new(train.cols()),
            |counts, i| {
                for &j in users.rows_of(i).iter().flat_map(|&u| &interests[u as usize]) {
                    counts.add(j, 1u32);
                }
                let weighted = |(j, count)| (j, count as f32 * cosines.between(i as u32, j));
                counts.take_sorted().map(weighted).filter(|&(_, w)| w > 0.0).collect()
            },
        )
        .collect()
}

/// `D^-1/2 W D^-1/2` of the rows of `W`.
fn symmetric(rows: &[Vec<(u32, f32)>]) -> Result<ConstSparse> {
    let sum = |row: &Vec<(u32, f32)>| row.iter().map(|&(_, w)| f64::from(w)).sum::<f64>();
    let sums: Vec<f64> = rows.iter().map(sum).collect();
    let scaled = |(r, row): (usize, &Vec<(u32, f32)>)| -> Vec<(u32, f32)> {
        // An interest that nobody took has no row.
        let joined = row.iter().filter(|&&(j, _)| sums[j as usize] > 0.0);
        joined.map(|&(j, w)| (j, (f64::from(w) / (sums[r] * sums[j as usize]).sqrt()) as f32)).collect()
    };
    let rows: Vec<_> = rows.iter().enumerate().map(scaled).collect();
    block_diagonal(&Neighbors::none(0), &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::toy::{IMAGE, TEXT, assert_is, cosine, normalised, toy};

    /// The equations over dense matrices; the graph of the modality at `which`.
    fn dense(train: &Csr, modalities: &[(&[f32], usize)], which: usize, k: usize) -> Vec<f64> {
        let n = train.cols();
        let (mut w, of) = (vec![0f64; n * n], modalities[which]);
        for own in (0..train.rows()).map(|u| train.row(u)) {
            let mut wanted = vec![false; n];
            for &(values, dim) in modalities {
                let sum = |j| own.iter().map(|&i| cosine(values, dim, i as usize, j)).sum::<f64>();
                let mut order: Vec<(f64, usize)> = (0..n).map(|j| (sum(j), j)).collect();
                order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                order.iter().take(k).filter(|(sum, _)| *sum > 0.0).for_each(|&(_, j)| wanted[j] = true);
            }
            for &i in own {
                for j in (0..n).filter(|&j| wanted[j]) {
                    w[i as usize * n + j] += cosine(of.0, of.1, i as usize, j).max(0.0);
                }
            }
        }
        normalised(&w, n)
    }

    fn of(train: &Csr, all: &[Cosines], which: usize, k: usize) -> ConstSparse {
        let nearest: Vec<Neighbors> = all.iter().map(|c| nearest_to_users(train, c, k)).collect();
        symmetric(&joined(train, &interests(&nearest, train.rows()), &all[which])).unwrap()
    }

    #[test]
    fn the_graph_is_that_of_the_equations_for_one_to_three_modalities() {
        let all: [(&[f32], usize); 3] = [(&IMAGE, 2), (&TEXT, 3), (&[1.0, 2.0, 3.0, -4.0], 1)];
        for count in 1..=3 {
            let cosines: Vec<Cosines> = all[..count].iter().map(|m| Cosines::of_features(m.0, m.1)).collect();
            for (which, k) in (0..count).flat_map(|which| (1..=5).map(move |k| (which, k))) {
                let found = of(&toy(), &cosines, which, k);
                assert_is(&found, &dense(&toy(), &all[..count], which, k));
                assert!(found.values().iter().any(|w| *w > 0.0), "{count} modalities, {which}, {k}");
            }
        }
    }

    #[test]
    fn an_interest_counts_once_per_user_and_needs_a_row() {
        // Items 0 and 1, and 1 and 2, have cosines of one half.
        let cosines = Cosines::of_lists(&[1, 2, u32::MAX], &[0.5, 0.5, 0.0], 1);
        let train = Csr::from_rows(3, &[vec![0], vec![0], vec![0, 1], vec![]]).unwrap();
        // Sums of users: (1, .5, 0) twice, and (1.5, 1.5, .5). With k = 2: items 0 and 1, for all three.
        // W_00 = 3, W_01 = 1.5, W_10 = .5, W_11 = 1; row sums 4.5 and 1.5.
        let graph = of(&train, &[cosines], 0, 2);
        assert_eq!(graph.pattern().ptr(), [0, 2, 4, 4]);
        let root = 6.75f64.sqrt();
        let wanted = [3.0 / 4.5, 1.5 / root, 0.5 / root, 1.0 / 1.5];
        let near = graph.values().iter().zip(wanted).all(|(&f, w)| (f64::from(f) - w).abs() < 1e-6);
        assert!(near, "{:?}, not {wanted:?}", graph.values());
    }

    #[test]
    fn an_item_that_nobody_took_is_joined_to_nothing() {
        let cosines = Cosines::of_lists(&[1, 2, u32::MAX], &[0.5, 0.5, 0.0], 1);
        let train = Csr::from_rows(3, &[vec![0, 1]]).unwrap();
        // Item 2 is an interest, .5 from item 1. W_00 = 1, W_01 = .5, W_10 = .5, W_11 = 1, W_12 = .5.
        let graph = of(&train, &[cosines], 0, 3);
        assert_eq!(
            (graph.pattern().ptr(), graph.pattern().idx()),
            (&[0u32, 2, 4, 4][..], &[0u32, 1, 0, 1][..])
        );
        assert!((graph.values()[3] - 0.5).abs() < 1e-6 && (graph.values()[0] - 1.0 / 1.5).abs() < 1e-6);
    }
}
