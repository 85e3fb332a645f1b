//! Files of others, as they come: text tables, JSON, Parquet, NumPy arrays, safetensors. Knows rows and
//! columns, nothing of what is prepared from them.

pub(crate) mod columns;
mod delimited;
mod encoding;
pub(crate) mod feature_file;
mod fields;
#[cfg_attr(not(any(feature = "parquet", feature = "excel")), allow(dead_code))]
pub(crate) mod foreign;
mod guess;
pub(crate) mod header;
pub(crate) mod id_text;
pub(crate) mod json;
pub(crate) mod json_advice;
mod kinds;
mod looks;
pub(crate) mod markup;
pub(crate) mod matrix;
pub(crate) mod npy;
pub(crate) mod open;
pub(crate) mod options;
#[cfg(not(feature = "parquet"))]
#[path = "no_parquet.rs"]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_depth;
#[cfg(feature = "parquet")]
mod parquet_features;
#[cfg(not(feature = "parquet"))]
use parquet as parquet_features;
pub(crate) mod row;
pub(crate) mod table;
pub(crate) mod times;
#[cfg(feature = "excel")]
mod workbook;
