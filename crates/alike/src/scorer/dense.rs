//! Dense matrices on the processor.

/// A dense row-major matrix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Values, `rows × cols`.
    pub data: Vec<f32>,
}

impl Matrix {
    /// A matrix over `data`, which must hold `rows × cols` values.
    pub fn new(rows: usize, cols: usize, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), rows * cols, "a matrix holds rows × cols values");
        Self { rows, cols, data }
    }

    /// Row `r`.
    pub fn row(&self, r: usize) -> &[f32] {
        &self.data[r * self.cols..(r + 1) * self.cols]
    }

    /// What is wrong where these are to be users and `items` items of inner products, if anything.
    pub(super) fn unlike(&self, items: &Self) -> Option<String> {
        let wrong = self.cols != items.cols || self.cols == 0;
        wrong.then(|| format!("its users are {} wide and its items {}", self.cols, items.cols))
    }
}

/// What is wrong where values of a scorer are not finite.
pub(super) fn not_finite(values: &[&[f32]]) -> Option<String> {
    let finite = values.iter().all(|values| values.iter().all(|v| v.is_finite()));
    (!finite).then(|| "it holds values that are not finite".into())
}
