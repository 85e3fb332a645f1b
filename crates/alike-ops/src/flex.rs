//! Reading and making tensors of the CPU backend without copies.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;

/// The values of a contiguous tensor.
pub(crate) fn slice(t: &FloatTensor<Flex>) -> &[f32] {
    t.as_slice::<f32>().expect("the tensor was made contiguous and is f32")
}

/// A `[rows, cols]` tensor filled by `fill`.
pub(crate) fn dense(rows: usize, cols: usize, fill: impl FnOnce(&mut [f32])) -> FloatTensor<Flex> {
    let mut out = vec![0f32; rows * cols];
    fill(&mut out);
    matrix(out, rows, cols)
}

/// A `[rows, cols]` tensor of `values`.
pub(crate) fn matrix(values: Vec<f32>, rows: usize, cols: usize) -> FloatTensor<Flex> {
    FlexTensor::from_data(TensorData::new(values, [rows, cols]))
}

/// A `[n]` tensor.
pub(crate) fn vector(values: Vec<f32>) -> FloatTensor<Flex> {
    let n = values.len();
    FlexTensor::from_data(TensorData::new(values, [n]))
}
