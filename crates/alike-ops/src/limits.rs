//! What a device can hold, to say so before it runs out.

use burn::tensor::Device;

/// Limits of a device other than the processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Its name.
    pub name: String,
    /// Bytes of its memory, where the driver says.
    pub memory: Option<u64>,
    /// Bytes of the largest single tensor.
    pub largest: u64,
}

/// The limits of `device`; `None` for the processor. Opens the device.
pub fn device_limits(device: &Device) -> Option<DeviceLimits> {
    #[cfg(feature = "gpu")]
    if let burn::backend::DispatchDevice::Cube(device) = device.clone().without_autodiff().as_dispatch() {
        let client = device.client();
        let properties = client.properties();
        return Some(DeviceLimits {
            name: properties.identity.name.to_string(),
            memory: properties.memory.max_memory(),
            largest: properties.memory.max_page_size,
        });
    }
    let _ = device;
    None
}
