//! Vectors of length one.

/// Divides by the length; false when there is none.
pub(super) fn to_unit_length(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    if !length.is_normal() {
        return false;
    }
    vector.iter_mut().for_each(|v| *v /= length);
    true
}
