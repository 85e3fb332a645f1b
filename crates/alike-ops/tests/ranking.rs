//! Top-k and nearest neighbours against the naive way: all scores, without the excluded, sorted.
#![allow(clippy::unwrap_used)]

use alike_ops::{
    Csr, Exclusions, Knn, TopK, knn_cosine, scores_dot, scores_pair_mlp, top_k_dot, top_k_pair_mlp,
    top_k_static,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Small whole numbers: sums are exact, and equal scores are frequent.
fn whole(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-2..3) as f32).collect()
}

fn patterns(users: usize, items: usize, seed: u64) -> Csr {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let rows: Vec<Vec<u32>> = (0..users)
        .map(|u| {
            let share = [0.0, 0.1, 0.5, 1.0][u % 4];
            (0..items as u32).filter(|_| rng.random_bool(share)).collect()
        })
        .collect();
    Csr::from_rows(items, &rows).unwrap()
}

/// The naive way for one user.
fn expected(scores: &[f32], user: u32, mask: &Exclusions<'_>, k: usize) -> Vec<u32> {
    let hidden = |m: Option<&Csr>, i: u32| m.is_some_and(|m| m.row(user as usize).contains(&i));
    let mut order: Vec<u32> =
        (0..scores.len() as u32).filter(|&i| !hidden(mask.seen, i) && !hidden(mask.extra, i)).collect();
    // A stable sort keeps the lower item first among equals.
    order.sort_by(|&a, &b| {
        let (a, b) = (scores[a as usize], scores[b as usize]);
        a.is_nan().cmp(&b.is_nan()).then(b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal))
    });
    order.truncate(k);
    order
}

fn check(top: &TopK, scores: impl Fn(u32) -> Vec<f32>, rows: &[u32], mask: &Exclusions<'_>, k: usize) {
    assert_eq!((top.k, top.items.len(), top.scores.len()), (k, rows.len() * k, rows.len() * k));
    for (r, &u) in rows.iter().enumerate() {
        let scores = scores(u);
        let items = expected(&scores, u, mask, k);
        let place = r * k;
        assert_eq!(&top.items[place..place + items.len()], &items[..], "user {u}");
        assert!(top.items[place + items.len()..place + k].iter().all(|&i| i == u32::MAX));
        for (p, &i) in items.iter().enumerate() {
            let (found, score) = (top.scores[place + p], scores[i as usize]);
            assert!(found == score || (found.is_nan() && score.is_nan()), "user {u}: {found} and {score}");
        }
        assert!(top.scores[place + items.len()..place + k].iter().all(|&s| s == f32::NEG_INFINITY));
        if k > 0 {
            assert_eq!(top.row(r).0, &items[..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn best_items_are_those_of_a_full_sort(
        (users, items, dim, k) in (1..40usize, 1..700usize, 1..20usize, 0..90usize), lengths in 0..3,
        seed in any::<u64>(), ties in any::<bool>(), masked in 0..3,
    ) {
        let draw = if ties { whole } else { random };
        let (a, mut b, w) = (draw(users * dim, seed), draw(items * dim, seed ^ 1), draw(dim, seed ^ 2));
        // Lengths that differ, so that short items are skipped.
        let scale = |at: usize| 2f32.powi(lengths * (at as i32 * 7 % 12 - 6));
        b.chunks_exact_mut(dim).enumerate().for_each(|(at, row)| row.iter_mut().for_each(|v| *v *= scale(at)));
        let (seen, also) = (patterns(users, items, seed ^ 3), patterns(users, items, seed ^ 4));
        let mask = Exclusions { seen: (masked > 0).then_some(&seen), extra: (masked > 1).then_some(&also) };
        // Rows in any order, some twice.
        let rows: Vec<u32> = (0..users as u32 + 3).map(|r| r * 7 % users as u32).collect();
        let user = |v: &[f32], u: u32| v[u as usize * dim..][..dim].to_vec();
        check(&top_k_dot(&a, &b, dim, &rows, &mask, k), |u| scores_dot(&user(&a, u), &b, dim), &rows, &mask, k);
        let top = top_k_pair_mlp(&a, &b, &w, &rows, &mask, k);
        check(&top, |u| scores_pair_mlp(&user(&a, u), &b, &w), &rows, &mask, k);
        let all = draw(items, seed ^ 5);
        check(&top_k_static(&all, &rows, &mask, k), |_| all.clone(), &rows, &mask, k);
    }

    #[test]
    fn scores_are_the_formula(items in 1..120usize, dim in 1..600usize, seed in any::<u64>()) {
        let (a, b, w) = (random(dim, seed), random(items * dim, seed ^ 1), random(dim, seed ^ 2));
        let (dots, outs) = (scores_dot(&a, &b, dim), scores_pair_mlp(&a, &b, &w));
        for i in 0..items {
            let row = &b[i * dim..(i + 1) * dim];
            let dot: f64 = a.iter().zip(row).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            let out: f64 = a.iter().zip(row).zip(&w)
                .map(|((&x, &y), &w)| f64::from(w) * (f64::from(x) + f64::from(y)).max(0.0)).sum();
            prop_assert!((f64::from(dots[i]) - dot).abs() < 1e-4);
            prop_assert!((f64::from(outs[i]) - out).abs() < 1e-4);
        }
    }

    #[test]
    fn few_neighbours_are_the_first_of_many(rows in 2..700usize, dim in 1..5usize, k in 1..12usize, seed in any::<u64>()) {
        let x = whole(rows * dim, seed);
        let (few, all) = (knn_cosine(&x, rows, dim, k, false), knn_cosine(&x, rows, dim, rows - 1, false));
        let k = k.min(rows - 1);
        for r in 0..rows {
            let all_of = |p: usize| (all.cos[r * (rows - 1) + p], all.idx[r * (rows - 1) + p]);
            for p in 0..k {
                prop_assert_eq!((few.cos[r * few.k + p], few.idx[r * few.k + p]), all_of(p));
            }
            for p in 1..rows - 1 {
                let ((before, i), (after, j)) = (all_of(p - 1), all_of(p));
                prop_assert!(before > after || (before >= 1.0 && after >= 1.0) || i < j, "row {r}: {before} {i}, {after} {j}");
            }
        }
    }

    #[test]
    fn neighbours_are_those_of_all_pairs(
        rows in 1..330usize, dim in 1..40usize, k in 1..20usize, seed in any::<u64>(), own in any::<bool>(),
    ) {
        let mut x = random(rows * dim, seed);
        x[..dim].fill(0.0);
        let Knn { idx, cos, .. } = knn_cosine(&x, rows, dim, k, own);
        let row = |r: usize| x[r * dim..(r + 1) * dim].iter().map(|&v| f64::from(v));
        let exact = |r: usize, j: usize| {
            let norms = row(r).map(|v| v * v).sum::<f64>().sqrt() * row(j).map(|v| v * v).sum::<f64>().sqrt();
            if norms > 0.0 { row(r).zip(row(j)).map(|(a, b)| a * b).sum::<f64>() / norms } else { 0.0 }
        };
        for r in 0..rows {
            let (idx, cos) = (&idx[r * k..(r + 1) * k], &cos[r * k..(r + 1) * k]);
            let given = k.min(if own { rows } else { rows - 1 });
            prop_assert!(idx[given..].iter().all(|&j| j == u32::MAX) && cos[given..].iter().all(|&c| c == 0.0));
            let mut best: Vec<f64> = (0..rows).filter(|&j| own || j != r).map(|j| exact(r, j)).collect();
            best.sort_by(|a, b| b.total_cmp(a));
            let mut distinct = idx[..given].to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), given);
            for p in 0..given {
                prop_assert!(own || idx[p] as usize != r);
                prop_assert!((f64::from(cos[p]) - exact(r, idx[p] as usize)).abs() < 1e-5);
                prop_assert!((f64::from(cos[p]) - best[p]).abs() < 1e-5);
                prop_assert!(p == 0 || cos[p - 1] >= cos[p]);
                prop_assert!(p == 0 || cos[p - 1] > cos[p] || r > 0 || idx[p - 1] < idx[p]);
            }
        }
    }
}

#[test]
fn scores_that_are_no_numbers_come_last_and_infinities_in_their_order() {
    let scores = [f32::NAN, 1.0, f32::NEG_INFINITY, -0.0, f32::INFINITY, 0.0, f32::NAN, -3.0];
    // One user, one dimension: the score is the item's value. Both infinities times one stay what they are.
    let top = top_k_dot(&[1.0], &scores, 1, &[0], &Exclusions::default(), 9);
    assert_eq!(top.items, [4, 1, 3, 5, 7, 2, 0, 6, u32::MAX]);
    assert!(top.scores[6].is_nan() && top.scores[7].is_nan());
    assert_eq!(top_k_static(&scores, &[0], &Exclusions::default(), 9).items, top.items);
    // The pair MLP lets NaN through its rectifier instead of calling it zero.
    let top = top_k_pair_mlp(&[0.0], &scores, &[1.0], &[0], &Exclusions::default(), 9);
    assert_eq!(top.items, [4, 1, 2, 3, 5, 7, 0, 6, u32::MAX]);
    let none = top_k_dot(&[f32::NAN], &scores, 1, &[0], &Exclusions::default(), 3);
    assert_eq!(none.items, [0, 1, 2]);
}

#[test]
fn a_row_that_is_no_number_is_nobodys_neighbour_before_the_others() {
    let (rows, dim) = (150, 3);
    let mut x = random(rows * dim, 7);
    for row in [4, 149] {
        x[row * dim] = f32::NAN;
    }
    let near = knn_cosine(&x, rows, dim, 5, false);
    assert_eq!(near.idx[4 * 5..5 * 5], [0, 1, 2, 3, 5]);
    assert_eq!(near.idx[149 * 5..], [0, 1, 2, 3, 4]);
    assert!(
        (0..149)
            .filter(|&r| r != 4)
            .all(|r| !near.idx[r * 5..(r + 1) * 5].iter().any(|j| [4, 149].contains(j)))
    );
    let all = knn_cosine(&x, rows, dim, rows - 1, false);
    assert_eq!(all.idx[rows - 3..rows - 1], [4, 149]);
}

#[test]
fn a_mask_need_not_be_sorted_and_may_hide_everything() {
    let items = [5.0, 4.0, 3.0, 2.0, 1.0];
    let seen = Csr::from_rows(5, &[vec![2u32, 0, 2], vec![4, 3, 2, 1, 0]]).unwrap();
    let top = top_k_dot(&[1.0, 1.0], &items, 1, &[1, 0], &Exclusions { seen: Some(&seen), extra: None }, 2);
    assert_eq!(top.items, [u32::MAX, u32::MAX, 1, 3]);
    assert_eq!(top.row(0), (&[][..], &[][..]));
    assert_eq!(top.rows(), 2);
}

/// Enough users and items for many blocks, cuts of the kept list, and more than one depth block for
/// neighbours.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (users, items, dim) = (900, 1000, 17);
    let (a, b, w) = (random(users * dim, 1), random(items * dim, 2), random(dim, 3));
    let seen = patterns(users, items, 4);
    let rows: Vec<u32> = (0..users as u32).rev().collect();
    let features = random(500 * 700, 5);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mask = Exclusions { seen: Some(&seen), extra: None };
            let (dot, mlp) =
                (top_k_dot(&a, &b, dim, &rows, &mask, 50), top_k_pair_mlp(&a, &b, &w, &rows, &mask, 50));
            let knn = knn_cosine(&features, 500, 700, 10, false);
            let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            (bits(&dot.scores), bits(&mlp.scores), bits(&knn.cos), dot.items, mlp.items, knn.idx)
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
    let mask = Exclusions { seen: Some(&seen), extra: None };
    check(
        &top_k_dot(&a, &b, dim, &rows, &mask, 50),
        |u| scores_dot(&a[u as usize * dim..][..dim], &b, dim),
        &rows,
        &mask,
        50,
    );
}
