//! `alike recommend`.

use std::path::Path;

use alike::recommend::{Recommendation, Run};
use serde_json::json;

use crate::args::Recommend;
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table, grouped};
use crate::parquet_file;

/// Recommendations of one user on standard output, or of all as a Parquet file.
pub(crate) fn run(args: &Recommend, quiet: bool) -> Outcome {
    let run = Run::open(&args.run)?;
    let top = args.top as usize;
    match (&args.user, &args.out) {
        (Some(user), _) => {
            let items = run.recommend(user, top)?;
            if args.json {
                return output::json(&json!({ "user": user, "model": run.model, "items": items }));
            }
            list(&items)
        }
        (None, Some(out)) => all(&run, out, top, args.json, quiet),
        (None, None) => Err(Failure::Usage("either --user ID, or --all --out FILE.parquet".into())),
    }
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

fn all(run: &Run, out: &Path, top: usize, json: bool, quiet: bool) -> Outcome {
    let lists = run.recommend_all(top);
    let (users, items) = (&run.data.users, &run.data.items);
    let rows = parquet_file::write(out, &lists, |u| users.name(u), |i| items.name(i))?;
    if json {
        return output::json(&json!({ "out": out, "model": run.model, "users": users.len(), "rows": rows }));
    }
    if quiet {
        return Ok(());
    }
    let wrote =
        format!("wrote {} rows for {} users to {}", grouped(rows), grouped(users.len()), out.display());
    output::line(wrote)
}
