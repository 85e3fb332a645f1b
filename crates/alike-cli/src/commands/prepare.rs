//! `alike prepare`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, absolute};

use alike::data::{Column, ColumnNames, ItemColumns, PrepareOptions, SplitKind, TextOptions, prepare};

use crate::args::{Prepare, Role, SplitName};
use crate::destination;
use crate::failure::{Failure, Outcome};
use crate::output;

/// The name of a column that leaves a role out.
const NONE: &str = "none";

/// Prepares, and prints the data report.
pub(crate) fn run(args: &Prepare, quiet: bool) -> Outcome {
    if !args.columns.is_empty() && !args.no_header {
        let text = "--columns names the columns of a file without a header: add --no-header, or say which column of the header \
                    is which with --column ROLE=NAME";
        return Err(Failure::Usage(text.into()));
    }
    check_file(args)?;
    let out = destination::folder(&args.out)?;
    check_out(&args.out, &out)?;
    let report = prepare(&PrepareOptions {
        interactions: args.interactions.clone(),
        columns: columns(&args.roles)?,
        text: TextOptions {
            delimiter: args.delimiter.as_deref().map(delimiter),
            encoding: args.text.encoding.clone(),
            no_header: args.no_header,
            names: args.columns.clone(),
            skip_lines: args.skip_lines,
            sheet: args.sheet.clone(),
        },
        time_format: args.time_format.clone(),
        events: args.events.clone(),
        drop_missing: args.drop_missing,
        min_rating: args.min_rating,
        features: args.features.clone(),
        feature_ids: args.feature_ids.clone(),
        knn: args.knn.clone(),
        items: args.items.clone(),
        item_columns: ItemColumns {
            id: args.id.clone(),
            title: args.title.clone(),
            image: args.images.clone(),
            category: args.category.clone(),
        },
        cold_items: !args.no_cold_items,
        split: split(args),
        k_core: args.k_core,
        seed: args.seed,
        out,
    })?;
    if args.json {
        return output::json(&report);
    }
    if quiet {
        return Ok(());
    }
    output::write(&report.to_string())?;
    output::line(format!("\nnext: alike train nsmar+ --data {} --out RUN", args.out.display()))
}

/// The sign that a word for one means.
fn delimiter(given: &str) -> String {
    let sign = match given {
        "comma" => ",",
        "semicolon" => ";",
        "pipe" => "|",
        "colon" => ":",
        other => other,
    };
    sign.to_string()
}

/// An error where a file of this program is given as interactions, or flags for another kind of file.
fn check_file(args: &Prepare) -> Outcome {
    let path = &args.interactions;
    let wrong = |flag: &str, text: String| Err(Failure::Usage(format!("{flag}: {} {text}", path.display())));
    let folder = if path.is_file() { path.parent() } else { Some(path.as_path()) };
    if let Some(what) = folder.and_then(made_here).filter(|_| path.is_dir() || is_mark(path)) {
        return wrong("--interactions", format!("is {what}; give the log that the data were prepared from"));
    }
    // What a pipe holds is seen once it is read.
    let mut head = [0; 4];
    let is_read = path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok();
    if !is_read {
        return Ok(());
    }
    let ending = destination::ending(path);
    let is_book = head == *b"PK\x03\x04";
    let is_packed = head.starts_with(&[0x1f, 0x8b]) || head == [0x28, 0xb5, 0x2f, 0xfd];
    let is_old_book = head == [0xd0, 0xcf, 0x11, 0xe0];
    if args.sheet.is_some() && !(is_book || is_packed || is_old_book) {
        return wrong("--sheet", "is no workbook; leave --sheet out".into());
    }
    let kind = match head {
        _ if is_book && ["xlsx", "xlsm", "ods"].contains(&ending.as_str()) => "a workbook",
        _ if head == *b"PAR1" => "Parquet",
        _ => return Ok(()),
    };
    // The encoding is that of a catalogue, too.
    let encoding = args.text.encoding.as_ref().filter(|_| args.items.is_none());
    match (&args.delimiter, encoding) {
        (Some(_), _) => wrong("--delimiter", format!("is {kind}, which has none; leave --delimiter out")),
        (_, Some(_)) => wrong("--encoding", format!("is {kind}, which says its own; leave --encoding out")),
        (None, None) => Ok(()),
    }
}

/// An error where the output would be within a folder of this program; `place` is where links lead.
fn check_out(shown: &Path, place: &Path) -> Outcome {
    let Ok(place) = absolute(place) else { return Ok(()) };
    match place.ancestors().skip(1).find_map(|above| Some((above, made_here(above)?))) {
        Some((above, what)) => Err(Failure::Usage(format!(
            "--out: {} is inside of {}, which is {what}; choose a folder outside",
            shown.display(),
            above.display()
        ))),
        None => Ok(()),
    }
}

/// The files that say that a folder was made by this program, what it is then, and a key of theirs: others
/// have files of these names, too.
const MARKS: [(&str, &str, &str); 2] =
    [("run.json", "a run", "data_hash"), ("manifest.json", "a prepared folder", "interactions")];
/// Longest of them that is looked at.
const MARK_BYTES: u64 = 16 << 20;

fn is_mark(path: &Path) -> bool {
    MARKS.iter().any(|(name, _, _)| path.ends_with(name))
}

/// What this program made a folder to be.
fn made_here(folder: &Path) -> Option<&'static str> {
    let is_ours = |name: &str, key: &str| {
        let mut text = String::new();
        let file = File::open(folder.join(name)).ok()?;
        file.take(MARK_BYTES).read_to_string(&mut text).ok()?;
        serde_json::from_str::<serde_json::Value>(&text).ok()?.get(key).map(drop)
    };
    MARKS.iter().find(|(name, _, key)| is_ours(name, key).is_some()).map(|(_, what, _)| *what)
}

fn columns(given: &[(Role, String)]) -> Outcome<ColumnNames> {
    let mut names = ColumnNames::default();
    for (role, name) in given {
        let place = match role {
            Role::User => &mut names.user,
            Role::Item => &mut names.item,
            Role::Rating => &mut names.rating,
            Role::Time => &mut names.time,
            Role::Label => &mut names.label,
            Role::Event => &mut names.event,
        };
        if *place != Column::Guessed {
            return Err(Failure::Usage(format!("--column: `{name}` is the second name for one role")));
        }
        *place = match (name.as_str(), role) {
            (NONE, Role::User | Role::Item) => {
                let message = "--column: users and items cannot be left out";
                return Err(Failure::Usage(message.into()));
            }
            (NONE, _) => Column::LeftOut,
            (name, _) => Column::from(name),
        };
    }
    Ok(names)
}

/// The split asked for; otherwise the file's own labels, or a random split.
fn split(args: &Prepare) -> SplitKind {
    match args.split {
        Some(SplitName::Label) => SplitKind::Label,
        Some(SplitName::Random) => SplitKind::Random,
        Some(SplitName::LeaveOneOut) => SplitKind::LeaveOneOut,
        Some(SplitName::Temporal) => SplitKind::Temporal,
        None => SplitKind::Auto,
    }
}
