//! A pattern on a device, copied there when it is first needed.

use std::sync::Arc;

use super::Csr;
use crate::gpu::{DeviceCsr, DeviceTransposed, Gpu, IndexBuffer, PatternCopies};

impl Csr {
    fn copies(&self) -> Arc<PatternCopies> {
        self.derived(|_| PatternCopies::default())
    }

    /// The pattern on the device of `like`.
    pub(crate) fn device_csr(&self, like: &Gpu) -> Arc<DeviceCsr> {
        self.copies().csr.get(like.device(), || DeviceCsr::new(like.client(), &self.ptr, &self.idx))
    }

    /// The entries by column there.
    pub(crate) fn device_transposed(&self, like: &Gpu) -> Arc<DeviceTransposed> {
        self.copies().transposed.get(like.device(), || {
            let t = self.transposed();
            DeviceTransposed {
                rows: DeviceCsr::new(like.client(), &t.ptr, &t.rows),
                edges: IndexBuffer::new(like.client(), &t.edges),
            }
        })
    }

    /// The row of each entry there.
    pub(crate) fn device_entry_rows(&self, like: &Gpu) -> Arc<IndexBuffer> {
        self.copies().entry_rows.get(like.device(), || {
            let rows: Vec<u32> =
                (0..self.rows as u32).flat_map(|r| std::iter::repeat_n(r, self.degree(r as usize))).collect();
            IndexBuffer::new(like.client(), &rows)
        })
    }
}
