//! The devices of this machine, and how much memory each has.

use burn::tensor::Device;

/// The graphics processors that `wgpu` reaches, those with memory of their own first: through the system's
/// interface (Vulkan, Metal, Direct3D 12), and if that finds none through any other.
pub fn wgpu_devices() -> Vec<Device> {
    #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
    {
        use burn::backend::DeviceId;
        use burn::tensor::DeviceType;
        use cubecl::wgpu::{WgpuBackend, WgpuDevice, WgpuDeviceKind};

        use crate::gpu::CubeDevice;

        // Asking for all interfaces at once starts OpenGL, which writes to standard error where there is no
        // screen.
        let own: &[WgpuBackend] = if cfg!(target_vendor = "apple") {
            &[WgpuBackend::Metal]
        } else if cfg!(windows) {
            &[WgpuBackend::Vulkan, WgpuBackend::Dx12]
        } else {
            &[WgpuBackend::Vulkan]
        };
        let kinds = [
            WgpuDeviceKind::DiscreteGpu(0),
            WgpuDeviceKind::IntegratedGpu(0),
            WgpuDeviceKind::VirtualGpu(0),
            WgpuDeviceKind::Cpu,
            WgpuDeviceKind::Other(0),
        ];
        let devices_of = |kind: &WgpuDeviceKind, backend: WgpuBackend| -> Vec<DeviceId> {
            CubeDevice::enumerate(CubeDevice::Wgpu(WgpuDevice::new(kind.clone()).on(backend)).to_id())
        };
        for &backend in own {
            let mut devices: Vec<Device> = Vec::new();
            for id in kinds.iter().flat_map(|kind| devices_of(kind, backend)) {
                let device = Device::new(CubeDevice::from_id(id));
                if !devices.contains(&device) {
                    devices.push(device);
                }
            }
            if !devices.is_empty() {
                return devices;
            }
        }
        Device::enumerate(DeviceType::Wgpu).into_vec()
    }
    #[cfg(not(any(feature = "wgpu", feature = "vulkan", feature = "metal")))]
    Vec::new()
}

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
