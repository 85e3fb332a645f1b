//! Prepares a log and prints the report, the time, and the peak of memory where the system tells it:
//! `cargo run --release --example prepare_timed -- LOG OUT [split]`

#![allow(clippy::print_stdout)]

use std::time::Instant;

use alike::data::{Dataset, PrepareOptions, prepare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, log, out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: prepare_timed LOG OUT [split]".into());
    };
    let mut options = PrepareOptions::new(log, out);
    if let Some(split) = rest.first() {
        options.split = split.parse()?;
    }
    let start = Instant::now();
    let report = prepare(&options)?;
    let prepared = start.elapsed();
    let data = Dataset::open(options.out.as_path())?;
    let opened = start.elapsed() - prepared;
    println!("{report}");
    println!("prepare {:.2} s, open {:.2} s", prepared.as_secs_f64(), opened.as_secs_f64());
    println!("{} users can be looked up by name", data.users.len());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status
            .lines()
            .filter(|l| l.starts_with("VmHWM"))
            .for_each(|l| println!("peak memory {}", &l[6..].trim()));
    }
    Ok(())
}
