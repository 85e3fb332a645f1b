//! The best items of each user from tensors, on the device that holds them: only the lists come back.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Int, Tensor, TensorData};

use super::exclusions::Exclusions;
use super::topk::{TopK, top_k_dot, top_k_pair_mlp};
use crate::autodiff::Native;
use crate::error::OpsError;
use crate::sparse::csr::Csr;

/// For which users, without which items, and how many.
#[derive(Debug, Clone)]
pub struct TopKRequest {
    /// Rows of the users' table.
    pub rows: Vec<u32>,
    /// Items to leave out, `U × I` each; see [`Exclusions`].
    pub excluded: [Option<Arc<Csr>>; 2],
    /// Length of the lists.
    pub k: usize,
}

impl TopKRequest {
    fn exclusions(&self) -> Exclusions<'_> {
        let [seen, extra] = self.excluded.each_ref().map(Option::as_deref);
        Exclusions { seen, extra }
    }

    fn check(&self, [users, items]: [usize; 2]) {
        assert!(self.rows.iter().all(|&r| (r as usize) < users), "rows are rows of the users' table");
        let fits = |m: &Arc<Csr>| m.rows() == users && m.cols() == items;
        assert!(self.excluded.iter().flatten().all(fits), "exclusions are users × items");
    }
}

/// Scores that a device holds at once.
const SCORES: usize = 32 << 20;

/// Bytes of a device's memory that ranking `items` for up to `users` users takes beside the tensors.
pub fn ranking_bytes(users: usize, items: usize) -> u64 {
    4 * users.saturating_mul(items).min(SCORES) as u64
}

/// Score `users[u] · items[i]` and top `k`, as [`top_k_dot`]: `users [U, d]`, `items [I, d]`.
///
/// # Panics
/// When the shapes do not fit or a row is not below `U`.
///
/// # Errors
/// The device failed, usually because it ran out of memory.
pub fn top_k_dot_device(users: Tensor<2>, items: Tensor<2>, request: &TopKRequest) -> Result<TopK, OpsError> {
    let none = users.clone();
    ranked(users, items, none, request, false)
}

/// Score `out · ReLU(a[u] + b[i])` and top `k`, as [`top_k_pair_mlp`]: `a [U, h]` with the bias, `b [I, h]`,
/// `out [1, h]`.
///
/// # Panics
/// When the shapes do not fit or a row is not below `U`.
///
/// # Errors
/// The device failed, usually because it ran out of memory.
pub fn top_k_pair_mlp_device(
    a: Tensor<2>,
    b: Tensor<2>,
    out: Tensor<2>,
    request: &TopKRequest,
) -> Result<TopK, OpsError> {
    assert_eq!(out.dims(), [1, a.dims()[1]], "as many output weights as hidden units");
    ranked(a, b, out, request, true)
}

fn ranked(
    users: Tensor<2>,
    items: Tensor<2>,
    out: Tensor<2>,
    request: &TopKRequest,
    hidden: bool,
) -> Result<TopK, OpsError> {
    assert_eq!(users.dims()[1], items.dims()[1], "users and items of one width");
    request.check([users.dims()[0], items.dims()[0]]);
    let mut top = TopK::empty(request.rows.len(), request.k);
    if request.rows.is_empty() || request.k == 0 {
        return Ok(top);
    }
    let request = Arc::new(request.clone());
    let [users, items, out] = [users, items, out].map(Tensor::into_dispatch);
    let (scores, list) = <Dispatch as RankOps>::rank(users, items, out, request, hidden);
    let failed = |e: &dyn std::fmt::Display| OpsError::Device(e.to_string());
    let scores = Tensor::<2>::from_dispatch(scores).try_into_data().map_err(|e| failed(&e))?;
    let list = Tensor::<2, Int>::from_dispatch(list).try_into_data().map_err(|e| failed(&e))?;
    top.scores = scores.try_into_vec().map_err(|e| failed(&e))?;
    top.items = list.try_into_vec().map_err(|e| failed(&e))?;
    // CubeCL kernels have no literal for infinity.
    let pairs = top.scores.iter_mut().zip(&top.items);
    pairs.filter(|(_, item)| **item == u32::MAX).for_each(|(score, _)| *score = f32::NEG_INFINITY);
    Ok(top)
}

/// The operator on backend tensors.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"))]
pub(crate) trait RankOps: Backend {
    /// Scores and items (as `u32`), `[rows, k]` each.
    fn rank(
        users: FloatTensor<Self>,
        items: FloatTensor<Self>,
        out: FloatTensor<Self>,
        request: Arc<TopKRequest>,
        hidden: bool,
    ) -> (FloatTensor<Self>, IntTensor<Self>);
}

impl RankOps for Flex {
    fn rank(
        users: FlexTensor,
        items: FlexTensor,
        out: FlexTensor,
        request: Arc<TopKRequest>,
        hidden: bool,
    ) -> (FlexTensor, FlexTensor) {
        let [users, items, out] = [users, items, out].map(Self::from_primitive);
        let (exclude, rows, k) = (request.exclusions(), &request.rows, request.k);
        let top = if hidden {
            top_k_pair_mlp(users.data(), items.data(), out.data(), rows, &exclude, k)
        } else {
            top_k_dot(users.data(), items.data(), users.cols(), rows, &exclude, k)
        };
        let shape = [rows.len(), k];
        let scores = FlexTensor::from_data(TensorData::new(top.scores, shape));
        (scores, FlexTensor::from_data(TensorData::new(top.items, shape)))
    }
}

#[cfg(feature = "gpu")]
mod gpu;
