//! The inner product of two rows.

use super::pointwise::dots;
use crate::simd::isa::Isa;

/// The inner product of two vectors of the same length: sixteen sums side by side, added in one order. Its
/// last bits depend on whether the instruction set multiplies and adds in one step, as those of the rankings
/// do.
///
/// # Panics
/// When their lengths differ.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "vectors of one length");
    of_rows(Isa::best(), a, b)
}

fn of_rows(isa: Isa, a: &[f32], b: &[f32]) -> f32 {
    let mut out = [0.0];
    dots(isa, a, b, a.len(), &mut out);
    out[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_formula_at_any_length() {
        for len in [0, 1, 15, 16, 17, 64, 131] {
            let a: Vec<f32> = (0..len).map(|i| (i as f32 * 0.7).sin()).collect();
            let b: Vec<f32> = (0..len).map(|i| (i as f32 * 1.3).cos()).collect();
            let wanted: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            for isa in Isa::supported() {
                let got = f64::from(of_rows(isa, &a, &b));
                assert!((got - wanted).abs() < 1e-5, "{isa:?}, {len}: {got}, not {wanted}");
            }
        }
    }
}
