//! What an experiment found.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use toml::Table;

use super::file::Entry;
use super::scheduler::{Chosen, PlannedRun, RunStatus, Scheduler};
use super::score::{PAIRED, Scores, Usage, scores};
use super::stats::{Anova, Paired, anova, holm, mean, paired, sd};
use crate::checkpoint::RunDir;
use crate::error::Result;
use crate::train::{CRITERION, EpochRecord, Summary};

/// All results, complete or not.
#[derive(Debug)]
pub struct Outcome {
    /// One a data set.
    pub data: Vec<DataOutcome>,
}

/// Results on one data set.
#[derive(Debug)]
pub struct DataOutcome {
    /// Name.
    pub name: String,
    /// Users, items, and train interactions.
    pub size: (usize, usize, usize),
    /// Content hash of the prepared data.
    pub hash: String,
    /// How it was split.
    pub split: String,
    /// One a model, as in the file.
    pub entries: Vec<EntryOutcome>,
    /// Analysis of variance over seeds, by metric, of the entries with several.
    pub anova: Vec<(String, Anova)>,
    /// Name of the entry that the others are compared with.
    pub reference: Option<String>,
    /// Paired tests over users against it, by metric.
    pub comparisons: Vec<(String, Vec<Comparison>)>,
    /// One a study that this data set takes part in.
    pub studies: Vec<StudyOutcome>,
}

/// Results of one model on one data set.
#[derive(Debug)]
pub struct EntryOutcome {
    /// Name in the report.
    pub name: String,
    /// Name in the registry.
    pub model: String,
    /// The entry whose settings it took.
    pub base: Option<String>,
    /// What was tried on validation, in order.
    pub trials: Vec<Trial>,
    /// The settings that won, as given to the model.
    pub chosen: Option<Table>,
    /// One a seed.
    pub runs: Vec<RunOutcome>,
    /// Learning curve of the first of them.
    pub curve: Vec<EpochRecord>,
    /// Published values by metric.
    pub published: BTreeMap<String, f64>,
    /// Why there are no results, or not all.
    pub problem: Option<String>,
}

/// One combination of settings that was tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The settings.
    pub settings: Table,
    /// Validation Recall@20; `None` where the run is missing or failed.
    pub valid: Option<f64>,
    /// Epochs trained.
    pub epochs: usize,
}

/// One finished run.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// Its folder.
    pub dir: PathBuf,
    /// Seed.
    pub seed: u64,
    /// Its settings.
    pub settings: Table,
    /// How training ended.
    pub summary: Summary,
    /// Mean seconds of an epoch and of an evaluation; `None` for models that are solved at once.
    pub seconds: Option<(f64, f64)>,
    /// What it took.
    pub usage: Option<Usage>,
    /// On the test split.
    pub scores: Scores,
}

/// One setting of a chosen model varied.
#[derive(Debug)]
pub struct StudyOutcome {
    /// Heading.
    pub title: String,
    /// The entry.
    pub base: String,
    /// The setting.
    pub setting: String,
    /// Its values, with a run a seed each.
    pub points: Vec<(toml::Value, Vec<RunOutcome>)>,
}

/// A model against the reference, user by user, mean over seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The other entry.
    pub name: String,
    /// Reference minus the other.
    pub test: Paired,
    /// p of Student's t after Holm's correction.
    pub t_holm: f64,
    /// p of Wilcoxon's test after Holm's correction.
    pub wilcoxon_holm: f64,
}

impl EntryOutcome {
    /// Values of one test metric, public protocol, one a seed.
    pub fn values(&self, metric: &str) -> Vec<f64> {
        self.runs.iter().map(|r| r.scores.public.get(metric)).collect()
    }

    /// Mean and standard deviation of one test metric; `None` without runs.
    pub fn cell(&self, metric: &str) -> Option<(f64, f64)> {
        let values = self.values(metric);
        (!values.is_empty()).then(|| (mean(&values), sd(&values)))
    }

    /// Mean validation Recall@20.
    pub fn valid(&self) -> Option<f64> {
        let values: Vec<f64> = self.runs.iter().map(|r| r.summary.valid.get(CRITERION)).collect();
        (!values.is_empty()).then(|| mean(&values))
    }

    /// Values of one metric user by user, mean over seeds.
    fn users(&self, metric: &str) -> Option<Vec<f64>> {
        let lists: Vec<&Vec<f64>> = self.runs.iter().filter_map(|r| r.scores.users.get(metric)).collect();
        let first = lists.first()?;
        Some((0..first.len()).map(|u| lists.iter().map(|l| l[u]).sum::<f64>() / lists.len() as f64).collect())
    }
}

impl Scheduler {
    /// Collects what is there.
    pub fn outcome(&mut self) -> Result<Outcome> {
        let mut data: Vec<DataOutcome> = self
            .sets
            .iter()
            .map(|d| DataOutcome {
                name: d.name.clone(),
                size: (d.users.len(), d.items.len(), d.train.nnz()),
                hash: d.hash.clone(),
                split: d.split.clone(),
                entries: Vec::new(),
                anova: Vec::new(),
                reference: None,
                comparisons: Vec::new(),
                studies: Vec::new(),
            })
            .collect();
        for (d, entry) in self.pairs() {
            let (entry, studies) = self.entry_outcome(d, &entry)?;
            data[d].entries.push(entry);
            data[d].studies.extend(studies);
        }
        for set in &mut data {
            for metric in &self.experiment.metrics {
                let groups: Vec<Vec<f64>> = set.entries.iter().map(|e| e.values(metric)).collect();
                set.anova.extend(anova(&groups).map(|a| (metric.clone(), a)));
            }
            compare(set, self.experiment.compare.as_deref());
        }
        Ok(Outcome { data })
    }

    fn entry_outcome(&mut self, d: usize, entry: &Entry) -> Result<(EntryOutcome, Vec<StudyOutcome>)> {
        let searched = self.search(d, entry)?;
        let mut out = EntryOutcome {
            name: entry.name.clone(),
            model: entry.model.clone(),
            base: entry.base.clone(),
            trials: Vec::new(),
            chosen: None,
            runs: Vec::new(),
            curve: Vec::new(),
            published: entry.published.get(&self.sets[d].name).cloned().unwrap_or_default(),
            problem: None,
        };
        if searched.trials.len() > 1 {
            for (settings, wanted) in &searched.trials {
                // Any number of epochs counts: what was left behind stopped early.
                let status = self.status(&PlannedRun { epochs: 0, ..wanted.clone() })?;
                let found = if let RunStatus::Done(f) = status { Some(f.summary) } else { None };
                out.trials.push(Trial {
                    settings: settings.clone(),
                    valid: found.as_ref().map(|s| s.valid.get(CRITERION)),
                    epochs: found.map_or(0, |s| s.epochs),
                });
            }
        }
        let mut studies = Vec::new();
        match searched.chosen {
            Chosen::Open => out.problem = Some("its search is not finished".into()),
            Chosen::Failed(why) => out.problem = Some(why),
            Chosen::Settings(chosen) => {
                let wanted = self.finals(d, entry, &chosen)?;
                let (runs, problem) = self.runs(d, &wanted)?;
                (out.runs, out.problem) = (runs, problem);
                if let Some(first) = out.runs.first() {
                    out.curve = RunDir::open(&first.dir)?.0.read_log()?;
                }
                let all = self.studies(d, entry, &chosen)?;
                for (study, points) in self.experiment.studies.clone().iter().zip(all) {
                    let mut found = Vec::new();
                    for (value, wanted) in study.values.iter().zip(points) {
                        found.push((value.clone(), self.runs(d, &wanted)?.0));
                    }
                    if !found.is_empty() {
                        studies.push(StudyOutcome {
                            title: study.title.clone(),
                            base: entry.name.clone(),
                            setting: study.setting.clone(),
                            points: found,
                        });
                    }
                }
                out.chosen = Some(chosen);
            }
        }
        Ok((out, studies))
    }

    /// The finished ones of `wanted`, scored, and why others are missing.
    fn runs(&mut self, d: usize, wanted: &[PlannedRun]) -> Result<(Vec<RunOutcome>, Option<String>)> {
        let (mut runs, mut problem) = (Vec::new(), None);
        for w in wanted {
            match self.status(w)? {
                RunStatus::Done(f) => {
                    let log: Vec<EpochRecord> = RunDir::open(&w.run)?.0.read_log()?;
                    let evaluated = log.iter().filter(|r| r.valid.is_some()).count();
                    let train: f64 = log.iter().map(|r| r.train_seconds).sum();
                    let eval: f64 = log.iter().map(|r| r.eval_seconds).sum();
                    runs.push(RunOutcome {
                        dir: w.run.clone(),
                        seed: w.seed,
                        settings: w.settings.clone(),
                        summary: f.summary,
                        seconds: (evaluated > 0).then(|| (train / log.len() as f64, eval / evaluated as f64)),
                        usage: Usage::read(&w.run)?,
                        scores: scores(&w.run, &self.sets[d])?,
                    });
                }
                RunStatus::Failed(why) => problem = Some(why),
                RunStatus::Open => {
                    problem = problem.or_else(|| Some("not all of its runs are finished".into()))
                }
            }
        }
        Ok((runs, problem))
    }
}

/// Compares every entry with one, metric by metric.
fn compare(set: &mut DataOutcome, wanted: Option<&str>) {
    let best = || {
        let with = set.entries.iter().filter_map(|e| Some((e.valid()?, e)));
        with.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, e)| e)
    };
    let named = wanted.and_then(|name| set.entries.iter().find(|e| e.name == name && !e.runs.is_empty()));
    let Some(reference) = named.or_else(best) else { return };
    set.reference = Some(reference.name.clone());
    for metric in PAIRED {
        let Some(own) = reference.users(metric) else { continue };
        let others = set.entries.iter().filter(|e| e.name != reference.name);
        let tests: Vec<(String, Paired)> =
            others.filter_map(|e| Some((e.name.clone(), paired(&own, &e.users(metric)?)))).collect();
        let corrected = |p: fn(&Paired) -> f64| holm(&tests.iter().map(|(_, t)| p(t)).collect::<Vec<_>>());
        let (t, w) = (corrected(|t| t.t.p), corrected(|t| t.wilcoxon.p));
        let all = tests.into_iter().zip(t).zip(w);
        let all = all.map(|(((name, test), t_holm), wilcoxon_holm)| Comparison {
            name,
            test,
            t_holm,
            wilcoxon_holm,
        });
        set.comparisons.push((metric.to_string(), all.collect()));
    }
}
