//! The page of an experiment that was really run, in this process.

use std::fmt::Write as _;

use alike::experiment::Scheduler;
use alike::train::{TrainRequest, fit};
use maud::Render;

use super::{Chart, Charts, Palette, html, latex};
use crate::report::tests::{balanced, closed, escaped, hostile, inert};

const FILE: &str = r#"
title = "One & two"
note = "<b>plain</b>"
seeds = [1, 2, 3]
[settings]
epochs = 3
dim = 8
[[data]]
name = "Board"
interactions = "board.inter"
[[models]]
name = "Popular"
model = "popularity"
[[models]]
name = "MF"
model = "bpr"
grid = { lr = [1e-3, 5e-2] }
published = { Board = { "recall@20" = 0.5432 } }
[[models]]
name = "LightGCN"
model = "lightgcn"
base = "MF"
[[studies]]
title = "Rate"
base = "MF"
setting = "lr"
values = [1e-3, 1e-2]
"#;

/// What is written of an experiment.
struct Written {
    page: String,
    tables: String,
    charts: Vec<Chart>,
}

fn written(scheduler: &mut Scheduler) -> Written {
    let outcome = scheduler.outcome().unwrap();
    let charts = Charts::draw(&scheduler.experiment, &outcome);
    Written {
        page: html(&scheduler.experiment, &outcome, &charts),
        tables: latex(&scheduler.experiment, &outcome),
        charts: charts.iter().cloned().collect(),
    }
}

/// The experiment of `file`, on a log of two tastes; nothing is trained yet.
fn open(file: &str) -> (tempfile::TempDir, Scheduler) {
    let dir = tempfile::tempdir().unwrap();
    let mut inter = String::from("userID\titemID\trating\ttimestamp\tx_label\n");
    for (u, n) in (0..20).flat_map(|u| (0..30).map(move |n| (u, n))) {
        writeln!(inter, "{u}\t{}\t5\t{n}\t{}", 2 * n + u % 2, [1, 2, 0, 0, 0][(n + u / 2) % 5]).unwrap();
    }
    std::fs::write(dir.path().join("board.inter"), inter).unwrap();
    std::fs::write(dir.path().join("x.toml"), file).unwrap();
    let out = dir.path().join("out");
    let scheduler = Scheduler::open(&dir.path().join("x.toml"), dir.path(), &out, &mut |_| {}).unwrap();
    (dir, scheduler)
}

fn train(scheduler: &mut Scheduler) {
    while let Some(job) = scheduler.ready().unwrap().0.into_iter().next() {
        let data = alike::data::Dataset::open(&job.data_dir).unwrap();
        let request = TrainRequest {
            settings: job.settings.clone(),
            seed: job.seed,
            run: Some(&job.run),
            test: false,
            ..TrainRequest::new(&job.model)
        };
        let result = fit(&data, &request, &mut |_| {}).map(|_| ()).map_err(|e| e.to_string());
        scheduler.ended(&job, result).unwrap();
    }
}

/// What is written before and after the runs.
fn experiment() -> [Written; 2] {
    let (_dir, mut scheduler) = open(FILE);
    let before = written(&mut scheduler);
    train(&mut scheduler);
    [before, written(&mut scheduler)]
}

fn drawn(chart: &Chart) -> String {
    chart.svg.render().into_string()
}

#[test]
fn the_page_shows_everything_and_is_well_formed() {
    let [before, Written { page, tables, charts }] = experiment();
    balanced(&before.page);
    assert!(before.page.contains("its search is not finished") && before.page.contains("no results yet"));
    assert!(
        before.charts.is_empty() && before.tables.contains("MF & -- & -- & -- & -- \\\\"),
        "{}",
        before.tables
    );
    balanced(&page);
    assert!(page.contains("One &amp; two") && page.contains("&lt;b&gt;plain&lt;/b&gt;"));
    for words in [
        "0.5432",
        "reference</small>",
        "Shapiro-Wilk W",
        "Wilcoxon p, Holm",
        "Coverage",
        "An epoch",
        "leads: Recall@20",
        "3 of 3 runs: ended at the last epoch",
    ] {
        assert!(page.contains(words), "no {words}");
    }
    // The best of each column is bold; two bar charts, two of the study, one of curves.
    assert!(page.matches("<td><strong>").count() >= 4);
    assert_eq!(page.matches("<svg viewBox").count(), 5);
    assert!(page.matches("class=\"whisker\"").count() >= 4);
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|p| p.split('"').next().unwrap()).collect();
    let distinct: std::collections::HashSet<&&str> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    // A model's colour is the same in bars, curves and studies; the axis of a study says where it starts.
    let palette = Palette::new([("Popular", "popularity"), ("MF", "bpr"), ("LightGCN", "lightgcn")]);
    let file = |name: &str| charts.iter().find(|c| c.file == name).unwrap_or_else(|| panic!("no {name}"));
    let (bars, curves, study) =
        (file("bars-board-recall-20"), file("curves-board"), file("study-board-rate-ndcg-20"));
    for name in ["Popular", "MF", "LightGCN"] {
        let style = palette.style_of(name);
        assert!(drawn(curves).contains(&format!("class=\"name s{}\"", style.colour)), "{name}");
        assert!(drawn(bars).contains(&format!("class=\"fill s{}\"", style.colour)), "{name}");
    }
    assert!(drawn(study).contains(&format!("class=\"curve s{} d0\"", palette.style_of("MF").colour)));
    assert_eq!(charts.len(), 5);
    assert!(charts.iter().all(|c| page.contains(&drawn(c))));
    // For papers.
    assert_eq!(tables.matches("\\begin{table}").count(), 2, "{tables}");
    assert_eq!(tables.matches("\\toprule").count(), tables.matches("\\bottomrule").count());
    assert!(tables.contains("Model & Recall@10 & Recall@20 & NDCG@10 & NDCG@20 \\\\"), "{tables}");
    assert!(tables.matches("\\mathbf{").count() >= 4 && tables.contains("downarrow}$"), "{tables}");
}

#[test]
fn no_text_is_taken_for_markup() {
    let names = FILE
        .replace("\"One & two\"", &format!("{:?}", hostile("title")))
        .replace("\"<b>plain</b>\"", &format!("{:?}", hostile("note")))
        .replace("\"Board\"", &format!("{:?}", hostile("data")))
        .replace("Board =", &format!("{:?} =", hostile("data")))
        .replace("\"MF\"", &format!("{:?}", hostile("model")))
        .replace("\"Rate\"", &format!("{:?}", hostile("study")));
    let (_dir, mut scheduler) = open(&names);
    train(&mut scheduler);
    let mut outcome = scheduler.outcome().unwrap();
    let set = &mut outcome.data[0];
    set.split = hostile("split");
    let entry = &mut set.entries[1];
    entry.problem = Some(hostile("problem"));
    entry.chosen.as_mut().unwrap().insert(hostile("chosen"), hostile("choice").into());
    entry.trials[0].settings.insert(hostile("tried"), hostile("trial").into());
    set.studies[0].setting = hostile("setting");
    set.studies[0].points[0].0 = hostile("value").into();

    let charts = Charts::draw(&scheduler.experiment, &outcome);
    let page = html(&scheduler.experiment, &outcome, &charts);
    balanced(&page);
    inert(&page);
    for place in ["title", "note", "data", "model", "study", "split", "problem", "setting", "value"] {
        assert!(page.contains(&escaped(place)), "{place}");
    }
    // Of settings, as they are written in a file.
    for place in ["chosen", "choice", "tried", "trial"] {
        assert!(page.contains(&format!("{place}&lt;/title&gt;")), "{place}");
    }
    assert!(page.contains(&format!("aria-label=\"{}", escaped("data"))));
    for chart in charts.iter() {
        let file = chart.standalone();
        closed(&file, Vec::new());
        inert(&file);
        let place = if chart.file.starts_with("study") { "setting" } else { "model" };
        // In the description and beside the line or bar.
        assert!(file.matches(&escaped(place)).count() >= 2, "{file}");
    }
}
