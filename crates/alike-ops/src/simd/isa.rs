//! Instruction sets: which of them this processor has, and which one the kernels use.

use std::sync::OnceLock;

use crate::error::OpsError;

/// The environment variable that names the instruction set to use.
const VARIABLE: &str = "ALIKE_ISA";

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
    /// NEON, which has fused multiply-add.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// The instruction set that kernels use: the one that `ALIKE_ISA` names, or else the fastest of this
    /// processor. The variable is read once. Where it names none of them, [`instruction_sets`] is an error
    /// and this is the fastest: kernels have nobody to report it to.
    pub(crate) fn best() -> Isa {
        choice().0
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
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Isa::Neon);
        }
        found
    }

    /// The word for it in `ALIKE_ISA`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
        }
    }
}

/// The instruction sets for which kernels are compiled, as this process sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstructionSets {
    /// The one that kernels use.
    pub used: &'static str,
    /// Those of this processor, slowest first: the words that `ALIKE_ISA` may be.
    pub supported: Vec<&'static str>,
}

/// Which instruction set the kernels of this process use, and which they could.
///
/// Kernels use the fastest unless the environment variable `ALIKE_ISA` names another; empty, it names none.
/// Products of dense matrices and the tensors of Burn choose for themselves. A program calls this when it
/// starts: kernels never fail, and use the fastest where this is an error.
///
/// # Errors
/// When `ALIKE_ISA` names none that this processor has.
pub fn instruction_sets() -> Result<InstructionSets, OpsError> {
    let (used, error) = choice();
    match error {
        Some(error) => Err(error.clone()),
        None => Ok(InstructionSets {
            used: used.name(),
            supported: Isa::supported().into_iter().map(Isa::name).collect(),
        }),
    }
}

/// What is used, and why it is not what `ALIKE_ISA` says.
fn choice() -> &'static (Isa, Option<OpsError>) {
    static CHOICE: OnceLock<(Isa, Option<OpsError>)> = OnceLock::new();
    CHOICE.get_or_init(|| {
        let supported = Isa::supported();
        let wanted = std::env::var_os(VARIABLE).unwrap_or_default();
        match choose(&supported, &wanted.to_string_lossy()) {
            Ok(isa) => (isa, None),
            Err(error) => (fastest(&supported), Some(error)),
        }
    })
}

/// The one of `supported` named `wanted`; the fastest where nothing is wanted.
fn choose(supported: &[Isa], wanted: &str) -> Result<Isa, OpsError> {
    if wanted.is_empty() {
        return Ok(fastest(supported));
    }
    let names = || supported.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ");
    supported
        .iter()
        .copied()
        .find(|isa| isa.name() == wanted)
        .ok_or_else(|| OpsError::InstructionSet { found: wanted.to_owned(), allowed: names() })
}

fn fastest(supported: &[Isa]) -> Isa {
    *supported.last().expect("the portable set is always there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_this_processor_is_chosen_by_its_name_and_the_fastest_without_one() {
        let supported = Isa::supported();
        for &isa in &supported {
            assert_eq!(choose(&supported, isa.name()), Ok(isa));
        }
        assert_eq!(choose(&supported, ""), Ok(fastest(&supported)));
    }

    #[test]
    fn other_words_and_sets_of_other_processors_are_errors_that_name_what_is_allowed() {
        for word in ["sse2", "AVX2", " portable", "avx2,fma"] {
            let error = choose(&Isa::supported(), word).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("portable"), "{error}");
            assert!(!error.contains('\n'), "one line: {error}");
        }
        let error = choose(&[Isa::Portable], "avx512").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`ALIKE_ISA` is `avx512`; allowed on this processor: portable (unset: the fastest)"
        );
    }
}
