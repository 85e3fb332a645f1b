//! Multimodal recommendation: from interactions and item features to trained models and recommendations.
//!
//! ```
//! use alike::data::{Dataset, PrepareOptions, prepare};
//! use alike::run::Run;
//! use alike::train::{TrainRequest, fit};
//!
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let at = |name: &str| folder.path().join(name);
//! # let log: String = (0..200).map(|n| format!("u{},i{}\n", n / 10, n * 7 % 30)).collect();
//! # std::fs::write(at("orders.csv"), format!("user,item\n{log}")).expect("a log");
//! # let (orders, data, run) = (at("orders.csv"), at("data"), at("run"));
//! // `orders` is a file of who took what, `data` and `run` are folders to be made.
//! prepare(&PrepareOptions::new(&orders, &data))?;
//! let dataset = Dataset::open(&data)?;
//! # let epochs = alike::config::parse_set("epochs=2")?;
//! # let settings = toml::Table::from_iter([epochs]);
//! let request = TrainRequest { run: Some(&run), settings, ..TrainRequest::new("lightgcn") };
//! let summary = fit(&dataset, &request, &mut |_| {})?;
//! println!("Recall@20 {:.4} after epoch {}", summary.test_public.get("recall@20"), summary.best_epoch);
//!
//! for item in Run::open(&run)?.recommend("u3", 10)? {
//!     println!("{} {} {:.3}", item.rank, item.item, item.score);
//! }
//! # Ok::<(), alike::Error>(())
//! ```
//!
//! [`recommend::Recommender`] answers for people whom training did not know, [`models::register`] adds models
//! of your own, [`experiment`] compares many of them.
//!
//! Modules are listed in import order: each may use only those before it.

#![deny(unsafe_code)]

pub mod error;

pub mod progress;

pub mod disk;

pub mod config;

pub mod linalg;

pub mod device;

pub mod ids;

pub mod data;

pub mod embed;

pub mod rules;

pub mod graph;

pub mod scorer;

pub mod eval;

pub mod layers;

pub mod models;

pub mod checkpoint;

pub mod replicas;

pub mod train;

pub mod external;

pub mod run;

pub mod recommend;

pub mod experiment;

pub use error::{Error, Result};
// What `settings!` and `choice!` expand to.
#[doc(hidden)]
pub use toml;
