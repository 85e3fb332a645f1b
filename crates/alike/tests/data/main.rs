//! Reading, preparing and opening data: one program, since each of its files would link as much again.
#![allow(clippy::unwrap_used)]

mod bundled;
mod catalogue;
#[path = "../data_files/mod.rs"]
mod data_files;
mod folder;
#[cfg(all(feature = "parquet", feature = "excel"))]
mod fuzz;
mod kinds;
mod layouts;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod readers;
#[cfg(feature = "parquet")]
mod refused;
mod rules;
mod sources;
mod splits;
#[cfg(feature = "excel")]
mod workbook;
