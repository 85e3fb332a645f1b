//! Compressed sparse rows: the pattern only, values are kept elsewhere.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use super::derived::Derived;
use crate::error::OpsError;

/// Pattern of a sparse `rows × cols` matrix in compressed-row form. Rows may be empty and an index may
/// occur in a row more than once.
#[derive(Debug)]
pub struct Csr {
    rows: usize,
    cols: usize,
    ptr: Vec<u32>,
    idx: Vec<u32>,
    transposed: OnceLock<Transposed>,
    derived: Derived,
}

/// The same entries sorted by column; within a column in storage order.
#[derive(Debug)]
pub struct Transposed {
    /// Where each column's entries start, `cols + 1` values.
    pub ptr: Vec<u32>,
    /// Row of each entry.
    pub rows: Vec<u32>,
    /// Position of each entry in [`Csr::idx`].
    pub edges: Vec<u32>,
}

impl Transposed {
    /// Rows with an entry in `column`, ascending.
    pub fn rows_of(&self, column: usize) -> &[u32] {
        &self.rows[self.ptr[column] as usize..self.ptr[column + 1] as usize]
    }
}

impl Csr {
    /// A pattern from row pointers (`rows + 1` values) and column indices.
    pub fn new(rows: usize, cols: usize, ptr: Vec<u32>, idx: Vec<u32>) -> Result<Self, OpsError> {
        const MAX: usize = u32::MAX as usize - 1;
        for (what, found) in [("rows", rows), ("columns", cols), ("entries", idx.len())] {
            if found > MAX {
                return Err(OpsError::TooLarge { what, found, max: MAX });
            }
        }
        let ends_match = ptr.first() == Some(&0) && ptr.last().map(|&p| p as usize) == Some(idx.len());
        if ptr.len() != rows + 1 || !ends_match || ptr.windows(2).any(|w| w[0] > w[1]) {
            let found = format!("{} entries, {:?}..{:?}", ptr.len(), ptr.first(), ptr.last());
            return Err(OpsError::Pointers { expected: rows + 1, nnz: idx.len(), found });
        }
        if let Some(at) = idx.iter().position(|&j| j as usize >= cols) {
            let row = ptr.partition_point(|&p| p as usize <= at) - 1;
            return Err(OpsError::Index { row, index: idx[at], cols });
        }
        Ok(Self::unchecked(rows, cols, ptr, idx))
    }

    fn unchecked(rows: usize, cols: usize, ptr: Vec<u32>, idx: Vec<u32>) -> Self {
        Self { rows, cols, ptr, idx, transposed: OnceLock::new(), derived: Derived::default() }
    }

    /// A pattern from one list of column indices per row.
    pub fn from_rows<R: AsRef<[u32]>>(cols: usize, rows: &[R]) -> Result<Self, OpsError> {
        let mut ptr = Vec::with_capacity(rows.len() + 1);
        let mut idx = Vec::with_capacity(rows.iter().map(|r| r.as_ref().len()).sum());
        ptr.push(0);
        for row in rows {
            idx.extend_from_slice(row.as_ref());
            ptr.push(idx.len() as u32);
        }
        Self::new(rows.len(), cols, ptr, idx)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Number of stored entries.
    pub fn nnz(&self) -> usize {
        self.idx.len()
    }

    /// Column indices of row `r`.
    pub fn row(&self, r: usize) -> &[u32] {
        &self.idx[self.ptr[r] as usize..self.ptr[r + 1] as usize]
    }

    /// Number of entries of row `r`.
    pub fn degree(&self, r: usize) -> usize {
        (self.ptr[r + 1] - self.ptr[r]) as usize
    }

    /// Where each row's entries start, `rows + 1` values.
    pub fn ptr(&self) -> &[u32] {
        &self.ptr
    }

    /// Column index of each entry.
    pub fn idx(&self) -> &[u32] {
        &self.idx
    }

    /// The entries sorted by column, computed once and kept.
    pub fn transposed(&self) -> &Transposed {
        self.transposed.get_or_init(|| {
            let mut ptr = vec![0u32; self.cols + 1];
            for &j in &self.idx {
                ptr[j as usize + 1] += 1;
            }
            for j in 0..self.cols {
                ptr[j + 1] += ptr[j];
            }
            let mut next = ptr.clone();
            let mut rows = vec![0u32; self.idx.len()];
            let mut edges = vec![0u32; self.idx.len()];
            for r in 0..self.rows {
                for e in self.ptr[r]..self.ptr[r + 1] {
                    let at = &mut next[self.idx[e as usize] as usize];
                    rows[*at as usize] = r as u32;
                    edges[*at as usize] = e;
                    *at += 1;
                }
            }
            Transposed { ptr, rows, edges }
        })
    }

    /// What an operator derives from the pattern, one value per type, computed once and kept.
    pub(crate) fn derived<T: Any + Send + Sync>(&self, make: impl FnOnce(&Csr) -> T) -> Arc<T> {
        self.derived.get(|| make(self))
    }

    /// The transposed pattern, `cols × rows`.
    pub fn transpose(&self) -> Csr {
        let t = self.transposed();
        Csr::unchecked(self.cols, self.rows, t.ptr.clone(), t.rows.clone())
    }
}

#[cfg(feature = "gpu")]
mod gpu;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transposed_entries_keep_repeats_and_order() {
        let a = Csr::from_rows(4, &[vec![2u32, 0, 2], vec![], vec![0]]).unwrap();
        let t = a.transposed();
        assert_eq!(t.ptr, [0, 2, 2, 4, 4]);
        assert_eq!(t.rows, [0, 2, 0, 0]);
        assert_eq!(t.edges, [1, 3, 0, 2]);
        let b = a.transpose();
        assert_eq!((b.rows(), b.cols(), b.row(2)), (4, 3, &[0u32, 0][..]));
        assert_eq!(b.transpose().row(0), [0, 2, 2]);
    }

    #[test]
    fn broken_patterns_are_named() {
        let index = Csr::from_rows(2, &[vec![0u32], vec![1, 2]]).unwrap_err();
        assert_eq!(index, OpsError::Index { row: 1, index: 2, cols: 2 });
        for ptr in [vec![0, 1], vec![0, 2, 1], vec![1, 1, 2], vec![0, 1, 3], vec![]] {
            assert!(matches!(Csr::new(2, 3, ptr, vec![0, 1]), Err(OpsError::Pointers { .. })));
        }
    }
}
