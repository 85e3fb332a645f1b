//! A batch on a device: its rows, and which rows of a table it touches.

use cubecl::client::Client;

use super::Words;
use crate::bpr::Triples;
use crate::touched::Touched;

/// The three lists of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) users: Words,
    pub(crate) positives: Words,
    pub(crate) negatives: Words,
}

impl Batch {
    pub(crate) fn new(client: &Client, t: &Triples) -> Self {
        Self {
            users: Words::new(client, &t.users),
            positives: Words::new(client, &t.positives),
            negatives: Words::new(client, &t.negatives),
        }
    }
}

/// Distinct rows of a list, ascending, each with its places in the list.
#[derive(Debug, Clone)]
pub(crate) struct TouchedOn {
    pub(crate) count: usize,
    pub(crate) rows: Words,
    pub(crate) starts: Words,
    pub(crate) places: Words,
}

impl TouchedOn {
    /// The rows of `list`.
    pub(crate) fn of(client: &Client, list: impl Iterator<Item = u32>) -> Self {
        Self::new(client, &Touched::new(list))
    }

    pub(crate) fn new(client: &Client, touched: &Touched) -> Self {
        Self {
            count: touched.rows().len(),
            rows: Words::new(client, touched.rows()),
            starts: Words::new(client, touched.starts()),
            places: Words::new(client, touched.all_places()),
        }
    }
}
