//! The registry: one line per model. Command line, documentation, checkpoints, evaluation and the conformance
//! tests follow from it. A crate outside adds its own by [`register`].

mod alloy;
mod bm3;
mod bpr;
mod cohesion;
mod dragon;
mod dualgnn;
mod ease;
mod fism;
mod freedom;
mod interface;
mod item_item;
mod itemknn;
mod lattice;
mod lightgcn;
mod linear_part;
mod mgcn;
mod mmgcn;
mod nlgcl;
mod nsmar;
mod pgl;
mod popularity;
pub mod prelude;
mod slim;
mod soil;
mod train_config;
mod vbpr;

use std::sync::{PoisonError, RwLock};

use burn::tensor::Device;

use crate::data::Dataset;
use crate::error::{Error, Result};

pub use crate::layers::{FoldIn, Forward};
pub use interface::{GradientModel, Learner, Model, ModelInfo, Plan, Solved, Solver, TrainingPlan};
pub use linear_part::LinearPart;
pub use popularity::most_popular;
pub use train_config::TrainConfig;

/// The models of this library by name.
static BUILT_IN: &[&[ModelInfo]] = &[
    &[
        popularity::INFO,
        bpr::INFO,
        itemknn::INFO,
        slim::INFO,
        ease::INFO,
        fism::INFO,
        lightgcn::INFO,
        nlgcl::INFO,
        vbpr::INFO,
        mmgcn::INFO,
        lattice::INFO,
        dualgnn::INFO,
        bm3::INFO,
        freedom::INFO,
        mgcn::INFO,
        dragon::INFO,
        soil::INFO,
        pgl::INFO,
        cohesion::INFO,
        nsmar::PLUS,
        alloy::INFO,
    ],
    &nsmar::VARIANTS,
];

/// Models that others have registered.
static REGISTERED: RwLock<Vec<&'static ModelInfo>> = RwLock::new(Vec::new());

/// Every model: those of this library, then those registered, in that order.
pub fn all() -> Vec<&'static ModelInfo> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    BUILT_IN.iter().copied().flatten().chain(registered.iter().copied()).collect()
}

/// Adds a model to this process: by its name it can be trained, evaluated, searched and served like the
/// others.
///
/// # Errors
/// The name is taken.
pub fn register(info: ModelInfo) -> Result<()> {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    if BUILT_IN.iter().copied().flatten().chain(registered.iter().copied()).any(|m| m.name == info.name) {
        return Err(Error::Data(format!(
            "there is a model `{}` already; register yours by another name",
            info.name
        )));
    }
    registered.push(Box::leak(Box::new(info)));
    Ok(())
}

/// The model called `name`.
///
/// # Errors
/// There is none.
pub fn find(name: &str) -> Result<&'static ModelInfo> {
    let all = all();
    all.iter().copied().find(|m| m.name == name).ok_or_else(|| Error::UnknownModel {
        name: name.into(),
        allowed: all.iter().map(|m| m.name).collect::<Vec<_>>().join(", "),
    })
}

/// Builds the model called `name`: the step before training, for those who drive it themselves.
///
/// # Errors
/// There is no such model, or data or settings do not fit it.
pub fn build(
    name: &str,
    data: &Dataset,
    settings: &toml::Table,
    seed: u64,
    device: &Device,
) -> Result<Learner> {
    find(name)?.build(data, settings, seed, device)
}
