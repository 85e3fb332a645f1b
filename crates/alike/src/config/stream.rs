//! Named seeded streams: the only source of randomness.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What randomness is drawn for. The same seed, stream and index give the same numbers, whatever else is
/// drawn, so that a resumed run needs no saved generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Initial parameters.
    Init,
    /// Order of the training pairs.
    Order,
    /// Negative items.
    Negatives,
    /// Neighbour samples.
    Neighbors,
    /// Dropout masks.
    Dropout,
    /// Settings that a search tries.
    Search,
    /// What a model draws in a step: dropout masks, noise.
    Step,
    /// Which weighted interactions take part in an epoch.
    Weights,
}

/// The seed of a run and the number of a draw: all that is needed to draw the same numbers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    seed: u64,
    index: u64,
}

impl Draw {
    /// The draw of epoch `index` (from 1), or [`Stream::EVALUATION`], of a run with `seed`.
    pub fn new(seed: u64, index: u64) -> Self {
        Self { seed, index }
    }

    /// The generator of `stream` for this draw.
    pub fn rng(self, stream: Stream) -> ChaCha8Rng {
        stream.rng(self.seed, self.index)
    }

    /// The generator of `stream` for part `part` of this draw: a row, a step.
    pub fn rng_of(self, stream: Stream, part: u32) -> ChaCha8Rng {
        stream.rng(self.seed, (self.index << 32) | u64::from(part))
    }
}

impl Stream {
    /// Index of the neighbour draw used for evaluation; epochs count from 1.
    pub const EVALUATION: u64 = 0;

    /// The generator of this stream for `seed` and `index` (an epoch, a parameter, a row).
    pub fn rng(self, seed: u64, index: u64) -> ChaCha8Rng {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&index.to_le_bytes());
        key[16] = self as u8;
        ChaCha8Rng::from_seed(*blake3::hash(&key).as_bytes())
    }
}
