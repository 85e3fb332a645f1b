//! Where a model trains: the processor, or a graphics processor of a kind that this build knows.

use std::fmt;
use std::str::FromStr;

#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
use alike_ops::wgpu_devices;
use alike_ops::{DeviceLimits, device_limits};
use burn::tensor::Device;

use crate::error::{Error, Result};

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
    /// A graphics processor by whatever the system offers.
    Wgpu,
    /// A graphics processor by Vulkan.
    Vulkan,
    /// A graphics processor of Apple's.
    Metal,
    /// A graphics processor of NVIDIA's, by CUDA.
    Cuda,
}

impl DeviceKind {
    /// Every kind, in the order in which they are named.
    pub const ALL: [Self; 5] = [Self::Cpu, Self::Wgpu, Self::Vulkan, Self::Metal, Self::Cuda];

    /// Its name; but for the processor also that of the cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
        }
    }

    /// Whether this build knows it.
    pub fn is_built(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Wgpu => cfg!(any(feature = "wgpu", feature = "vulkan", feature = "metal")),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// The devices of this kind, those of their own memory first.
    fn devices(self) -> Vec<Device> {
        #[cfg(feature = "gpu")]
        {
            #[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
            let of = |kind| Device::enumerate(kind).into_vec();
            match self {
                Self::Cpu => {}
                #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
                Self::Wgpu => return wgpu_devices(),
                #[cfg(feature = "vulkan")]
                Self::Vulkan => return of(burn::tensor::DeviceType::Vulkan),
                #[cfg(feature = "metal")]
                Self::Metal => return of(burn::tensor::DeviceType::Metal),
                #[cfg(feature = "cuda")]
                Self::Cuda => return of(burn::tensor::DeviceType::Cuda),
                #[allow(unreachable_patterns)]
                _ => {}
            }
        }
        match self {
            Self::Cpu => vec![Device::flex()],
            _ => Vec::new(),
        }
    }
}

/// A device as it is named on the command line: `cpu`, `vulkan`, `cuda:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceName {
    /// The kind.
    pub kind: DeviceKind,
    /// Which of that kind, from 0.
    pub index: usize,
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => f.write_str(self.kind.name()),
            index => write!(f, "{}:{index}", self.kind.name()),
        }
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::Setting {
            name: "device".into(),
            value: text.into(),
            allowed: "cpu, wgpu, vulkan, metal, cuda; :N after one of them names the N-th, from 0".into(),
        };
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, index.parse().map_err(|_| refused())?),
            None => (text, 0),
        };
        let kind = DeviceKind::ALL.into_iter().find(|k| k.name() == name).ok_or_else(refused)?;
        if kind == DeviceKind::Cpu && index > 0 {
            return Err(refused());
        }
        Ok(Self { kind, index })
    }
}

impl DeviceName {
    /// The device.
    ///
    /// # Errors
    /// This build does not know the kind, or the machine has no such device.
    pub fn open(self) -> Result<Device> {
        let Self { kind, index } = self;
        if !kind.is_built() {
            let built = DeviceKind::ALL.into_iter().filter(|k| k.is_built()).map(DeviceKind::name);
            return Err(Error::Device(format!(
                "this program was built without `{kind}`; it knows: {built}; \
                 `cargo build --release --features {kind}` makes one that does",
                kind = kind.name(),
                built = built.collect::<Vec<_>>().join(", "),
            )));
        }
        let mut devices = kind.devices();
        if index < devices.len() {
            return Ok(devices.swap_remove(index));
        }
        let names = devices.iter().filter_map(device_limits).enumerate();
        let names: Vec<String> =
            names.map(|(at, limits)| format!("{}:{at} {}", kind.name(), limits.name)).collect();
        Err(Error::Device(format!(
            "there is no device `{self}`; found: {}",
            if names.is_empty() { "none of that kind, or no driver".into() } else { names.join(", ") }
        )))
    }
}

/// Opens several devices.
///
/// # Errors
/// One is missing or named twice, or there is none.
pub fn open_all(names: &[DeviceName]) -> Result<Vec<Device>> {
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            return Err(Error::Device(format!("device `{name}` is named twice")));
        }
    }
    if names.is_empty() {
        return Err(Error::Device("a run needs a device".into()));
    }
    names.iter().map(|name| name.open()).collect()
}

/// Names of the devices beside the processor, as they were asked for and as their drivers call them: `cuda:1
/// NVIDIA H100`.
pub fn describe(names: &[DeviceName], devices: &[Device]) -> Vec<String> {
    let of = |(name, device)| Some(format!("{name} {}", device_limits(device)?.name));
    names.iter().zip(devices).filter_map(of).collect()
}

/// What a run wants of a device's memory, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// All that is held at once.
    pub total: u64,
    /// The largest tensor.
    pub largest: u64,
}

/// Refuses a run that would not fit the device.
///
/// # Errors
/// The device's memory or its largest buffer is smaller than `need`.
pub fn check_memory(device: &Device, need: Need) -> Result<()> {
    device_limits(device).map_or(Ok(()), |limits| fits(&limits, need))
}

fn fits(limits: &DeviceLimits, need: Need) -> Result<()> {
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let out = "fewer dimensions or features need less; --device cpu uses the machine's own memory";
    if let Some(memory) = limits.memory.filter(|&m| m < need.total) {
        return Err(Error::Device(format!(
            "this run needs about {} of the memory of {}, which has {}: {out}",
            gib(need.total),
            limits.name,
            gib(memory)
        )));
    }
    if limits.largest < need.largest {
        return Err(Error::Device(format!(
            "this run has a tensor of {}; the largest that {} takes is {}: {out}",
            gib(need.largest),
            limits.name,
            gib(limits.largest)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_strict_and_print_as_they_are_read() {
        for name in ["cpu", "wgpu", "vulkan", "metal:2", "cuda:1"] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        for name in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:1", "CUDA"] {
            let error = name.parse::<DeviceName>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("setting `device` is {name}; allowed: cpu, ")), "{error}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert!(DeviceName::default().open().is_ok());
        for kind in DeviceKind::ALL {
            let error = DeviceName { kind, index: 999 }.open().unwrap_err().to_string();
            let wanted = if kind.is_built() {
                format!("there is no device `{}:999`; found: ", kind.name())
            } else {
                format!("this program was built without `{}`; it knows: cpu", kind.name())
            };
            assert!(error.starts_with(&wanted), "{error}");
        }
    }

    #[test]
    fn a_run_that_does_not_fit_is_refused_before_it_starts() {
        let limits = DeviceLimits { name: "Small".into(), memory: Some(2 << 30), largest: 1 << 28 };
        assert!(fits(&limits, Need { total: 2 << 30, largest: 1 << 28 }).is_ok());
        let error = fits(&limits, Need { total: 3 << 30, largest: 1 }).unwrap_err().to_string();
        assert!(error.starts_with("this run needs about 3.0 GiB of the memory of Small, which has 2.0 GiB"));
        let error = fits(&limits, Need { total: 1, largest: 1 << 30 }).unwrap_err().to_string();
        assert!(
            error.starts_with("this run has a tensor of 1.0 GiB; the largest that Small takes is 0.2 GiB")
        );
        let unknown = DeviceLimits { memory: None, ..limits };
        assert!(fits(&unknown, Need { total: u64::MAX, largest: 1 }).is_ok());
        assert!(check_memory(&Device::flex(), Need { total: u64::MAX, largest: u64::MAX }).is_ok());
    }
}
