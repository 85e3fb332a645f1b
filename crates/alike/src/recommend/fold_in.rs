//! The rows of people whom the model has not seen, or not lately.

use alike_ops::Csr;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::solve_definite;
use crate::models::FoldIn;
use crate::scorer::{Matrix, Scorer, UserHistory};

/// Users from whom the map of [`fit`] is learned at most.
const SAMPLE: usize = 100_000;
/// Weight of the squared norm of that map, as a share of the mean squared value of its inputs.
const RIDGE: f64 = 1e-3;

impl FoldIn {
    /// The rows of `people`, `[B, w]`.
    pub fn place(&self, people: &[UserHistory]) -> Result<Matrix> {
        match self {
            Self::Sum { power, start, messages } => {
                let mut data = Vec::with_capacity(people.len() * start.len());
                for UserHistory { history, .. } in people {
                    let scale = (history.len().max(1) as f32).powf(-power);
                    let mut row = vec![0f32; start.len()];
                    history.iter().for_each(|&j| add(&mut row, messages.row(j as usize), 1.0));
                    data.extend(row.iter().zip(start).map(|(r, s)| r * scale + s));
                }
                Ok(Matrix::new(people.len(), start.len(), data))
            }
            Self::Forward(forward) => forward(people),
            Self::Both(first, second) => {
                let (mut sum, more) = (first.place(people)?, second.place(people)?);
                add(&mut sum.data, &more.data, 1.0);
                Ok(sum)
            }
        }
    }
}

/// A fold-in for any model that leaves vectors behind: what items add is the linear map of the mean of their
/// vectors, each damped by the square root of how many took it, that comes nearest to the vectors which
/// training gave to its users (ridge regression). With the model's `own` fold-in, nearest to what that leaves
/// of them: a trained start of their own that new people do not have. `None` for scorers without vectors.
pub fn fit(scorer: &Scorer, train: &Csr, own: Option<&FoldIn>) -> Result<Option<FoldIn>> {
    let (Some(users), Some(items)) = (scorer.user_rows(), scorer.item_vectors()) else { return Ok(None) };
    let mut taken = vec![0u32; train.cols()];
    train.idx().iter().for_each(|&i| taken[i as usize] += 1);
    let mut damped = items.clone();
    damped.data.par_chunks_mut(items.cols).zip(&taken).for_each(|(row, &n)| {
        let scale = (n.max(1) as f32).sqrt().recip();
        row.iter_mut().for_each(|v| *v *= scale);
    });
    let plain = FoldIn::Sum { power: 1.0, start: vec![0.0; damped.cols], messages: damped };
    let step = users.rows.div_ceil(SAMPLE).max(1);
    let sample: Vec<usize> = (0..users.rows).step_by(step).filter(|&u| train.degree(u) > 0).collect();
    let person = |&u: &usize| UserHistory { user: Some(u as u32), history: train.row(u).to_vec() };
    let people: Vec<UserHistory> = sample.iter().map(person).collect();
    let inputs = plain.place(&people)?;
    let mut targets: Vec<f32> = sample.iter().flat_map(|&u| users.row(u).iter().copied()).collect();
    if let Some(own) = own {
        add(&mut targets, &own.place(&people)?.data, -1.0);
    }
    let FoldIn::Sum { messages, .. } = plain else { unreachable!("it was made as a sum") };
    let map = ridge(&inputs, &|row| &targets[row * users.cols..(row + 1) * users.cols], users.cols)
        .ok_or_else(|| Error::Data("no user has a history to learn from how users follow from it".into()))?;
    // The last row of the map is the constant.
    let (inner, constant) = map.data.split_at(inputs.cols * users.cols);
    let mut mapped = vec![0f32; messages.rows * users.cols];
    mapped.par_chunks_mut(users.cols).enumerate().for_each(|(j, out)| {
        for (&x, weights) in messages.row(j).iter().zip(inner.chunks_exact(users.cols)) {
            add(out, weights, x);
        }
    });
    let messages = Matrix::new(messages.rows, users.cols, mapped);
    Ok(Some(FoldIn::Sum { power: 1.0, start: constant.to_vec(), messages }))
}

/// `W [d + 1, w]` that minimises `Σ_r ‖[x_r ; 1] W - y_r‖² + λ ‖W‖²`, the constant not penalised.
fn ridge<'a>(x: &Matrix, y: &(dyn Fn(usize) -> &'a [f32] + Sync), width: usize) -> Option<Matrix> {
    let d = x.cols + 1;
    // Blocks of fixed size are summed in order: the same bits for any number of threads.
    let block = |rows: std::ops::Range<usize>| {
        let (mut gram, mut right) = (vec![0f64; d * d], vec![0f64; d * width]);
        for r in rows {
            let row: Vec<f64> = x.row(r).iter().map(|&v| f64::from(v)).chain([1.0]).collect();
            for (i, &a) in row.iter().enumerate() {
                gram[i * d..(i + 1) * d].iter_mut().zip(&row).for_each(|(g, b)| *g += a * b);
                right[i * width..(i + 1) * width]
                    .iter_mut()
                    .zip(y(r))
                    .for_each(|(g, &b)| *g += a * f64::from(b));
            }
        }
        (gram, right)
    };
    let size = 1024;
    let blocks: Vec<_> = (0..x.rows.div_ceil(size))
        .into_par_iter()
        .map(|b| block(b * size..((b + 1) * size).min(x.rows)))
        .collect();
    let (mut gram, right) = blocks.into_iter().reduce(|mut sum, next| {
        sum.0.iter_mut().zip(next.0).for_each(|(a, b)| *a += b);
        sum.1.iter_mut().zip(next.1).for_each(|(a, b)| *a += b);
        sum
    })?;
    let trace: f64 = (0..x.cols).map(|i| gram[i * d + i]).sum();
    let penalty = RIDGE * trace / x.cols as f64;
    (0..x.cols).for_each(|i| gram[i * d + i] += penalty.max(f64::MIN_POSITIVE));
    let map = solve_definite(&gram, &right, d, width)?;
    Some(Matrix::new(d, width, map.into_iter().map(|v| v as f32).collect()))
}

fn add(to: &mut [f32], row: &[f32], times: f32) {
    to.iter_mut().zip(row).for_each(|(t, r)| *t += r * times);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_map_is_found_again() {
        // y = [2a - b + 3, b + 1] from inputs that vary in both.
        let inputs: Vec<f32> = (0..60).flat_map(|i| [(i % 7) as f32, (i % 11) as f32 - 4.0]).collect();
        let targets: Vec<Vec<f32>> =
            inputs.chunks(2).map(|x| vec![2.0 * x[0] - x[1] + 3.0, x[1] + 1.0]).collect();
        let map = ridge(&Matrix::new(60, 2, inputs), &|r| &targets[r], 2).unwrap();
        for (found, right) in map.data.iter().zip([2.0, 0.0, -1.0, 1.0, 3.0, 1.0]) {
            assert!((found - right).abs() < 0.1, "{:?}", map.data);
        }
        assert!(ridge(&Matrix::new(0, 2, vec![]), &|_| &[], 2).is_none());
    }

    #[test]
    fn people_stand_where_training_put_those_with_the_same_history() {
        // Users are exactly the damped means of their items' vectors.
        let items = Matrix::new(4, 2, vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0, -1.0, 0.5]);
        let rows: Vec<Vec<u32>> =
            (0..40u32).map(|u| [[0, 1], [1, 2], [2, 3], [0, 3]][u as usize % 4].to_vec()).collect();
        let train = Csr::from_rows(4, &rows).unwrap();
        let root = 20f32.sqrt() * 2.0;
        let user = |h: &Vec<u32>| {
            (0..2)
                .map(|c| h.iter().map(|&j| items.row(j as usize)[c]).sum::<f32>() / root)
                .collect::<Vec<_>>()
        };
        let users = Matrix::new(40, 2, rows.iter().flat_map(user).collect());
        let fold = fit(&Scorer::Dot { users: users.clone(), items }, &train, None).unwrap().unwrap();
        let people: Vec<UserHistory> =
            rows[..4].iter().map(|h| UserHistory { user: None, history: h.clone() }).collect();
        let placed = fold.place(&people).unwrap();
        for (found, right) in placed.data.iter().zip(users.data.iter()) {
            assert!((found - right).abs() < 0.01, "{placed:?}");
        }
        assert!(fit(&Scorer::Static { users: 1, scores: vec![1.0] }, &train, None).unwrap().is_none());
    }
}
