//! Tensors of a graphics processor as kernels see them.

use burn::tensor::DType;
use burn_cubecl::CubeDevice;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::prelude::*;

/// A tensor of 32-bit floats on a graphics processor, in row-major order. Cloning shares the storage.
#[derive(Debug, Clone)]
pub struct Gpu(CubeTensor);

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

    /// The client that launches kernels.
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

    /// The same storage in the shape of `other`.
    pub(crate) fn shaped_like(self, other: &Gpu) -> Self {
        debug_assert_eq!(self.len(), other.len());
        Self(CubeTensor { meta: other.0.meta.clone(), ..self.0 })
    }

    /// Whether no other tensor shares the storage, so that it may change in place.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.handle.can_mut()
    }

    /// The tensor as an argument of a kernel.
    pub(crate) fn arg(&self) -> BufferArg {
        // SAFETY: the tensor is row-major and its storage holds its values, one at least.
        unsafe { BufferArg::from_raw_parts(self.0.handle.clone(), self.len().max(1)) }
    }

    /// The bits of the values as integers.
    pub(crate) fn into_u32(self) -> CubeTensor {
        CubeTensor { dtype: DType::U32, ..self.0 }
    }

    /// Takes over a tensor of the backend; copies only a view that is not row-major.
    ///
    /// # Panics
    /// When the tensor is not of 32-bit floats.
    pub(crate) fn from_cube(tensor: CubeTensor) -> Self {
        assert!(tensor.dtype == DType::F32, "operators work on f32 tensors, not {:?}", tensor.dtype);
        Self(into_contiguous(tensor))
    }

    /// The backend's tensor, without a copy.
    pub(crate) fn into_cube(self) -> CubeTensor {
        self.0
    }
}
