//! `docs/results.md` is rendered from the records in `docs/results/`: every number has its command, commit
//! and machine. `ALIKE_WRITE=1 cargo test --test results` writes the page.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chapter {
    title: String,
    text: String,
    table: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    cells: Vec<String>,
    command: String,
    commit: String,
    machine: String,
}

/// Names of machines in the records, and what they are.
const MACHINES: [(&str, &str); 4] = [
    ("h200", "one NVIDIA H200, driver 580.159, and 16 processor cores"),
    ("epyc-avx2", "2 cores of an AMD EPYC with AVX2, 24 GiB, shared with others"),
    ("epyc-avx512", "2 cores of an AMD EPYC (Zen 5) with AVX-512, 24 GiB, shared with others"),
    ("xeon-avx512", "2 cores of an Intel Xeon with AVX-512, 24 GiB"),
];

fn page(folder: &Path) -> String {
    let mut page = String::from(
        "# Results\n\nRendered from the records in [`results/`](results) (`just results`), which have the whole commands. Machines:\n\n",
    );
    for (name, what) in MACHINES {
        writeln!(page, "- `{name}`: {what}").unwrap();
    }
    page += "\nThe story of the numbers, and what was tried as well: [notes/lab.md](notes/lab.md), [nsmar.md](nsmar.md).\n";
    for file in ["quality.toml", "speed.toml"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let chapter: Chapter = toml::from_str(&text).unwrap();
        write!(page, "\n## {}\n\n{}\n", chapter.title, chapter.text.trim()).unwrap();
        for table in chapter.table {
            write!(page, "\n### {}\n\n| {} | measured |\n|", table.title, table.columns.join(" | ")).unwrap();
            page += &"---|".repeat(table.columns.len() + 1);
            page.push('\n');
            for row in table.rows {
                assert_eq!(row.cells.len(), table.columns.len(), "{}: {:?}", table.title, row.cells);
                assert!(MACHINES.iter().any(|(name, _)| *name == row.machine), "machine {}", row.machine);
                assert!(!row.command.is_empty());
                writeln!(page, "| {} | `{}`, {} |", row.cells.join(" | "), row.commit, row.machine).unwrap();
            }
        }
    }
    page
}

#[test]
fn the_page_is_that_of_the_records() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let (page, file) = (page(&docs.join("results")), docs.join("results.md"));
    if std::env::var_os("ALIKE_WRITE").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    assert!(page.lines().count() <= 120, "{} lines", page.lines().count());
    assert!(std::fs::read_to_string(&file).unwrap() == page, "docs/results.md is stale: run `just results`");
}
