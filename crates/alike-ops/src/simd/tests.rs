//! Every instruction set against plain arrays, method by method.

use super::f32x16::{F32x16, LANES};
use super::isa::Isa;
use super::kernel::kernel;

type Row = [f32; LANES];

/// What all methods but [`F32x16::gram`] make of two rows; `relu` last.
///
/// # Safety
/// The processor has the instruction set of `V`.
#[inline(always)]
unsafe fn methods_body<V: F32x16>(a: &Row, b: &Row) -> Vec<Row> {
    let mut all = Vec::new();
    // No closure: see `f32x16`.
    macro_rules! keep {
        ($v:expr) => {{
            let mut row = [0.0; LANES];
            V::store($v, row.as_mut_ptr());
            all.push(row);
        }};
    }
    // SAFETY: rows hold sixteen floats, and at most that many are read and written; the instruction set is
    // the caller's to promise.
    unsafe {
        let (x, y) = (V::load(a.as_ptr()), V::load(b.as_ptr()));
        for v in [V::zero(), V::splat(a[3]), x.add(y), x.sub(y), x.mul(y), x.fma(y, y), x.max(y), y.max(x)] {
            keep!(v);
        }
        keep!(x.transpose4());
        for mask in [0, 1, 0x8000, 0xffff, 0xa5c3] {
            keep!(x.keep(mask));
        }
        let (four, eight) = (V::few::<4>(a.as_ptr()), V::few::<8>(a.as_ptr()));
        let (six, three) = (V::few::<6>(b.as_ptr()), V::few::<3>(b.as_ptr()));
        for n in 0..8 {
            keep!(V::spread(eight, n));
            keep!(V::spread(six, n % 6));
            keep!(V::spread(four, n % 4));
            keep!(V::spread(three, n % 3));
        }
        for n in 0..LANES {
            // Copies that end where the part does: AddressSanitizer sees what is read beyond it.
            let part = a[..n].to_vec();
            keep!(V::load_part(part.as_ptr(), n));
            let mut to = vec![7.0; n];
            x.store_part(to.as_mut_ptr(), n);
            to.resize(LANES, 7.0);
            keep!(V::load(to.as_ptr()));
        }
        let fold = x.fold4();
        all.push(std::array::from_fn(|i| match i {
            0..4 => fold[i],
            4 => x.sum(),
            5 => f32::from(x.above(y)),
            6 => f32::from(y.above(x)),
            _ => 0.0,
        }));
        keep!(x.relu());
    }
    all
}

kernel! {
    fn methods = methods_body(a: &Row, b: &Row) -> Vec<Row>
}

#[inline(always)]
unsafe fn gram_body<V: F32x16>(p: &[f32], q: &[f32], groups: usize) -> Row {
    let mut out = [0.0; LANES];
    // SAFETY: four rows of `groups · 16` floats on each side, asserted by the slices below; the instruction
    // set is the caller's to promise.
    unsafe {
        let width = groups * LANES;
        let row = |x: &[f32], r: usize| x[r * width..(r + 1) * width].as_ptr();
        let p = [row(p, 0), row(p, 1), row(p, 2), row(p, 3)];
        let q = [row(q, 0), row(q, 1), row(q, 2), row(q, 3)];
        V::gram(p, q, groups).store(out.as_mut_ptr());
    }
    out
}

kernel! {
    fn gram = gram_body(p: &[f32], q: &[f32], groups: usize) -> Row
}

fn rows() -> [Row; 2] {
    let value = |i: usize| (i * 7919 % 1013) as f32 / 101.0 - 5.0;
    let mut a: Row = std::array::from_fn(value);
    let mut b: Row = std::array::from_fn(|i| value(i + 40));
    // Equal values, zeros of both signs, and an infinity.
    (b[2], a[5], b[5], a[6], b[6], a[9]) = (a[2], 0.0, -0.0, -0.0, 0.0, f32::INFINITY);
    [a, b]
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

#[test]
fn every_set_does_what_plain_arrays_do() {
    let [a, b] = rows();
    let (mut nan_a, mut nan_b) = (a, b);
    (nan_a[1], nan_b[4], nan_a[7], nan_b[7]) = (f32::NAN, f32::NAN, f32::NAN, f32::NAN);
    for (a, b) in [(a, b), (b, a), (nan_a, nan_b)] {
        let mut expected = methods(Isa::Portable, &a, &b);
        for isa in Isa::supported() {
            let mut found = methods(isa, &a, &b);
            if isa != Isa::Portable {
                expected[5] = std::array::from_fn(|i| b[i].mul_add(b[i], a[i]));
            }
            // Of zeros, ReLU may make either.
            let (last, wanted) = (found.pop().unwrap(), *expected.last().unwrap());
            assert!(
                last.iter().zip(wanted).all(|(f, e)| f + 0.0 == e + 0.0 || same(*f, e)),
                "{isa:?} {last:?}"
            );
            for (at, (found, wanted)) in found.iter().zip(&expected).enumerate() {
                let agree = found.iter().zip(wanted).all(|(f, e)| same(*f, *e));
                assert!(agree, "{isa:?}, result {at}: {found:?}, not {wanted:?}");
            }
        }
    }
}

#[test]
fn every_set_multiplies_rows() {
    for groups in [0, 1, 2, 5] {
        let value = |i: usize| (i * 7919 % 1013) as f32 / 1013.0 - 0.5;
        let width = groups * LANES;
        let p: Vec<f32> = (0..4 * width).map(value).collect();
        let q: Vec<f32> = (0..4 * width).map(|i| value(i + 500)).collect();
        for isa in Isa::supported() {
            for (at, found) in gram(isa, &p, &q, groups).into_iter().enumerate() {
                let (p, q) = (&p[at / 4 * width..][..width], &q[at % 4 * width..][..width]);
                let wanted: f64 = p.iter().zip(q).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                assert!((f64::from(found) - wanted).abs() < 1e-5, "{isa:?} {groups} {at}: {found}, {wanted}");
            }
        }
    }
}
