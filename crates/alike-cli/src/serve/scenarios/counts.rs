//! How often items were taken, hour by hour, from the events of the store, and how much people do, day by
//! day.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::serve::store::{EventKind, Row, Store, StoreError};

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// Hours that are kept.
const KEPT: i64 = 24 * 90 * 5;
/// Items of a list that is kept.
const LISTED: usize = 5_000;
/// How long a list is good.
const FRESH: Duration = Duration::from_secs(30);
/// How many times as long as the window the time before it is.
const BEFORE: f64 = 4.0;

/// Milliseconds of a day.
const DAY: i64 = 24 * HOUR;
/// Days of which is known how much people did.
const DAYS: i64 = 30;
/// People who are told apart, of a day and in all; beyond them nobody knows how many there are.
const OF_A_DAY: usize = 50_000;
const IN_ALL: usize = 1_000_000;

/// Items with their weights, largest first.
type Weighted = Arc<Vec<(String, f32)>>;

/// Counts of the events that count as history.
#[derive(Default)]
pub(crate) struct EventCounts {
    state: RwLock<Counted>,
    lists: Mutex<HashMap<(bool, u64), (Instant, Weighted)>>,
    /// Whether what is counted holds somebody who was forgotten.
    stale: AtomicBool,
}

#[derive(Default)]
struct Counted {
    /// The last event that is counted.
    seq: i64,
    hours: BTreeMap<i64, HashMap<String, u32>>,
    total: HashMap<String, u32>,
    /// By days since 1970.
    days: BTreeMap<i64, DayCount>,
    /// Events of every kind.
    events: u64,
    people: People,
}

/// What people did on a day.
#[derive(Default)]
struct DayCount {
    events: u32,
    people: People,
}

/// People, by hashes of their ids.
#[derive(Default)]
struct People(HashSet<u64>);

/// What people did on a day; the number of people is not known where there are very many.
pub(crate) struct Activity {
    /// Days since 1970.
    pub(crate) day: i64,
    pub(crate) events: u32,
    pub(crate) users: Option<usize>,
}

impl EventCounts {
    /// Counts what came since this was done last; everything, where somebody was forgotten meanwhile.
    pub(crate) async fn update(&self, store: &Store) -> Result<(), StoreError> {
        if self.stale.swap(false, Ordering::SeqCst) {
            let mut counted = Counted::default();
            loop {
                let rows = store.events_after(counted.seq).await;
                let rows = rows.inspect_err(|_| self.stale.store(true, Ordering::SeqCst))?;
                if rows.is_empty() {
                    break;
                }
                counted.add(rows);
            }
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = counted;
            self.lists().clear();
        }
        loop {
            let after = self.state.read().unwrap_or_else(PoisonError::into_inner).seq;
            let rows = store.events_after(after).await?;
            if rows.is_empty() {
                return Ok(());
            }
            self.state.write().unwrap_or_else(PoisonError::into_inner).add(rows);
            self.lists().clear();
        }
    }

    /// How often each item was taken, as far as the store knows.
    pub(crate) fn totals(&self) -> Vec<(String, u32)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.total.iter().map(|(item, count)| (item.clone(), *count)).collect()
    }

    /// Items by how often they were taken in the last `days`.
    pub(crate) fn popular(&self, days: f64, now: i64) -> Weighted {
        self.listed(false, days, || {
            self.window(now, 0.0, days).into_iter().map(|(item, n)| (item, n as f32)).collect()
        })
    }

    /// Items by how much more often they were taken in the last `days` than the four times as long before
    /// lets expect, in units of chance: `(n - e) / √(e + 1)`. Only those above it.
    pub(crate) fn trending(&self, days: f64, now: i64) -> Weighted {
        self.listed(true, days, || {
            let before = self.window(now, days, days * (1.0 + BEFORE));
            let more = |(item, count): (String, u32)| {
                let expected = before.get(&item).copied().unwrap_or_default() as f64 / BEFORE;
                let above = (f64::from(count) - expected) / (expected + 1.0).sqrt();
                (above > 0.0).then_some((item, above as f32))
            };
            self.window(now, 0.0, days).into_iter().filter_map(more).collect()
        })
    }

    /// Number of events that the store holds.
    pub(crate) fn events(&self) -> u64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).events
    }

    /// What people did on each of the last thirty days, today last.
    pub(crate) fn activity(&self, now: i64) -> Vec<Activity> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let today = now.div_euclid(DAY);
        let of = |day: i64| {
            let count = state.days.get(&day);
            let users = count.map_or(Some(0), |count| count.people.count(OF_A_DAY));
            Activity { day, events: count.map_or(0, |count| count.events), users }
        };
        (today - DAYS + 1..=today).map(of).collect()
    }

    /// Number of people with events who are none of `known`; none where there are too many to tell.
    pub(crate) fn people_beside<'a>(&self, known: impl Iterator<Item = &'a str>) -> Option<usize> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let all = state.people.count(IN_ALL)?;
        Some(all - known.filter(|id| state.people.0.contains(&hash(id))).count())
    }

    /// Events by item between so many days ago.
    fn window(&self, now: i64, from: f64, to: f64) -> HashMap<String, u32> {
        let hour = |days: f64| now / HOUR - (days * 24.0).round() as i64;
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut counts = HashMap::new();
        for (item, count) in state.hours.range(hour(to) + 1..=hour(from)).flat_map(|(_, items)| items) {
            *counts.entry(item.clone()).or_default() += count;
        }
        counts
    }

    fn listed(&self, trending: bool, days: f64, make: impl Fn() -> Vec<(String, f32)>) -> Weighted {
        let key = (trending, days.to_bits());
        let known = self.lists().get(&key).filter(|(made, _)| made.elapsed() < FRESH).map(|l| l.1.clone());
        if let Some(list) = known {
            return list;
        }
        let mut list = make();
        list.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        list.truncate(LISTED);
        let list = Arc::new(list);
        self.lists().insert(key, (Instant::now(), list.clone()));
        list
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<(bool, u64), (Instant, Weighted)>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody was forgotten: the next update counts everything again, while answers come from what was.
    pub(crate) fn recount(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }
}

impl Counted {
    fn add(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.seq = row.seq;
            if row.kind == EventKind::Shown.word() {
                continue;
            }
            self.events += 1;
            self.people.add(&row.user, IN_ALL);
            let day = self.days.entry(row.time.div_euclid(DAY)).or_default();
            day.events += 1;
            day.people.add(&row.user, OF_A_DAY);
            if [EventKind::Take, EventKind::Like].iter().any(|kind| kind.word() == row.kind) {
                *self.total.entry(row.item.clone()).or_default() += 1;
                *self.hours.entry(row.time / HOUR).or_default().entry(row.item).or_default() += 1;
            }
        }
        if let Some((&newest, _)) = self.hours.last_key_value() {
            self.hours = self.hours.split_off(&(newest - KEPT));
        }
        if let Some((&newest, _)) = self.days.last_key_value() {
            self.days = self.days.split_off(&(newest - DAYS));
        }
    }
}

impl People {
    fn add(&mut self, id: &str, most: usize) {
        // One more than is told, so that more are known from as many.
        if self.0.len() <= most {
            self.0.insert(hash(id));
        }
    }

    /// How many they are, if not more than are told apart.
    fn count(&self, most: usize) -> Option<usize> {
        (self.0.len() <= most).then_some(self.0.len())
    }
}

fn hash(id: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_count_hours_and_what_rises_leads() {
        let counts = EventCounts::default();
        let now = 1000 * HOUR;
        let mut state = counts.state.write().unwrap();
        for (hour, item, n) in
            [(1000, "new", 6), (1000, "steady", 10), (977, "steady", 2), (976, "steady", 40), (900, "old", 9)]
        {
            state.hours.entry(hour).or_default().insert(item.into(), n);
        }
        drop(state);
        let names = |list: Weighted| list.iter().map(|l| (l.0.clone(), l.1)).collect::<Vec<_>>();
        assert_eq!(names(counts.popular(1.0, now)), [("steady".into(), 12.0), ("new".into(), 6.0)]);
        assert_eq!(names(counts.popular(5.0, now))[0], ("steady".into(), 52.0));
        // 12 where 10 are expected is little; 6 where none are is much.
        let trending = names(counts.trending(1.0, now));
        assert_eq!(trending[0], ("new".into(), 6.0));
        assert!((trending[1].1 - 2.0 / 11f32.sqrt()).abs() < 1e-6 && trending.len() == 2);
    }

    #[test]
    fn days_count_events_and_people() {
        let mut state = Counted::default();
        let row = |seq, user: &str, time| Row {
            seq,
            user: user.into(),
            item: "a".into(),
            kind: "view".into(),
            time,
        };
        state.add(vec![row(1, "x", 100 * DAY), row(2, "x", 100 * DAY + 5), row(3, "y", 101 * DAY - 1)]);
        state.add(vec![row(4, "x", 102 * DAY)]);
        let counts = EventCounts { state: RwLock::new(state), ..EventCounts::default() };
        let days = counts.activity(102 * DAY + 7);
        let told: Vec<_> = days.iter().map(|d| (d.day, d.events, d.users)).filter(|d| d.1 > 0).collect();
        assert_eq!((told, days.len()), (vec![(100, 3, Some(2)), (102, 1, Some(1))], 30));
        assert_eq!((counts.people_beside(["y", "z"].into_iter()), counts.events()), (Some(1), 4));
        let mut few = People::default();
        ["a", "b", "c"].iter().for_each(|id| few.add(id, 2));
        assert_eq!((few.count(2), few.count(3)), (None, Some(3)));
    }
}
