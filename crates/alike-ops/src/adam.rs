//! One fused Adam step (Kingma and Ba, ICLR 2015), as PyTorch computes it:
//! `m = β₁ m + (1-β₁) g`, `v = β₂ v + (1-β₂) g²`, `p -= lr/(1-β₁ᵗ) · m / (√v/√(1-β₂ᵗ) + ε)`.

use std::sync::{Arc, Mutex};

use burn::backend::flex::FlexTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::flex::slice;
use crate::simd::{dispatch, mul_add};

/// Constants of the optimiser.
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

/// Moments of one parameter; empty before its first step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdamState {
    /// First moment, one value a parameter value.
    pub m: Vec<f32>,
    /// Second moment.
    pub v: Vec<f32>,
}

/// Steps `param` by its gradient; `step` counts from 1. The parameter is changed in place when nothing else holds
/// it. Neither tensor may be tracked.
///
/// Panics when the gradient or moments from earlier steps have another number of values than the parameter.
pub fn adam_step<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    state: &mut AdamState,
    config: &Adam,
    step: u64,
) -> Tensor<D> {
    let moved = Arc::new(Mutex::new(std::mem::take(state)));
    let out = <Dispatch as AdamOps>::adam(
        param.into_dispatch(),
        grad.into_dispatch(),
        moved.clone(),
        *config,
        step,
    );
    *state = std::mem::take(&mut *moved.lock().expect("no step panicked while holding the moments"));
    Tensor::from_dispatch(out)
}

/// The operator on backend tensors.
#[backend_extension(Flex)]
pub(crate) trait AdamOps: Backend {
    /// The stepped parameter; the moments change in place.
    fn adam(
        param: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        state: Arc<Mutex<AdamState>>,
        config: Adam,
        step: u64,
    ) -> FloatTensor<Self>;
}

#[inline(always)]
fn update_body<const F: bool>(
    p: &mut [f32],
    g: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    c: &Adam,
    rate: f32,
    root: f32,
) {
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        *m = mul_add::<F>(c.beta1, *m, (1.0 - c.beta1) * g);
        *v = mul_add::<F>(c.beta2, *v, (1.0 - c.beta2) * g * g);
        *p -= rate * *m / mul_add::<F>(v.sqrt(), root, c.eps);
    }
}

dispatch! {
    fn update = update_body(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], c: &Adam, rate: f32, root: f32)
}

/// Values that a task steps.
const CHUNK: usize = 16 * 1024;

impl AdamOps for Flex {
    fn adam(
        mut param: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        state: Arc<Mutex<AdamState>>,
        config: Adam,
        step: u64,
    ) -> FloatTensor<Self> {
        let grad = grad.to_contiguous();
        let g = slice(&grad);
        // Only a tensor that is its whole storage, in order, can change in place.
        let whole = param.as_slice::<f32>().is_some_and(|p| p.len() == param.storage::<f32>().len());
        if !whole {
            param = FlexTensor::from_data(TensorData::new(
                slice(&param.to_contiguous()).to_vec(),
                param.shape().to_vec(),
            ));
        }
        let mut state = state.lock().expect("no step panicked while holding the moments");
        let AdamState { m, v } = &mut *state;
        if m.is_empty() && v.is_empty() {
            m.resize(g.len(), 0.0);
            v.resize(g.len(), 0.0);
        }
        let p = param.storage_mut::<f32>();
        let n = p.len();
        assert!(g.len() == n && m.len() == n && v.len() == n, "gradient and moments have {n} values each");
        let rate = f64::from(config.lr) / (1.0 - f64::from(config.beta1).powf(step as f64));
        let root = 1.0 / (1.0 - f64::from(config.beta2).powf(step as f64)).sqrt();
        p.par_chunks_mut(CHUNK)
            .zip(g.par_chunks(CHUNK))
            .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)))
            .for_each(|((p, g), (m, v))| update(p, g, m, v, &config, rate as f32, root as f32));
        param
    }
}
