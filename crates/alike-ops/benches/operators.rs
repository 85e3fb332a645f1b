//! Training operators at the sizes of Baby, Sports and Clothing, each against a naive version, next to what
//! the machine can do: `machine::copy` is the memory's bandwidth, `machine::multiply_add` the peak of all
//! cores with the instruction set in use (`ALIKE_ISA` names another).
//!
//! Floors. A sparse product reads `x`, indices and values once and writes the result once: `(2·N·d +
//! 2·nnz)·4` bytes over the bandwidth. Neighbour similarity's forward pass needs `Σ n²·d` floating-point
//! operations (half the pairs, two operations each) over the peak plus `2·N·d·4` bytes over the bandwidth
//! (`x` in, `y` out), its backward pass `2·Σ n²·d` operations plus `3·N·d·4` bytes (`x`, `∂y`, `∂x`). The
//! counts are printed before the table.

mod support;

use alike_ops::{instruction_sets, neighbor_similarity, spmm, spmm_const};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rayon::prelude::*;
use support::{BABY, CAP, DIM, SIZES, Size, bipartite, matrix, normalised, values};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    alike_ops::keep_freed_memory();
    for size in SIZES {
        let (p, full) = (bipartite(size, CAP), normalised(size));
        let pairs: usize = (0..p.rows()).map(|r| p.degree(r).pow(2)).sum();
        let bytes = (2 * p.rows() * DIM + 2 * full.pattern().nnz()) * 4;
        eprintln!(
            "{size}: {} nodes, {} entries ({} capped), Σn² {pairs}; sparse product {:.1} MB; \
             similarity {:.0} Mflop and {:.1} MB forward, {:.0} Mflop and {:.1} MB backward",
            p.rows(),
            full.pattern().nnz(),
            p.nnz(),
            bytes as f64 / 1e6,
            (pairs * DIM) as f64 / 1e6,
            (2 * p.rows() * DIM * 4) as f64 / 1e6,
            (2 * pairs * DIM) as f64 / 1e6,
            (3 * p.rows() * DIM * 4) as f64 / 1e6,
        );
    }
    divan::main();
}

mod machine {
    use super::*;

    /// Bytes read and written by a copy of 256 MB on all cores.
    #[divan::bench(sample_count = 20)]
    fn copy(bencher: Bencher) {
        let from = values(32 << 20);
        let mut to = vec![0.0f32; 32 << 20];
        bencher.counter(BytesCount::new(256u64 << 20)).bench_local(|| {
            to.par_chunks_mut(1 << 20).zip(from.par_chunks(1 << 20)).for_each(|(a, b)| a.copy_from_slice(b));
        });
    }

    /// Bytes read by a sum of 256 MB on all cores.
    #[divan::bench(sample_count = 20)]
    fn read(bencher: Bencher) {
        let from = values(64 << 20);
        bencher.counter(BytesCount::new(256u64 << 20)).bench(|| -> f32 {
            from.par_chunks(1 << 20)
                .map(|c| {
                    let mut lanes = [0.0f32; 64];
                    for c in c.as_chunks::<64>().0 {
                        lanes.iter_mut().zip(c).for_each(|(l, v)| *l += v);
                    }
                    lanes.iter().sum::<f32>()
                })
                .sum()
        });
    }

    /// Floating-point operations of dependent chains of fused multiply-adds on all cores (items =
    /// operations).
    #[divan::bench(sample_count = 20)]
    fn multiply_add(bencher: Bencher) {
        const ROUNDS: usize = 1 << 16;
        let operations = rayon::current_num_threads() * ROUNDS * 16 * 16 * 2;
        bencher.counter(ItemsCount::new(operations)).bench(|| {
            (0..rayon::current_num_threads())
                .into_par_iter()
                .with_max_len(1)
                .map(|_| chains(ROUNDS))
                .sum::<f32>()
        });
    }

    fn chains(rounds: usize) -> f32 {
        match instruction_sets().expect("ALIKE_ISA names one of this processor").used {
            // SAFETY: this processor has what is in use.
            #[cfg(target_arch = "x86_64")]
            "avx512" => unsafe { wide(rounds) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            "avx2" => unsafe { narrow(rounds) },
            "neon" => plain::<true>(rounds),
            _ => plain::<false>(rounds),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn wide(rounds: usize) -> f32 {
        use std::arch::x86_64::*;
        let (a, b) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(0.25)));
        let mut acc = [a; 16];
        for _ in 0..rounds {
            for acc in &mut acc {
                *acc = _mm512_fmadd_ps(*acc, a, b);
            }
        }
        acc.into_iter().map(|v| _mm512_reduce_add_ps(v)).sum()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn narrow(rounds: usize) -> f32 {
        plain::<true>(rounds)
    }

    #[inline(always)]
    fn plain<const FUSED: bool>(rounds: usize) -> f32 {
        let (a, b) = (black_box(0.5f32), black_box(0.25f32));
        let mut acc = [a; 256];
        for _ in 0..rounds {
            for v in &mut acc {
                *v = if FUSED { v.mul_add(a, b) } else { *v * a + b };
            }
        }
        acc.iter().sum()
    }
}

mod sparse_product {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn fused(bencher: Bencher, size: Size) {
        let a = normalised(size);
        let x = matrix(a.pattern().rows(), DIM, false);
        bencher.bench(|| spmm_const(&a, x.clone()));
    }

    /// A width that ends within a register.
    #[divan::bench(args = SIZES)]
    fn fused_50_columns(bencher: Bencher, size: Size) {
        let a = normalised(size);
        let x = matrix(a.pattern().rows(), 50, false);
        bencher.bench(|| spmm_const(&a, x.clone()));
    }

    #[divan::bench(args = SIZES)]
    fn learned_values_forward_and_backward(bencher: Bencher, size: Size) {
        let a = normalised(size);
        let x = matrix(a.pattern().rows(), DIM, true).require_grad();
        let v = matrix(1, a.pattern().nnz(), true).squeeze_dim::<1>(0).require_grad();
        bencher.bench(|| spmm(a.pattern(), v.clone(), x.clone()).backward());
    }

    /// One thread, one entry at a time.
    #[divan::bench(args = SIZES)]
    fn naive(bencher: Bencher, size: Size) {
        let a = normalised(size);
        let p = a.pattern();
        let x = values(p.rows() * DIM);
        bencher.bench(|| {
            let mut y = vec![0.0f32; p.rows() * DIM];
            for r in 0..p.rows() {
                for (e, &j) in (p.ptr()[r] as usize..).zip(p.row(r)) {
                    for t in 0..DIM {
                        y[r * DIM + t] += a.values()[e] * x[j as usize * DIM + t];
                    }
                }
            }
            y
        });
    }
}

mod similarity {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn forward(bencher: Bencher, size: Size) {
        let p = bipartite(size, CAP);
        let x = matrix(p.rows(), DIM, false);
        bencher.bench(|| neighbor_similarity(&p, x.clone()));
    }

    #[divan::bench(args = SIZES)]
    fn backward(bencher: Bencher, size: Size) {
        let p = bipartite(size, CAP);
        let x = matrix(p.rows(), DIM, true).require_grad();
        bencher.with_inputs(|| neighbor_similarity(&p, x.clone())).bench_values(|y| y.backward());
    }

    /// The formula, one pair at a time, on one thread.
    #[divan::bench(args = BABY, sample_count = 5)]
    fn naive_forward(bencher: Bencher, size: Size) {
        let p = bipartite(size, CAP);
        let x = values(p.rows() * DIM);
        bencher.bench(|| {
            let hat: Vec<f32> = x
                .chunks(DIM)
                .flat_map(|row| {
                    let mean = row.iter().sum::<f32>() / DIM as f32;
                    let norm = row.iter().map(|v| (v - mean).powi(2)).sum::<f32>().sqrt();
                    row.iter().map(move |v| (v - mean) / norm)
                })
                .collect();
            let row = |j: u32| &hat[j as usize * DIM..(j as usize + 1) * DIM];
            let mut y = vec![0.0f32; p.rows() * DIM];
            for (t, y) in y.chunks_mut(DIM).enumerate() {
                let (n, mut sum) = (p.degree(t) as f32, 0.0);
                for &j in p.row(t) {
                    let like = |&k: &u32| -> f32 { row(j).iter().zip(row(k)).map(|(a, b)| a * b).sum() };
                    let alpha = p.row(t).iter().map(|k| like(k).max(0.0)).sum::<f32>() / n;
                    sum += alpha;
                    for (y, x) in y.iter_mut().zip(&x[j as usize * DIM..]) {
                        *y += alpha * x;
                    }
                }
                let scale = n.sqrt() / sum.max(1e-6);
                y.iter_mut().for_each(|y| *y *= scale);
            }
            y
        });
    }
}
