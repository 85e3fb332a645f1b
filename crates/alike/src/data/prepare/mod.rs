//! From files to a prepared folder: the log, what stays of it, the split, and all that is joined to its items.

pub(crate) mod catalogue;
mod filter;
pub(crate) mod item_texts;
mod join;
mod log;
pub(crate) mod report;
mod split;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use alike_ops::Csr;

use crate::data::folder::manifest::{FORMAT, FeatureEntry, KnnEntry, MANIFEST, Manifest, REPORT, VERSION};
use crate::data::folder::read;
use crate::data::folder::read::Staged;
use crate::data::formats::columns::ColumnNames;
use crate::data::formats::matrix::Matrix;
use crate::data::prepare::filter::Kept;
use crate::data::prepare::join::{Graph, Items};
use crate::data::prepare::log::Log;
use crate::data::prepare::report::{Dropped, Quantiles, Report, degrees};
use crate::ids::Vocab;
use crate::{Error, Result};

/// How interactions become train, valid and test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitKind {
    /// A column says it: 0 train, 1 valid, 2 test.
    Label,
    /// Per user at random: fewer than 10 interactions → 1 valid, 1 test; otherwise 20 % held out.
    Random,
    /// Per user by time: the last is the test, the one before is for validation.
    LeaveOneOut,
    /// One cut in time for all users: 80 / 10 / 10 %.
    Temporal,
}

impl SplitKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Label, Self::Random, Self::LeaveOneOut, Self::Temporal];
}

impl fmt::Display for SplitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Label => "label",
            Self::Random => "random",
            Self::LeaveOneOut => "leave-one-out",
            Self::Temporal => "temporal",
        })
    }
}

impl FromStr for SplitKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|k| k.to_string() == text).ok_or_else(|| Error::Setting {
            name: "split".into(),
            value: text.into(),
            allowed: Self::ALL.map(|k| k.to_string()).join(", "),
        })
    }
}

/// What to prepare and how.
#[derive(Debug, Clone)]
pub struct PrepareOptions {
    /// `.inter`, CSV, TSV or Parquet.
    pub interactions: PathBuf,
    /// Column names; what is not given is guessed.
    pub columns: ColumnNames,
    /// Interactions with a smaller rating are dropped.
    pub min_rating: Option<f32>,
    /// Features by name of the modality: `.npy`, `.npz`, `.safetensors` or `.parquet`.
    pub features: Vec<(String, PathBuf)>,
    /// Files of item ids, one a line, by name of the modality that they belong to.
    pub feature_ids: Vec<(String, PathBuf)>,
    /// Given neighbour graphs by name: `.npz` with `idx` and `cos`.
    pub knn: Vec<(String, PathBuf)>,
    /// Titles, images, categories: JSON lines.
    pub items: Option<PathBuf>,
    /// The split.
    pub split: SplitKind,
    /// Users and items with fewer interactions are dropped until none is left; 0 and 1 drop nothing.
    pub k_core: usize,
    /// Seed of the split `random`.
    pub seed: u64,
    /// The folder to write. An older prepared folder there is replaced once the new one is complete.
    pub out: PathBuf,
}

impl PrepareOptions {
    /// Options with nothing but the interactions: split `random`, seed 0.
    pub fn new(interactions: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            interactions: interactions.into(),
            columns: ColumnNames::default(),
            min_rating: None,
            features: Vec::new(),
            feature_ids: Vec::new(),
            knn: Vec::new(),
            items: None,
            split: SplitKind::Random,
            k_core: 0,
            seed: 0,
            out: out.into(),
        }
    }

    fn check(&self) -> Result<()> {
        for (what, list) in [("feature", &self.features), ("knn", &self.knn)] {
            let mut seen = BTreeSet::new();
            for (name, _) in list {
                let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
                if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
                    let allowed = "1 to 64 letters, digits, `_` and `-`".into();
                    return Err(Error::Setting {
                        name: format!("{what} name"),
                        value: name.clone(),
                        allowed,
                    });
                }
                if !seen.insert(name) {
                    return Err(Error::Data(format!("{what} `{name}` is given twice")));
                }
            }
        }
        for (name, path) in &self.feature_ids {
            if !self.features.iter().any(|(n, _)| n == name) {
                let message = format!("is given for the features `{name}`, which are not given");
                return Err(Error::format(path, message));
            }
        }
        Ok(())
    }
}

/// Reads the interactions and all that belongs to the items, cleans, splits, and writes the prepared folder.
/// On an error nothing is left behind, and a folder that was there stays as it was.
pub fn prepare(options: &PrepareOptions) -> Result<Report> {
    options.check()?;
    read::check_replaceable(&options.out, MANIFEST)?;
    let sources = Sources::open(options)?;
    let mut log = Log::read(&options.interactions, &options.columns, options.min_rating, options.split)?;
    let named = log.items.len();
    sources.add_items_of_rows(&mut log)?;
    let cleaned = clean(options, &log, named)?;
    write(options, &log, cleaned, &sources)
}

/// What belongs to the items, read and not yet joined to them.
struct Sources {
    features: Vec<(String, Matrix)>,
    knn: Vec<(String, Graph)>,
}

impl Sources {
    fn open(options: &PrepareOptions) -> Result<Self> {
        let mut features = Vec::new();
        for (name, path) in &options.features {
            let mut matrix = Matrix::open(path)?;
            if let Some((_, ids)) = options.feature_ids.iter().find(|(n, _)| n == name) {
                matrix = matrix.with_ids_file(ids)?;
            }
            features.push((name.clone(), matrix));
        }
        let graph = |(name, path): &(String, PathBuf)| Ok((name.clone(), Graph::open(path)?));
        let knn = options.knn.iter().map(graph).collect::<Result<_>>()?;
        Ok(Self { features, knn })
    }

    /// With integer ids and arrays without ids, row = id also holds for ids that no interaction names, if there
    /// is exactly one row for each integer up to the largest id: then the missing ones are items too.
    fn add_items_of_rows(&self, log: &mut Log) -> Result<()> {
        let features = self.features.iter().filter(|(_, m)| m.ids.is_none()).map(|(_, m)| m.rows);
        let rows = features.chain(self.knn.iter().filter_map(|(_, g)| g.bare_rows())).next();
        if let (Some(rows), Some(largest)) = (rows, log.items.largest_integer())
            && rows == largest + 1
        {
            for id in 0..rows {
                log.items.intern(&id.to_string())?;
            }
        }
        Ok(())
    }
}

/// What is left of the log, numbered.
struct Cleaned {
    users: Vocab,
    items: Vocab,
    /// For each item of the log its number, or `u32::MAX`; and back.
    item_number: Vec<u32>,
    item_origin: Vec<u32>,
    integers: bool,
    splits: [Csr; 3],
    report: Report,
}

/// `named` is the number of items that the interactions name; the log's other items are only rows of features.
fn clean(options: &PrepareOptions, log: &Log, named: usize) -> Result<Cleaned> {
    let path = &options.interactions;
    let (mut dropped, mut notes) = (Vec::new(), Vec::new());
    let mut drop = |count: usize, what: &str, why: String| {
        if count > 0 {
            dropped.push(Dropped { count: count as u64, what: what.into(), why });
        }
    };
    if let Some(least) = options.min_rating {
        drop(log.below_rating as usize, "interactions", format!("rating below {least}"));
    }
    let mut kept = filter::without_repeats(log);
    drop(
        log.user.len() - kept.rows.len(),
        "interactions",
        "repeats of a user and an item; the earliest stays".into(),
    );
    if options.k_core > 1 {
        let before = (kept.rows.len(), count_users(&kept), count_items(log, &kept));
        kept = filter::k_core(log, kept, options.k_core);
        let why = format!("{}-core", options.k_core);
        drop(before.0 - kept.rows.len(), "interactions", why.clone());
        drop(before.1 - count_users(&kept), "users", why.clone());
        drop(before.2 - count_items(log, &kept), "items", why);
    }
    if kept.rows.is_empty() {
        let message = match log.rows {
            0 => "has a header and no interactions".to_string(),
            rows => format!("none of its {rows} interactions is left (smallest rating, k-core)"),
        };
        return Err(Error::format(path, message));
    }

    let labels = split::labels(log, &kept, options.split, options.seed);
    let (user_number, user_origin, item_number, item_origin);
    let integers = log.items.integer_order();
    let has_train = |u: usize| {
        let own = kept.ptr[u] as usize..kept.ptr[u + 1] as usize;
        labels[own].contains(&split::TRAIN)
    };
    (user_number, user_origin) = number(&log.users, log.users.integer_order(), has_train);
    let mut in_use = vec![false; log.items.len()];
    if options.k_core <= 1 && log.items.len() > named {
        in_use[named..].fill(true);
        let more = log.items.len() - named;
        notes.push(format!("{more} items have a row of features and no interaction; they are candidates"));
    }
    kept.rows.iter().for_each(|&r| in_use[log.item[r as usize] as usize] = true);
    (item_number, item_origin) = number(&log.items, integers.clone(), |i| in_use[i]);

    let cold: Vec<usize> =
        (0..log.users.len()).filter(|&u| user_number[u] == u32::MAX && !kept.of(u).is_empty()).collect();
    let of_cold = cold.iter().map(|&u| kept.of(u).len()).sum();
    drop(cold.len(), "users", "cold: no interaction in train".into());
    drop(of_cold, "interactions", "of cold users".into());

    let splits = [split::TRAIN, split::VALID, split::TEST].map(|label| {
        let mut ptr = Vec::with_capacity(user_origin.len() + 1);
        let mut idx: Vec<u32> = Vec::new();
        ptr.push(0);
        for &u in &user_origin {
            let start = idx.len();
            let (from, to) = (kept.ptr[u as usize] as usize, kept.ptr[u as usize + 1] as usize);
            let rows = (from..to).filter(|&at| labels[at] == label);
            idx.extend(rows.map(|at| item_number[log.item[kept.rows[at] as usize] as usize]));
            idx[start..].sort_unstable();
            ptr.push(idx.len() as u32);
        }
        Csr::new(user_origin.len(), item_origin.len(), ptr, idx)
    });
    let [train, valid, test] = splits;
    let splits = [train?, valid?, test?];
    for (what, csr) in ["train", "valid", "test"].iter().zip(&splits) {
        if csr.nnz() == 0 {
            let message = format!("the split `{}` leaves no {what} interactions", options.split);
            return Err(Error::format(path, message));
        }
    }

    let short = (0..log.users.len()).filter(|&u| matches!(kept.of(u).len(), 1 | 2)).count();
    if short > 0 && matches!(options.split, SplitKind::Random | SplitKind::LeaveOneOut) {
        notes.push(format!("{short} users have fewer than 3 interactions; all of them are for training"));
    }
    let constant = log.time.as_ref().is_none_or(|t| t.windows(2).all(|w| w[0] == w[1]));
    if constant && options.split == SplitKind::LeaveOneOut {
        notes.push(
            "there are no times (or all are equal): the last interaction is the last in the file".into(),
        );
    }
    let [train, valid, test] = splits.each_ref().map(Csr::nnz);
    let (user_degrees, item_degrees) = degrees(&splits[0]);
    let report = Report {
        name: path.file_stem().and_then(|n| n.to_str()).unwrap_or("data").to_string(),
        hash: String::new(),
        rows: log.rows,
        users: user_origin.len(),
        items: item_origin.len(),
        interactions: [train, valid, test],
        density: (train + valid + test) as f64 / (user_origin.len() as f64 * item_origin.len() as f64),
        split: options.split.to_string(),
        seed: (options.split == SplitKind::Random).then_some(options.seed),
        cold_users: cold.len(),
        cold_items: item_degrees.iter().filter(|d| **d == 0).count(),
        user_degrees: Quantiles::of(user_degrees),
        item_degrees: Quantiles::of(item_degrees),
        features: Vec::new(),
        knn: Vec::new(),
        titles: None,
        dropped,
        notes,
    };
    let vocab = |all: &Vocab, origin: &[u32]| Vocab::from_names(origin.iter().map(|&o| all.name(o)));
    Ok(Cleaned {
        users: vocab(&log.users, &user_origin)?,
        items: vocab(&log.items, &item_origin)?,
        item_number,
        item_origin,
        integers: integers.is_some(),
        splits,
        report,
    })
}

fn count_users(kept: &Kept) -> usize {
    kept.ptr.windows(2).filter(|w| w[0] < w[1]).count()
}

fn count_items(log: &Log, kept: &Kept) -> usize {
    let mut seen = vec![false; log.items.len()];
    kept.rows.iter().for_each(|&r| seen[log.item[r as usize] as usize] = true);
    seen.iter().filter(|s| **s).count()
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

fn write(options: &PrepareOptions, log: &Log, cleaned: Cleaned, sources: &Sources) -> Result<Report> {
    let Cleaned { users, items, item_number, item_origin, integers, splits, mut report } = cleaned;
    let joined = Items { all: &log.items, number: &item_number, origin: &item_origin, integers };
    let staged = Staged::new(&options.out, MANIFEST)?;
    let mut files = Vec::new();
    for (what, vocab) in [("users", &users), ("items", &items)] {
        let (names, offsets) = vocab.parts();
        files.push(staged.write_bytes(&format!("{what}.names"), names)?);
        files.push(staged.write_bytes(&format!("{what}.offsets"), bytemuck::cast_slice(offsets))?);
    }
    for (what, csr) in ["train", "valid", "test"].iter().zip(&splits) {
        files.push(staged.write_bytes(&format!("{what}.ptr"), bytemuck::cast_slice(csr.ptr()))?);
        files.push(staged.write_bytes(&format!("{what}.idx"), bytemuck::cast_slice(csr.idx()))?);
    }
    for (name, matrix) in &sources.features {
        let file = format!("feature.{name}.f32");
        let failed = |e: std::io::Error| Error::io(options.out.join(&file), e);
        let mut missing = Vec::new();
        files.push(staged.write(&file, |out| {
            let (entry, flags) = join::write_features(name, matrix, &joined, out, failed)?;
            report.features.push(entry);
            missing = flags.into_iter().map(u8::from).collect();
            out.flush().map_err(failed)
        })?);
        files.push(staged.write_bytes(&format!("feature.{name}.missing"), &missing)?);
    }
    for (name, graph) in &sources.knn {
        let graph = graph.join(name, &joined)?;
        files.push(staged.write_bytes(&format!("knn.{name}.idx"), bytemuck::cast_slice(&graph.idx))?);
        files.push(staged.write_bytes(&format!("knn.{name}.cos"), bytemuck::cast_slice(&graph.cos))?);
        report.knn.push(graph.report);
    }
    let mut image_root = None;
    if let Some(path) = &options.items {
        let read = catalogue::read_items(path, &items)?;
        let (text, offsets) = read.catalogue.parts();
        files.push(staged.write_bytes("catalogue.text", text)?);
        files.push(staged.write_bytes("catalogue.offsets", bytemuck::cast_slice(offsets))?);
        image_root = read.catalogue.image_root().and_then(Path::to_str).map(str::to_string);
        report.titles = Some(read.with_title);
        let file = path.file_name().and_then(|n| n.to_str()).unwrap_or("the items file");
        for (count, what) in [(read.unknown_items, "describe other items"), (read.repeated, "repeat an item")]
        {
            if count > 0 {
                report.notes.push(format!("{count} lines of {file} {what}"));
            }
        }
    }
    let text = serde_json::to_vec_pretty(&report).map_err(|e| Error::Data(e.to_string()))?;
    files.push(staged.write_bytes(REPORT, &text)?);

    let mut manifest = Manifest {
        format: FORMAT.into(),
        version: VERSION,
        hash: String::new(),
        name: report.name.clone(),
        split: report.split.clone(),
        seed: report.seed,
        users: report.users,
        items: report.items,
        interactions: report.interactions,
        features: report.features.iter().map(|f| FeatureEntry { name: f.name.clone(), dim: f.dim }).collect(),
        knn: report.knn.iter().map(|g| KnnEntry { name: g.name.clone(), k: g.k }).collect(),
        catalogue: options.items.is_some(),
        image_root,
        files,
    };
    manifest.hash = manifest.content_hash();
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::Data(e.to_string()))?;
    staged.write_bytes(MANIFEST, &text)?;
    staged.commit(MANIFEST)?;
    report.hash = manifest.hash;
    Ok(report)
}
