//! From the log to numbered users and items and the three matrices.

use std::path::Path;

use alike_ops::Csr;

use crate::data::formats::open::has_extension;
use crate::data::prepare::filter::{self, KeptRows};
use crate::data::prepare::log::Log;
use crate::data::prepare::report::{Dropped, PrepareReport, Quantiles, counted, degrees};
use crate::data::prepare::{PrepareOptions, SplitKind, split};
use crate::disk::source::STDIN;
use crate::ids::Vocab;
use crate::{Error, Result};

/// A figure over fewer users is mostly chance.
const FEW_USERS: usize = 100;

/// What is left of the log, numbered.
pub(crate) struct Cleaned {
    pub(crate) users: Vocab,
    pub(crate) items: Vocab,
    /// For each item of the log its number, or `u32::MAX`; and back.
    pub(crate) item_number: Vec<u32>,
    pub(crate) item_origin: Vec<u32>,
    pub(crate) integers: bool,
    pub(crate) splits: [Csr; 3],
    /// Weights of the train interactions, in the order of the matrix; `None` where all are 1.
    pub(crate) train_weights: Option<Vec<f32>>,
    pub(crate) report: PrepareReport,
}

/// What the report will say of dropped rows and what is good to know, as it comes up.
struct Draft {
    dropped: Vec<Dropped>,
    notes: Vec<String>,
}

impl Draft {
    fn drop(&mut self, count: usize, what: &str, why: impl Into<String>) {
        if count > 0 {
            self.dropped.push(Dropped { count: count as u64, what: what.into(), why: why.into() });
        }
    }
}

pub(crate) fn clean(options: &PrepareOptions, log: &mut Log) -> Result<Cleaned> {
    let path = &options.interactions;
    let split = log.split.expect("the split is decided when the log is read");
    let mut draft = Draft { dropped: log.dropped.clone(), notes: log.notes.clone() };
    let kept = filtered(options, log, &mut draft)?;
    let log = &*log;

    let labels = split::labels(log, &kept, split, options.seed);
    let has_train = |u: usize| {
        let own = kept.ptr[u] as usize..kept.ptr[u + 1] as usize;
        labels[own].contains(&split::TRAIN)
    };
    let (user_number, user_origin) = number(&log.users, log.users.integer_order(), has_train);
    let mut in_use = items_of(log, &kept);
    if options.k_core <= 1 {
        let more =
            log.cold.iter().filter(|&&item| !std::mem::replace(&mut in_use[item as usize], true)).count();
        if more > 0 {
            draft.notes.push(counted(
                more as u64,
                "item has features and no interaction that counts; it can be recommended",
                "items have features and no interaction that counts; they can be recommended",
            ));
        }
    }
    let integers = log.items.integer_order();
    let (item_number, item_origin) = number(&log.items, integers.clone(), |i| in_use[i]);

    let cold: Vec<usize> =
        (0..log.users.len()).filter(|&u| user_number[u] == u32::MAX && !kept.rows_of(u).is_empty()).collect();
    draft.drop(cold.len(), "users", "cold: no interaction in train");
    draft.drop(cold.iter().map(|&u| kept.rows_of(u).len()).sum(), "interactions", "of cold users");

    let splits = matrices(log, &kept, &labels, &user_origin, (&item_number, item_origin.len()))?;
    let train_weights = (!log.weight.is_empty())
        .then(|| weights(log, &kept, &labels, &user_origin, &item_number))
        .filter(|weights| weights.iter().any(|weight| *weight != 1.0));
    for (what, csr) in ["train", "valid", "test"].iter().zip(&splits) {
        if csr.nnz() == 0 {
            let message = format!("the split `{split}` leaves no {what} interactions; {}", way_out(split));
            return Err(Error::format(path, message));
        }
    }
    note_split(log, &kept, split, &splits, &mut draft);

    let [train, valid, test] = splits.each_ref().map(Csr::nnz);
    let (user_degrees, item_degrees) = degrees(&splits[0]);
    let report = PrepareReport {
        name: name_of(path),
        hash: String::new(),
        rows: log.rows,
        columns: log.columns.clone(),
        ignored: log.ignored.clone(),
        users: user_origin.len(),
        items: item_origin.len(),
        interactions: [train, valid, test],
        density: (train + valid + test) as f64 / (user_origin.len() as f64 * item_origin.len() as f64),
        split: split.to_string(),
        seed: (split == SplitKind::Random).then_some(options.seed),
        cold_users: cold.len(),
        cold_items: item_degrees.iter().filter(|d| **d == 0).count(),
        user_degrees: Quantiles::from_values(user_degrees),
        item_degrees: Quantiles::from_values(item_degrees),
        features: Vec::new(),
        knn: Vec::new(),
        titles: None,
        dropped: draft.dropped,
        notes: draft.notes,
    };
    let vocab = |all: &Vocab, origin: &[u32]| Vocab::from_names(origin.iter().map(|&o| all.name(o)));
    Ok(Cleaned {
        users: vocab(&log.users, &user_origin)?,
        items: vocab(&log.items, &item_origin)?,
        item_number,
        item_origin,
        integers: integers.is_some(),
        splits,
        train_weights,
        report,
    })
}

/// Name of the data: the file's, without what says how it is written and packed.
fn name_of(path: &Path) -> String {
    let stem = |path: &Path| path.file_stem().and_then(|n| n.to_str()).unwrap_or("data").to_string();
    match has_extension(path, &["gz", "zst"]) {
        _ if path == Path::new(STDIN) => "stdin".into(),
        true => stem(Path::new(&stem(path))),
        false => stem(path),
    }
}

/// The interactions that stay: rated well enough, none twice, k of every user and item.
fn filtered(options: &PrepareOptions, log: &mut Log, draft: &mut Draft) -> Result<KeptRows> {
    let (mut kept, dropped) = filter::without_repeats(log);
    if let Some(least) = options.min_rating {
        draft.drop(
            dropped.low,
            "interactions",
            format!("rating below {least}; of several of a pair the last decides"),
        );
    }
    draft.drop(dropped.repeats, "interactions", "repeats of a user and an item; the earliest stays");
    draft.drop(dropped.undone, "interactions", "taken back later");
    draft.drop(dropped.undoing, "events", "that take back");
    if options.k_core > 1 {
        let before = (kept.rows.len(), count_users(&kept), count_items(log, &kept));
        kept = filter::k_core(log, kept, options.k_core);
        let why = format!("{}-core", options.k_core);
        draft.drop(before.0 - kept.rows.len(), "interactions", why.clone());
        draft.drop(before.1 - count_users(&kept), "users", why.clone());
        draft.drop(before.2 - count_items(log, &kept), "items", why);
    }
    if kept.rows.is_empty() {
        let message = match log.rows {
            0 => "has a header and no interactions".to_string(),
            rows => {
                // A core drops users, items and interactions for the same reason.
                let mut why: Vec<&str> = draft.dropped.iter().map(|d| &*d.why).collect();
                why.dedup();
                let asked = [
                    (options.k_core > 1, "`--k-core`"),
                    (options.min_rating.is_some(), "`--min-rating`"),
                    (!options.events.is_empty(), "`--event`"),
                ];
                let asked: Vec<&str> =
                    asked.into_iter().filter_map(|(is, flag)| is.then_some(flag)).collect();
                let way = if asked.is_empty() {
                    String::new()
                } else {
                    format!("; {} leaves too few", asked.join(" and "))
                };
                let rows = counted(rows, "interaction", "interactions");
                format!("none of its {rows} is left ({}){way}", why.join("; "))
            }
        };
        return Err(Error::format(&options.interactions, message));
    }
    Ok(kept)
}

/// Train, valid and test as users × items; `items` are the number of each item of the log, and how many stay.
fn matrices(
    log: &Log,
    kept: &KeptRows,
    labels: &[u8],
    user_origin: &[u32],
    items: (&[u32], usize),
) -> Result<[Csr; 3]> {
    let one = |label: u8| {
        let mut ptr = Vec::with_capacity(user_origin.len() + 1);
        let mut idx: Vec<u32> = Vec::new();
        ptr.push(0);
        for &u in user_origin {
            let start = idx.len();
            idx.extend(labelled(kept, labels, u, label).map(|r| items.0[log.item[r as usize] as usize]));
            idx[start..].sort_unstable();
            ptr.push(idx.len() as u32);
        }
        Csr::new(user_origin.len(), items.1, ptr, idx)
    };
    Ok([one(split::TRAIN)?, one(split::VALID)?, one(split::TEST)?])
}

/// Rows of the log of a user that have this label.
fn labelled<'a>(
    kept: &'a KeptRows,
    labels: &'a [u8],
    user: u32,
    label: u8,
) -> impl Iterator<Item = u32> + 'a {
    let rows = kept.rows_of(user as usize);
    let own = &labels[kept.ptr[user as usize] as usize..][..rows.len()];
    rows.iter().zip(own).filter(move |(_, own)| **own == label).map(|(row, _)| *row)
}

/// Weights of the train interactions, in the order of their matrix.
fn weights(log: &Log, kept: &KeptRows, labels: &[u8], user_origin: &[u32], item_number: &[u32]) -> Vec<f32> {
    let mut all = Vec::new();
    let mut own: Vec<(u32, f32)> = Vec::new();
    for &u in user_origin {
        own.clear();
        let rows = labelled(kept, labels, u, split::TRAIN);
        own.extend(rows.map(|r| (item_number[log.item[r as usize] as usize], log.weight[r as usize])));
        own.sort_unstable_by_key(|(item, _)| *item);
        all.extend(own.iter().map(|(_, weight)| *weight));
    }
    all
}

/// What to do where a split leaves a part empty.
fn way_out(split: SplitKind) -> &'static str {
    match split {
        SplitKind::Label => "write all of 0, 1 and 2 in its column, or let it be made (`--split random`)",
        SplitKind::Random | SplitKind::LeaveOneOut | SplitKind::Auto => {
            "it takes users with three interactions or more (`--split temporal` does not, or label interactions)"
        }
        SplitKind::Temporal => {
            "too few interactions of people who were there before differ in time; `--split leave-one-out` holds out \
             something of everybody with three"
        }
    }
}

/// What is good to know of a split.
fn note_split(log: &Log, kept: &KeptRows, split: SplitKind, splits: &[Csr; 3], draft: &mut Draft) {
    let short = (0..log.users.len()).filter(|&u| matches!(kept.rows_of(u).len(), 1 | 2)).count();
    if short > 0 && matches!(split, SplitKind::Random | SplitKind::LeaveOneOut) {
        let users = counted(short as u64, "user has", "users have");
        draft.notes.push(format!("{users} fewer than 3 interactions; all of these are for training"));
    }
    let constant = log.time.as_ref().is_none_or(|t| t.windows(2).all(|w| w[0] == w[1]));
    if constant && split == SplitKind::LeaveOneOut {
        let note = "there are no times (or all are equal): the last interaction is the last in the file";
        draft.notes.push(note.into());
    }
    if split != SplitKind::Temporal {
        return;
    }
    let all: usize = splits.iter().map(Csr::nnz).sum();
    for (what, csr) in [("validation", &splits[1]), ("test", &splits[2])] {
        let users = (0..csr.rows()).filter(|&u| csr.degree(u) > 0).count();
        if users < FEW_USERS || csr.nnz() * 100 < all {
            let users = counted(users as u64, "user", "users");
            draft.notes.push(format!(
                "only {} interactions of {users} are for {what}: most who came late were not there before; figures \
                 from so few are mostly chance (`--split leave-one-out` holds out something of everybody)",
                csr.nnz()
            ));
        }
    }
}

fn count_users(kept: &KeptRows) -> usize {
    kept.ptr.windows(2).filter(|w| w[0] < w[1]).count()
}

fn count_items(log: &Log, kept: &KeptRows) -> usize {
    items_of(log, kept).iter().filter(|s| **s).count()
}

/// Whether each item of the log has a row that stays.
fn items_of(log: &Log, kept: &KeptRows) -> Vec<bool> {
    let mut seen = vec![false; log.items.len()];
    kept.rows.iter().for_each(|&r| seen[log.item[r as usize] as usize] = true);
    seen
}

/// Numbers those ids that stay: in numeric order when the ids of the file are exactly the integers 0..n-1,
/// otherwise in order of first appearance. Returns old → new (`u32::MAX` for dropped) and new → old.
fn number(all: &Vocab, order: Option<Vec<u32>>, stays: impl Fn(usize) -> bool) -> (Vec<u32>, Vec<u32>) {
    let order = order.unwrap_or_else(|| (0..all.len() as u32).collect());
    let origin: Vec<u32> = order.into_iter().filter(|&old| stays(old as usize)).collect();
    let mut numbers = vec![u32::MAX; all.len()];
    for (new, &old) in origin.iter().enumerate() {
        numbers[old as usize] = new as u32;
    }
    (numbers, origin)
}
