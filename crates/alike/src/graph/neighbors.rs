//! Lists of weighted neighbours, and where they are kept between runs.

use crate::data::Dataset;
use crate::error::Result;

/// At most `k` weighted neighbours per row, each list by falling weight; `u32::MAX` pads.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbors {
    /// Places per row.
    pub k: usize,
    /// Neighbour of each place, `rows × k`.
    pub idx: Vec<u32>,
    /// Weight of each place, `rows × k`.
    pub weight: Vec<f32>,
}

impl Neighbors {
    /// Rows without neighbours.
    pub fn none(rows: usize) -> Self {
        Self { k: 1, idx: vec![u32::MAX; rows], weight: vec![0.0; rows] }
    }

    /// One row.
    pub(crate) fn single(idx: Vec<u32>, weight: Vec<f32>) -> Self {
        Self { k: idx.len(), idx, weight }
    }

    /// Every row its own only neighbour.
    pub fn identity(rows: usize) -> Self {
        Self { k: 1, idx: (0..rows as u32).collect(), weight: vec![1.0; rows] }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.idx.len().checked_div(self.k).unwrap_or(0)
    }

    /// The filled places of row `r`.
    pub fn row(&self, r: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let at = r * self.k..(r + 1) * self.k;
        let idx = self.idx[at.clone()].iter().copied();
        idx.zip(self.weight[at].iter().copied()).filter(|&(j, _)| j != u32::MAX)
    }

    /// Softmax over each row's filled places.
    pub fn softmax(mut self) -> Self {
        for r in 0..self.rows() {
            let at = r * self.k..(r + 1) * self.k;
            let n = self.idx[at.clone()].iter().filter(|&&j| j != u32::MAX).count();
            let row = &mut self.weight[at][..n];
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|w| *w = (*w - max).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|w| *w /= sum);
        }
        self
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = (self.k as u64).to_le_bytes().to_vec();
        out.extend(self.idx.iter().flat_map(|v| v.to_le_bytes()));
        out.extend(self.weight.iter().flat_map(|v| v.to_le_bytes()));
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (k, rest) = bytes.split_first_chunk::<8>()?;
        let k = u64::from_le_bytes(*k) as usize;
        let (words, tail) = rest.as_chunks::<4>();
        if k == 0 || !tail.is_empty() || words.len() % (2 * k) != 0 {
            return None;
        }
        let (idx, weight) = words.split_at(words.len() / 2);
        Some(Self {
            k,
            idx: idx.iter().map(|w| u32::from_le_bytes(*w)).collect(),
            weight: weight.iter().map(|w| f32::from_le_bytes(*w)).collect(),
        })
    }
}

/// Builds `neighbors` once and keeps them in the prepared folder under `key`.
pub(super) fn cached(data: &Dataset, key: &str, build: impl Fn() -> Result<Neighbors>) -> Result<Neighbors> {
    let bytes = data.cached(key, &mut || build().map(|n| n.to_bytes()))?;
    match Neighbors::from_bytes(&bytes) {
        Some(n) => Ok(n),
        None => build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_and_damage_is_seen() {
        let idx = vec![1, 2, u32::MAX, u32::MAX, 0, u32::MAX];
        let n = Neighbors { k: 2, idx, weight: vec![0.5, 0.25, 0.0, 0.0, 1.0, 0.0] };
        let bytes = n.to_bytes();
        assert_eq!(Neighbors::from_bytes(&bytes), Some(n));
        assert_eq!(Neighbors::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Neighbors::from_bytes(&[0; 8]), None);
    }
}
