//! The same on a graphics processor: the graph is already on the device, so only the row numbers are sent.

use super::{Gather, RowProduct, RowSubset};
use crate::autodiff::Operator;
use crate::gpu::{DeviceRowGroups, Gpu, IndexBuffer, copy_rows, scatter_rows, spread};

fn row_groups(rows: &[u32], like: &Gpu) -> DeviceRowGroups {
    DeviceRowGroups::from_list(like.client(), rows.iter().copied())
}

impl Operator<1, Gpu> for Gather {
    /// Rows of the table.
    type Saved = usize;

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, usize) {
        assert!(self.rows.iter().all(|&r| (r as usize) < x.rows()), "rows are rows of the table");
        let rows = IndexBuffer::new(x.client(), &self.rows);
        (copy_rows(&x, &rows, self.rows.len()), x.rows())
    }

    fn backward(&self, n: usize, grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        [needed.then(|| scatter_rows(&grad, &row_groups(&self.rows, &grad), n))]
    }
}

impl Operator<1, Gpu> for RowProduct {
    type Saved = ();

    fn forward(&self, [x]: [Gpu; 1], _: bool) -> (Gpu, ()) {
        let RowSubset { a, rows, identity, .. } = &*self.0;
        assert_eq!(x.rows(), a.pattern().cols(), "rows of x and columns of the matrix");
        let list = IndexBuffer::new(x.client(), rows);
        (a.device_matrix(&x).view().some_rows(&x, &list, rows.len(), *identity), ())
    }

    fn backward(&self, (): (), grad: Gpu, [needed]: [bool; 1]) -> [Option<Gpu>; 1] {
        let RowSubset { a, rows, identity, .. } = &*self.0;
        let gradient = || {
            let groups = row_groups(rows, &grad);
            spread(a.device_transposed(&grad).view(), &grad, &groups, a.pattern().rows(), *identity)
        };
        [needed.then(gradient)]
    }
}
