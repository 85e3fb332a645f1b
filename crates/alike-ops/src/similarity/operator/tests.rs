//! Instruction sets against each other, and random patterns against the formula; finite differences and
//! threads are in `tests/similarity.rs`.

use proptest::prelude::*;

use super::*;
use crate::simd::isa::Isa;
use crate::testing::{close, irregular, values};

fn run(pattern: &Arc<Csr>, x: &[f32], g: &[f32], d: usize, isa: Isa) -> (Vec<f32>, Vec<f32>) {
    let op = Similarity { pattern: pattern.clone(), isa };
    let (y, saved) = op.forward([Dense::new(x.to_vec(), [x.len() / d, d])], true);
    let [dx] = op.backward(saved, Dense::new(g.to_vec(), [pattern.rows(), d]), [true]);
    (y.data().to_vec(), dx.unwrap().data().to_vec())
}

/// Results and gradients by the formulas of the module, in double precision, one pair at a time.
fn naive(p: &Csr, x: &[f32], g: &[f32], d: usize) -> (Vec<f32>, Vec<f32>) {
    let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
    let mut hat = Vec::new();
    for row in x.chunks(d) {
        let mean = row.iter().sum::<f64>() / d as f64;
        let norm = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>().sqrt();
        hat.extend(row.iter().map(|v| if norm < 1e-7 { 0.0 } else { (v - mean) / norm }));
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let at = |j: u32| j as usize * d..(j as usize + 1) * d;
    let (mut y, mut dx) = (vec![0.0; p.rows() * d], vec![0.0; x.len()]);
    for t in 0..p.rows() {
        let (row, n) = (p.row(t), p.degree(t) as f64);
        let alpha = |&j: &u32| row.iter().map(|&k| dot(&hat[at(j)], &hat[at(k)]).max(0.0)).sum::<f64>() / n;
        let alphas: Vec<f64> = row.iter().map(alpha).collect();
        let scale = 1.0 / ((alphas.iter().sum::<f64>() / n).max(1e-6) * n.sqrt());
        for (&j, alpha) in row.iter().zip(alphas) {
            for c in 0..d {
                y[t * d + c] += scale * alpha * x[j as usize * d + c];
                dx[j as usize * d + c] += scale * alpha * f64::from(g[t * d + c]);
            }
        }
    }
    let narrow = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect();
    (narrow(y), narrow(dx))
}

#[test]
fn instruction_sets_agree_with_the_formula() {
    for d in [2, 5, 16, 33, 64, 130] {
        let p = Arc::new(irregular(40));
        let (mut x, g) = (values(40 * d, 1), values(p.rows() * d, 2));
        x[3 * d..4 * d].fill(0.25);
        let (y, dx) = naive(&p, &x, &g, d);
        for isa in Isa::supported() {
            let (found_y, found_dx) = run(&p, &x, &g, d, isa);
            close(&found_y, &y, 1e-5);
            close(&found_dx, &dx, 1e-4);
        }
    }
}

#[test]
fn constant_rows_have_no_similarity_and_no_gradient() {
    let p = Arc::new(Csr::from_rows(3, &[vec![0u32, 0], vec![0, 1, 2], vec![1]]).unwrap());
    let (mut x, g) = (values(3 * 20, 1), values(3 * 20, 2));
    x[..20].fill(7.0);
    for isa in Isa::supported() {
        let (y, dx) = run(&p, &x, &g, 20, isa);
        assert!(y[..20].iter().all(|&v| v == 0.0));
        assert!(dx[..20].iter().all(|&v| v == 0.0));
        assert!(dx[20..].iter().all(|v| v.is_finite() && *v != 0.0));
    }
}

#[test]
fn a_pattern_without_entries_gives_zeros() {
    let p = Arc::new(Csr::from_rows(4, &[vec![0u32; 0], vec![]]).unwrap());
    let (y, dx) = run(&p, &values(4 * 3, 1), &values(2 * 3, 2), 3, Isa::best());
    assert_eq!((y, dx), (vec![0.0; 6], vec![0.0; 12]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_patterns_follow_the_formula(
        rows in prop::collection::vec(prop::collection::vec(0u32..17, 0..30), 1..40),
        d in 3usize..80,
        seed in 0u64..1000,
    ) {
        let p = Arc::new(Csr::from_rows(17, &rows).unwrap());
        let (x, g) = (values(17 * d, seed), values(rows.len() * d, seed + 1));
        let (y, dx) = naive(&p, &x, &g, d);
        let (found_y, found_dx) = run(&p, &x, &g, d, Isa::best());
        close(&found_y, &y, 1e-5);
        close(&found_dx, &dx, 1e-3);
    }
}
