//! The errors of the operators.

/// Input that an operator does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpsError {
    /// Row pointers do not describe the index list.
    #[error(
        "row pointers must have {expected} entries, start at 0, never decrease and end at {nnz}; got {found}"
    )]
    Pointers {
        /// Entries expected (`rows + 1`).
        expected: usize,
        /// Number of stored indices.
        nnz: usize,
        /// What was found.
        found: String,
    },
    /// A column index is not below the number of columns.
    #[error("column index {index} in row {row}; allowed: 0..{cols}")]
    Index {
        /// Row of the entry.
        row: usize,
        /// The index.
        index: u32,
        /// Number of columns.
        cols: usize,
    },
    /// A length does not match.
    #[error("{what} has {found} values; expected {expected}")]
    Length {
        /// What is measured.
        what: &'static str,
        /// Length found.
        found: usize,
        /// Length expected.
        expected: usize,
    },
    /// More entries than a 32-bit index holds.
    #[error("{what} is {found}; at most {max} fit in 32-bit indices")]
    TooLarge {
        /// What is measured.
        what: &'static str,
        /// Size found.
        found: usize,
        /// Largest size.
        max: usize,
    },
    /// The environment variable `ALIKE_ISA` names no instruction set of this processor.
    #[error("`ALIKE_ISA` is `{found}`; allowed on this processor: {allowed} (unset: the fastest)")]
    InstructionSet {
        /// What it says.
        found: String,
        /// The words for this processor's instruction sets.
        allowed: String,
    },
    /// A device failed while it worked: it ran out of memory, or its driver gave up.
    #[error("the device failed: {0}")]
    Device(String),
}
