//! Instruction sets, and which of them this processor has.

use std::sync::OnceLock;

/// An instruction set for which kernels are compiled. A value other than `Portable` is proof that the
/// processor has it: only [`Isa::supported`] makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// What every processor of the target has.
    Portable,
    /// AVX2 and fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The above and AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The fastest instruction set of this processor.
    pub(crate) fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| *Isa::supported().last().expect("the portable set is always there"))
    }

    /// Every instruction set of this processor, slowest first.
    pub(crate) fn supported() -> Vec<Isa> {
        let mut found = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            // What `kernel!` enables.
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx2 {
                found.push(Isa::Avx2);
            }
            if avx2 && avx512 {
                found.push(Isa::Avx512);
            }
        }
        found
    }
}
