//! Files of others, as they come: text tables, Parquet, NumPy arrays, safetensors. Knows rows and columns, nothing of
//! what is prepared from them.

pub(crate) mod columns;
pub(crate) mod matrix;
pub(crate) mod npy;
pub(crate) mod parquet;
pub(crate) mod table;
