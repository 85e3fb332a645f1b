//! The same on a graphics processor: the whole graph lies there, so only the rows' numbers are sent.

use super::{Gather, Part, SparseRows};
use crate::extension::Operator;
use crate::gpu::{Gpu, TouchedOn, Words, copy_rows, scatter_rows, spread};

fn touched(rows: &[u32], like: &Gpu) -> TouchedOn {
    TouchedOn::of(like.client(), rows.iter().copied())
}

impl Operator<1, Gpu> for Gather {
    /// Rows of the table.
    type Saved = usize;

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, usize) {
        assert!(self.rows.iter().all(|&r| (r as usize) < x.rows()), "rows are rows of the table");
        let rows = Words::new(x.client(), &self.rows);
        (copy_rows(&x, &rows, self.rows.len()), x.rows())
    }

    fn backward(&self, n: usize, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        [needed.then(|| scatter_rows(&grad, &touched(&self.rows, &grad), n))]
    }
}

impl Operator<1, Gpu> for Part {
    type Saved = ();

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, ()) {
        let SparseRows { a, rows, identity, .. } = &*self.0;
        assert_eq!(x.rows(), a.pattern().cols(), "rows of x and columns of the matrix");
        let list = Words::new(x.client(), rows);
        (a.on(&x).view().some_rows(&x, &list, rows.len(), *identity), ())
    }

    fn backward(&self, (): (), grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        let SparseRows { a, rows, identity, .. } = &*self.0;
        let of = || {
            let touched = touched(rows, &grad);
            spread(a.transposed_on(&grad).view(), &grad, &touched, a.pattern().rows(), *identity)
        };
        [needed.then(of)]
    }
}
