//! The program as people and scripts meet it: output, exit codes, damaged input, stopped and resumed
//! training.

#![allow(clippy::unwrap_used)]

mod damage;
mod demo;
mod documentation;
mod embed;
mod experiment;
mod external;
mod outputs;
mod pipeline;
mod prepare;
mod resume;
mod shop;
mod shop_exports;
#[path = "../../../skipped.rs"]
mod skipped;
mod stopping;
mod usage;
mod world;
