//! The flags of `alike recommend`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::given;
use crate::args::values::split_pair;

/// `alike recommend`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("who").required(true).args(["user", "all"]))]
pub(crate) struct Recommend {
    /// Run folder
    #[arg(value_parser = given::run())]
    pub(crate) run: PathBuf,
    /// Prepared data, where they are no longer where the run says, nor beside it as they were
    #[arg(long, value_name = "DIR", value_parser = given::prepared())]
    pub(crate) data: Option<PathBuf>,
    /// A user's id, as in the interactions
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// All users, to a file of user, rank, item, score, and what --with asks for
    #[arg(long, requires = "out")]
    pub(crate) all: bool,
    /// File to write, with --all: .csv, .jsonl (one line per user) or .parquet
    #[arg(long, value_name = "FILE", requires = "all")]
    pub(crate) out: Option<PathBuf>,
    /// How far items that nobody took in training are raised: 0 leaves their scores as they are, at 1 they
    /// compete like the average item that somebody took
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, value_parser = given::share)]
    pub(crate) cold_items: f32,
    /// Only items that pass a filter over the attributes of the catalogue: JSON as in docs/serving.md
    #[arg(long, value_name = "JSON", value_parser = given::filter)]
    pub(crate) filter: Option<alike::rules::ItemFilter>,
    /// With --all: at most so many items of a list have the same value of an attribute, such as category=2;
    /// repeat for more
    #[arg(long = "limit", value_name = "KEY=N", requires = "all", value_parser = limit)]
    pub(crate) limits: Vec<(String, usize)>,
    /// With --all: more columns: the model's name, the time at which the lists were begun (RFC 3339), the
    /// items of the history that carry each item (a JSON list)
    #[arg(long, value_enum, value_name = "COLUMN", requires = "all", value_delimiter = ',')]
    pub(crate) with: Vec<MoreColumn>,
    /// Number of items
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) top: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Columns that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MoreColumn {
    /// The model's name
    Model,
    /// When the lists were begun
    Time,
    /// The items of the history that carry each item
    Reasons,
}

fn limit(text: &str) -> Result<(String, usize), String> {
    let (key, most) = split_pair(text, "KEY=N")?;
    match most.parse() {
        Ok(most @ 1..=1000) => Ok((key.to_string(), most)),
        _ => Err(format!("`{most}`; allowed: 1 to 1000")),
    }
}
