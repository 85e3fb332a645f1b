//! Random graphs of the sizes and degree distributions of the public data sets.

use std::sync::Arc;

use alike_ops::{ConstSparse, Csr};
use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Width of the embeddings.
pub(crate) const DIM: usize = 64;
/// Neighbours kept of each node for neighbour similarity.
pub(crate) const CAP: usize = 60;

/// Sizes of a data set's training interactions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    name: &'static str,
    pub(crate) users: usize,
    pub(crate) items: usize,
    edges: usize,
    /// Steepness of the items' popularity.
    slope: f64,
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Amazon Baby, Sports and Clothing.
pub(crate) const SIZES: [Size; 3] = [
    Size { name: "baby", users: 19_445, items: 7_050, edges: 118_551, slope: 0.6 },
    Size { name: "sports", users: 35_598, items: 18_357, edges: 218_409, slope: 0.55 },
    Size { name: "clothing", users: 39_387, items: 23_033, edges: 197_338, slope: 0.45 },
];

/// Baby alone.
pub(crate) const BABY: [Size; 1] = [SIZES[0]];

fn uniform(rng: &mut impl Rng) -> f64 {
    rng.random_range(0.0..1.0)
}

/// Items of each user: at least 3, a geometric tail with a heavy end; popular items are drawn more often.
fn users(size: Size) -> Vec<Vec<u32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut names: Vec<u32> = (0..size.items as u32).collect();
    names.shuffle(&mut rng);
    let mean = size.edges as f64 / size.users as f64 - 3.0;
    let power = 1.0 / (1.0 - size.slope);
    (0..size.users)
        .map(|_| {
            let heavy = if uniform(&mut rng) < 0.04 { 4.0 } else { 0.875 };
            let n = 3 + (-(1.0 - uniform(&mut rng)).ln() * mean * heavy + 0.42) as usize;
            let mut row: Vec<u32> = Vec::with_capacity(n);
            while row.len() < n.min(size.items / 2) {
                let item = names[(uniform(&mut rng).powf(power) * size.items as f64) as usize];
                if !row.contains(&item) {
                    row.push(item);
                }
            }
            row.sort_unstable();
            row
        })
        .collect()
}

/// Both directions, users first, each list cut to `cap` random entries.
pub(crate) fn bipartite(size: Size, cap: usize) -> Arc<Csr> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let users = users(size);
    let mut rows: Vec<Vec<u32>> = vec![vec![]; size.users + size.items];
    for (u, items) in users.iter().enumerate() {
        for &i in items {
            rows[u].push((size.users + i as usize) as u32);
            rows[size.users + i as usize].push(u as u32);
        }
    }
    for row in &mut rows {
        if row.len() > cap {
            row.shuffle(&mut rng);
            row.truncate(cap);
            row.sort_unstable();
        }
    }
    Arc::new(Csr::from_rows(rows.len(), &rows).expect("indices are nodes"))
}

/// `D^-1/2 A D^-1/2` of the whole graph.
pub(crate) fn normalised(size: Size) -> Arc<ConstSparse> {
    let pattern = bipartite(size, usize::MAX);
    let degree = |r: usize| pattern.degree(r) as f32;
    let mut values = Vec::with_capacity(pattern.nnz());
    for r in 0..pattern.rows() {
        values.extend(pattern.row(r).iter().map(|&j| 1.0 / (degree(r) * degree(j as usize)).sqrt()));
    }
    Arc::new(ConstSparse::new(pattern, values).expect("one value an entry"))
}

/// Uniform in -1..1.
pub(crate) fn values(n: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A random matrix.
pub(crate) fn matrix(rows: usize, cols: usize, autodiff: bool) -> Tensor<2> {
    let device = if autodiff { Device::flex().autodiff() } else { Device::flex() };
    Tensor::from_data(TensorData::new(values(rows * cols), [rows, cols]), &device)
}
