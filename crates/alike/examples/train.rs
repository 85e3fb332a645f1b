//! Prepares a log, trains two models, compares them on validation and tests the better one:
//! `cargo run --release --example train -- ORDERS.csv FOLDER`

#![allow(clippy::print_stdout)]

use std::path::Path;

use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::train::{TrainEvent, TrainRequest, fit};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, orders, folder] = arguments.as_slice() else {
        return Err("usage: train ORDERS.csv FOLDER".into());
    };
    let folder = Path::new(folder);
    let options =
        PrepareOptions { split: SplitKind::Auto, ..PrepareOptions::new(orders, folder.join("data")) };
    println!("{}", prepare(&options)?);
    let data = Dataset::open(&options.out)?;
    let mut best = ("", 0.0);
    for model in ["itemknn", "lightgcn"] {
        let run = folder.join(model);
        let request = TrainRequest { run: Some(&run), test: false, ..TrainRequest::new(model) };
        let summary = fit(&data, &request, &mut |event| {
            if let TrainEvent::Epoch { record, expected_end } = event {
                println!("{model}: epoch {} of {expected_end}, loss {:.4}", record.epoch, record.loss);
            }
        })?;
        let recall = summary.valid.get("recall@20");
        println!("{model}: Recall@20 on validation {recall:.4} after {:.1} s", summary.seconds);
        if recall > best.1 {
            best = (model, recall);
        }
    }
    // The same run once more has nothing left to do but to score the test split.
    let run = folder.join(best.0);
    let request = TrainRequest { run: Some(&run), resume: true, ..TrainRequest::new(best.0) };
    let summary = fit(&data, &request, &mut |_| {})?;
    println!(
        "{}: Recall@20 on test {:.4}, in {}",
        best.0,
        summary.test_clean.get("recall@20"),
        run.display()
    );
    Ok(())
}
