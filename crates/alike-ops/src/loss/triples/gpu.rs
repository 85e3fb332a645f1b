//! A batch on a graphics processor.

use cubecl::client::Client;

use super::Triples;
use crate::gpu::IndexBuffer;

/// The three lists of a batch.
#[derive(Debug, Clone)]
pub(crate) struct DeviceTriples {
    pub(crate) users: IndexBuffer,
    pub(crate) positives: IndexBuffer,
    pub(crate) negatives: IndexBuffer,
}

impl DeviceTriples {
    pub(crate) fn new(client: &Client, t: &Triples) -> Self {
        Self {
            users: IndexBuffer::new(client, &t.users),
            positives: IndexBuffer::new(client, &t.positives),
            negatives: IndexBuffer::new(client, &t.negatives),
        }
    }
}
