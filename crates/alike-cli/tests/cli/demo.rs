//! The demo, shortened: it works in an empty folder, again over itself, and what it recommends to do next
//! works.

use std::fs;

use predicates::prelude::*;

use crate::world::alike;

#[test]
fn the_demo_works_again_and_what_it_says_next_works() {
    let folder = tempfile::tempdir().unwrap();
    let demo = |epochs: &str| {
        let out = alike().current_dir(&folder).args(["demo", "--epochs", epochs]).assert().success();
        String::from_utf8(out.get_output().stdout.clone()).unwrap()
    };
    let said = demo("1");
    for word in [
        "films nobody took in training",
        "a random order",
        "popularity",
        "lightgcn",
        "alloy",
        "valid R@20",
        "test N@20",
        "651 users",
    ] {
        assert!(said.contains(word), "{word} is missing in\n{said}");
    }
    let page = folder.path().join("runs/demo/report.html");
    let html = fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches("<article").count(), 10);
    assert!(html.contains("Toy Story (1995)") && html.contains("GroupLens"));

    fs::write(folder.path().join("runs/demo/mine.txt"), "mine").unwrap();
    let said = demo("2");
    assert_ne!(fs::read_to_string(&page).unwrap(), html, "the second demo has other curves");
    assert_eq!(fs::read_to_string(folder.path().join("runs/demo/mine.txt")).unwrap(), "mine");

    let next: Vec<&str> = said.lines().filter_map(|l| l.trim().strip_prefix("alike ")).collect();
    assert!(next.len() >= 4, "{said}");
    assert!(next[0].starts_with("serve "), "{next:?}");
    // A server would not end by itself.
    let ends =
        |line: &&&str| !line.contains("YOUR") && !line.starts_with("train") && !line.starts_with("serve");
    for line in next.iter().filter(ends) {
        let out = alike().current_dir(&folder).args(line.split_whitespace()).assert().success();
        out.stdout(predicate::str::contains("─"));
    }
}
