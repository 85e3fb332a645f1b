//! The rows of a batch on a device.

use cubecl::client::Client;

use super::buffers::IndexBuffer;
use crate::tensor::row_groups::RowGroups;

/// Distinct rows of a list, ascending, each with its positions in the list.
#[derive(Debug, Clone)]
pub(crate) struct DeviceRowGroups {
    pub(crate) count: usize,
    pub(crate) rows: IndexBuffer,
    pub(crate) starts: IndexBuffer,
    pub(crate) positions: IndexBuffer,
}

impl DeviceRowGroups {
    /// The rows of `list`.
    pub(crate) fn from_list(client: &Client, list: impl Iterator<Item = u32>) -> Self {
        Self::new(client, &RowGroups::new(list))
    }

    pub(crate) fn new(client: &Client, groups: &RowGroups) -> Self {
        Self {
            count: groups.rows().len(),
            rows: IndexBuffer::new(client, groups.rows()),
            starts: IndexBuffer::new(client, groups.starts()),
            positions: IndexBuffer::new(client, groups.all_positions()),
        }
    }
}
