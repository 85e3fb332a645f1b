//! How an operator becomes differentiable in Burn: one trait to write, one backend extension behind it.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::Dense;

/// An operator of `N` tensors with a backward pass written by hand.
pub trait Operator<const N: usize>: Debug + Send + Sync + 'static {
    /// What the forward pass keeps for the backward pass (inputs too, where the gradient needs them: cloning a
    /// [`Dense`] shares its storage).
    type Saved: Debug + Clone + Send + 'static;

    /// The result, and what to keep when `track` says that a backward pass may follow. Without `track` the saved
    /// part is dropped at once and may be cheap.
    fn forward(&self, inputs: [Dense; N], track: bool) -> (Dense, Self::Saved);

    /// Gradient of the loss to each input for which `needs` is set, from the gradient to the result.
    fn backward(&self, saved: Self::Saved, grad: Dense, needs: [bool; N]) -> [Option<Dense>; N];
}

/// The backend extension: runs any [`Operator`] by its number of inputs.
#[backend_extension(Flex, Autodiff)]
pub trait Operators: Backend {
    /// One input.
    fn operator1<O: Operator<1>>(op: Arc<O>, a: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Two inputs.
    fn operator2<O: Operator<2>>(op: Arc<O>, a: FloatTensor<Self>, b: FloatTensor<Self>)
    -> FloatTensor<Self>;
    /// Three inputs.
    fn operator3<O: Operator<3>>(
        op: Arc<O>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// Four inputs.
    fn operator4<O: Operator<4>>(
        op: Arc<O>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl Operators for Flex {
    fn operator1<O: Operator<1>>(op: Arc<O>, a: FlexTensor) -> FlexTensor {
        plain(&*op, [a])
    }
    fn operator2<O: Operator<2>>(op: Arc<O>, a: FlexTensor, b: FlexTensor) -> FlexTensor {
        plain(&*op, [a, b])
    }
    fn operator3<O: Operator<3>>(op: Arc<O>, a: FlexTensor, b: FlexTensor, c: FlexTensor) -> FlexTensor {
        plain(&*op, [a, b, c])
    }
    fn operator4<O: Operator<4>>(
        op: Arc<O>,
        a: FlexTensor,
        b: FlexTensor,
        c: FlexTensor,
        d: FlexTensor,
    ) -> FlexTensor {
        plain(&*op, [a, b, c, d])
    }
}

impl<C: CheckpointStrategy> Operators for Autodiff<Flex, C> {
    fn operator1<O: Operator<1>>(op: Arc<O>, a: FloatTensor<Self>) -> FloatTensor<Self> {
        tracked::<O, C, 1>(op, [a])
    }
    fn operator2<O: Operator<2>>(
        op: Arc<O>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        tracked::<O, C, 2>(op, [a, b])
    }
    fn operator3<O: Operator<3>>(
        op: Arc<O>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        tracked::<O, C, 3>(op, [a, b, c])
    }
    fn operator4<O: Operator<4>>(
        op: Arc<O>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        tracked::<O, C, 4>(op, [a, b, c, d])
    }
}

fn plain<O: Operator<N>, const N: usize>(op: &O, inputs: [FlexTensor; N]) -> FlexTensor {
    op.forward(inputs.map(Dense::from_flex), false).0.into_flex()
}

/// The backward step of operator `O` in Burn's graph.
#[derive(Debug)]
struct Step<O>(Arc<O>);

impl<O: Operator<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = O::Saved;

    fn backward(self, ops: Ops<O::Saved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = Dense::from_flex(grads.consume::<Flex>(&ops.node));
        let needs = ops.parents.each_ref().map(Option::is_some);
        let results = self.0.backward(ops.state, grad, needs);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                let result = result.expect("an operator gives every gradient that is needed");
                grads.register::<Flex>(parent.id, result.into_flex());
            }
        }
    }
}

fn tracked<O: Operator<N>, C: CheckpointStrategy, const N: usize>(
    op: Arc<O>,
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
) -> FloatTensor<Autodiff<Flex, C>> {
    let mut nodes = Vec::with_capacity(N);
    let inputs = inputs.map(|input| {
        let (primitive, node) = input.into_parts();
        nodes.push(node);
        Dense::from_flex(primitive)
    });
    let nodes = nodes.try_into().expect("one node per input");
    match Step(op.clone()).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let (output, saved) = op.forward(inputs, true);
            step.finish(saved, output.into_flex())
        }
        OpsKind::UnTracked(step) => step.finish(op.forward(inputs, false).0.into_flex()),
    }
}

/// Runs an operator of one tensor.
pub(crate) fn apply1<O: Operator<1>, const A: usize, const R: usize>(op: O, a: Tensor<A>) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Operators>::operator1(Arc::new(op), a.into_dispatch()))
}

/// Runs an operator of two tensors.
pub(crate) fn apply2<O: Operator<2>, const A: usize, const B: usize, const R: usize>(
    op: O,
    a: Tensor<A>,
    b: Tensor<B>,
) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Operators>::operator2(
        Arc::new(op),
        a.into_dispatch(),
        b.into_dispatch(),
    ))
}

/// Runs an operator of three tensors.
pub(crate) fn apply3<O: Operator<3>, const A: usize, const B: usize, const C: usize, const R: usize>(
    op: O,
    a: Tensor<A>,
    b: Tensor<B>,
    c: Tensor<C>,
) -> Tensor<R> {
    let (a, b, c) = (a.into_dispatch(), b.into_dispatch(), c.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Operators>::operator3(Arc::new(op), a, b, c))
}

/// Runs an operator of four tensors.
pub(crate) fn apply4<
    O: Operator<4>,
    const A: usize,
    const B: usize,
    const C: usize,
    const D: usize,
    const R: usize,
>(
    op: O,
    a: Tensor<A>,
    b: Tensor<B>,
    c: Tensor<C>,
    d: Tensor<D>,
) -> Tensor<R> {
    let (a, b, c, d) = (a.into_dispatch(), b.into_dispatch(), c.into_dispatch(), d.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Operators>::operator4(Arc::new(op), a, b, c, d))
}
