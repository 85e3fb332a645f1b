//! Which tests there are, and who is in which arm.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::serve::extract::id;
use crate::serve::model::Which;
use crate::serve::rules::Rules;
use crate::serve::scenarios::Scenarios;
use crate::serve::store::EventKind;

/// Tests of a file, and arms of a test.
const MOST: usize = 20;

/// How a test compares its arms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TrialKind {
    /// Each person has one arm; how many of each arm do what is hoped for is compared.
    #[default]
    Arms,
    /// Each list holds items of both arms in turn; whose items are taken is counted. Needs far fewer people,
    /// and says nothing of how much more they take.
    Interleaving,
}

/// A test.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) kind: TrialKind,
    /// What is hoped for.
    #[serde(default = "outcome")]
    pub(crate) outcome: Vec<EventKind>,
    /// For how many days after the first list it counts.
    #[serde(default = "days")]
    pub(crate) days: f64,
    /// The share of intervals that may not be wrong.
    #[serde(default = "level")]
    pub(crate) level: f64,
    /// About how large a difference of rates is looked for.
    #[serde(default = "effect")]
    pub(crate) effect: f64,
    pub(crate) arms: Vec<Arm>,
}

/// One of the ways that a test compares.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arm {
    pub(crate) name: String,
    /// Of all people; without it the arms share what is left in equal parts.
    #[serde(default)]
    share: Option<f64>,
    #[serde(default)]
    pub(crate) model: Which,
    /// In the place of what requests for lists say.
    pub(crate) diversity: Option<f32>,
    pub(crate) rules: Option<Rules>,
    /// Scenarios that take the places of others in pages.
    #[serde(default)]
    pub(crate) rows: BTreeMap<String, String>,
}

fn outcome() -> Vec<EventKind> {
    vec![EventKind::Take, EventKind::Like]
}

fn days() -> f64 {
    7.0
}

fn level() -> f64 {
    0.95
}

fn effect() -> f64 {
    0.02
}

impl Trial {
    /// The shares of the arms, in their order.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let said: f64 = self.arms.iter().filter_map(|arm| arm.share).sum();
        let silent = self.arms.iter().filter(|arm| arm.share.is_none()).count();
        let rest = (1.0 - said).max(0.0) / silent.max(1) as f64;
        self.arms.iter().map(|arm| arm.share.unwrap_or(rest)).collect()
    }

    /// The arm that somebody is in, always the same; none for those outside the test. Who is in which arm of
    /// one test says nothing of other tests.
    pub(crate) fn arm(&self, user: &str) -> Option<usize> {
        let mut hash = blake3::Hasher::new();
        hash.update(self.name.as_bytes()).update(&[0]).update(user.as_bytes());
        let bytes = hash.finalize().as_bytes()[..8].try_into().expect("eight bytes");
        let mut at = u64::from_le_bytes(bytes) as f64 / u64::MAX as f64;
        self.shares().into_iter().position(|share| {
            at -= share;
            at < 0.0
        })
    }

    fn check(&self, scenarios: &Scenarios, compared: bool) -> Result<(), String> {
        id("name", &self.name).map_err(|e| e.message().to_string())?;
        let arms = &self.arms;
        if !(2..=MOST).contains(&arms.len()) || self.kind == TrialKind::Interleaving && arms.len() != 2 {
            return Err(format!(
                "has {} arms; allowed: 2 to {MOST}, 2 where they are interleaved",
                arms.len()
            ));
        }
        for (at, arm) in arms.iter().enumerate() {
            id("name", &arm.name).map_err(|e| e.message().to_string())?;
            let wrong = |text: String| Err(format!("arm `{}`: {text}", arm.name));
            if arms[..at].iter().any(|other| other.name == arm.name) {
                return wrong("is there twice".into());
            }
            if let Some(share) = arm.share.filter(|share| !(0.0..=1.0).contains(share)) {
                return wrong(format!("`share` is {share}; allowed: 0 to 1"));
            }
            if arm.model == Which::Compare && !compared {
                return wrong("`model` is compare, which wants --compare RUN".into());
            }
            if let Some(value) = arm.diversity.filter(|value| !(0.0..=1.0).contains(value)) {
                return wrong(format!("`diversity` is {value}; allowed: 0 to 1"));
            }
            if let Some(missing) =
                arm.rows.iter().flat_map(|(a, b)| [a, b]).find(|n| scenarios.get(n).is_none())
            {
                return wrong(format!("`{missing}` is no scenario; allowed: {}", scenarios.names()));
            }
            arm.rules
                .iter()
                .try_for_each(Rules::check)
                .map_err(|e| format!("arm `{}`: {}", arm.name, e.message()))?;
        }
        let said: f64 = arms.iter().filter_map(|arm| arm.share).sum();
        if said > 1.0 + 1e-9 {
            return Err(format!("its shares come to {said}; allowed: up to 1"));
        }
        if self.outcome.is_empty() {
            return Err("`outcome` is empty; allowed: take, like, dislike, remove, view".into());
        }
        for (name, value, most) in
            [("days", self.days, 365.0), ("level", self.level, 0.9999), ("effect", self.effect, 1.0)]
        {
            let least = if name == "level" { 0.5 } else { 0.0001 };
            if !(least..=most).contains(&value) {
                return Err(format!("`{name}` is {value}; allowed: {least} to {most}"));
            }
        }
        Ok(())
    }
}

/// The tests of a server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trials {
    tests: Vec<Trial>,
}

impl Trials {
    /// Reads a file; `compared` says whether there is a second model.
    ///
    /// # Errors
    /// It cannot be read, or says what is not allowed.
    pub(crate) fn read(path: &Path, scenarios: &Scenarios, compared: bool) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        Self::parse(&text, scenarios, compared)
    }

    /// The same of what a file holds.
    pub(crate) fn parse(text: &str, scenarios: &Scenarios, compared: bool) -> Result<Self, String> {
        let this: Self = toml::from_str(text).map_err(|e| e.message().replace('\n', " "))?;
        if this.tests.is_empty() || this.tests.len() > MOST {
            return Err(format!("has {} tests; allowed: 1 to {MOST}", this.tests.len()));
        }
        for (at, trial) in this.tests.iter().enumerate() {
            if this.tests[..at].iter().any(|other| other.name == trial.name) {
                return Err(format!("test `{}` is there twice", trial.name));
            }
            trial.check(scenarios, compared).map_err(|why| format!("test `{}`: {why}", trial.name))?;
        }
        Ok(this)
    }

    /// The test of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Trial> {
        self.tests.iter().find(|trial| trial.name == name)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Trial] {
        &self.tests
    }

    /// Their names, for people.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.tests.iter().map(|trial| trial.name.as_str()).collect();
        if names.is_empty() { "none (--tests FILE.toml names them)".into() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[tests]]\nname = 'home'\n[[tests.arms]]\nname = 'now'\nshare = 0.5\n\
        [[tests.arms]]\nname = 'mixed'\nshare = 0.25\ndiversity = 0.3\nrows = { for-you = 'popular' }";

    #[test]
    fn files_are_checked_when_they_are_read() {
        let read = |text: &str, compared| Trials::parse(text, &Scenarios::default(), compared);
        let trials = read(GOOD, false).unwrap();
        let home = trials.get("home").unwrap();
        assert_eq!((home.shares(), home.days, home.outcome.len()), (vec![0.5, 0.25], 7.0, 2));
        let silent = read(&GOOD.replace("share = 0.25\n", ""), false).unwrap();
        assert_eq!(silent.get("home").unwrap().shares(), [0.5, 0.5]);
        for (change, says) in [
            (("share = 0.25", "share = 0.75"), "test `home`: its shares come to 1.25"),
            (("name = 'mixed'", "name = 'now'"), "arm `now`: is there twice"),
            (("diversity = 0.3", "diversity = 3"), "arm `mixed`: `diversity` is 3"),
            (
                ("diversity = 0.3", "model = 'compare'"),
                "arm `mixed`: `model` is compare, which wants --compare RUN",
            ),
            (("'popular'", "'bestsellers'"), "arm `mixed`: `bestsellers` is no scenario; allowed: continue"),
            (("name = 'home'", "name = 'home'\nkind = 'arm'"), "unknown variant `arm`"),
            (("name = 'home'", "name = 'home'\noutcome = ['shown']"), "unknown variant `shown`"),
            (("name = 'home'", "name = 'home'\nlevel = 95"), "`level` is 95"),
            (("name = 'home'", "name = ''"), "test ``: `name` has 0 characters"),
        ] {
            let error = read(&GOOD.replacen(change.0, change.1, 1), false).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(read(&GOOD.replace("diversity = 0.3", "model = 'compare'"), true).is_ok());
    }

    #[test]
    fn people_stay_in_their_arms_and_arms_have_their_shares() {
        let read = |text: &str| Trials::parse(text, &Scenarios::default(), false).unwrap();
        let (home, other) = (read(GOOD), read(&GOOD.replace("'home'", "'other'")));
        let arm =
            |trials: &Trials, name: &str, user: u32| trials.get(name).unwrap().arm(&format!("user {user}"));
        let mut counts = BTreeMap::new();
        for user in 0..20_000 {
            *counts.entry((arm(&home, "home", user), arm(&other, "other", user))).or_insert(0) += 1;
        }
        let of = |a, b| *counts.get(&(a, b)).unwrap();
        let all = |a| of(a, Some(0)) + of(a, Some(1)) + of(a, None);
        // Four standard deviations of 20,000 draws are less than 300.
        assert!((all(Some(0)) - 10_000i32).abs() < 300 && (all(Some(1)) - 5000i32).abs() < 300);
        assert!(
            (of(Some(0), Some(0)) - 5000i32).abs() < 300,
            "arms of two tests have to do with one another"
        );
    }
}
