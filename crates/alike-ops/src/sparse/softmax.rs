//! Softmax over the entries of each row of a pattern.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::autodiff::{Operator, apply1};
use crate::sparse::csr::Csr;
use crate::tensor::dense::Dense;
use crate::tensor::partition::{balanced, cut_at};

/// `s_e = exp(l_e - max) / Σ exp(l - max)` over the entries of the row of `e`: `logits [nnz]`, result
/// `[nnz]`. A row without entries has none; repeated indices are entries of their own.
///
/// Gradient: `∂l_e = s_e (g_e - Σ s g)`, the sum over the row.
///
/// # Panics
/// When there is not one logit per entry.
pub fn segment_softmax(p: &Arc<Csr>, logits: Tensor<1>) -> Tensor<1> {
    apply1(SegmentSoftmax(p.clone()), logits)
}

#[derive(Debug)]
struct SegmentSoftmax(Arc<Csr>);

impl Operator<1> for SegmentSoftmax {
    type Saved = Dense;

    fn forward(&self, [logits]: [Dense; 1], _: bool) -> (Dense, Dense) {
        let l = logits.data();
        assert_eq!(l.len(), self.0.nnz(), "one logit per entry");
        let y = by_row(&self.0, |span, out| {
            let l = &l[span];
            let largest = l.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for (&l, out) in l.iter().zip(out.iter_mut()) {
                sum += *out.write((l - largest).exp());
            }
            let inverse = 1.0 / sum;
            for out in out {
                // SAFETY: written in the loop above.
                unsafe { *out.assume_init_mut() *= inverse };
            }
        });
        let y = Dense::new(y, [l.len()]);
        (y.clone(), y)
    }

    fn backward(&self, y: Dense, grad: Dense, [needed]: [bool; 1]) -> [Option<Dense>; 1] {
        let dl = needed.then(|| {
            let (s, g) = (y.data(), grad.data());
            let dl = by_row(&self.0, |span, out| {
                let (s, g) = (&s[span.clone()], &g[span]);
                let mean: f32 = s.iter().zip(g).map(|(s, g)| s * g).sum();
                for ((out, s), g) in out.iter_mut().zip(s).zip(g) {
                    out.write(s * (g - mean));
                }
            });
            Dense::new(dl, [s.len()])
        });
        [dl]
    }
}

/// One new value per entry; `f(entries of a row, slots)` writes every slot.
fn by_row(p: &Csr, f: impl Fn(Range<usize>, &mut [MaybeUninit<f32>]) + Sync) -> Vec<f32> {
    let rows = balanced(p.rows(), 16 * 1024, |r| p.ptr()[r] as usize + r);
    let entries: Vec<usize> = rows.iter().map(|&r| p.ptr()[r] as usize).collect();
    let ranges: Vec<Range<usize>> = rows.windows(2).map(|w| w[0]..w[1]).collect();
    let mut values = Vec::with_capacity(p.nnz());
    let parts = cut_at(&mut values.spare_capacity_mut()[..p.nnz()], &entries);
    ranges.into_par_iter().zip(parts).for_each(|(rows, mut rest)| {
        for r in rows {
            let span = p.ptr()[r] as usize..p.ptr()[r + 1] as usize;
            let (slots, tail) = rest.split_at_mut(span.len());
            rest = tail;
            f(span, slots);
        }
    });
    // SAFETY: the rows cover every entry and `f` writes each.
    unsafe { values.set_len(p.nnz()) };
    values
}

#[cfg(feature = "gpu")]
mod gpu;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, gradient, irregular, read, same_bits_for_any_threads, tensor, values};

    fn naive(p: &Csr, l: &[f64]) -> Vec<f64> {
        let mut y = Vec::new();
        for r in 0..p.rows() {
            let row = &l[p.ptr()[r] as usize..p.ptr()[r + 1] as usize];
            let sum: f64 = row.iter().map(|l| l.exp()).sum();
            y.extend(row.iter().map(|l| l.exp() / sum));
        }
        y
    }

    #[test]
    fn values_and_gradient_are_right() {
        let p = Arc::new(irregular(9));
        let l: Vec<f32> = values(p.nnz(), 1).iter().map(|v| v * 3.0).collect();
        let leaf = tensor(&l, [p.nnz()], true).require_grad();
        let y = segment_softmax(&p, leaf.clone());
        let weights = values(p.nnz(), 2);
        let grads = (y.clone() * tensor(&weights, [p.nnz()], true)).sum().backward();
        let wide: Vec<f64> = l.iter().map(|&v| f64::from(v)).collect();
        close(&read(y), &naive(&p, &wide).iter().map(|&v| v as f32).collect::<Vec<_>>(), 1e-6);
        gradient(&[l], 0, &read(leaf.grad(&grads).unwrap()), &weights, |at| naive(&p, &at[0]), 1e-4);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let p = Arc::new(Csr::from_rows(3, &[vec![0u32, 1, 2], vec![], vec![1]]).unwrap());
        let y = read(segment_softmax(&p, tensor(&[1000.0, 1000.0, -1000.0, -500.0], [4], false)));
        close(&y, &[0.5, 0.5, 0.0, 1.0], 1e-6);
    }

    #[test]
    fn threads_do_not_change_bits() {
        let p = Arc::new(irregular(9));
        let l = values(p.nnz(), 1);
        same_bits_for_any_threads(|| read(segment_softmax(&p, tensor(&l, [p.nnz()], false))));
    }
}
