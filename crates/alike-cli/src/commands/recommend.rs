//! `alike recommend`.

use std::path::Path;

use alike::run::{Recommendation, Run};
use serde_json::json;

use crate::args::Recommend;
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table, grouped};
use crate::recommendations;

/// Recommendations of one user on standard output, or of all as a file.
pub(crate) fn run(args: &Recommend, quiet: bool) -> Outcome {
    let top = args.top as usize;
    match (&args.user, &args.out) {
        (Some(_), Some(_)) => {
            let text = "--out is for --all; the list of one user goes to standard output".to_string();
            Err(Failure::Usage(text))
        }
        (Some(user), None) => {
            let run = open(args)?;
            let items = run.recommend(user, top)?;
            if args.json {
                return output::json(&json!({ "user": user, "model": run.model, "items": items }));
            }
            list(&items)
        }
        (None, Some(out)) => {
            let place = recommendations::FILE.place(out)?;
            recommend_all(&open(args)?, &place, out, top, args.json, quiet)
        }
        (None, None) => Err(Failure::Usage("either --user ID, or --all --out FILE".into())),
    }
}

fn open(args: &Recommend) -> Outcome<Run> {
    let mut run = Run::open_with(&args.run, args.data.as_deref())?;
    run.cold_weight = args.cold_items;
    Ok(match &args.filter {
        Some(filter) => run.with_filter(filter),
        None => run,
    })
}

/// A table of items; ids alone where the catalogue has no titles.
pub(crate) fn list(items: &[Recommendation]) -> Outcome {
    let titled = items.iter().any(|i| i.title.is_some());
    let mut table =
        Table::new(if titled { &["rank", "score", "item", "title"] } else { &["rank", "score", "item"] });
    for i in items {
        let mut row = vec![i.rank.to_string(), format!("{:.4}", i.score), i.item.clone()];
        row.extend(titled.then(|| i.title.clone().unwrap_or_default()));
        table.row(row);
    }
    output::write(&table.render())
}

/// Writes the file at `place`, which was given as `out`.
fn recommend_all(run: &Run, place: &Path, out: &Path, top: usize, json: bool, quiet: bool) -> Outcome {
    let written = recommendations::write(place, out, run, top)?;
    let users = run.data.users.len();
    if json {
        return output::json(&json!({
            "out": out, "model": run.model, "users": users, "rows": written.rows, "users_without_items": written.without,
        }));
    }
    if quiet {
        return Ok(());
    }
    let (rows, place) = (grouped(written.rows), out.display());
    output::line(format!("wrote {rows} rows for {} users to {place}", grouped(users - written.without)))?;
    match written.without {
        0 => Ok(()),
        1 => output::line("1 user has no row: they took every item that could be recommended"),
        n => output::line(format!(
            "{} users have no row: they took every item that could be recommended",
            grouped(n)
        )),
    }
}
