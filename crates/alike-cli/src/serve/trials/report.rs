//! What came of the tests.

use std::collections::BTreeMap;

use alike::experiment::stats::{difference_interval, proportion_interval};
use serde::Serialize;
use utoipa::ToSchema;

use super::config::{Trial, TrialKind, Trials};
use super::shown::keys_of;
use crate::serve::store::{Outcomes, Result, Store};

/// Milliseconds of a day.
const DAY: f64 = 86_400_000.0;

/// What came of the tests so far.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialReports {
    /// The tests, in the order of their file.
    tests: Vec<TrialReport>,
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialReport {
    /// Its name.
    name: String,
    /// How it compares.
    kind: TrialKind,
    /// When the first list of it was shown, in milliseconds since 1970.
    started: Option<i64>,
    /// The events that are hoped for.
    outcome: Vec<&'static str>,
    /// For how many days after somebody's first list they count.
    horizon_days: f64,
    /// The intervals are right at all times at once with this probability.
    level: f64,
    /// The arms.
    arms: Vec<ArmReport>,
    /// Each further arm against the first; together they hold the level. Not of interleaved ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<ArmDifference>,
    /// Whom people preferred, where lists are interleaved.
    #[serde(skip_serializing_if = "Option::is_none")]
    preference: Option<Preference>,
}

/// An arm of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArmReport {
    /// Its name.
    name: String,
    /// The share of people who are in it.
    share: f64,
    /// People who were shown a list of it.
    users: u64,
    /// Those of them who did what is hoped for, of interleaved lists with one of its items.
    conversions: u64,
    /// Their share; null where nobody was shown anything.
    rate: Option<f64>,
    /// Where the rate lies.
    interval: [f64; 2],
}

/// An arm against the first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArmDifference {
    /// The arm.
    arm: String,
    /// The first.
    against: String,
    /// Its rate less that of the first; null while either has shown nothing.
    difference: Option<f64>,
    /// Where the difference lies.
    interval: Option<[f64; 2]>,
    /// Whether the interval leaves zero.
    verdict: TrialVerdict,
}

/// Which of two interleaved arms people took more of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Preference {
    /// People who took more of the first arm's items.
    first: u64,
    /// People who took more of the second's.
    second: u64,
    /// Share of the second's among both; null where there are none.
    share: Option<f64>,
    /// Where that share lies; without a difference it is one half.
    interval: [f64; 2],
    /// Whether the interval leaves one half.
    verdict: TrialVerdict,
}

/// What an interval says of the later arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TrialVerdict {
    /// It is better.
    Better,
    /// It is worse.
    Worse,
    /// Nobody knows yet.
    Open,
}

impl TrialVerdict {
    fn of([low, high]: [f64; 2], even: f64) -> Self {
        if low > even {
            Self::Better
        } else if high < even {
            Self::Worse
        } else {
            Self::Open
        }
    }
}

impl TrialReports {
    /// What the store knows of each test.
    pub(crate) async fn of(trials: &Trials, store: &Store) -> Result<Self> {
        let mut tests = Vec::new();
        for trial in trials.all() {
            let horizon = (trial.days * DAY) as i64;
            let mut outcomes = Vec::new();
            for arm in &trial.arms {
                outcomes
                    .push(store.outcomes(&keys_of(&trial.name, &arm.name), &trial.outcome, horizon).await?);
            }
            tests.push(TrialReport::of(trial, &outcomes));
        }
        Ok(Self { tests })
    }
}

impl TrialReport {
    fn of(trial: &Trial, outcomes: &[Outcomes]) -> Self {
        let rate = |o: &Outcomes| (o.shown > 0).then(|| o.converted() as f64 / o.shown as f64);
        let arm = |((arm, share), outcomes): ((&super::Arm, f64), &Outcomes)| ArmReport {
            name: arm.name.clone(),
            share: if trial.kind == TrialKind::Interleaving { 1.0 } else { share },
            users: outcomes.shown,
            conversions: outcomes.converted(),
            rate: rate(outcomes),
            interval: proportion_interval(outcomes.converted(), outcomes.shown, trial.level).into(),
        };
        let pair = |o: &Outcomes| (o.converted(), o.shown);
        // Each holds its part of what may go wrong.
        let one = 1.0 - (1.0 - trial.level) / (trial.arms.len() - 1) as f64;
        let first = &outcomes[0];
        let difference = |(arm, outcomes): (&super::Arm, &Outcomes)| {
            let interval =
                difference_interval(pair(first), pair(outcomes), trial.effect, one).map(<[f64; 2]>::from);
            ArmDifference {
                arm: arm.name.clone(),
                against: trial.arms[0].name.clone(),
                difference: rate(outcomes).zip(rate(first)).map(|(this, other)| this - other),
                interval,
                verdict: interval.map_or(TrialVerdict::Open, |interval| TrialVerdict::of(interval, 0.0)),
            }
        };
        let interleaved = trial.kind == TrialKind::Interleaving;
        let further = trial.arms.iter().zip(outcomes).skip(1);
        Self {
            name: trial.name.clone(),
            kind: trial.kind,
            started: outcomes.iter().filter_map(|o| o.started).min(),
            outcome: trial.outcome.iter().map(|kind| kind.word()).collect(),
            horizon_days: trial.days,
            level: trial.level,
            arms: trial.arms.iter().zip(trial.shares()).zip(outcomes).map(arm).collect(),
            differences: if interleaved { Vec::new() } else { further.map(difference).collect() },
            preference: interleaved.then(|| preference(&outcomes[0].hits, &outcomes[1].hits, trial.level)),
        }
    }
}

/// Whom people took more of; those who took as much of both say nothing.
fn preference(first: &BTreeMap<String, u64>, second: &BTreeMap<String, u64>, level: f64) -> Preference {
    let of = |hits: &BTreeMap<String, u64>, user: &String| hits.get(user).copied().unwrap_or_default();
    let wins = |these: &BTreeMap<String, u64>, those: &BTreeMap<String, u64>| {
        these.iter().filter(|(user, n)| **n > of(those, user)).count() as u64
    };
    let (a, b) = (wins(first, second), wins(second, first));
    let interval = proportion_interval(b, a + b, level).into();
    Preference {
        first: a,
        second: b,
        share: (a + b > 0).then(|| b as f64 / (a + b) as f64),
        interval,
        verdict: TrialVerdict::of(interval, 0.5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(shown: u64, hits: &[(&str, u64)]) -> Outcomes {
        let hits = hits.iter().map(|(user, n)| (user.to_string(), *n)).collect();
        Outcomes { shown, started: Some(5), hits }
    }

    #[test]
    fn people_who_took_more_of_one_prefer_it() {
        let (a, b) =
            (outcomes(9, &[("x", 2), ("y", 1), ("z", 1)]), outcomes(9, &[("x", 1), ("y", 1), ("w", 3)]));
        let seen = preference(&a.hits, &b.hits, 0.95);
        assert_eq!((seen.first, seen.second, seen.share), (2, 1, Some(1.0 / 3.0)));
        assert_eq!(seen.verdict, TrialVerdict::Open);
        let many: Vec<(String, u64)> = (0..60).map(|n| (format!("u{n}"), 1)).collect();
        let many = many.iter().map(|(user, n)| (user.as_str(), *n)).collect::<Vec<_>>();
        assert_eq!(preference(&a.hits, &outcomes(99, &many).hits, 0.95).verdict, TrialVerdict::Better);
    }
}
