//! The page of an experiment that was really run, in this process.

use std::fmt::Write as _;

use alike::experiment::Lab;
use alike::train::{Request, fit};

use crate::report::tests::balanced;

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

/// Two tastes: the page before and after the runs.
fn pages() -> [String; 2] {
    let dir = tempfile::tempdir().unwrap();
    let mut inter = String::from("userID\titemID\trating\ttimestamp\tx_label\n");
    for (u, n) in (0..20).flat_map(|u| (0..30).map(move |n| (u, n))) {
        writeln!(inter, "{u}\t{}\t5\t{n}\t{}", 2 * n + u % 2, [1, 2, 0, 0, 0][(n + u / 2) % 5]).unwrap();
    }
    std::fs::write(dir.path().join("board.inter"), inter).unwrap();
    std::fs::write(dir.path().join("x.toml"), FILE).unwrap();
    let out = dir.path().join("out");
    let mut lab = Lab::open(&dir.path().join("x.toml"), dir.path(), &out, &mut |_| {}).unwrap();
    let before = lab.outcome().unwrap();
    let before = super::html(&lab.experiment, &before);
    while let Some(job) = lab.ready().unwrap().0.into_iter().next() {
        let data = alike::data::Dataset::open(&job.data_dir).unwrap();
        let request = Request {
            model: &job.model,
            settings: job.settings.clone(),
            seed: job.seed,
            run: Some(&job.run),
            resume: false,
            warm_start: None,
            test: false,
            devices: vec![alike::device::DeviceName::default()],
            stop: None,
        };
        let result = fit(&data, &request, &mut |_| {}).map(|_| ()).map_err(|e| e.to_string());
        lab.ended(&job, result).unwrap();
    }
    let after = lab.outcome().unwrap();
    [before, super::html(&lab.experiment, &after)]
}

#[test]
fn the_page_shows_everything_and_is_well_formed() {
    let [before, page] = pages();
    balanced(&before);
    assert!(before.contains("its search is not finished") && before.contains("no results yet"));
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
}
