//! `alike prepare`.

use std::path::{Path, absolute};

use alike::data::{Column, ColumnNames, ItemColumns, PrepareOptions, SplitKind, TextOptions, prepare_with};

use crate::args::{Prepare, Role, SplitName};
use crate::commands::logs::{Catalogue, Logs};
use crate::destination;
use crate::failure::{Failure, Outcome};
use crate::made::Made;
use crate::output;
use crate::progress::Phases;

/// The name of a column that leaves a role out.
const NONE: &str = "none";

/// Prepares, and prints the data report.
pub(crate) fn run(args: &Prepare, quiet: bool) -> Outcome {
    if !args.columns.is_empty() && !args.no_header {
        let text = "--columns names the columns of a file without a header: add --no-header, or say which column of the header \
                    is which with --column ROLE=NAME";
        return Err(Failure::Usage(text.into()));
    }
    let logs = Logs::open(&args.interactions)?;
    let catalogue = Catalogue::of_all(&args.items)?;
    let out = destination::folder(&args.out)?;
    check_out(&args.out, &out)?;
    let options = PrepareOptions {
        interactions: logs.first.clone(),
        more_interactions: logs.more.clone(),
        stores: logs.stores.clone(),
        columns: columns(&args.roles)?,
        text: TextOptions {
            delimiter: args.delimiter.clone(),
            encoding: args.text.encoding.clone(),
            no_header: args.no_header,
            names: args.columns.clone(),
            skip_lines: args.skip_lines,
            sheet: args.sheet.clone(),
        },
        time_format: args.time_format.clone(),
        events: args.events.clone(),
        half_life: args.half_life,
        drop_missing: args.drop_missing,
        min_rating: args.min_rating,
        features: args.features.clone(),
        feature_ids: args.feature_ids.clone(),
        knn: args.knn.clone(),
        items: catalogue.as_ref().map(|catalogue| catalogue.path.clone()),
        items_over: catalogue.as_ref().map(|catalogue| catalogue.over.clone()).unwrap_or_default(),
        item_columns: ItemColumns {
            id: args.id.clone(),
            title: args.title.clone(),
            image: args.images.clone(),
            category: args.category.clone(),
            attributes: args.attributes.clone(),
        },
        cold_items: !args.no_cold_items,
        split: split(args),
        k_core: args.k_core,
        seed: args.seed,
        out,
    };
    // A signal ends the process; what it leaves is removed by the next.
    let report = prepare_with(&options, &Phases::new("prepare", None, quiet))?;
    if args.json {
        return output::json(&report);
    }
    if quiet {
        return Ok(());
    }
    output::write(&report.to_string())?;
    output::line(format!("\nnext: alike train --data {} --out RUN", args.out.display()))
}

/// An error where the output would be within a folder of this program; `place` is where links lead.
fn check_out(shown: &Path, place: &Path) -> Outcome {
    let Ok(place) = absolute(place) else { return Ok(()) };
    match place.ancestors().skip(1).find_map(|above| Some((above, Made::at(above)?))) {
        Some((above, made)) => Err(Failure::Usage(format!(
            "--out: {} is inside of {}, which is {}; choose a folder outside",
            shown.display(),
            above.display(),
            made.name()
        ))),
        None => Ok(()),
    }
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
