//! Which lists there are.

use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::serve::rules::Rules;

/// Scenarios of a file.
const MOST: usize = 100;

/// How a list is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// What the model recommends to them.
    ForYou,
    /// What is like the item that they took last.
    Because,
    /// What is like the item of the request.
    Related,
    /// What people take together with the item of the request or, without one, with the item taken last.
    BoughtTogether,
    /// What most people took: in training and since, or in the last so many days.
    Popular,
    /// What more people take than before.
    Trending,
    /// What came last.
    New,
    /// What people like them took.
    SimilarPeople,
    /// What they looked at last and did not take.
    Continue,
}

/// A list by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// For people; `{item}` stands for the title of the item that it comes from.
    pub(crate) title: String,
    pub(crate) kind: Kind,
    #[serde(default = "top")]
    pub(crate) top: usize,
    /// Days that count, of `popular` and `trending`.
    pub(crate) days: Option<f64>,
    /// A row with fewer items gives way to a fallback.
    #[serde(default = "least")]
    pub(crate) least: usize,
    /// Names of the scenarios that take its place, the first that has enough.
    #[serde(default)]
    pub(crate) fallback: Vec<String>,
    #[serde(default)]
    pub(crate) diversity: f32,
    /// Leaves out what they looked at before, but in a row of the kind `continue`.
    #[serde(default)]
    pub(crate) unseen: bool,
    #[serde(default)]
    pub(crate) rules: Rules,
}

fn top() -> usize {
    12
}

fn least() -> usize {
    1
}

/// The scenarios of a server, in the order of a page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenarios {
    scenarios: Vec<Scenario>,
}

impl Default for Scenarios {
    /// One of each kind, named by it.
    fn default() -> Self {
        let one = |name: &str, title: &str, kind, fallback: &[&str]| Scenario {
            name: name.into(),
            title: title.into(),
            kind,
            top: top(),
            days: None,
            least: least(),
            fallback: fallback.iter().map(|&name| name.into()).collect(),
            diversity: 0.0,
            unseen: false,
            rules: Rules::default(),
        };
        let scenarios = vec![
            one("continue", "Continue", Kind::Continue, &[]),
            one("for-you", "For you", Kind::ForYou, &["trending", "popular"]),
            one("because", "Because you took {item}", Kind::Because, &[]),
            one("related", "Like {item}", Kind::Related, &[]),
            one("bought-together", "Taken together with {item}", Kind::BoughtTogether, &[]),
            one("similar-people", "People like you also took", Kind::SimilarPeople, &[]),
            one("trending", "Trending", Kind::Trending, &[]),
            one("new", "New", Kind::New, &[]),
            one("popular", "Most taken", Kind::Popular, &[]),
        ];
        Self { scenarios }
    }
}

impl Scenarios {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or says what is not allowed.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        let this: Self = toml::from_str(&text).map_err(|e| e.message().replace('\n', " "))?;
        this.check()?;
        Ok(this)
    }

    fn check(&self) -> Result<(), String> {
        let all = &self.scenarios;
        if all.is_empty() || all.len() > MOST {
            return Err(format!("has {} scenarios; allowed: 1 to {MOST}", all.len()));
        }
        for (at, scenario) in all.iter().enumerate() {
            let wrong = |text: String| Err(format!("scenario `{}`: {text}", scenario.name));
            if all[..at].iter().any(|other| other.name == scenario.name) {
                return wrong("is there twice".into());
            }
            if !(1..=100).contains(&scenario.top) || scenario.least > scenario.top {
                return wrong(format!(
                    "`top` is {}, `least` {}; allowed: 1 to 100, and no more than `top`",
                    scenario.top, scenario.least
                ));
            }
            if !(0.0..=1.0).contains(&scenario.diversity) {
                return wrong(format!("`diversity` is {}; allowed: 0 to 1", scenario.diversity));
            }
            if let Some(days) = scenario.days.filter(|days| !(1.0 / 24.0..=90.0).contains(days)) {
                return wrong(format!("`days` is {days}; allowed: an hour (0.042) to 90"));
            }
            if let Some(missing) = scenario.fallback.iter().find(|name| self.get(name).is_none()) {
                return wrong(format!("its fallback `{missing}` is no scenario; allowed: {}", self.names()));
            }
            scenario.rules.check().map_err(|e| format!("scenario `{}`: {}", scenario.name, e.message()))?;
        }
        Ok(())
    }

    /// The scenario of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Scenario> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// Their names, for people.
    pub(crate) fn names(&self) -> String {
        self.scenarios.iter().map(|scenario| scenario.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Scenarios, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Scenarios::read(file.path())
    }

    #[test]
    fn files_are_checked_when_they_are_read() {
        Scenarios::default().check().unwrap();
        let good = "[[scenarios]]\nname = 'home'\ntitle = 'For you'\nkind = 'for-you'\nfallback = ['best']\n\
            rules = { filter = { must = [{ key = 'price', range = { lt = 20 } }] }, limits = [{ key = 'brand', most = 2 }] }\n\
            [[scenarios]]\nname = 'best'\ntitle = 'Bestsellers'\nkind = 'popular'\ndays = 7\ntop = 5";
        let scenarios = read(good).unwrap();
        assert_eq!((scenarios.names(), scenarios.get("best").unwrap().top), ("home, best".into(), 5));
        for (change, says) in [
            (
                ("'best']", "'nowhere']"),
                "scenario `home`: its fallback `nowhere` is no scenario; allowed: home, best",
            ),
            (("days = 7", "days = 100"), "scenario `best`: `days` is 100"),
            (("name = 'best'", "name = 'home'"), "its fallback"),
            (("'popular'", "'bestsellers'"), "unknown variant `bestsellers`"),
            (("most = 2", "most = 0"), "scenario `home`: `most` is 0"),
            (("lt = 20", "lt = 'x'"), "`filter.must[0].range.lt`"),
            (("top = 5", "topp = 5"), "unknown field `topp`"),
        ] {
            let error = read(&good.replace(change.0, change.1)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(read("scenarios = []").unwrap_err().contains("has 0 scenarios"));
    }
}
