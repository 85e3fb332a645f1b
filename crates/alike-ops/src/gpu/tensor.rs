//! Kernels for graphics processors, written once in CubeCL for Vulkan, Metal, CUDA and WebGPU.
//!
//! What every kernel here keeps to:
//!
//! - Sums have one order: a value is summed by one unit from first to last, or by the units of a workgroup in a tree whose
//!   shape is fixed. No atomics; the same seed gives the same bits on the same device.
//! - Graphs and features are copied to a device once and kept with the structure that they belong to.
//! - A step sends the rows of its batch and nothing else.
//!
//! A workgroup has [`UNITS`] units: one for each value, or [`lanes`] side by side for each row of values.

mod buffers;
mod dense;
mod reduce;
mod rows;
mod sparse;
mod upload;

use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
pub(crate) use burn_cubecl::{Cube, CubeDevice};
use cubecl::client::Client;
use cubecl::prelude::*;

pub(crate) use buffers::{Cached, Words};
pub(crate) use dense::{add_bias, column_sums, inverse_root, product_nn, product_nt, product_tn};
pub(crate) use reduce::{cube_sum, part_of_dot, scaled_total};
pub(crate) use rows::{add_rows, copy_rows, join_rows, scatter_rows, some_of};
pub(crate) use sparse::{Graph, Sparse, spread};
pub(crate) use upload::{Batch, TouchedOn};

use crate::extension::Native;

/// Units of a workgroup.
pub(crate) const UNITS: u32 = 256;

/// A tensor of 32-bit floats on a graphics processor, in row-major order. Cloning shares the storage.
#[derive(Debug, Clone)]
pub struct Gpu(CubeTensor);

impl Native for Cube {
    type Values = Gpu;
    fn take(tensor: FloatTensor<Self>) -> Gpu {
        assert!(tensor.dtype == DType::F32, "operators work on f32 tensors, not {:?}", tensor.dtype);
        Gpu(into_contiguous(tensor))
    }
    fn give(values: Gpu) -> FloatTensor<Self> {
        values.0
    }
}

impl Gpu {
    /// A tensor of any values on the device of `like`.
    pub(crate) fn empty<const D: usize>(like: &Gpu, shape: [usize; D]) -> Self {
        let length: usize = shape.iter().product();
        // A buffer of no bytes cannot be bound.
        let handle = like.client().empty(length.max(1) * size_of::<f32>());
        let (client, device) = (like.client().clone(), like.device().clone());
        Self(CubeTensor::new_contiguous(client, device, shape.into(), handle, DType::F32))
    }

    /// A tensor of `values` on a device.
    pub(crate) fn new<const D: usize>(
        client: &Client,
        device: &CubeDevice,
        values: &[f32],
        shape: [usize; D],
    ) -> Self {
        debug_assert_eq!(values.len(), shape.iter().product::<usize>());
        // A buffer of no bytes cannot be bound.
        let filled = if values.is_empty() { &[0.0][..] } else { values };
        let handle = client.create_from_slice(f32::as_bytes(filled));
        let (client, device) = (client.clone(), device.clone());
        Self(CubeTensor::new_contiguous(client, device, shape.into(), handle, DType::F32))
    }

    /// The same values in storage of their own.
    pub(crate) fn copied(&self) -> Self {
        let out = Self::empty(self, [self.len()]);
        rows::copy_range(self, 0, &out, 0, self.len());
        Self(CubeTensor { meta: self.0.meta.clone(), ..out.0 })
    }

    /// Zeros on the device of `like`.
    pub(crate) fn zeros<const D: usize>(like: &Gpu, shape: [usize; D]) -> Self {
        let out = Self::empty(like, shape);
        rows::fill(&out, 0.0);
        out
    }

    /// Where kernels run.
    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    /// The device.
    pub(crate) fn device(&self) -> &CubeDevice {
        &self.0.device
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.0.meta.shape().iter().product()
    }

    /// Size along the first dimension.
    pub(crate) fn rows(&self) -> usize {
        self.0.meta.shape()[0]
    }

    /// Size along the second dimension.
    pub(crate) fn cols(&self) -> usize {
        self.0.meta.shape()[1]
    }

    /// The same values in another shape.
    pub(crate) fn reshaped<const D: usize>(&self, shape: [usize; D]) -> Self {
        debug_assert_eq!(self.len(), shape.iter().product::<usize>());
        let t = &self.0;
        let (client, device) = (t.client.clone(), t.device.clone());
        Self(CubeTensor::new_contiguous(client, device, shape.into(), t.handle.clone(), DType::F32))
    }

    /// Whether nothing else holds the storage, so that it may change in place.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.handle.can_mut()
    }

    /// The tensor as an argument of a kernel.
    pub(crate) fn arg(&self) -> BufferArg {
        // SAFETY: the tensor is row-major and its storage holds its values, one at least.
        unsafe { BufferArg::from_raw_parts(self.0.handle.clone(), self.len().max(1)) }
    }

    /// The bits of the values as whole numbers.
    pub(crate) fn into_words(self) -> CubeTensor {
        CubeTensor { dtype: DType::U32, ..self.0 }
    }

    pub(crate) fn into_cube(self) -> CubeTensor {
        self.0
    }

    pub(crate) fn from_cube(tensor: CubeTensor) -> Self {
        Self(into_contiguous(tensor))
    }
}

/// `cubes` workgroups; more than one dimension holds are laid out in two.
pub(crate) fn grid(cubes: usize) -> CubeCount {
    const WIDEST: usize = 32_768;
    let cubes = cubes.max(1);
    if cubes <= WIDEST {
        CubeCount::Static(cubes as u32, 1, 1)
    } else {
        CubeCount::Static(WIDEST as u32, cubes.div_ceil(WIDEST) as u32, 1)
    }
}

/// Workgroups of [`UNITS`] for a unit a value.
pub(crate) fn a_unit_each(values: usize) -> (CubeCount, CubeDim) {
    (grid(values.div_ceil(UNITS as usize)), CubeDim::new_1d(UNITS))
}

/// Units side by side for rows of `d` values.
pub(crate) fn lanes(d: usize) -> u32 {
    (d as u32).next_power_of_two().clamp(8, 64)
}

/// Workgroups of [`UNITS`] for `rows` rows of `d` values, a group of [`lanes`] each.
pub(crate) fn a_group_each(rows: usize, d: usize) -> (CubeCount, CubeDim) {
    let wide = lanes(d);
    let tall = UNITS / wide;
    (grid(rows.div_ceil(tall as usize)), CubeDim::new_2d(wide, tall))
}
