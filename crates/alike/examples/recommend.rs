//! Lists from a run: for everybody, for some among some items, and what is like what:
//! `cargo run --release --example recommend -- RUN [USER]`

#![allow(clippy::print_stdout)]

use std::path::Path;

use alike::run::{ListRequest, Run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, run, rest @ ..] = arguments.as_slice() else { return Err("usage: recommend RUN [USER]".into()) };
    let run = Run::open(Path::new(run))?;
    let user = rest.first().map_or_else(|| run.data.users.name(0), String::as_str);
    for item in run.recommend(user, 10)? {
        println!("{user} {} {} {:.4} {}", item.rank, item.item, item.score, item.title.unwrap_or_default());
    }

    // By numbers, many at once: only the first hundred items, without the first of them.
    let users: Vec<u32> = (0..run.data.users.len().min(1000) as u32).collect();
    let candidates: Vec<u32> = (0..run.data.items.len().min(100) as u32).collect();
    let lists = run.recommend_lists(&ListRequest::new(&users, 5).among(&candidates).without(&[0]), &())?;
    let (items, scores) = lists.row(0);
    println!("{}: {items:?} {scores:?}", run.data.users.name(users[0]));

    // Popularity has no vectors to compare by.
    if let Ok(similar) = run.similar(run.data.items.name(0), 5) {
        let names: Vec<&str> = similar.iter().map(|s| &*s.item).collect();
        println!("like {}: {}", run.data.items.name(0), names.join(", "));
    }
    Ok(())
}
