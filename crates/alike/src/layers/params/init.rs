//! How parameters start.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Uniform in ±√(6 / (rows + columns)).
    Xavier,
    /// The same of a table of users above items, each side by its own number of rows: the count of users.
    XavierSides(usize),
    /// All zero.
    Zeros,
    /// The identity matrix.
    Identity,
    /// One value everywhere.
    Constant(f32),
}

impl Init {
    /// Initial values of a matrix, row after row.
    pub(super) fn values(self, rows: usize, cols: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let mut data = vec![0f32; rows * cols];
        match self {
            Self::Zeros => {}
            Self::Constant(value) => data.fill(value),
            Self::Identity => (0..rows.min(cols)).for_each(|i| data[i * cols + i] = 1.0),
            Self::Xavier => xavier(&mut data, rows, cols, rng),
            Self::XavierSides(users) => {
                let (above, below) = data.split_at_mut(users * cols);
                xavier(above, users, cols, rng);
                xavier(below, rows - users, cols, rng);
            }
        }
        data
    }
}

/// Fills a block of `rows` rows, uniformly in ±√(6 / (rows + columns)).
fn xavier(block: &mut [f32], rows: usize, cols: usize, rng: &mut ChaCha8Rng) {
    let bound = (6.0 / (rows + cols) as f32).sqrt();
    block.iter_mut().for_each(|v| *v = rng.random_range(-bound..bound));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Stream;

    #[test]
    fn each_side_of_a_table_starts_within_its_own_bound() {
        let (users, items, cols) = (400, 20, 8);
        let init = Init::XavierSides(users);
        let values = init.values(users + items, cols, &mut Stream::Init.rng(1, 0));
        // The largest of many uniform values is just below the bound.
        for (rows, size) in [(0..users, users), (users..users + items, items)] {
            let side = &values[rows.start * cols..rows.end * cols];
            let largest = side.iter().fold(0f32, |m, v| m.max(v.abs()));
            let share = largest / (6.0 / (size + cols) as f32).sqrt();
            assert!((0.95..1.0).contains(&share), "{share} of the bound of {size} rows");
        }
    }
}
