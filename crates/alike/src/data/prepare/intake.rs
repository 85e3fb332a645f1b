//! The interactions as they come in: which columns are read, which rows count, and what is told of the rest.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use crate::data::formats::columns::{Column, ColumnNames, Columns, listed};
use crate::data::formats::id_text::{self, clean, is_nothing};
use crate::data::formats::options::TextOptions;
use crate::data::formats::row::Place;
use crate::data::formats::table::read_rows;
use crate::data::formats::times::{TimeFormat, Units};
use crate::data::prepare::log::Log;
use crate::data::prepare::missing::{Missing, unreadable};
use crate::data::prepare::options::LIGHTEST;
use crate::data::prepare::ratings::{Ratings, parse_rating};
use crate::data::prepare::report::{ColumnUse, Dropped};
use crate::data::prepare::{PrepareOptions, SplitKind};
use crate::progress::{Parts, Progress};
use crate::{Error, Result};

/// Kinds of events that a note names.
const KINDS: usize = 12;

/// The columns that are read, and where their cells are in a row.
struct ColumnPlan {
    columns: Columns,
    split: SplitKind,
    /// Positions of the columns in the file, in the order of the cells.
    chosen: Vec<usize>,
    rating: Option<usize>,
    time: Option<usize>,
    label: Option<usize>,
    event: Option<usize>,
}

/// Rows between two words of how far it is.
const ROWS_AT_ONCE: u64 = 10_000;

/// Kinds of the server's events that are interactions, and that take back.
const STORED_TAKES: [&str; 2] = ["take", "like"];
const STORED_UNDOS: [&str; 2] = ["dislike", "remove"];

const USER: usize = 0;
const ITEM: usize = 1;

impl ColumnPlan {
    /// What to read of a file with these columns; an error if something is not there that an option needs.
    /// `decided` is the split that an earlier file decided.
    fn new(
        source: &Source<'_>,
        names: &[String],
        options: &PrepareOptions,
        decided: Option<SplitKind>,
    ) -> Result<Self> {
        let path = source.path;
        let columns = Columns::find(path, names, &source.columns(options))?;
        let at = columns.positions;
        let own_labels = |at: usize| {
            matches!(options.columns.label, Column::Named(_)) || names[at].eq_ignore_ascii_case("x_label")
        };
        let split = match decided.unwrap_or(options.split) {
            SplitKind::Auto if at.label.is_some_and(own_labels) => SplitKind::Label,
            SplitKind::Auto => SplitKind::Random,
            given => given,
        };
        let lacks = |what: &str, why: &str| {
            let found = listed(names);
            Error::format(path, format!("no column of {what}, which {why} needs; the columns are {found}"))
        };
        if options.min_rating.is_some() && at.rating.is_none() && !source.is_store {
            return Err(lacks("ratings", "the smallest rating"));
        }
        if split == SplitKind::Label && at.label.is_none() {
            return Err(lacks("split labels", "the split `label`"));
        }
        if split == SplitKind::Temporal && at.time.is_none() {
            return Err(lacks("times", "the split `temporal`"));
        }
        if !options.events.is_empty() && at.event.is_none() {
            return Err(lacks("kinds of events (`--column event=NAME`)", "`--event`"));
        }
        let mut chosen = vec![at.user, at.item];
        let mut cell = |column: Option<usize>| {
            column.map(|column| {
                chosen.push(column);
                chosen.len() - 1
            })
        };
        let (rating, time, event) = (cell(at.rating), cell(at.time), cell(at.event));
        let label = cell(at.label.filter(|_| split == SplitKind::Label));
        Ok(Self { columns, split, chosen, rating, time, label, event })
    }

    /// Name of the column of a cell.
    fn name(&self, cell: usize) -> &str {
        self.columns.name(self.chosen[cell])
    }
}

/// What is counted while the rows come in.
#[derive(Default)]
struct Counts {
    missing: [Missing; 2],
    without: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<String, u64>,
    other_kinds: u64,
    ratings: Ratings,
    units: Units,
}

/// One file of interactions.
struct Source<'a> {
    path: &'a Path,
    /// Whether it holds events as the server keeps them.
    is_store: bool,
    /// Whether it is the only one.
    alone: bool,
}

impl Source<'_> {
    /// Kinds of events that stay, each with its weight, 1 for the heaviest; empty where all count alike.
    fn events(&self, options: &PrepareOptions) -> BTreeMap<String, f32> {
        let heaviest = options.events.iter().map(|(_, weight)| *weight).fold(0.0, f32::max);
        let given = options.events.iter().map(|(kind, weight)| (kind.clone(), weight / heaviest));
        let mut events: BTreeMap<String, f32> = given.collect();
        if self.is_store {
            if events.is_empty() {
                events.extend(STORED_TAKES.map(|kind| (kind.into(), 1.0)));
            }
            for kind in STORED_UNDOS {
                events.entry(kind.into()).or_insert(0.0);
            }
        }
        events
    }

    fn columns(&self, options: &PrepareOptions) -> ColumnNames {
        let named = |name: &str| Column::Named(name.into());
        match self.is_store {
            true => ColumnNames {
                user: named("user"),
                item: named("item"),
                time: named("time"),
                event: named("event"),
                ..ColumnNames::default()
            },
            false => options.columns.clone(),
        }
    }

    /// What is said of it, with its name where there are others.
    fn note(&self, text: String) -> String {
        match (self.alone, self.path.file_name()) {
            (false, Some(name)) => format!("{}: {text}", name.to_string_lossy()),
            _ => text,
        }
    }
}

/// Reads the interactions of all files. Ids of rows that are dropped by rating or kind are known all the
/// same.
pub(crate) fn read(options: &PrepareOptions, progress: &dyn Progress) -> Result<Log> {
    let mut log = Log::default();
    let paths = [&options.interactions].into_iter().chain(&options.more_interactions);
    for path in paths {
        let (is_store, alone) = (options.stores.contains(path), options.more_interactions.is_empty());
        log = read_file(options, &Source { path, is_store, alone }, log, progress)?;
    }
    fade(options, &mut log)?;
    Ok(log)
}

fn read_file(
    options: &PrepareOptions,
    source: &Source<'_>,
    mut log: Log,
    progress: &dyn Progress,
) -> Result<Log> {
    let path = source.path;
    let format = options.time_format.as_deref().filter(|_| !source.is_store);
    let format = format.map(TimeFormat::parse).transpose()?.unwrap_or_default();
    let events = source.events(options);
    let before = log.user.len();
    let weighted = events.values().any(|weight| 0.0 < *weight && *weight < 1.0);
    if weighted {
        // Rows of earlier files count in full.
        log.weight.resize(before, 1.0);
    }
    let mut intake = Intake {
        options,
        source,
        rows: progress.phase("reading interactions", 0)?,
        weighted,
        events,
        format,
        log,
        before,
        times: Vec::new(),
        labels: Vec::new(),
        counts: Counts::default(),
    };
    let plan = OnceCell::new();
    let decided = intake.log.split;
    let mut choose = |names: &[String]| {
        let made = ColumnPlan::new(source, names, options, decided)?;
        Ok(plan.get_or_init(|| made).chosen.clone())
    };
    let text = if source.is_store { TextOptions::default() } else { options.text.clone() };
    // How text is written is that of the catalogue and of other files, too.
    let is_shared = options.items.is_some() || !source.alone;
    let notes = read_rows(path, &text, is_shared, &mut choose, &mut |place, cells| {
        intake.row(plan.get().expect("columns are chosen before rows are read"), place, cells)
    })?;
    intake.log.notes.extend(notes.into_iter().map(|note| source.note(note)));
    let plan = plan.get().ok_or_else(|| Error::format(path, "holds no table"))?;
    intake.conclude(plan)
}

/// Weighs every row by how long ago it was, where that is asked for.
fn fade(options: &PrepareOptions, log: &mut Log) -> Result<()> {
    let Some(days) = options.half_life else { return Ok(()) };
    let none =
        || Error::Data("`--half-life` needs the time of every interaction (`--column time=NAME`)".into());
    let times = log.time.as_ref().filter(|times| times.iter().all(|t| t.is_finite())).ok_or_else(none)?;
    let newest = times.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if log.weight.is_empty() {
        log.weight = vec![1.0; times.len()];
    }
    for (weight, time) in log.weight.iter_mut().zip(times) {
        let half_lives = (newest - time) / 86_400.0 / days;
        *weight *= ((-half_lives).exp2() as f32).max(LIGHTEST);
    }
    Ok(())
}

/// The log while its rows come in.
struct Intake<'a> {
    options: &'a PrepareOptions,
    source: &'a Source<'a>,
    rows: Parts<'a>,
    format: TimeFormat,
    log: Log,
    /// Rows of the files before.
    before: usize,
    times: Vec<f64>,
    labels: Vec<u8>,
    counts: Counts,
    /// Kinds of events that stay, each with its weight, 1 for the heaviest, 0 for those that take back.
    events: BTreeMap<String, f32>,
    /// Whether these weights differ.
    weighted: bool,
}

impl Intake<'_> {
    /// Takes a row in, or counts why it does not stay.
    fn row(&mut self, plan: &ColumnPlan, place: &Place<'_>, cells: &[&str]) -> Result<()> {
        self.log.rows += 1;
        if self.log.rows.is_multiple_of(ROWS_AT_ONCE) {
            self.rows.add(ROWS_AT_ONCE as usize)?;
        }
        let ids = [USER, ITEM].map(|at| clean(cells[at]));
        let [no_user, no_item] = &mut self.counts.missing;
        let drop = self.options.drop_missing;
        if no_user.check(ids[USER], place, drop) || no_item.check(ids[ITEM], place, drop) {
            return Ok(());
        }
        let named = |e: Error| place.error(e.to_string());
        let (user, _) = self.log.users.intern(ids[USER]).map_err(named)?;
        let (item, _) = self.log.items.intern(ids[ITEM]).map_err(named)?;
        let mut weight = 1.0;
        if let Some(at) = plan.event {
            match self.counts.weight(cells[at].trim(), &self.events) {
                Some(found) => weight = found,
                None => return Ok(()),
            }
        }
        // All cells are read before anything is kept, so that the columns of the log stay equally long.
        let (mut low, mut time, mut label) = (false, None, None);
        if let (Some(at), Some(least)) = (plan.rating, self.options.min_rating) {
            let Some(text) = self.needed(cells[at], "no rating") else { return Ok(()) };
            let bad = || unreadable(place, plan.name(at), text, "a number is expected");
            low = parse_rating(text).ok_or_else(bad)? < least;
        }
        if let Some(at) = plan.time {
            let Some(text) = self.needed(cells[at], "no time") else { return Ok(()) };
            let bad = || unreadable(place, plan.name(at), text, &self.format.expected(text));
            let read = self.format.read(text).ok_or_else(bad)?;
            self.counts.units.add(read, place.line);
            time = Some(read);
        }
        if let Some(at) = plan.label {
            let text = cells[at].trim();
            let bad =
                || unreadable(place, plan.name(at), text, "0 or train, 1 or valid, 2 or test is expected");
            label = Some(parse_label(text).ok_or_else(bad)?);
        }
        if let Some(at) = plan.rating.filter(|_| self.options.min_rating.is_none()) {
            self.counts.ratings.add(cells[at].trim());
        }
        if self.log.user.len() == u32::MAX as usize - 1 {
            return Err(place.error("more than 2^32 - 2 interactions"));
        }
        self.log.user.push(user);
        self.log.item.push(item);
        self.times.extend(time);
        self.labels.extend(label);
        if self.options.min_rating.is_some() {
            self.log.low.push(low);
        }
        if self.weighted || !self.log.weight.is_empty() {
            self.log.weight.push(weight);
        }
        if weight == 0.0 {
            self.log.undo.resize(self.log.user.len() - 1, false);
            self.log.undo.push(true);
        }
        Ok(())
    }

    /// The text of a cell that is needed; nothing, and counted as `why`, where rows without it are to be
    /// dropped.
    fn needed<'c>(&mut self, cell: &'c str, why: &'static str) -> Option<&'c str> {
        let text = cell.trim();
        if self.options.drop_missing && is_nothing(text) {
            *self.counts.without.entry(why).or_default() += 1;
            return None;
        }
        Some(text)
    }

    /// Turns the counts into what the report says, or into errors about the file as a whole.
    fn conclude(mut self, plan: &ColumnPlan) -> Result<Log> {
        let (options, source, counts) = (self.options, self.source, &self.counts);
        let path = source.path;
        let log = &mut self.log;
        if log.time.is_some() || plan.time.is_some() {
            // Of one file only the order counts, whatever its unit; of several, or to fade, seconds do.
            let scale = match source.alone && options.half_life.is_none() {
                true => 1.0,
                false => counts.units.of_a_second(),
            };
            let times = log.time.get_or_insert_with(|| vec![f64::NEG_INFINITY; self.before]);
            times.extend(self.times.iter().map(|time| time / scale));
            times.resize(log.user.len(), f64::NEG_INFINITY);
        }
        if plan.label.is_some() {
            log.label.get_or_insert_default().extend(&self.labels);
        }
        log.split = Some(plan.split);
        for (at, missing) in [USER, ITEM].into_iter().zip(&counts.missing) {
            let column = plan.name(at);
            if options.drop_missing {
                log.dropped.extend(missing.dropped(column));
            } else if let Some(error) = missing.error(column) {
                return Err(error);
            } else {
                log.notes.extend(missing.notes(column).map(|note| source.note(note)));
            }
        }
        if let Some((line, message)) = counts.units.mixed() {
            return Err(Error::format_at(path, line, message));
        }
        check_header(options, source, plan, log)?;
        for (at, ids) in [(USER, &log.users), (ITEM, &log.items)] {
            log.notes.extend(id_text::note_of_alike_ids(plan.name(at), ids).map(|note| source.note(note)));
        }
        let mut drop = |count: u64, why: String| {
            if count > 0 {
                log.dropped.push(Dropped { count, what: "interactions".into(), why });
            }
        };
        let kinds: Vec<&str> = match options.events.is_empty() {
            true => self.events.keys().map(String::as_str).collect(),
            false => options.events.iter().map(|(kind, _)| &**kind).collect(),
        };
        drop(counts.other_kinds, format!("kinds of events other than {}", kinds.join(", ")));
        counts.without.iter().for_each(|(why, count)| drop(*count, (*why).into()));
        if let Some(at) = plan.rating {
            log.notes.extend(counts.ratings.note(plan.name(at)).map(|note| source.note(note)));
        }
        if self.events.is_empty() && counts.kinds.len() > 1 && counts.kinds.len() <= KINDS {
            let kinds: Vec<String> = counts.kinds.iter().map(|(k, n)| format!("{k} {n}")).collect();
            log.notes.push(format!(
                "all kinds of events count the same ({}); `--event KIND` keeps only some, `--event KIND=WEIGHT` weighs them",
                kinds.join(", ")
            ));
        }
        if self.weighted {
            let each: Vec<String> =
                self.events.iter().map(|(kind, weight)| format!("{kind} {weight}")).collect();
            log.notes.push(format!(
                "events are weighed ({}): a pair of user and item counts as its heaviest event",
                each.join(", ")
            ));
        }
        let absent = options.events.iter().find(|(kind, _)| !counts.kinds.contains_key(kind));
        if let Some((kind, _)) = absent.filter(|_| source.alone && !source.is_store) {
            let found: Vec<String> = counts.kinds.keys().cloned().collect();
            return Err(Error::format(
                path,
                format!("no event is `{kind}`; the kinds are {}", listed(&found)),
            ));
        }
        let used = plan.columns.roles().into_iter().filter(|(role, _)| match *role {
            "rating" => options.min_rating.is_some(),
            "label" => plan.split == SplitKind::Label,
            "event" => !self.events.is_empty(),
            _ => true,
        });
        let used: Vec<(&str, usize)> = used.filter_map(|(role, at)| Some((role, at?))).collect();
        let of_role = |(role, at): &(&str, usize)| ColumnUse {
            role: (*role).into(),
            name: plan.columns.name(*at).into(),
        };
        let columns: Vec<ColumnUse> = used.iter().map(of_role).collect();
        if !source.alone {
            let each: Vec<String> = columns.iter().map(|c| format!("{} `{}`", c.role, c.name)).collect();
            let rows = log.user.len() - self.before;
            log.notes.push(source.note(format!("{rows} interactions, {}", each.join(", "))));
        }
        if !log.columns.is_empty() {
            return Ok(self.log);
        }
        log.columns = columns;
        let all = plan.columns.found.iter().enumerate();
        let unused = all.filter(|(at, _)| used.iter().all(|(_, used)| used != at));
        log.ignored = unused.map(|(_, name)| name.clone()).collect();
        if options.split == SplitKind::Auto && plan.split == SplitKind::Random && plan.time.is_some() {
            let note = "there are times, but the split is random; `--split leave-one-out` or `--split temporal` hold out \
                        the latest interactions";
            log.notes.push(note.into());
        }
        Ok(self.log)
    }
}

/// A first line that was named as a header, but is a row: its ids come again.
fn check_header(options: &PrepareOptions, source: &Source<'_>, plan: &ColumnPlan, log: &Log) -> Result<()> {
    let columns = &options.columns;
    for (at, column, ids) in [(USER, &columns.user, &log.users), (ITEM, &columns.item, &log.items)] {
        if source.is_store || options.text.no_header || !matches!(column, Column::Named(_)) {
            continue;
        }
        let name = plan.name(at);
        if ids.get(name).is_some() {
            let message = format!(
                "the column `{name}` holds `{name}` too, so the first line looks like data; if it is, \
                 `--no-header --columns user,item,rating,time` keeps it"
            );
            return Err(Error::format(source.path, message));
        }
    }
    Ok(())
}

impl Counts {
    /// Counts an event; its weight, if its kind is wanted.
    fn weight(&mut self, kind: &str, wanted: &BTreeMap<String, f32>) -> Option<f32> {
        let weight = wanted.get(kind).copied();
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        } else if self.kinds.len() <= KINDS || weight.is_some() {
            // A column of many values is none of kinds, and need not be counted.
            self.kinds.insert(kind.to_string(), 1);
        }
        let weight = if wanted.is_empty() { Some(1.0) } else { weight };
        self.other_kinds += u64::from(weight.is_none());
        weight
    }
}

/// A split label as a number: 0 train, 1 valid, 2 test.
fn parse_label(text: &str) -> Option<u8> {
    match text {
        "0" | "0.0" => Some(0),
        "1" | "1.0" => Some(1),
        "2" | "2.0" => Some(2),
        _ if text.eq_ignore_ascii_case("train") => Some(0),
        _ if ["valid", "validation", "val", "dev"].iter().any(|v| text.eq_ignore_ascii_case(v)) => Some(1),
        _ if text.eq_ignore_ascii_case("test") => Some(2),
        _ => None,
    }
}
