//! `alike nightly`: from the newest log and events to a run that takes the live one's place, unless it is
//! worse. `docs/nightly.md` has the loop.

mod config;
mod nights;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use alike::checkpoint::RunDir;
use alike::data::{Dataset, prepare_with};
use alike::eval::{Protocol, Split};
use alike::experiment::stats::{Paired, paired};
use alike::recommend::Recommender;
use alike::train::{CRITERION, TrainRequest, fit};
use serde::Serialize;

use self::config::{Config, Start};
use self::nights::Nights;
use crate::args::Nightly;
use crate::failure::{Failure, Outcome};
use crate::output::{self, grouped};
use crate::progress::{Phases, TrainingProgress};
use crate::stop;

/// What a night did: a line of `nightly.jsonl`.
#[derive(Debug, Serialize)]
struct Report {
    night: u64,
    run: String,
    model: String,
    /// Whether the run is the live one now.
    promoted: bool,
    why: String,
    users: usize,
    items: usize,
    interactions: usize,
    /// People whose newest interactions both runs were asked for.
    asked: usize,
    recall: f64,
    live: Option<Live>,
    /// Runs that were removed.
    removed: Vec<String>,
}

/// What the live run made of the same questions.
#[derive(Debug, Serialize)]
struct Live {
    run: String,
    recall: f64,
    /// The new run against it, person by person.
    paired: Paired,
}

/// Prepares, trains, compares, promotes, clears up.
pub(crate) fn run(args: &Nightly, quiet: bool) -> Outcome {
    let config = Config::read(&args.config)?;
    let stop = stop::flag("the same command goes on from there", stop::SHORT);
    let nights = Nights::open(&config.work)?;
    let night = nights.next()?;
    let (run, data_dir) = (nights.run(night), nights.data(night));
    let phases = Phases::new("nightly", Some(stop), quiet);
    // A night that was stopped while it trained goes on with the data that it had, unless the file says
    // something else now.
    let data = match begun(&config, &run, &data_dir) {
        Some(data) => data,
        None => {
            nights.remove(night)?;
            let logs = config.logs()?;
            let catalogue = config.catalogue()?;
            let options = config.options(&logs, catalogue.as_ref(), data_dir.clone());
            prepare_with(&options, &phases).map_err(stop::explain)?;
            Dataset::open(&data_dir)?
        }
    };
    let live = nights.live()?;
    train(&config, &data, &run, live.as_deref(), stop, quiet)?;

    let answers = |dir: &Path| -> Outcome<Vec<f64>> {
        let recommender = Recommender::open(dir)?;
        let ranked =
            recommender.rank_on(&data, Split::Test, Protocol::Clean, &phases).map_err(stop::explain)?;
        Ok(ranked.per_user().column(CRITERION).expect("it is computed"))
    };
    let new = answers(&run)?;
    let mean = |each: &[f64]| each.iter().sum::<f64>() / each.len().max(1) as f64;
    let (recall, asked) = (mean(&new), new.len());
    let live = match &live {
        Some(dir) => {
            let old = answers(dir)?;
            Some(Live { run: nights::name(dir), recall: mean(&old), paired: paired(&new, &old) })
        }
        None => None,
    };
    drop(phases);
    let (promoted, why) = decide(recall, live.as_ref().map(|live| live.recall), config.tolerance);
    if promoted {
        nights.promote(night)?;
    }
    let removed = nights.clear(config.keep)?;
    let report = Report {
        night,
        run: nights::name(&run),
        model: config.model.clone(),
        promoted,
        why,
        users: data.users.len(),
        items: data.items.len(),
        interactions: data.train.nnz() + data.valid.nnz() + data.test.nnz(),
        asked,
        recall,
        live,
        removed,
    };
    nights.note(&report)?;
    tell(&report, args.json, quiet)
}

/// The data of a run that is there, begun as `config` says.
fn begun(config: &Config, run: &Path, data: &Path) -> Option<Dataset> {
    let (run, data) = (RunDir::open(run).ok()?.1, Dataset::open(data).ok()?);
    let plan = alike::models::find(&config.model).ok()?.plan(&data, &config.settings).ok()?;
    let same = (&run.model, run.seed, &run.data_hash) == (&config.model, config.seed, &data.hash);
    (same && run.settings == plan.settings).then_some(data)
}

/// Whether a run is to take the live one's place, and why.
fn decide(new: f64, live: Option<f64>, tolerance: f64) -> (bool, String) {
    let Some(live) = live.filter(|_| new.is_finite()) else {
        let why = if new.is_finite() { "there was no live run" } else { "its metric is no number" };
        return (new.is_finite(), why.into());
    };
    let promoted = new >= live * (1.0 - tolerance);
    let mut why = format!("recall@20 {new:.4}, live {live:.4}");
    if promoted && new < live {
        why += &format!(": lower by less than {:.1} %", 100.0 * tolerance);
    }
    (promoted, why)
}

fn train(
    config: &Config,
    data: &Dataset,
    run: &Path,
    live: Option<&Path>,
    stop: &'static AtomicBool,
    quiet: bool,
) -> Outcome {
    let same_model = |dir: &&Path| RunDir::open(dir).is_ok_and(|(_, live)| live.model == config.model);
    let warm_start = live.filter(|_| config.start == Start::Warm).filter(same_model);
    let trained = alike::models::find(&config.model)?.trained;
    alike_ops::keep_freed_memory();
    let mut progress = TrainingProgress::new(&config.model, quiet);
    let phases = progress.phases(stop);
    let request = TrainRequest {
        settings: config.settings.clone(),
        seed: config.seed,
        run: Some(run),
        resume: run.join("run.json").is_file(),
        warm_start: warm_start.filter(|_| trained),
        test: false,
        progress: &phases,
        ..TrainRequest::new(&config.model)
    };
    fit(data, &request, &mut |event| progress.show(&event)).map(drop).map_err(stop::explain)
}

/// Says what came of it; that nothing was promoted is an exit code of its own.
fn tell(report: &Report, json: bool, quiet: bool) -> Outcome {
    let what = if report.promoted { "is live" } else { "was not promoted" };
    let line = format!("{} {what}: {}", report.run, report.why);
    if json {
        output::json(report)?;
    } else if !quiet {
        output::line(format!(
            "{} users, {} items, {} interactions; asked for {} people",
            grouped(report.users),
            grouped(report.items),
            grouped(report.interactions),
            grouped(report.asked)
        ))?;
    }
    match report.promoted {
        true if json || quiet => Ok(()),
        true => output::line(line),
        false => Err(Failure::Kept(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_promoted_unless_it_is_worse() {
        assert!(decide(0.1, None, 0.01).0);
        assert!(decide(0.1, Some(0.1), 0.0).0);
        assert!(decide(0.0995, Some(0.1), 0.01).0);
        assert!(!decide(0.0985, Some(0.1), 0.01).0);
        assert!(!decide(0.0995, Some(0.1), 0.0).0);
        assert!(!decide(f64::NAN, None, 0.01).0);
    }
}
