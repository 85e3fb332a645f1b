//! Dense linear algebra of small or square matrices, by faer, on one thread: the same bits whatever runs
//! beside it.

use faer::linalg::solvers::{DenseSolveCore, Solve};
use faer::{Mat, MatRef, Side};

use crate::error::{Error, Result};

/// Eigenvalues of a symmetric matrix `[n, n]`, descending and at least 0, and its eigenvectors as columns.
///
/// # Errors
/// `a` holds values that are not finite.
///
/// # Panics
/// `a` does not hold `n × n` values.
pub fn eigen(a: &[f64], n: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let found = MatRef::from_row_major_slice(a, n, n).self_adjoint_eigen(Side::Lower);
    let found =
        found.map_err(|e| Error::Data(format!("no eigenvalues of values that are not finite: {e:?}")))?;
    let (values, vectors) = (found.S(), found.U());
    // faer has them ascending.
    let values = (0..n).rev().map(|c| values[c].max(0.0)).collect();
    let vectors = (0..n).flat_map(|r| (0..n).rev().map(move |c| vectors[(r, c)])).collect();
    Ok((values, vectors))
}

/// Solves `A X = B` for a symmetric positive definite `A [n, n]` and `B [n, width]`; `None` where `A` is not.
///
/// # Panics
/// The slices do not have these sizes.
pub fn solve_definite(a: &[f64], b: &[f64], n: usize, width: usize) -> Option<Vec<f64>> {
    let factor = MatRef::from_row_major_slice(a, n, n).llt(Side::Lower).ok()?;
    Some(rows(factor.solve(MatRef::from_row_major_slice(b, n, width)).as_ref()))
}

/// A symmetric matrix.
pub struct Symmetric(Mat<f64>);

impl Symmetric {
    /// Row `r`, which is column `r` too.
    pub fn row(&self, r: usize) -> &[f64] {
        self.0.col_as_slice(r)
    }
}

/// The inverse of a symmetric positive definite `A [n, n]`; `None` where it is not.
///
/// # Panics
/// `a` does not hold `n × n` values.
pub fn inverse_definite(a: Vec<f64>, n: usize) -> Option<Symmetric> {
    let factor = MatRef::from_row_major_slice(&a, n, n).llt(Side::Lower).ok()?;
    drop(a);
    Some(Symmetric(factor.inverse()))
}

fn rows(m: MatRef<'_, f64>) -> Vec<f64> {
    (0..m.nrows()).flat_map(|r| (0..m.ncols()).map(move |c| m[(r, c)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[[4, 1, 0], [1, 3, 1], [0, 1, 2]]`.
    const A: [f64; 9] = [4.0, 1.0, 0.0, 1.0, 3.0, 1.0, 0.0, 1.0, 2.0];

    fn times(a: &[f64], b: &[f64], n: usize, width: usize) -> Vec<f64> {
        let entry = |r: usize, c: usize| (0..n).map(|k| a[r * n + k] * b[k * width + c]).sum();
        (0..n).flat_map(|r| (0..width).map(move |c| (r, c))).map(|(r, c)| entry(r, c)).collect()
    }

    fn close(a: &[f64], b: &[f64]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-12), "{a:?} {b:?}");
    }

    #[test]
    fn solutions_solve() {
        let b = [1.0, 2.0, 3.0, -1.0, 0.5, 4.0];
        close(&times(&A, &solve_definite(&A, &b, 3, 2).unwrap(), 3, 2), &b);
        let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let inverse = inverse_definite(A.to_vec(), 3).unwrap();
        let rows: Vec<f64> = (0..3).flat_map(|r| inverse.row(r).to_vec()).collect();
        close(&times(&A, &rows, 3, 3), &identity);
        let indefinite = [1.0, 2.0, 2.0, 1.0];
        assert!(solve_definite(&indefinite, &[1.0, 1.0], 2, 1).is_none());
        assert!(inverse_definite(indefinite.to_vec(), 2).is_none());
    }

    #[test]
    fn eigenvectors_are_turned_by_nothing_but_their_values() {
        let (values, vectors) = eigen(&A, 3).unwrap();
        assert!(values[0] >= values[1] && values[1] >= values[2]);
        close(&[values.iter().sum()], &[9.0]);
        let scaled: Vec<f64> = vectors.iter().enumerate().map(|(at, v)| v * values[at % 3]).collect();
        close(&times(&A, &vectors, 3, 3), &scaled);
    }
}
