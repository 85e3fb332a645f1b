//! `alike evaluate`.

use std::path::Path;

use alike::data::Dataset;
use alike::eval::{Group, Metrics, rank_given};
use alike::external::{read_ranking, read_vectors};
use alike::progress::Progress;
use alike::run::Run;
use alike::scorer::Scorer;
use alike::train::keep_external;
use serde_json::{Map, Value};

use crate::args::Evaluate;
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table, grouped};
use crate::progress::Phases;

/// The metrics of a run, or of what another program trained or ranked, on one split under one protocol.
pub(crate) fn run(args: &Evaluate, quiet: bool) -> Outcome {
    let phases = Phases::new("evaluate", None, quiet);
    let (model, metrics, groups) = match (&args.run, &args.vectors, &args.ranking) {
        (Some(run), ..) => {
            let run = Run::open_with(run, args.data.as_deref())?;
            let (metrics, groups) = run.evaluate(args.split, args.protocol, &phases)?;
            (run.model, metrics, groups)
        }
        (_, Some(file), _) => of_vectors(args, &data(args)?, file, &phases)?,
        (_, _, Some(file)) => of_ranking(args, &data(args)?, file)?,
        _ => return Err(Failure::Usage("either RUN, --vectors FILE, or --ranking FILE".into())),
    };
    drop(phases);
    if args.json {
        let mut all = Map::new();
        all.insert("model".into(), Value::from(model.as_str()));
        all.insert("split".into(), Value::from(args.split.to_string()));
        all.insert("protocol".into(), Value::from(args.protocol.to_string()));
        all.extend(metrics.0.iter().map(|(name, value)| (name.clone(), Value::from(*value))));
        all.insert(
            "groups".into(),
            serde_json::to_value(&groups).expect("groups are plain numbers and texts"),
        );
        return output::json(&all);
    }
    output::line(format!("{model}, {} split, {} protocol\n", args.split, args.protocol))?;
    output::write(&table(metrics.0.iter().map(|(name, value)| (name.as_str(), *value))).render())?;
    output::line("")?;
    output::write(&groups_table(&groups).render())
}

/// A name, the metrics, and those of groups.
type Evaluated = (String, Metrics, Vec<Group>);

fn data(args: &Evaluate) -> Outcome<Dataset> {
    let dir = args.data.as_ref().ok_or_else(|| Failure::Usage("--data DIR is needed".into()))?;
    Ok(Dataset::open(dir)?)
}

/// What a file says of itself: its name without the ending.
fn named(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn of_vectors(args: &Evaluate, data: &Dataset, file: &Path, progress: &dyn Progress) -> Outcome<Evaluated> {
    let (users, items) = read_vectors(file, data)?;
    let scorer = Scorer::Dot { users, items };
    let ranked = alike::eval::rank(&scorer, data, args.split, args.protocol, progress)?;
    let (metrics, groups, _) = ranked.evaluated();
    if let (Some(out), Scorer::Dot { users, items }) = (&args.out, scorer) {
        keep_external(data, (users, items), &named(file), out, true, progress)?;
    }
    Ok((named(file), metrics, groups))
}

fn of_ranking(args: &Evaluate, data: &Dataset, file: &Path) -> Outcome<Evaluated> {
    let ranking = read_ranking(file, data)?;
    for (what, rows) in [("user", ranking.unknown_users), ("item", ranking.unknown_items)] {
        if rows > 0 {
            eprintln!(
                "note: {} rows of {} name a {what} that the data do not have",
                grouped(rows as usize),
                file.display()
            );
        }
    }
    let (metrics, groups, _) = rank_given(&ranking.lists, data, args.split, args.protocol)?.evaluated();
    Ok((named(file), metrics, groups))
}

/// One row a group; what `cold` and `warm` mean is in the second column.
fn groups_table(groups: &[Group]) -> Table {
    let mut table = Table::new(&["group", "train interactions", "users", "recall@20", "ndcg@20"]);
    for g in groups {
        let sign = if g.name.starts_with("cold") { "≤" } else { ">" };
        let mut row = vec![g.name.clone(), format!("{sign} {}", g.limit), grouped(g.users)];
        row.extend(["recall@20", "ndcg@20"].map(|m| format!("{:.4}", g.metrics.get(m))));
        table.row(row);
    }
    table
}

/// One row a metric, one column a cut-off.
fn table<'a>(metrics: impl Iterator<Item = (&'a str, f64)>) -> Table {
    let mut cells: Vec<(&str, usize, f64)> = metrics
        .filter_map(|(name, value)| {
            let (metric, cut) = name.split_once('@')?;
            Some((metric, cut.parse().ok()?, value))
        })
        .collect();
    cells.sort_by(|a, b| order(a.0).cmp(&order(b.0)).then(a.1.cmp(&b.1)));
    let mut cuts: Vec<usize> = cells.iter().map(|c| c.1).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let head: Vec<String> = cuts.iter().map(|c| format!("@{c}")).collect();
    let mut table =
        Table::new(&[&["metric"], head.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat());
    for row in cells.chunk_by(|a, b| a.0 == b.0) {
        let value = |cut: &usize| {
            row.iter().find(|c| c.1 == *cut).map_or_else(|| "–".to_string(), |c| format!("{:.4}", c.2))
        };
        table.row([vec![row[0].0.to_string()], cuts.iter().map(value).collect()].concat());
    }
    table
}

/// What people look for first comes first.
fn order(metric: &str) -> (usize, &str) {
    let known = [
        "recall",
        "ndcg",
        "precision",
        "map",
        "hitrate",
        "mrr",
        "coverage",
        "gini",
        "novelty",
        "diversity",
        "tail",
    ];
    (known.iter().position(|k| *k == metric).unwrap_or(known.len()), metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_offs_are_columns() {
        let metrics = [("ndcg@5", 0.5), ("recall@10", 0.25), ("recall@5", 0.125)];
        let text = table(metrics.into_iter()).render();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "metric      @5     @10");
        assert_eq!(lines[2], "recall  0.1250  0.2500");
        assert_eq!(lines[3], "ndcg    0.5000       –");
    }
}
