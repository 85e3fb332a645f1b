//! The inner product of two rows.

/// The inner product of two vectors: eight sums side by side, so that the compiler may use wide registers.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a8, b8) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a8.0.iter().zip(b8.0) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + a8.1.iter().zip(b8.1).map(|(x, y)| x * y).sum::<f32>()
}
