//! What stands for an index in PostgreSQL in a build without the feature `postgres`: opening it says so.

use alike::scorer::Matrix;

/// There is none.
pub(crate) enum VectorTable {}

impl VectorTable {
    pub(super) async fn open(_: &str, _: &str, _: &Matrix) -> Result<Self, String> {
        Err("this build has no PostgreSQL; build it with the feature `postgres`, or use --index hnsw".into())
    }

    pub(super) async fn nearest(&self, _: &[f32], _: usize) -> Option<Vec<u32>> {
        match *self {}
    }
}
