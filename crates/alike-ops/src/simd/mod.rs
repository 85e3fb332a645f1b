//! One binary, fast everywhere: kernels are written once over sixteen floats, compiled for each instruction
//! set, and chosen at run time.
//!
//! Imports: `error`.

pub(crate) mod f32x16;
pub(crate) mod isa;
pub(crate) mod kernel;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod prefetch;
pub(crate) mod slices;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;
