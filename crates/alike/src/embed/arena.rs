//! How much memory models may take in ONNX Runtime, which itself gives them whatever they ask for.
//!
//! The runtime has one allocator for the processor, shared by all models, and can bound it. What a model asks
//! for beyond that is an error of the model, where it would otherwise end the process or the machine.

use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};

/// Variable that says how many MiB there are.
pub(super) const VARIABLE: &str = "ALIKE_ONNX_MEMORY";
/// The allocator asks the system for what a model needs, and not for the next power of two.
const AS_REQUESTED: usize = 1;

/// Bytes that models may take; `None` where neither the variable nor the system says it.
pub(super) fn limit() -> Result<Option<u64>, String> {
    match std::env::var(VARIABLE) {
        Ok(text) => match text.parse::<u32>() {
            Ok(mib @ 1..) => Ok(Some(u64::from(mib) << 20)),
            _ => Err(format!("{VARIABLE} is `{text}`; allowed: a number of MiB from 1 on")),
        },
        // A quarter is left to all else.
        Err(_) => Ok(memory().map(|bytes| bytes / 4 * 3)),
    }
}

/// Bytes of memory that the machine has, or the container.
#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    let system = rustix::system::sysinfo();
    let machine = (system.totalram as u64).saturating_mul(u64::from(system.mem_unit));
    let container =
        crate::disk::bytes_if_there(std::path::Path::new("/sys/fs/cgroup/memory.max")).ok().flatten();
    let container = container.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok());
    Some(container.map_or(machine, |bytes: u64| bytes.min(machine)))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}

/// Bounds what models take in `environment`: those that use its allocators.
#[allow(unsafe_code)]
pub(super) fn bound(environment: &Environment, bytes: u64) -> ort::Result<()> {
    let info = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Arena, MemoryType::Default)?;
    let names = [c"max_mem".as_ptr(), c"arena_extend_strategy".as_ptr()];
    let values = [usize::try_from(bytes).unwrap_or(usize::MAX), AS_REQUESTED];
    let mut settings = std::ptr::null_mut();
    let api = ort::api();
    // SAFETY: the functions are those of the runtime that is loaded, and `ort` has no safe form of them. All
    // pointers outlive the calls: names and values are arrays of the length that is given, the settings are
    // made by the first call, of which an error ends this, and freed once; the environment changes what it
    // keeps of allocators under its own lock.
    unsafe {
        let made = (api.CreateArenaCfgV2)(names.as_ptr(), values.as_ptr(), names.len(), &raw mut settings);
        ort::Error::result_from_status(made)?;
        let registered = (api.CreateAndRegisterAllocator)(environment.ptr().cast_mut(), info.ptr(), settings);
        (api.ReleaseArenaCfg)(settings);
        ort::Error::result_from_status(registered)
    }
}
