//! Answers within a program of one's own, for people whom training did not know: items of a basket per line
//! on standard input, separated by commas, lists on standard output: `echo 12,40 | cargo run --release
//! --example serve_embedded -- RUN`

#![allow(clippy::print_stdout)]

use std::io::BufRead;
use std::path::Path;

use alike::recommend::{PeopleRequest, Recommender, UserHistory};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let run = std::env::args().nth(1).ok_or("usage: serve_embedded RUN")?;
    // One for all threads; a newer run is opened beside it and takes its place.
    let recommender = Recommender::open(Path::new(&run))?;
    let items = &recommender.run().data.items;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut history: Vec<u32> = line.split(',').filter_map(|id| items.get(id.trim())).collect();
        history.sort_unstable();
        history.dedup();
        let person = UserHistory { user: None, history };
        let vectors = recommender.vectors(std::slice::from_ref(&person))?;
        let list = recommender.rank(&PeopleRequest::new(&vectors, 10).hiding(&[&person.history])).remove(0);
        let shown: Vec<u32> = list.iter().map(|(item, _)| *item).collect();
        for ((item, score), why) in list.iter().zip(recommender.reasons(&person, &shown, 1)?) {
            let because = why.first().map_or("", |reason| items.name(reason.item));
            println!("{} {score:.4} because of {because}", items.name(*item));
        }
    }
    Ok(())
}
