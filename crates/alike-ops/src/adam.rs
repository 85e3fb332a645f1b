//! One fused Adam step (Kingma and Ba, ICLR 2015), as PyTorch computes it:
//! `m = β₁ m + (1-β₁) g`, `v = β₂ v + (1-β₂) g²`, `p -= lr/(1-β₁ᵗ) · m / (√v/√(1-β₂ᵗ) + ε)`.

use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use rayon::prelude::*;
use std::sync::{Arc, Mutex};

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

impl AdamOps for Flex {
    fn adam(
        mut param: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        state: Arc<Mutex<AdamState>>,
        config: Adam,
        step: u64,
    ) -> FloatTensor<Self> {
        const CHUNK: usize = 16 * 1024;
        if param.as_slice::<f32>().is_none() {
            param = param.to_contiguous();
        }
        let grad = grad.to_contiguous();
        let mut state = state.lock().expect("no step panicked while holding the moments");
        let n = crate::flex::slice(&grad).len();
        state.m.resize(n, 0.0);
        state.v.resize(n, 0.0);
        let rate = f64::from(config.lr) / (1.0 - f64::from(config.beta1).powf(step as f64));
        let root = 1.0 / (1.0 - f64::from(config.beta2).powf(step as f64)).sqrt();
        let AdamState { m, v } = &mut *state;
        let p = param.storage_mut::<f32>();
        assert_eq!(p.len(), n, "the gradient has the parameter's shape");
        p.par_chunks_mut(CHUNK)
            .zip(crate::flex::slice(&grad).par_chunks(CHUNK))
            .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)))
            .for_each(|((p, g), (m, v))| update(p, g, m, v, &config, rate as f32, root as f32));
        param
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn steps_match_the_formula_in_f64() {
        let device = Device::flex();
        let n = 40_000;
        let start: Vec<f32> = (0..n).map(|k| (k as f32 * 0.37).sin()).collect();
        let mut param = Tensor::<2>::from_data(TensorData::new(start.clone(), [n / 4, 4]), &device);
        let mut state = AdamState::default();
        let config = Adam { lr: 0.01, ..Adam::default() };
        let mut expected: Vec<[f64; 3]> = start.iter().map(|&p| [f64::from(p), 0.0, 0.0]).collect();
        for step in 1..=5u64 {
            let g: Vec<f32> = (0..n).map(|k| ((k as f32 + step as f32) * 0.11).cos() * 0.3).collect();
            for (e, g) in expected.iter_mut().zip(&g) {
                let g = f64::from(*g);
                e[1] = 0.9 * e[1] + 0.1 * g;
                e[2] = 0.999 * e[2] + 0.001 * g * g;
                let (mh, vh) =
                    (e[1] / (1.0 - 0.9f64.powi(step as i32)), e[2] / (1.0 - 0.999f64.powi(step as i32)));
                e[0] -= 0.01 * mh / (vh.sqrt() + 1e-8);
            }
            let grad = Tensor::<2>::from_data(TensorData::new(g, [n / 4, 4]), &device);
            param = adam_step(param, grad, &mut state, &config, step);
        }
        let found = param.into_data().try_into_vec::<f32>().unwrap();
        for (f, e) in found.iter().zip(&expected) {
            assert!((f64::from(*f) - e[0]).abs() < 2e-6, "{f} {}", e[0]);
        }
    }
}
