//! What training starts from: an earlier run's parameters, or the same run where it stopped.

use std::path::Path;

use crate::checkpoint::{RunDir, RunInfo};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::layers::Saved;

/// What an earlier run ended with.
pub(super) struct Warm {
    pub(super) params: Vec<Saved>,
    pub(super) data: Dataset,
    pub(super) hash: String,
}

impl Warm {
    pub(super) fn open(dir: &Path, model: &str) -> Result<Self> {
        let (run, info) = RunDir::open(dir)?;
        if info.model != model {
            let text = format!("cannot start from it: its model is {}, not {model}", info.model);
            return Err(Error::checkpoint(dir, text));
        }
        let best = run.best()?;
        let data = run.data(&info, None, Dataset::open)?;
        let params = run.read_state(&best)?;
        if params.is_empty() {
            return Err(Error::checkpoint(dir, "cannot start from it: the model is solved at once"));
        }
        Ok(Self { params, data, hash: best.hash })
    }
}

/// Opens a run to go on with it: it must be the same run, except that it may last longer.
pub(super) fn reopen(dir: &Path, wanted: &RunInfo) -> Result<RunDir> {
    let (mut run, found) = RunDir::open(dir)?;
    run.lock()?;
    let differs = |what: &str, found: &str, wanted: &str| {
        let way = "leave that as it was (`epochs` may grow), or train in another folder (`--out`)";
        Err(Error::checkpoint(dir, format!("cannot resume: its {what} is {found}, not {wanted}; {way}")))
    };
    if found.model != wanted.model {
        return differs("model", &found.model, &wanted.model);
    }
    if found.seed != wanted.seed {
        return differs("seed", &found.seed.to_string(), &wanted.seed.to_string());
    }
    if found.data_hash != wanted.data_hash {
        return differs("data hash", &found.data_hash, &wanted.data_hash);
    }
    if found.warm_start != wanted.warm_start {
        let name = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "none".into());
        return differs("warm start", &name(&found.warm_start), &name(&wanted.warm_start));
    }
    for (name, value) in &wanted.settings {
        let before = found.settings.get(name);
        let longer = name == "epochs" && before.and_then(toml::Value::as_integer) < value.as_integer();
        if before != Some(value) && !longer {
            let before = before.map(ToString::to_string).unwrap_or_default();
            return differs(&format!("setting `{name}`"), &before, &value.to_string());
        }
    }
    if (&found.settings, &found.devices) != (&wanted.settings, &wanted.devices) {
        // Of its other files some may be as the format that it began with has them.
        run.write_json("run.json", &RunInfo { format: found.format, ..wanted.clone() })?;
    }
    Ok(run)
}

/// An error if training had come further than to its first evaluation, which leaves a state: a run without
/// one starts from the beginning.
pub(super) fn check_not_begun(run: &RunDir, eval_every: usize) -> Result<()> {
    let epochs = run.read_log::<serde_json::Value>()?.len();
    if epochs <= eval_every {
        return Ok(());
    }
    let text = format!(
        "state.json is missing, though {epochs} epochs are in the log; put it back, or train in another folder"
    );
    Err(Error::checkpoint(run.path(), text))
}
