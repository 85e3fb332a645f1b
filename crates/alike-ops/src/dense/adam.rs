//! One fused Adam step (Kingma and Ba, ICLR 2015), as PyTorch computes it:
//! `m = β₁ m + (1-β₁) g`, `v = β₂ v + (1-β₂) g²`, `p -= lr/(1-β₁ᵗ) · m / (√v/√(1-β₂ᵗ) + ε)`.

use burn::backend::flex::FlexTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::simd::f32x16::F32x16;
use crate::simd::isa::Isa;
use crate::simd::kernel::kernel;
use crate::simd::slices::mul_add;

/// Hyper-parameters of the optimiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
}

impl Default for Adam {
    fn default() -> Self {
        Self { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

/// Moments of one parameter, on its device; none before its first step.
#[derive(Debug, Clone, Default)]
pub struct AdamState {
    moments: Option<[Tensor<1>; 2]>,
}

impl AdamState {
    /// The state with first moments `m` and second moments `v`, one value each per parameter value; no state
    /// where both are empty.
    ///
    /// # Panics
    /// When the two differ in length.
    pub fn from_values(m: Vec<f32>, v: Vec<f32>, device: &Device) -> Self {
        assert_eq!(m.len(), v.len(), "as many first as second moments");
        let tensor = |values: Vec<f32>| {
            let n = values.len();
            Tensor::from_data(TensorData::new(values, [n]), device)
        };
        Self { moments: (!m.is_empty()).then(|| [m, v].map(tensor)) }
    }

    /// First and second moments; empty before the first step.
    pub fn values(&self) -> [Vec<f32>; 2] {
        let read = |t: Tensor<1>| t.into_data().try_into_vec::<f32>().expect("moments are f32");
        self.moments.clone().map(|both| both.map(read)).unwrap_or_default()
    }
}

/// Steps `param` by its gradient; `step` counts from 1. Parameter and moments are changed in place unless
/// they share their storage. Neither tensor may be tracked.
///
/// # Panics
/// When the gradient or moments from earlier steps have another number of values than the parameter.
pub fn adam_step<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    state: &mut AdamState,
    config: &Adam,
    step: u64,
) -> Tensor<D> {
    let n = param.shape().num_elements();
    let [m, v] =
        state.moments.take().unwrap_or_else(|| [(); 2].map(|()| Tensor::zeros([n], &param.device())));
    assert!(
        grad.shape().num_elements() == n && m.dims() == [n] && v.dims() == [n],
        "gradient and moments have {n} values each"
    );
    let rate = f64::from(config.lr) / (1.0 - f64::from(config.beta1).powf(step as f64));
    let root = 1.0 / (1.0 - f64::from(config.beta2).powf(step as f64)).sqrt();
    let factors = Factors { adam: *config, rate: rate as f32, root: root as f32 };
    let [param, grad, m, v] =
        [param.into_dispatch(), grad.into_dispatch(), m.into_dispatch(), v.into_dispatch()];
    let (param, m, v) = <Dispatch as AdamOps>::adam(param, grad, m, v, factors);
    state.moments = Some([m, v].map(Tensor::from_dispatch));
    Tensor::from_dispatch(param)
}

/// The hyper-parameters, and the factors of the step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors {
    pub(crate) adam: Adam,
    /// `lr/(1-β₁ᵗ)`.
    pub(crate) rate: f32,
    /// `1/√(1-β₂ᵗ)`.
    pub(crate) root: f32,
}

/// The operator on backend tensors.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"))]
pub(crate) trait AdamOps: Backend {
    /// The stepped parameter and moments.
    fn adam(
        param: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

#[inline(always)]
fn update_body<V: F32x16>(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: &Factors) {
    let c = &f.adam;
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        *m = mul_add::<V>(c.beta1, *m, (1.0 - c.beta1) * g);
        *v = mul_add::<V>(c.beta2, *v, (1.0 - c.beta2) * g * g);
        *p -= f.rate * *m / mul_add::<V>(v.sqrt(), f.root, c.eps);
    }
}

kernel! {
    fn update = update_body(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: &Factors)
}

/// Values per task.
const CHUNK: usize = 16 * 1024;

/// A tensor that is its whole storage, in order: only such a tensor can change in place.
fn whole(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some_and(|v| v.len() == tensor.storage::<f32>().len()) {
        return tensor;
    }
    let values = tensor.to_contiguous();
    let values = values.as_slice::<f32>().expect("parameters and moments are f32").to_vec();
    FlexTensor::from_data(TensorData::new(values, tensor.shape().to_vec()))
}

impl AdamOps for Flex {
    fn adam(
        param: FlexTensor,
        grad: FlexTensor,
        m: FlexTensor,
        v: FlexTensor,
        factors: Factors,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let grad = grad.to_contiguous();
        let g = grad.as_slice::<f32>().expect("gradients are f32");
        let [mut param, mut m, mut v] = [param, m, v].map(whole);
        let [p, ms, vs] = [&mut param, &mut m, &mut v].map(|t| t.storage_mut::<f32>());
        p.par_chunks_mut(CHUNK)
            .zip(g.par_chunks(CHUNK))
            .zip(ms.par_chunks_mut(CHUNK).zip(vs.par_chunks_mut(CHUNK)))
            .for_each(|((p, g), (m, v))| update(Isa::best(), p, g, m, v, &factors));
        (param, m, v)
    }
}

#[cfg(feature = "gpu")]
mod gpu;
