//! `alike evaluate`.

use alike::eval::Group;
use alike::recommend::Run;
use serde_json::{Map, Value};

use crate::args::Evaluate;
use crate::failure::Outcome;
use crate::output::{self, Table, grouped};

/// The metrics of a run on one split under one protocol.
pub(crate) fn run(args: &Evaluate) -> Outcome {
    let run = Run::open_with(&args.run, args.data.as_deref())?;
    let (metrics, groups) = run.evaluate(args.split, args.protocol)?;
    if args.json {
        let mut all = Map::new();
        all.insert("model".into(), Value::from(run.model.as_str()));
        all.insert("split".into(), Value::from(args.split.to_string()));
        all.insert("protocol".into(), Value::from(args.protocol.to_string()));
        all.extend(metrics.0.iter().map(|(name, value)| (name.clone(), Value::from(*value))));
        all.insert(
            "groups".into(),
            serde_json::to_value(&groups).expect("groups are plain numbers and texts"),
        );
        return output::json(&all);
    }
    output::line(format!("{}, {} split, {} protocol\n", run.model, args.split, args.protocol))?;
    output::write(&table(metrics.0.iter().map(|(name, value)| (name.as_str(), *value))).render())?;
    output::line("")?;
    output::write(&groups_table(&groups).render())
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
