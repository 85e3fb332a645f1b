//! Sums of sparse matrices.

use std::sync::Arc;

use alike_ops::{ConstSparse, Csr};

use crate::error::Result;

/// `A + share · B`, of one shape; columns ascend.
///
/// # Panics
/// When the shapes differ.
pub fn sum(a: &ConstSparse, b: &ConstSparse, share: f32) -> Result<ConstSparse> {
    let (p, q) = (a.pattern(), b.pattern());
    assert!((p.rows(), p.cols()) == (q.rows(), q.cols()), "matrices of one shape");
    let (mut ptr, mut idx, mut values) = (vec![0u32], Vec::new(), Vec::new());
    for r in 0..p.rows() {
        for (j, w) in merged(entries(a, r).chain(entries(b, r).map(|(j, w)| (j, share * w))).collect()) {
            idx.push(j);
            values.push(w);
        }
        ptr.push(idx.len() as u32);
    }
    Ok(ConstSparse::new(Arc::new(Csr::new(p.rows(), p.cols(), ptr, idx)?), values)?)
}

/// Row `r` of `a`.
fn entries(a: &ConstSparse, r: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
    let (p, first) = (a.pattern(), a.pattern().ptr()[r] as usize);
    p.row(r).iter().copied().zip(a.values()[first..].iter().copied())
}

/// The entries of a row by column, those of one column summed in the order in which they are given.
pub(crate) fn merged<J: Ord + Copy>(mut row: Vec<(J, f32)>) -> Vec<(J, f32)> {
    row.sort_by_key(|&(j, _)| j);
    row.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[Vec<u32>], values: &[f32]) -> ConstSparse {
        ConstSparse::new(Arc::new(Csr::from_rows(4, rows).unwrap()), values.to_vec()).unwrap()
    }

    #[test]
    fn entries_of_one_place_are_added() {
        let a = matrix(&[vec![0, 2], vec![], vec![3]], &[1.0, 2.0, 3.0]);
        let b = matrix(&[vec![1, 2], vec![], vec![]], &[4.0, 5.0]);
        let c = sum(&a, &b, 0.5).unwrap();
        assert_eq!((c.pattern().rows(), c.pattern().ptr()), (3, &[0u32, 3, 3, 4][..]));
        assert_eq!((c.pattern().idx(), c.values()), (&[0u32, 1, 2, 3][..], &[1.0f32, 2.0, 4.5, 3.0][..]));
        assert_eq!(merged(vec![(3, 1.0), (1, 2.0), (3, 4.0), (3, 8.0)]), [(1, 2.0), (3, 13.0)]);
    }
}
