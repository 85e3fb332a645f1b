//! Named seeded streams: the only source of randomness.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What randomness is drawn for. The same seed, stream and index give the same numbers, whatever else is drawn,
/// so that a resumed run needs no saved generator.
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
