//! Sums over devices: what data-parallel training does with its gradients.

use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn::tensor::distributed::{ReduceOperation, all_reduce};

use crate::dense::pointwise::add;

/// The sum of `parts`, tensors of one shape on different devices; one copy of it on each of these.
///
/// Devices with a transport between them (CUDA with NCCL) use Burn's all-reduce. Others send their parts to
/// the first, which adds them in order and sends the sum back.
///
/// # Panics
/// When the shapes differ.
pub fn sum_over_devices(parts: Vec<Tensor<2>>) -> Vec<Tensor<2>> {
    if parts.len() < 2 {
        return parts;
    }
    let devices: Vec<_> = parts.iter().map(Tensor::device).collect();
    #[cfg(feature = "gpu")]
    if devices.iter().all(reaches_others) {
        let sums: Vec<_> =
            parts.into_iter().map(|p| all_reduce(p, ReduceOperation::Sum, devices.clone())).collect();
        return sums.into_iter().map(|s| s.resolve()).collect();
    }
    let first = &devices[0];
    let sum = parts.into_iter().map(|p| p.to_device(first)).reduce(add).expect("at least one part");
    devices.iter().map(|device| sum.clone().to_device(device)).collect()
}

/// Whether collectives run on the device.
#[cfg(feature = "gpu")]
fn reaches_others(device: &burn::tensor::Device) -> bool {
    match device.as_dispatch() {
        burn::backend::DispatchDevice::Cube(device) => device.client().has_device_transport(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{read, tensor};

    #[test]
    fn the_sum_is_on_every_device() {
        let parts = [[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]];
        let sums = sum_over_devices(parts.iter().map(|p| tensor(p, [1, 2], false)).collect());
        assert_eq!(sums.into_iter().map(read).collect::<Vec<_>>(), [[111.0, 222.0]; 3]);
        assert_eq!(sum_over_devices(vec![tensor(&[7.0], [1, 1], false)]).len(), 1);
    }
}
