//! Burn tensors of the processor as plain slices and back, without copies.

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, TensorData};

/// A float tensor in row-major order whose values can be read as a slice. Cloning shares the storage.
#[derive(Debug, Clone)]
pub struct Dense(FlexTensor);

impl Dense {
    /// Takes over a backend tensor; copies only a view that is not row-major or does not cover its storage.
    ///
    /// # Panics
    /// When the tensor is not of 32-bit floats.
    pub(crate) fn from_flex(tensor: FlexTensor) -> Self {
        assert!(tensor.dtype() == DType::F32, "operators work on f32 tensors, not {:?}", tensor.dtype());
        let length: usize = tensor.layout().shape().iter().product();
        let covers = tensor.bytes().len() == length * size_of::<f32>();
        if tensor.is_contiguous() && tensor.layout().start_offset() == 0 && covers {
            Self(tensor)
        } else {
            Self(tensor.to_contiguous())
        }
    }

    /// The backend's tensor, without a copy.
    pub(crate) fn into_flex(self) -> FlexTensor {
        self.0
    }

    /// A tensor of these values, without a copy.
    pub(crate) fn new<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Self {
        debug_assert_eq!(values.len(), shape.iter().product::<usize>());
        Self(FlexTensor::from_data(TensorData::new(values, shape)))
    }

    /// The values, row-major.
    pub fn data(&self) -> &[f32] {
        self.0.storage::<f32>()
    }

    /// Size along the first dimension.
    pub fn rows(&self) -> usize {
        self.0.layout().shape()[0]
    }

    /// Size along the second dimension.
    pub fn cols(&self) -> usize {
        self.0.layout().shape()[1]
    }
}
