//! Some rows of a table, or of a sparse product: after the last propagation of a model, only the rows of the
//! batch are needed.

use std::sync::{Arc, OnceLock};

use burn::tensor::Tensor;

use crate::autodiff::{Operator, apply1};
use crate::sparse::const_sparse::ConstSparse;
use crate::sparse::const_sparse::Propagation;
use crate::sparse::csr::Csr;
use crate::tensor::dense::Dense;

/// The rows `rows` of `x [N, d]`, in that order: `[rows, d]`. Gradient to `x`: each row's own, repeated ones
/// summed in order.
///
/// # Panics
/// When a row is not below `N`.
pub fn gather(x: Tensor<2>, rows: &[u32]) -> Tensor<2> {
    apply1(Gather { rows: rows.to_vec() }, x)
}

/// Some rows of a sparse matrix `A`, or of `I + A`, in a given order.
#[derive(Debug)]
pub struct RowSubset {
    a: Arc<ConstSparse>,
    rows: Vec<u32>,
    identity: bool,
    /// The rows as a matrix of their own, where that is needed.
    cut: OnceLock<Arc<Propagation>>,
}

impl RowSubset {
    /// The rows `rows` of `a`; with `identity` those of `I + A`.
    ///
    /// # Panics
    /// When a row is not one of `a`, or `identity` is set for a matrix that is not square.
    pub fn new(a: &Arc<ConstSparse>, rows: &[u32], identity: bool) -> Arc<Self> {
        let p = a.pattern();
        assert!(!identity || p.rows() == p.cols(), "only a square matrix can be added to the identity");
        assert!(rows.iter().all(|&r| (r as usize) < p.rows()), "rows are rows of the matrix");
        Arc::new(Self { a: a.clone(), rows: rows.to_vec(), identity, cut: OnceLock::new() })
    }

    fn cut(&self) -> &Arc<Propagation> {
        self.cut.get_or_init(|| whole(self.a.rows(&self.rows, self.identity)))
    }
}

/// Some rows of `A x` or `x + A x`: `A [R, C]`, `x [C, d]`, result `[rows, d]`. Gradient to `x`: `Aᵀ G` (`+
/// G`), `G` the gradient at those rows and 0 elsewhere.
///
/// # Panics
/// When `x` does not have `C` rows.
pub fn spmm_rows(a: &Arc<RowSubset>, x: Tensor<2>) -> Tensor<2> {
    apply1(RowProduct(a.clone()), x)
}

#[derive(Debug)]
struct Gather {
    rows: Vec<u32>,
}

#[derive(Debug)]
struct RowProduct(Arc<RowSubset>);

/// `A x` and `Aᵀ g`, as an operator of its own.
fn whole(a: ConstSparse) -> Arc<Propagation> {
    Arc::new(Propagation { a: Arc::new(a), layers: 1, add: false, scale: 1.0 })
}

impl Operator<1> for Gather {
    /// The matrix that picks the rows.
    type Saved = Arc<Propagation>;

    fn forward(&self, [x]: [Dense; 1], track: bool) -> (Dense, Self::Saved) {
        let count = self.rows.len();
        let pattern = Csr::new(count, x.rows(), (0..=count as u32).collect(), self.rows.clone());
        let pattern = Arc::new(pattern.expect("rows are rows of the table"));
        let picked = whole(ConstSparse::new(pattern, vec![1.0; count]).expect("one value per entry"));
        (Operator::forward(&*picked, [x], track).0, picked)
    }

    fn backward(&self, picked: Self::Saved, grad: Dense, needs: [bool; 1]) -> [Option<Dense>; 1] {
        Operator::backward(&*picked, (), grad, needs)
    }
}

impl Operator<1> for RowProduct {
    type Saved = ();

    fn forward(&self, [x]: [Dense; 1], track: bool) -> (Dense, ()) {
        Operator::forward(&**self.0.cut(), [x], track)
    }

    fn backward(&self, (): (), grad: Dense, needs: [bool; 1]) -> [Option<Dense>; 1] {
        Operator::backward(&**self.0.cut(), (), grad, needs)
    }
}

#[cfg(feature = "gpu")]
mod gpu;
