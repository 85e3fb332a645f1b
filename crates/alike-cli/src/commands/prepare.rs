//! `alike prepare`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use alike::data::{ColumnNames, PrepareOptions, SplitKind, prepare};

use crate::args::{Prepare, Role, SplitName};
use crate::destination;
use crate::failure::{Failure, Outcome};
use crate::output;

/// Bytes in which a header line must end.
const HEAD: u64 = 1 << 16;

/// Prepares, and prints the data report.
pub(crate) fn run(args: &Prepare, quiet: bool) -> Outcome {
    let report = prepare(&PrepareOptions {
        interactions: args.interactions.clone(),
        columns: columns(&args.columns)?,
        min_rating: args.min_rating,
        features: args.features.clone(),
        feature_ids: args.feature_ids.clone(),
        knn: args.knn.clone(),
        items: args.items.clone(),
        split: split(args),
        k_core: args.k_core,
        seed: args.seed,
        out: destination::folder(&args.out)?,
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

fn columns(given: &[(Role, String)]) -> Outcome<ColumnNames> {
    let mut names = ColumnNames::default();
    for (role, name) in given {
        let place = match role {
            Role::User => &mut names.user,
            Role::Item => &mut names.item,
            Role::Rating => &mut names.rating,
            Role::Time => &mut names.time,
            Role::Label => &mut names.label,
        };
        if let Some(before) = place.replace(name.clone()) {
            return Err(Failure::Usage(format!(
                "--column: both `{before}` and `{name}` are given for one role"
            )));
        }
    }
    Ok(names)
}

/// The split asked for; otherwise the file's own labels, which MMRec calls `x_label`, or a random split.
fn split(args: &Prepare) -> SplitKind {
    match args.split {
        Some(SplitName::Label) => SplitKind::Label,
        Some(SplitName::Random) => SplitKind::Random,
        Some(SplitName::LeaveOneOut) => SplitKind::LeaveOneOut,
        Some(SplitName::Temporal) => SplitKind::Temporal,
        None if args.columns.iter().any(|c| c.0 == Role::Label) => SplitKind::Label,
        None if has_labels(&args.interactions) => SplitKind::Label,
        None => SplitKind::Random,
    }
}

/// Whether the first line of `path` names a column `x_label`. A file that cannot be read is not our business here.
fn has_labels(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| BufReader::new(file.take(HEAD)).read_until(b'\n', &mut head));
    let words = String::from_utf8_lossy(&head);
    let mut words = words.split(|c: char| !c.is_alphanumeric() && c != '_');
    read.is_ok() && words.any(|word| word == "x_label")
}
