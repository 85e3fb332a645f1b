//! The graph of users and the items that they took.

use std::sync::Arc;

use alike_ops::{ConstSparse, Csr};

use crate::error::Result;

crate::choice! {
    /// How the edges of the bipartite graph are weighted.
    pub enum Normalization {
        /// `D^-1/2 A D^-1/2`.
        Symmetric = "symmetric",
        /// `D^-1 A`.
        RowMean = "row-mean",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::toy::toy;

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
}
