//! How the work of a pattern is cut: a function of the pattern alone, made once and kept with it.

use std::ops::Range;
use std::sync::Arc;

use crate::Csr;

/// Pairs a block of targets should have at least; blocks balance work, not rows.
const PAIRS: usize = 16 * 1024;
/// Entries a wave should have at least: with 64 features a buffer of 4 MiB.
const WAVE: usize = 16 * 1024;
/// Entries of a wave that one task sums.
const TASK: usize = 1024;

/// Cuts of a pattern.
#[derive(Debug)]
pub(crate) struct Plan {
    /// First target of each block, and the number of targets.
    pub(crate) cuts: Vec<usize>,
    /// Words of pair bits before each target: each of its rows takes one 16-bit lane a panel of 16 neighbours,
    /// two lanes a word.
    pub(crate) words_before: Vec<usize>,
    /// Bounded sets of blocks.
    pub(crate) waves: Vec<Wave>,
}

/// Consecutive blocks whose entry gradients share one buffer.
#[derive(Debug)]
pub(crate) struct Wave {
    pub(crate) blocks: Range<usize>,
    /// The wave's entries by node, then by position: node, target, entry.
    pub(crate) nodes: Vec<[u32; 3]>,
}

/// A run of a wave's entries whose nodes no other task has.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) entries: Range<usize>,
    pub(crate) first_node: usize,
    pub(crate) last_node: usize,
}

impl Wave {
    /// Cuts the entries at node boundaries.
    pub(crate) fn tasks(&self, nodes: usize) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut start = 0;
        while start < self.nodes.len() {
            let mut end = (start + TASK).min(self.nodes.len());
            while end < self.nodes.len() && self.nodes[end][0] == self.nodes[end - 1][0] {
                end += 1;
            }
            let (first_node, last_node) =
                (self.nodes[start][0] as usize, self.nodes[end - 1][0] as usize + 1);
            debug_assert!(last_node <= nodes);
            tasks.push(Task { entries: start..end, first_node, last_node });
            start = end;
        }
        tasks
    }
}

/// Words of pair bits of a target with `n` neighbours.
pub(crate) fn words(n: usize) -> usize {
    (n * n.div_ceil(16)).div_ceil(2)
}

impl Plan {
    /// The plan of `pattern`, made on first use.
    pub(crate) fn of(pattern: &Csr) -> Arc<Self> {
        pattern.similarity_plan(|| Arc::new(Self::new(pattern)))
    }

    fn new(pattern: &Csr) -> Self {
        let rows = pattern.rows();
        let mut words_before = Vec::with_capacity(rows + 1);
        words_before.push(0);
        let (mut cuts, mut pairs) = (vec![0], 0);
        for r in 0..rows {
            let n = pattern.degree(r);
            words_before.push(words_before[r] + words(n));
            pairs += n * n + 16 * n + 16;
            if pairs >= PAIRS || r + 1 == rows {
                cuts.push(r + 1);
                pairs = 0;
            }
        }
        let mut waves = Vec::new();
        let mut start = 0;
        for block in 0..cuts.len() - 1 {
            let entries = pattern.ptr()[cuts[block + 1]] - pattern.ptr()[cuts[start]];
            if entries as usize >= WAVE || block + 2 == cuts.len() {
                waves.push(wave(pattern, &cuts, start..block + 1));
                start = block + 1;
            }
        }
        Self { cuts, words_before, waves }
    }

    /// Number of words of pair bits.
    pub(crate) fn words(&self) -> usize {
        self.words_before[self.words_before.len() - 1]
    }

    /// First entry of each block, and the number of entries.
    pub(crate) fn entry_starts(&self, pattern: &Csr) -> Vec<usize> {
        self.cuts.iter().map(|&r| pattern.ptr()[r] as usize).collect()
    }

    /// First word of each block, and the number of words.
    pub(crate) fn word_starts(&self) -> Vec<usize> {
        self.cuts.iter().map(|&r| self.words_before[r]).collect()
    }

    /// Entries of the largest wave.
    pub(crate) fn largest_wave(&self, pattern: &Csr) -> usize {
        let entries =
            |w: &Wave| pattern.ptr()[self.cuts[w.blocks.end]] - pattern.ptr()[self.cuts[w.blocks.start]];
        self.waves.iter().map(entries).max().unwrap_or(0) as usize
    }

    /// Cuts `all` at `starts`, the last of which is its length.
    pub(crate) fn split<'a>(&self, starts: &[usize], mut all: &'a mut [f32]) -> Vec<&'a mut [f32]> {
        let mut parts = Vec::with_capacity(starts.len());
        for w in starts.windows(2) {
            let (part, rest) = all.split_at_mut(w[1] - w[0]);
            parts.push(part);
            all = rest;
        }
        parts
    }
}

fn wave(pattern: &Csr, cuts: &[usize], blocks: Range<usize>) -> Wave {
    let mut nodes = Vec::new();
    for target in cuts[blocks.start]..cuts[blocks.end] {
        let first = pattern.ptr()[target];
        nodes.extend(pattern.row(target).iter().zip(first..).map(|(&j, e)| [j, target as u32, e]));
    }
    nodes.sort_unstable();
    Wave { blocks, nodes }
}
