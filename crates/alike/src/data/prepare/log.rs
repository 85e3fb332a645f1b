//! The log of interactions in memory: numbered users and items, times, labels.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::formats::columns::{Column, Columns, listed};
use crate::data::formats::id_text::{self, clean};
use crate::data::formats::table::{Place, read_rows};
use crate::data::formats::times::{TimeFormat, Units, expected};
use crate::data::prepare::missing::{Missing, is_nothing, unreadable};
use crate::data::prepare::ratings::{Ratings, parse_rating};
use crate::data::prepare::report::{ColumnUse, Dropped};
use crate::data::prepare::{PrepareOptions, SplitKind};
use crate::ids::Vocab;
use crate::{Error, Result};

/// Kinds of events that a note names.
const KINDS: usize = 12;

/// Interactions in file order, one value a row in each column.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// All users of the file, in order of first appearance.
    pub(crate) users: Vocab,
    /// All items of the file, in order of first appearance.
    pub(crate) items: Vocab,
    pub(crate) user: Vec<u32>,
    pub(crate) item: Vec<u32>,
    /// Absent when the file has no column of times.
    pub(crate) time: Option<Vec<f64>>,
    /// 0 train, 1 valid, 2 test; read only for the split `label`.
    pub(crate) label: Option<Vec<u8>>,
    /// Whether the rating is below the smallest wanted; empty where none is wanted.
    low: Vec<bool>,
    /// Rows in the file, with those that were dropped.
    pub(crate) rows: u64,
    /// The split, `auto` decided.
    pub(crate) split: Option<SplitKind>,
    /// What each column was taken for.
    pub(crate) columns: Vec<ColumnUse>,
    /// Columns that were not used.
    pub(crate) ignored: Vec<String>,
    /// Rows that were left out while reading.
    pub(crate) dropped: Vec<Dropped>,
    /// What is good to know of the file.
    pub(crate) notes: Vec<String>,
}

/// The columns that are read, and where their cells stand in a row.
struct Plan {
    columns: Columns,
    split: SplitKind,
    /// Positions of the columns in the file, in the order of the cells.
    chosen: Vec<usize>,
    rating: Option<usize>,
    time: Option<usize>,
    label: Option<usize>,
    event: Option<usize>,
}

const USER: usize = 0;
const ITEM: usize = 1;

impl Plan {
    /// What to read of a file with these columns; an error if something is not there that an option needs.
    fn new(path: &Path, names: &[String], options: &PrepareOptions) -> Result<Self> {
        let columns = Columns::find(path, names, &options.columns)?;
        let at = columns.positions;
        let own_labels = |at: usize| {
            matches!(options.columns.label, Column::Named(_)) || names[at].eq_ignore_ascii_case("x_label")
        };
        let split = match options.split {
            SplitKind::Auto if at.label.is_some_and(own_labels) => SplitKind::Label,
            SplitKind::Auto => SplitKind::Random,
            given => given,
        };
        let lacks = |what: &str, why: &str| {
            let found = listed(names);
            Error::format(path, format!("no column of {what}, which {why} needs; the columns are {found}"))
        };
        if options.min_rating.is_some() && at.rating.is_none() {
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

impl Log {
    /// Reads the interactions. Ids of rows that are dropped by rating or kind are known all the same.
    pub(crate) fn read(options: &PrepareOptions) -> Result<Self> {
        let path = &options.interactions;
        let format = options.time_format.as_deref().map(TimeFormat::parse).transpose()?.unwrap_or_default();
        let mut log = Self::default();
        let (mut times, mut labels) = (Vec::new(), Vec::new());
        let mut counts = Counts::default();
        let plan = std::cell::OnceCell::new();
        let mut choose = |names: &[String]| {
            let made = Plan::new(path, names, options)?;
            Ok(plan.get_or_init(|| made).chosen.clone())
        };
        let mut visit = |place: &Place<'_>, cells: &[&str]| {
            let plan: &Plan = plan.get().expect("columns are chosen before rows are read");
            log.rows += 1;
            let ids = [USER, ITEM].map(|at| clean(cells[at]));
            let [no_user, no_item] = &mut counts.missing;
            if no_user.check(ids[USER], place, options.drop_missing)
                || no_item.check(ids[ITEM], place, options.drop_missing)
            {
                return Ok(());
            }
            let named = |e: Error| place.error(e.to_string());
            let (user, _) = log.users.intern(ids[USER]).map_err(named)?;
            let (item, _) = log.items.intern(ids[ITEM]).map_err(named)?;
            if let Some(at) = plan.event
                && !counts.keeps(cells[at].trim(), &options.events)
            {
                return Ok(());
            }
            // A cell that is needed: none is fine only where rows may be dropped.
            let mut needed = |at: usize, what: &'static str| match cells[at].trim() {
                text if options.drop_missing && is_nothing(text) => {
                    *counts.without.entry(what).or_default() += 1;
                    None
                }
                text => Some(text),
            };
            let mut low = false;
            if let (Some(at), Some(least)) = (plan.rating, options.min_rating) {
                let Some(text) = needed(at, "no rating") else { return Ok(()) };
                let rating = parse_rating(text);
                let bad = || unreadable(place, plan.name(at), text, "a number is expected");
                low = rating.ok_or_else(bad)? < least;
            }
            let mut time = None;
            if let Some(at) = plan.time {
                let Some(text) = needed(at, "no time") else { return Ok(()) };
                let read = format
                    .read(text)
                    .ok_or_else(|| unreadable(place, plan.name(at), text, expected(text)))?;
                counts.units.add(read, place.line);
                time = Some(read);
            }
            if let Some(at) = plan.label {
                let text = cells[at].trim();
                let bad = || {
                    unreadable(place, plan.name(at), text, "0 or train, 1 or valid, 2 or test is expected")
                };
                labels.push(parse_label(text).ok_or_else(bad)?);
            }
            if let Some(at) = plan.rating.filter(|_| options.min_rating.is_none()) {
                counts.ratings.add(cells[at].trim());
            }
            if log.user.len() == u32::MAX as usize - 1 {
                return Err(place.error("more than 2^32 - 2 interactions"));
            }
            log.user.push(user);
            log.item.push(item);
            times.extend(time);
            if options.min_rating.is_some() {
                log.low.push(low);
            }
            Ok(())
        };
        read_rows(path, &options.text, &mut choose, &mut visit)?;
        let plan = plan.into_inner().ok_or_else(|| Error::format(path, "holds no table"))?;
        log.time = plan.time.map(|_| times);
        log.label = plan.label.map(|_| labels);
        log.split = Some(plan.split);
        log.conclude(options, &plan, &counts)?;
        Ok(log)
    }

    /// Turns the counts into what the report says, or into errors about the file as a whole.
    fn conclude(&mut self, options: &PrepareOptions, plan: &Plan, counts: &Counts) -> Result<()> {
        let path = &options.interactions;
        for (at, missing) in [USER, ITEM].into_iter().zip(&counts.missing) {
            let column = plan.name(at);
            if options.drop_missing {
                self.dropped.extend(missing.dropped(column));
            } else if let Some(error) = missing.error(column) {
                return Err(error);
            } else {
                self.notes.extend(missing.notes(column));
            }
        }
        if let Some((line, message)) = counts.units.mixed() {
            return Err(Error::format_at(path, line, message));
        }
        self.check_header(options, plan)?;
        for (at, ids) in [(USER, &self.users), (ITEM, &self.items)] {
            self.notes.extend(id_text::note_of_twins(plan.name(at), ids));
        }
        let mut drop = |count: u64, why: String| {
            if count > 0 {
                self.dropped.push(Dropped { count, what: "interactions".into(), why });
            }
        };
        drop(counts.other_kinds, format!("kinds of events other than {}", options.events.join(", ")));
        counts.without.iter().for_each(|(why, count)| drop(*count, (*why).into()));
        if let Some(at) = plan.rating {
            self.notes.extend(counts.ratings.note(plan.name(at)));
        }
        if options.events.is_empty() && counts.kinds.len() > 1 && counts.kinds.len() <= KINDS {
            let kinds: Vec<String> = counts.kinds.iter().map(|(k, n)| format!("{k} {n}")).collect();
            self.notes.push(format!(
                "all kinds of events count the same ({}); `--event KIND` keeps only some",
                kinds.join(", ")
            ));
        }
        let kinds_asked = options.events.iter().find(|kind| !counts.kinds.contains_key(*kind));
        if let Some(kind) = kinds_asked {
            let found: Vec<String> = counts.kinds.keys().cloned().collect();
            return Err(Error::format(
                path,
                format!("no event is `{kind}`; the kinds are {}", listed(&found)),
            ));
        }
        let used = plan.columns.roles().into_iter().filter(|(role, _)| match *role {
            "rating" => options.min_rating.is_some(),
            "label" => plan.split == SplitKind::Label,
            "event" => !options.events.is_empty(),
            _ => true,
        });
        let used: Vec<(&str, usize)> = used.filter_map(|(role, at)| Some((role, at?))).collect();
        let of_role = |(role, at): &(&str, usize)| ColumnUse {
            role: (*role).into(),
            name: plan.columns.name(*at).into(),
        };
        self.columns = used.iter().map(of_role).collect();
        let all = plan.columns.found.iter().enumerate();
        let unused = all.filter(|(at, _)| used.iter().all(|(_, used)| used != at));
        self.ignored = unused.map(|(_, name)| name.clone()).collect();
        if options.split == SplitKind::Auto && plan.split == SplitKind::Random && plan.time.is_some() {
            let note = "there are times, but the split is random; `--split leave-one-out` or `--split temporal` hold out \
                        the latest interactions";
            self.notes.push(note.into());
        }
        Ok(())
    }

    /// A first line that was named as a header, but is a row: its ids come again.
    fn check_header(&self, options: &PrepareOptions, plan: &Plan) -> Result<()> {
        let columns = &options.columns;
        for (at, column, ids) in [(USER, &columns.user, &self.users), (ITEM, &columns.item, &self.items)] {
            if options.text.no_header || !matches!(column, Column::Named(_)) {
                continue;
            }
            let name = plan.name(at);
            if ids.get(name).is_some() {
                let message = format!(
                    "the column `{name}` holds `{name}` too, so the first line looks like data; if it is, \
                     `--no-header --columns user,item,rating,time` keeps it"
                );
                return Err(Error::format(&options.interactions, message));
            }
        }
        Ok(())
    }

    /// Time of a row; the same for all rows when the file has none.
    pub(crate) fn time_of(&self, row: u32) -> f64 {
        self.time.as_ref().map_or(0.0, |t| t[row as usize])
    }

    /// Whether the rating of a row is too low.
    pub(crate) fn is_low(&self, row: u32) -> bool {
        self.low.get(row as usize).copied().unwrap_or(false)
    }
}

impl Counts {
    /// Counts an event, and tells whether its kind is wanted.
    fn keeps(&mut self, kind: &str, wanted: &[String]) -> bool {
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        } else if self.kinds.len() <= KINDS || wanted.iter().any(|w| w == kind) {
            // A column of many values is none of kinds, and need not be counted.
            self.kinds.insert(kind.to_string(), 1);
        }
        let keeps = wanted.is_empty() || wanted.iter().any(|w| w == kind);
        self.other_kinds += u64::from(!keeps);
        keeps
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
