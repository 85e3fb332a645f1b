//! Which settings are tried, and which of them go on.

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::Deserialize;
use toml::Value;

use crate::config::{Stream, show};

/// How settings are searched.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// Which combinations are tried.
    pub kind: SearchKind,
    /// Random and halving: how many combinations are drawn.
    pub trials: usize,
    /// Halving: epochs of the first round.
    pub epochs: usize,
    /// Halving: one in so many goes on to the next round, with as many times the epochs.
    pub keep: usize,
    /// Halving: how many are trained to the end before one is chosen. What learns slowly may end best.
    pub finalists: usize,
    /// Seed of the draw and of the trial runs; the first of `seeds` when not given.
    pub seed: Option<u64>,
}

impl Default for Search {
    fn default() -> Self {
        Self { kind: SearchKind::Grid, trials: 16, epochs: 10, keep: 3, finalists: 1, seed: None }
    }
}

/// Ways to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchKind {
    /// Every combination.
    Grid,
    /// Combinations drawn at random, without repetition.
    Random,
    /// As random, in rounds: all train for a few epochs, the best go on.
    Halving,
}

/// Whether `values` is something to search.
pub(super) fn check(name: &str, values: &Value, kind: SearchKind) -> Result<(), String> {
    match values {
        Value::Array(list) if !list.is_empty() => Ok(()),
        Value::Table(_) if kind == SearchKind::Grid => Err(format!(
            "`{name}` is a range: search it with kind = \"random\" or \"halving\", or list its values"
        )),
        Value::Table(table) => Range::read(table).map(|_| ()).ok_or_else(|| {
            format!("`{name}` needs `min` below `max`, and `log = true` only for numbers above 0")
        }),
        other => {
            Err(format!("`{name}` is {}; allowed: a list of values, or {{ min, max, log }}", show(other)))
        }
    }
}

/// A range of numbers to draw from.
struct Range {
    low: f64,
    high: f64,
    log: bool,
    whole: bool,
}

impl Range {
    fn read(table: &toml::Table) -> Option<Self> {
        let number =
            |name: &str| table.get(name).and_then(|v| v.as_float().or(v.as_integer().map(|i| i as f64)));
        let (low, high) = (number("min")?, number("max")?);
        let log = table.get("log").is_some_and(|v| v.as_bool() == Some(true));
        let whole = table.get("min")?.is_integer() && table.get("max")?.is_integer();
        let known = table.keys().all(|k| ["min", "max", "log"].contains(&&**k));
        (known && low < high && (!log || low > 0.0)).then_some(Self { low, high, log, whole })
    }

    fn draw(&self, rng: &mut impl RngExt) -> Value {
        let at: f64 = rng.random();
        let value = if self.log {
            (self.low.ln() + at * (self.high.ln() - self.low.ln())).exp()
        } else {
            self.low + at * (self.high - self.low)
        };
        if self.whole {
            return Value::Integer((value.round() as i64).clamp(self.low as i64, self.high as i64));
        }
        // Three digits say as much as all of them, and can be read.
        let digits = 2 - value.abs().max(f64::MIN_POSITIVE).log10().floor() as i32;
        let scale = 10f64.powi(digits);
        Value::Float(((value * scale).round() / scale).clamp(self.low, self.high))
    }
}

/// The combinations that a search tries, in order; one without anything for nothing to try.
pub(super) fn combinations(tried: &toml::Table, search: &Search, seed: u64) -> Vec<toml::Table> {
    let lists_only = tried.values().all(Value::is_array);
    let total = tried.values().filter_map(Value::as_array).try_fold(1usize, |n, l| n.checked_mul(l.len()));
    let wanted = if search.kind == SearchKind::Grid { usize::MAX } else { search.trials };
    if lists_only && total.is_some_and(|n| n <= 100_000) {
        let mut all = product(tried);
        if all.len() > wanted {
            all.shuffle(&mut Stream::Search.rng(seed, 0));
            all.truncate(wanted);
        }
        return all;
    }
    let mut rng = Stream::Search.rng(seed, 0);
    let mut drawn: Vec<toml::Table> = Vec::new();
    // Draws may repeat; a small space runs out of new ones.
    for _ in 0..wanted.saturating_mul(20) {
        let one = |(name, values): (&String, &Value)| {
            let value = match values {
                Value::Array(list) => list[rng.random_range(0..list.len())].clone(),
                Value::Table(table) => {
                    Range::read(table).expect("ranges are checked when read").draw(&mut rng)
                }
                _ => unreachable!("values are checked when read"),
            };
            (name.clone(), value)
        };
        let table: toml::Table = tried.iter().map(one).collect();
        if !drawn.contains(&table) {
            drawn.push(table);
        }
        if drawn.len() == wanted {
            break;
        }
    }
    drawn
}

/// All combinations, the last setting varying fastest.
fn product(tried: &toml::Table) -> Vec<toml::Table> {
    let mut all = vec![toml::Table::new()];
    for (name, values) in tried {
        let values = values.as_array().expect("only lists come here");
        let with = |table: &toml::Table, value: &Value| {
            let mut table = table.clone();
            table.insert(name.clone(), value.clone());
            table
        };
        all = all.iter().flat_map(|table| values.iter().map(move |value| with(table, value))).collect();
    }
    all
}

/// The rounds of a search over `n` combinations with at most `epochs` each: how many take part, and until
/// which epoch.
pub(super) fn rounds(search: &Search, n: usize, epochs: usize) -> Vec<(usize, usize)> {
    if search.kind != SearchKind::Halving || n < 2 {
        return vec![(n, epochs)];
    }
    let (mut rounds, mut left, mut until) = (Vec::new(), n, search.epochs);
    while left > search.finalists && until < epochs {
        rounds.push((left, until));
        left = left.div_ceil(search.keep).max(search.finalists);
        until = until.saturating_mul(search.keep);
    }
    rounds.push((left, epochs));
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn a_grid_has_every_combination() {
        let all = combinations(&table("lr = [1, 2]\nl2 = [3, 4, 5]"), &Search::default(), 1);
        assert_eq!(all.len(), 6);
        assert_eq!(all[0], table("lr = 1\nl2 = 3"));
        assert_eq!(combinations(&toml::Table::new(), &Search::default(), 1), [toml::Table::new()]);
    }

    #[test]
    fn draws_are_seeded_distinct_and_inside() {
        let search = Search { kind: SearchKind::Random, trials: 12, ..Search::default() };
        let tried = table(
            "lr = { min = 1e-4, max = 1e-1, log = true }\nlayers = { min = 1, max = 4 }\ndim = [16, 32]",
        );
        let drawn = combinations(&tried, &search, 5);
        assert_eq!(drawn, combinations(&tried, &search, 5));
        assert_ne!(drawn, combinations(&tried, &search, 6));
        assert_eq!(drawn.len(), 12);
        for one in &drawn {
            assert!((1e-4..=1e-1).contains(&one["lr"].as_float().unwrap()), "{one}");
            assert!((1..=4).contains(&one["layers"].as_integer().unwrap()), "{one}");
        }
        let few = combinations(&table("a = [1, 2, 3]\nb = [1, 2, 3]"), &Search { trials: 4, ..search }, 5);
        assert_eq!(few.len(), 4);
        assert!((0..4).all(|i| !few[..i].contains(&few[i])));
        // Fewer values than draws: each once.
        let search = Search { kind: SearchKind::Random, trials: 9, ..Search::default() };
        assert_eq!(combinations(&table("n = { min = 1, max = 3 }"), &search, 1).len(), 3);
    }

    #[test]
    fn halving_narrows_and_lengthens() {
        let search = Search { kind: SearchKind::Halving, epochs: 5, keep: 3, ..Search::default() };
        assert_eq!(rounds(&search, 9, 100), [(9, 5), (3, 15), (1, 100)]);
        assert_eq!(rounds(&search, 9, 12), [(9, 5), (3, 12)]);
        assert_eq!(rounds(&search, 1, 100), [(1, 100)]);
        let three = Search { finalists: 3, ..search };
        assert_eq!(rounds(&three, 9, 100), [(9, 5), (3, 100)]);
        assert_eq!(rounds(&three, 20, 100), [(20, 5), (7, 15), (3, 100)]);
        assert_eq!(rounds(&three, 2, 100), [(2, 100)]);
        assert_eq!(rounds(&Search::default(), 9, 100), [(9, 100)]);
    }

    #[test]
    fn what_cannot_be_searched_is_refused() {
        let list = |text: &str| table(text).remove("x").unwrap();
        assert!(check("x", &list("x = [1]"), SearchKind::Grid).is_ok());
        assert!(check("x", &list("x = []"), SearchKind::Grid).unwrap_err().contains("a list of values"));
        assert!(
            check("x", &list("x = { min = 1, max = 2 }"), SearchKind::Grid)
                .unwrap_err()
                .contains("is a range")
        );
        assert!(check("x", &list("x = { min = 2, max = 1 }"), SearchKind::Random).is_err());
        assert!(check("x", &list("x = { min = 0, max = 1, log = true }"), SearchKind::Random).is_err());
    }
}
