//! The losses of an epoch, read together where reading waits for a graphics processor.

use std::time::{Duration, Instant};

use burn::tensor::Tensor;

use crate::error::{Error, Result};

/// Losses that wait to be read while a graphics processor works, at most: reading waits until it has done all
/// that it was asked for.
const MAX_PENDING: usize = 32;

/// How long losses wait, at most, so that somebody who watches slow steps sees them.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The losses of an epoch: those read, and those that wait with batch (from 1), each share's with its length.
pub(super) struct Losses {
    lr: f64,
    epoch: usize,
    /// Maximum number of batches that wait.
    pending: usize,
    sum: f64,
    seen: usize,
    waiting: Vec<(usize, Vec<(Tensor<1>, usize)>)>,
    /// When losses were read last.
    read: Instant,
}

impl Losses {
    /// None yet, of an epoch from 1; a processor's are read at once.
    pub(super) fn new(epoch: usize, lr: f64, on_processor: bool) -> Self {
        let pending = if on_processor { 1 } else { MAX_PENDING };
        Self { lr, epoch, pending, sum: 0.0, seen: 0, waiting: Vec::new(), read: Instant::now() }
    }

    /// Takes the losses of the shares of a batch (from 1), and reads those that wait if it is time.
    pub(super) fn add(
        &mut self,
        batch: usize,
        shares: Vec<(Tensor<1>, usize)>,
        on: &mut dyn FnMut(usize, f32),
    ) -> Result<()> {
        self.waiting.push((batch, shares));
        if self.waiting.len() >= self.pending || self.read.elapsed() >= MAX_WAIT {
            self.read(on)?;
        }
        Ok(())
    }

    /// Reads the losses that wait, all of a device at once.
    pub(super) fn read(&mut self, on: &mut dyn FnMut(usize, f32)) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut by_share: Vec<Vec<Tensor<1>>> = Vec::new();
        for (share, (loss, _)) in waiting.iter().flat_map(|(_, shares)| shares.iter().enumerate()) {
            by_share.resize_with(by_share.len().max(share + 1), Vec::new);
            by_share[share].push(loss.clone());
        }
        let values = |losses: Vec<Tensor<1>>| {
            let data = Tensor::cat(losses, 0).try_into_data();
            let data = data.map_err(|e| Error::Device(format!("the device failed: {e}")))?;
            Ok(data.iter::<f32>().collect::<Vec<_>>().into_iter())
        };
        let mut by_share = by_share.into_iter().map(values).collect::<Result<Vec<_>>>()?;
        for (batch, shares) in waiting {
            let (mut sum, mut length) = (0.0, 0);
            for ((_, triples), values) in shares.into_iter().zip(&mut by_share) {
                sum += f64::from(values.next().unwrap_or(f32::NAN)) * triples as f64;
                length += triples;
            }
            let value = (sum / length as f64) as f32;
            if !value.is_finite() {
                let (epoch, lr) = (self.epoch, self.lr);
                return Err(Error::LossNotFinite { loss: value, epoch, batch, lr });
            }
            self.sum += sum;
            self.seen += length;
            on(batch, value);
        }
        self.read = Instant::now();
        Ok(())
    }

    /// Mean over the triples that were read.
    pub(super) fn mean(&self) -> f64 {
        self.sum / self.seen as f64
    }
}
