//! Kernels for graphics processors, written once in CubeCL for Vulkan, Metal, CUDA and WebGPU.
//!
//! Rules of every kernel:
//!
//! - Sums have one order: a value is summed by one unit from first to last, or by the units of a workgroup in
//!   a tree whose shape is fixed. No atomics; the same seed gives the same bits on the same device.
//! - Graphs and features are copied to a device once and cached with the structure that they belong to.
//! - A training step sends the row numbers of its batch and nothing else.
//!
//! A workgroup has [`UNITS`] units: one per value, or [`units_per_row`] per row of values.
//!
//! Operators keep their own kernels in a `gpu.rs` beside the processor's.
//!
//! Imports: `tensor`.

pub(crate) mod buffers;
pub(crate) mod launch;
pub(crate) mod matmul;
pub(crate) mod reduce;
pub(crate) mod row_groups;
pub(crate) mod rows;
pub(crate) mod sparse;
pub(crate) mod tensor;

pub(crate) use burn_cubecl::{Cube, CubeDevice};

pub(crate) use buffers::{Cached, IndexBuffer};
pub(crate) use launch::{UNITS, grid, launch_per_row, launch_per_value, units_per_row};
pub(crate) use matmul::{add_bias, column_sums, inverse_root, product_nn, product_nt, product_tn};
pub(crate) use reduce::{cube_sum, part_of_dot, scaled_total};
pub(crate) use row_groups::DeviceRowGroups;
pub(crate) use rows::{add_rows, copy_rows, join_rows, scatter_rows, some_of};
pub(crate) use sparse::{DeviceCsr, DeviceMatrix, DeviceSparse, DeviceTransposed, PatternCopies, spread};
pub(crate) use tensor::Gpu;
