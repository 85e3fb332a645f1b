//! Measures the approximate index of `alike serve --index hnsw` on a run: `cargo run --release --example
//! index_measured -- RUN [people]`
//!
//! Prints how long it takes to build and how much memory it holds, and for people drawn evenly from those of
//! training how many of the 20 best items are among the candidates, with the time that a search and a scan
//! take on one thread.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use alike::recommend::{Index, PeopleRequest, Recommender};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let run = arguments.next().ok_or("the run folder is needed")?;
    let people: usize = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let recommender = Recommender::open(Path::new(&run))?;
    let scorer = &recommender.run().scorer;
    let before = resident()?;
    let since = Instant::now();
    let index = Index::new(scorer)?;
    let seconds = since.elapsed().as_secs_f64();
    let held = (resident()? - before) as f64 / 1024.0;
    println!("{} items: built in {seconds:.1} s, {held:.0} MiB", scorer.items());

    let users = scorer.users();
    let persons: Vec<_> = (0..people).map(|n| recommender.history_of((n * users / people) as u32)).collect();
    let vectors = recommender.vectors(&persons)?;
    let since = Instant::now();
    let exact: Vec<_> = pool.install(|| {
        vectors.iter().map(|t| recommender.rank(&PeopleRequest::new(std::slice::from_ref(t), 20))).collect()
    });
    let scan = since.elapsed().as_secs_f64() / people as f64;
    for count in [20, 40, 100, 400, 1000] {
        let since = Instant::now();
        let near: Vec<Vec<u32>> = vectors.iter().map(|t| index.nearest(t.row(), count)).collect();
        let search = since.elapsed().as_secs_f64() / people as f64;
        let found: usize = near
            .iter()
            .zip(&exact)
            .map(|(near, exact)| exact[0].iter().filter(|(item, _)| near.contains(item)).count())
            .sum();
        let recall = found as f64 / (20 * people) as f64;
        println!(
            "{count} candidates: recall@20 {recall:.4}, {:.0} us; a scan {:.0} us",
            search * 1e6,
            scan * 1e6
        );
    }
    Ok(())
}

/// Memory of this process, KiB.
fn resident() -> Result<i64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
