//! For tests that need what a machine may lack; included where they are.

/// Says that a test was skipped because `what` (as `.ci/extras` calls it) is not here, also in the file named
/// by `ALIKE_SKIPPED`, from which `.ci/run` counts.
pub(crate) fn skipped(what: &str, why: &str) {
    use std::io::Write as _;

    eprintln!("skipped: {why}");
    if let Some(path) = std::env::var_os("ALIKE_SKIPPED") {
        let test = std::thread::current().name().unwrap_or("a test").to_string();
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| writeln!(file, "{what}: {test}"))
            .expect("the file of skipped tests can be written");
    }
}
