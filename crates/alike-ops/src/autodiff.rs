//! How an operator becomes differentiable in Burn: one trait to implement, one backend extension that runs
//! it.
//!
//! The extension has one method per number of inputs, since Burn's macro takes methods of fixed arity only.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

#[cfg(feature = "gpu")]
use crate::gpu::{Cube, Gpu};
use crate::tensor::dense::Dense;

/// An operator of `N` tensors with a hand-written backward pass, on values `T` of the processor or of a
/// graphics processor.
pub trait Operator<const N: usize, T = Dense>: Debug + Send + Sync + 'static {
    /// What the forward pass keeps for the backward pass (inputs too, where the gradient needs them: cloning
    /// values shares their storage).
    type Saved: Debug + Clone + Send + 'static;

    /// The result, and what the backward pass needs. Without `track` no backward pass follows and the saved
    /// part is dropped at once: it may be incomplete.
    fn forward(&self, inputs: [T; N], track: bool) -> (T, Self::Saved);

    /// Gradient of the loss to each input for which `needs` is set, given the gradient to the result.
    fn backward(&self, saved: Self::Saved, grad: T, needs: [bool; N]) -> [Option<T>; N];
}

/// An operator that runs on every device that this build supports.
#[cfg(not(feature = "gpu"))]
pub trait Portable<const N: usize>: Operator<N> {}
#[cfg(not(feature = "gpu"))]
impl<O: Operator<N>, const N: usize> Portable<N> for O {}

/// An operator that runs on every device that this build supports.
#[cfg(feature = "gpu")]
pub trait Portable<const N: usize>: Operator<N> + Operator<N, Gpu> {}
#[cfg(feature = "gpu")]
impl<O: Operator<N> + Operator<N, Gpu>, const N: usize> Portable<N> for O {}

/// A backend that operators are written for, and its tensors in the form in which operators see them.
pub(crate) trait Native: Backend {
    /// Values in row-major order.
    type Values: Debug + Clone + Send + 'static;
    /// Takes over a tensor of the backend.
    fn from_primitive(tensor: FloatTensor<Self>) -> Self::Values;
    /// The backend's tensor.
    fn into_primitive(values: Self::Values) -> FloatTensor<Self>;
}

impl Native for Flex {
    type Values = Dense;
    fn from_primitive(tensor: FloatTensor<Self>) -> Dense {
        Dense::from_flex(tensor)
    }
    fn into_primitive(values: Dense) -> FloatTensor<Self> {
        values.into_flex()
    }
}

#[cfg(feature = "gpu")]
impl Native for Cube {
    type Values = Gpu;
    fn from_primitive(tensor: FloatTensor<Self>) -> Gpu {
        Gpu::from_cube(tensor)
    }
    fn into_primitive(values: Gpu) -> FloatTensor<Self> {
        values.into_cube()
    }
}

/// The backend extension: runs any [`Operator`] by its number of inputs.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"), Autodiff)]
pub trait Operators: Backend {
    /// One input.
    fn operator1<O: Portable<1>>(op: Arc<O>, a: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Two inputs.
    fn operator2<O: Portable<2>>(op: Arc<O>, a: FloatTensor<Self>, b: FloatTensor<Self>)
    -> FloatTensor<Self>;
    /// Three inputs.
    fn operator3<O: Portable<3>>(
        op: Arc<O>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// Four inputs.
    fn operator4<O: Portable<4>>(
        op: Arc<O>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// Five inputs.
    fn operator5<O: Portable<5>>(
        op: Arc<O>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// The methods of [`Operators`], each by `run(op, inputs)`.
macro_rules! methods {
    ($run:expr) => {
        methods!($run, operator1 1 [a], operator2 2 [a b], operator3 3 [a b c], operator4 4 [a b c d],
            operator5 5 [a b c d e]);
    };
    ($run:expr, $($name:ident $n:literal [$($input:ident)+]),+) => {
        $(fn $name<O: Portable<$n>>(op: Arc<O>, $($input: FloatTensor<Self>),+) -> FloatTensor<Self> {
            $run(op, [$($input),+])
        })+
    };
}

impl Operators for Flex {
    methods!(plain::<Flex, _, _>);
}

impl<C: CheckpointStrategy> Operators for Autodiff<Flex, C> {
    methods!(tracked::<Flex, _, C, _>);
}

#[cfg(feature = "gpu")]
impl Operators for Cube {
    methods!(plain::<Cube, _, _>);
}

#[cfg(feature = "gpu")]
impl<C: CheckpointStrategy> Operators for Autodiff<Cube, C> {
    methods!(tracked::<Cube, _, C, _>);
}

fn plain<B: Native, O: Operator<N, B::Values>, const N: usize>(
    op: Arc<O>,
    inputs: [FloatTensor<B>; N],
) -> FloatTensor<B> {
    B::into_primitive(op.forward(inputs.map(B::from_primitive), false).0)
}

/// The backward step of operator `O` in Burn's graph.
#[derive(Debug)]
struct Step<O>(Arc<O>);

impl<B: Native, O: Operator<N, B::Values>, const N: usize> Backward<B, N> for Step<O> {
    type State = O::Saved;

    fn backward(self, ops: Ops<O::Saved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = B::from_primitive(grads.consume::<B>(&ops.node));
        let needs = ops.parents.each_ref().map(Option::is_some);
        let results = self.0.backward(ops.state, grad, needs);
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let Some(parent) = parent {
                let result = result.expect("an operator returns every gradient that is needed");
                grads.register::<B>(parent.id, B::into_primitive(result));
            }
        }
    }
}

fn tracked<B: Native, O: Operator<N, B::Values>, C: CheckpointStrategy, const N: usize>(
    op: Arc<O>,
    inputs: [FloatTensor<Autodiff<B, C>>; N],
) -> FloatTensor<Autodiff<B, C>> {
    let mut nodes = Vec::with_capacity(N);
    let inputs = inputs.map(|input| {
        let (primitive, node) = input.into_parts();
        nodes.push(node);
        B::from_primitive(primitive)
    });
    let nodes = nodes.try_into().expect("one node per input");
    match Backward::<B, N>::prepare::<C>(Step(op.clone()), nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let (output, saved) = op.forward(inputs, true);
            step.finish(saved, B::into_primitive(output))
        }
        OpsKind::UnTracked(step) => step.finish(B::into_primitive(op.forward(inputs, false).0)),
    }
}

/// Runs an operator of one tensor.
pub(crate) fn apply1<O: Portable<1>, const A: usize, const R: usize>(op: O, a: Tensor<A>) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Operators>::operator1(Arc::new(op), a.into_dispatch()))
}

/// Runs an operator of two tensors.
pub(crate) fn apply2<O: Portable<2>, const A: usize, const B: usize, const R: usize>(
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
pub(crate) fn apply3<O: Portable<3>, const A: usize, const B: usize, const C: usize, const R: usize>(
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
    O: Portable<4>,
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

/// Runs an operator of five tensors whose result is a vector.
pub(crate) fn apply5<O: Portable<5>, const A: usize, const D: usize, const M: usize>(
    op: O,
    a: Tensor<A>,
    [b, c]: [Tensor<M>; 2],
    [d, e]: [Tensor<D>; 2],
) -> Tensor<1> {
    let [b, c] = [b, c].map(Tensor::into_dispatch);
    let [d, e] = [d, e].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as Operators>::operator5(Arc::new(op), a.into_dispatch(), b, c, d, e))
}
