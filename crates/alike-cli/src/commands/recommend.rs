//! `alike recommend`.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alike::recommend::Recommender;
use alike::run::{Recommendation, Run};
use arrow_array::temporal_conversions::timestamp_s_to_datetime;
use serde_json::json;

use crate::args::{MoreColumn, Recommend};
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table, grouped};
use crate::recommendations::{self, ListFile};

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
            recommend_all(open(args)?, &place, out, args, quiet)
        }
        (None, None) => Err(Failure::Usage("either --user ID, or --all --out FILE".into())),
    }
}

fn open(args: &Recommend) -> Outcome<Run> {
    let mut run = Run::open_with(&args.run, args.data.as_deref())?;
    run.cold_weight = args.cold_items;
    let run = match &args.filter {
        Some(filter) => run.with_filter(filter),
        None => run,
    };
    // As a server does.
    Ok(run.listed_at(since_1970().as_millis() as i64))
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
fn recommend_all(run: Run, place: &Path, out: &Path, args: &Recommend, quiet: bool) -> Outcome {
    let with = |column| args.with.contains(&column);
    let how = ListFile {
        top: args.top as usize,
        limits: args.limits.clone(),
        model: with(MoreColumn::Model).then(|| run.model.clone()),
        time: with(MoreColumn::Time).then(now),
        reasons: with(MoreColumn::Reasons),
    };
    if let Some((key, _)) = how.limits.iter().find(|(key, _)| !has_key(&run, key)) {
        let names = run.data.catalogue.attributes().join(", ");
        let text = format!("--limit: no item has `{key}`; allowed: category, {names}");
        return Err(Failure::Usage(text.trim_end_matches(", ").to_string()));
    }
    let (run, recommender) = match how.reasons {
        true => (None, Some(Recommender::new(run)?)),
        false => (Some(run), None),
    };
    let run = run.as_ref().or(recommender.as_ref().map(Recommender::run)).expect("one of the two");
    let written = recommendations::write(place, out, run, recommender.as_ref(), &how)?;
    let json = args.json;
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

/// Whether items can have a value of that name.
fn has_key(run: &Run, key: &str) -> bool {
    key == "category" || run.data.catalogue.attributes().iter().any(|name| name == key)
}

/// The time, such as 2026-01-31T12:30:00Z.
fn now() -> String {
    let time = timestamp_s_to_datetime(since_1970().as_secs() as i64).unwrap_or_default();
    format!("{}Z", time.format("%Y-%m-%dT%H:%M:%S"))
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
