//! The built-in text encoder: TF-IDF of words and of pieces of words, hashed into buckets, then a truncated
//! singular value decomposition (latent semantic analysis: Deerwester et al., JASIS 41, 1990).
//!
//! A modest default: it sees which words texts share and which words occur together in these texts, nothing
//! of what they mean elsewhere.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::disk;
use crate::embed::svd::{self, SparseRows};
use crate::embed::unit_length::to_unit_length;
use crate::progress::Progress;
use crate::{Error, Result};

/// Hash buckets.
const BUCKETS: u64 = 1 << 18;
/// Buckets that are kept: those that occur in the most texts.
const TERMS: usize = 1 << 16;
/// Maximum of texts that the decomposition looks at; of more, as many at even distances.
const FIT_TEXTS: usize = 200_000;
/// Lengths of pieces of words, in characters; a blank is put before and after each word.
const PIECES: std::ops::RangeInclusive<usize> = 3..=5;

/// A fitted encoder: `m` terms, vectors of `d` values.
pub(crate) struct Words {
    /// Buckets of the terms, ascending, `[m]`.
    buckets: Vec<u32>,
    /// Inverse document frequencies, `[m]`.
    idf: Vec<f32>,
    /// Right singular vectors, `[m, d]`.
    projection: Vec<f32>,
}

impl Words {
    /// Learns terms, frequencies and directions from `texts`, which had better not repeat.
    pub(crate) fn fit(texts: &[&str], dim: usize, progress: &dyn Progress) -> Result<Self> {
        let step = texts.len().div_ceil(FIT_TEXTS).max(1);
        let sample: Vec<&str> = texts.iter().copied().step_by(step).collect();
        let counts: Vec<Vec<(u32, u32)>> = sample.par_iter().map(|text| count(text)).collect();
        let mut texts_with: HashMap<u32, u32> = HashMap::new();
        for &(bucket, _) in counts.iter().flatten() {
            *texts_with.entry(bucket).or_default() += 1;
        }
        let mut terms: Vec<(u32, u32)> = texts_with.into_iter().collect();
        terms.sort_unstable_by_key(|&(bucket, n)| (std::cmp::Reverse(n), bucket));
        terms.truncate(TERMS);
        terms.sort_unstable();
        if terms.is_empty() {
            return Err(Error::Data("no text has a letter or a digit; there is nothing to encode".into()));
        }
        let all = sample.len() as f32;
        let mut words = Self {
            idf: terms.iter().map(|&(_, n)| ((1.0 + all) / (1.0 + n as f32)).ln() + 1.0).collect(),
            buckets: terms.into_iter().map(|(bucket, _)| bucket).collect(),
            projection: Vec::new(),
        };
        let rows: Vec<Vec<(u32, f32)>> = counts.par_iter().map(|counts| words.weigh(counts)).collect();
        let rows = SparseRows::new(&rows, words.buckets.len())?;
        words.projection = svd::right_vectors(&rows, dim, progress)?;
        Ok(words)
    }

    /// Width of the vectors.
    pub(crate) fn dim(&self) -> usize {
        self.projection.len() / self.buckets.len()
    }

    /// Number of terms.
    pub(crate) fn terms(&self) -> usize {
        self.buckets.len()
    }

    /// The vector of a text, `[d]`, of length one.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<f32>> {
        let d = self.dim();
        let mut out = vec![0f32; d];
        for (term, weight) in self.weigh(&count(text)) {
            let row = &self.projection[term as usize * d..][..d];
            out.iter_mut().zip(row).for_each(|(o, v)| *o += weight * v);
        }
        if to_unit_length(&mut out) {
            return Ok(out);
        }
        Err(Error::Data("none of its words occurs in the texts that the encoder was made from".into()))
    }

    /// Numbers of the terms with their weights, `(1 + ln tf) · idf`, of length one together.
    fn weigh(&self, counts: &[(u32, u32)]) -> Vec<(u32, f32)> {
        let term = |&(bucket, n): &(u32, u32)| {
            let at = self.buckets.binary_search(&bucket).ok()?;
            Some((at as u32, (1.0 + (n as f32).ln()) * self.idf[at]))
        };
        let mut row: Vec<(u32, f32)> = counts.iter().filter_map(term).collect();
        let norm = row.iter().map(|(_, w)| w * w).sum::<f32>().sqrt();
        row.iter_mut().for_each(|(_, w)| *w /= norm);
        row
    }

    /// The encoder as a safetensors file.
    pub(crate) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        let bad = |e: safetensors::SafeTensorError| Error::format(path, e.to_string());
        let (m, d) = (self.terms(), self.dim());
        let views = [
            ("buckets", TensorView::new(Dtype::U32, vec![m], bytemuck::cast_slice(&self.buckets))),
            ("idf", TensorView::new(Dtype::F32, vec![m], bytemuck::cast_slice(&self.idf))),
            ("projection", TensorView::new(Dtype::F32, vec![m, d], bytemuck::cast_slice(&self.projection))),
        ];
        let views = views.into_iter().map(|(n, v)| Ok((n, v.map_err(bad)?))).collect::<Result<Vec<_>>>()?;
        safetensors::serialize(views, None).map_err(bad)
    }

    /// Reads what [`Self::to_bytes`] gave.
    pub(crate) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self> {
        let bad = |e: safetensors::SafeTensorError| Error::format(path, format!("bad safetensors: {e}"));
        let tensors = SafeTensors::deserialize(bytes).map_err(bad)?;
        let data = |name: &str| tensors.tensor(name).map_err(bad);
        let words = Self {
            buckets: disk::array(path, data("buckets")?.data())?,
            idf: disk::array(path, data("idf")?.data())?,
            projection: disk::array(path, data("projection")?.data())?,
        };
        let m = words.buckets.len();
        if m == 0
            || words.idf.len() != m
            || words.projection.is_empty()
            || !words.projection.len().is_multiple_of(m)
        {
            return Err(Error::format(path, "the sizes of its tensors do not fit together"));
        }
        Ok(words)
    }
}

/// How often each bucket occurs in a text, by bucket: words, pairs of neighbouring words, pieces of words.
fn count(text: &str) -> Vec<(u32, u32)> {
    let mut buckets = Vec::new();
    let words = split(text);
    for word in &words {
        buckets.push(bucket(b'w', [word.as_str()]));
        let padded: Vec<char> = std::iter::once(' ').chain(word.chars()).chain([' ']).collect();
        for len in PIECES {
            let pieces = padded.windows(len).filter(|piece| piece.len() < padded.len());
            buckets.extend(pieces.map(|piece| bucket(b'p', [&*piece.iter().collect::<String>()])));
        }
    }
    buckets.extend(words.windows(2).map(|two| bucket(b'b', [two[0].as_str(), two[1].as_str()])));
    buckets.sort_unstable();
    let runs = buckets.chunk_by(|a, b| a == b);
    runs.map(|run| (run[0], run.len() as u32)).collect()
}

/// Words in lower case. Scripts that put no blanks between words give a word a character.
fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in text.chars().flat_map(char::to_lowercase) {
        let alone =
            matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}');
        if alone || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is always a last word").push(c);
        }
        if alone {
            words.push(String::new());
        }
    }
    words.retain(|w| !w.is_empty());
    words
}

/// FNV-1a over the kind and the parts, with its bits mixed before the lowest are taken.
fn bucket<const N: usize>(kind: u8, parts: [&str; N]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    add(kind);
    for part in parts {
        part.bytes().for_each(&mut add);
        add(0);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 40) % BUCKETS) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 8] = [
        "red cotton shirt with long sleeves",
        "blue cotton shirt with short sleeves",
        "green cotton shirts",
        "white linen shirt with long sleeves",
        "steel kitchen knife, very sharp",
        "sharp bread knife for the kitchen",
        "kitchen knives of steel",
        "large steel pan for the kitchen",
    ];

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_about_one_thing_are_near_and_new_texts_fall_in() {
        let words = Words::fit(&TEXTS, 4, &()).unwrap();
        let vectors: Vec<Vec<f32>> = TEXTS.iter().map(|t| words.encode(t).unwrap()).collect();
        for (i, a) in vectors.iter().enumerate() {
            assert!((dot(a, a) - 1.0).abs() < 1e-5);
            let best = (0..8)
                .filter(|&j| j != i)
                .max_by(|&x, &y| dot(a, &vectors[x]).total_cmp(&dot(a, &vectors[y])));
            assert_eq!(best.unwrap() / 4, i / 4, "nearest to `{}`", TEXTS[i]);
        }
        let new = words.encode("a shirt of COTTON").unwrap();
        assert!(dot(&new, &vectors[2]) > dot(&new, &vectors[6]) + 0.3);
        assert!(words.encode("!?").is_err());
    }

    #[test]
    fn stored_and_read_it_is_the_same() {
        let words = Words::fit(&TEXTS, 3, &()).unwrap();
        let path = Path::new("x");
        let again = Words::from_bytes(path, &words.to_bytes(path).unwrap()).unwrap();
        assert_eq!(words.encode(TEXTS[0]).unwrap(), again.encode(TEXTS[0]).unwrap());
        assert!(Words::from_bytes(path, b"no").is_err());
    }

    #[test]
    fn words_of_all_scripts_are_found() {
        assert_eq!(split("L'Été, ГОРОД-2!"), ["l", "été", "город", "2"]);
        assert_eq!(split("東京 2020 タワー"), ["東", "京", "2020", "タ", "ワ", "ー"]);
        assert_eq!(split("...  "), [""; 0]);
        let one = count("été");
        assert!(
            one.iter().any(|c| c.0 == bucket(b'w', ["été"]))
                && one.iter().any(|c| c.0 == bucket(b'p', [" ét"]))
        );
    }
}
