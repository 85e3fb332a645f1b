//! The rows of a table that a batch uses, grouped: gradients are summed row by row, in the order of the
//! batch.

use std::ops::Range;

use rayon::prelude::*;

/// The distinct rows of a list, ascending, each with its positions in the list, ascending.
#[derive(Debug, Clone)]
pub(crate) struct RowGroups {
    rows: Vec<u32>,
    starts: Vec<u32>,
    positions: Vec<u32>,
}

/// Distinct rows per task.
pub(crate) const BLOCK: usize = 256;

/// Distinct rows of a task, and the part of the table that holds them, from row `first` on.
pub(crate) struct TablePart<'a> {
    pub(crate) span: Range<usize>,
    first: usize,
    width: usize,
    values: &'a mut [f32],
}

impl TablePart<'_> {
    /// Row `row` of the table.
    #[inline(always)]
    pub(crate) fn row(&mut self, row: u32) -> &mut [f32] {
        let at = (row as usize - self.first) * self.width;
        &mut self.values[at..at + self.width]
    }
}

impl RowGroups {
    /// The rows of `list`.
    pub(crate) fn new(list: impl Iterator<Item = u32>) -> Self {
        let mut keys: Vec<u64> =
            list.zip(0u64..).map(|(row, position)| u64::from(row) << 32 | position).collect();
        keys.par_sort_unstable();
        let (mut rows, mut starts) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len() + 1));
        for (at, key) in (0u32..).zip(&keys) {
            let row = (key >> 32) as u32;
            if rows.last() != Some(&row) {
                rows.push(row);
                starts.push(at);
            }
        }
        starts.push(keys.len() as u32);
        Self { rows, starts, positions: keys.into_iter().map(|key| key as u32).collect() }
    }

    /// The distinct rows.
    #[inline(always)]
    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Positions of the distinct row number `at`.
    #[inline(always)]
    pub(crate) fn positions(&self, at: usize) -> &[u32] {
        &self.positions[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// Where the positions of each distinct row start in [`Self::all_positions`], and their number.
    #[cfg(feature = "gpu")]
    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The positions of all distinct rows, one after the other.
    #[cfg(feature = "gpu")]
    pub(crate) fn all_positions(&self) -> &[u32] {
        &self.positions
    }

    /// For each position the number of its row among the distinct ones.
    pub(crate) fn slots(&self) -> Vec<u32> {
        let mut slots = vec![0; self.positions.len()];
        for at in 0..self.rows.len() {
            self.positions(at).iter().for_each(|&position| slots[position as usize] = at as u32);
        }
        slots
    }

    /// Cuts a table of `width` so that each task writes [`BLOCK`] distinct rows and no other task writes
    /// them.
    pub(crate) fn parts<'a>(&self, table: &'a mut [f32], width: usize) -> Vec<TablePart<'a>> {
        let (mut rest, mut done) = (table, 0);
        let mut parts = Vec::with_capacity(self.rows.len().div_ceil(BLOCK));
        for from in (0..self.rows.len()).step_by(BLOCK) {
            let span = from..(from + BLOCK).min(self.rows.len());
            let (first, end) = (self.rows[from] as usize, self.rows[span.end - 1] as usize + 1);
            let (_, tail) = std::mem::take(&mut rest).split_at_mut((first - done) * width);
            let (values, tail) = tail.split_at_mut((end - first) * width);
            (rest, done) = (tail, end);
            parts.push(TablePart { span, first, width, values });
        }
        parts
    }
}
