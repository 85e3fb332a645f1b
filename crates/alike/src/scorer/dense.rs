//! Dense matrices on the processor.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use memmap2::Mmap;

/// Numbers in memory: owned, or those of a mapped file, which all processes that map it share. Mapped ones
/// are copied when they are first written to.
#[derive(Clone)]
pub struct Floats(Held);

#[derive(Clone)]
enum Held {
    Own(Vec<f32>),
    Mapped(Arc<Mmap>, Range<usize>),
}

impl Floats {
    /// Those that the bytes at `place` of `file` hold.
    pub(crate) fn mapped(file: &Arc<Mmap>, place: Range<usize>) -> Self {
        match bytemuck::try_cast_slice::<u8, f32>(&file[place.clone()]) {
            Ok(_) if cfg!(target_endian = "little") => Self(Held::Mapped(Arc::clone(file), place)),
            _ => Self(Held::Own(read(&file[place]))),
        }
    }

    /// Those that `bytes` hold, little-endian.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self(Held::Own(read(bytes)))
    }

    /// Whether a file is mapped.
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Held::Mapped(..))
    }

    /// The same as a vector; mapped ones are copied.
    pub fn into_vec(self) -> Vec<f32> {
        match self.0 {
            Held::Own(values) => values,
            Held::Mapped(..) => self.to_vec(),
        }
    }
}

fn read(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Held::Own(values) => values,
            Held::Mapped(file, place) => bytemuck::cast_slice(&file[place.clone()]),
        }
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        if self.is_mapped() {
            self.0 = Held::Own(self.to_vec());
        }
        match &mut self.0 {
            Held::Own(values) => values,
            Held::Mapped(..) => unreachable!("mapped values have just been copied"),
        }
    }
}

impl From<Vec<f32>> for Floats {
    fn from(values: Vec<f32>) -> Self {
        Self(Held::Own(values))
    }
}

impl Default for Floats {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl PartialEq for Floats {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Floats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A dense row-major matrix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Floats, `rows × cols`.
    pub data: Floats,
}

impl Matrix {
    /// A matrix over `data`, which must hold `rows × cols` values.
    pub fn new(rows: usize, cols: usize, data: Vec<f32>) -> Self {
        Self::over(rows, cols, data.into())
    }

    /// The same over values that may be mapped.
    pub(crate) fn over(rows: usize, cols: usize, data: Floats) -> Self {
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
