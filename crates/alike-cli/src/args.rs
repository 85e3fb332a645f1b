//! Every command, flag and default; help texts, completions and `docs/cli.md` are made from this module.

mod given;
mod prepare;
mod recommend;
mod serve;
mod shop;
mod values;

use std::path::PathBuf;

use alike::device::DeviceName;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use prepare::{Prepare, Role, SplitName};
pub(crate) use recommend::{MoreColumn, Recommend};
pub(crate) use serve::{LogForm, Serve};
pub(crate) use shop::Shop;
use values::Text;
pub(crate) use values::parse_named;

use crate::commands::logs::LogPlace;

/// Recommendations from interactions, pictures and text, on one machine.
#[derive(Debug, Parser)]
#[command(name = "alike", version, propagate_version = true)]
#[command(
    after_help = "Start with `alike demo`. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C."
)]
pub(crate) struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Threads to compute with; the numbers are the same for any count [default: all cores]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// No progress, no notes, no summary of what was made: only errors, and what was asked for, such as
    /// scores, lists and --json
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// More notes on stderr; twice for details
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all on bundled real data: prepare, train three models, compare, write a report
    Demo(Demo),
    /// From a shop's products and orders to the page of recommendations, in one go
    Shop(Shop),
    /// Read interactions and item features, split them, and write a prepared folder
    Prepare(Prepare),
    /// Make item features of texts or pictures, for `alike prepare --feature`
    Embed(Embed),
    /// Train a model on a prepared folder
    Train(Train),
    /// Score a trained run by full ranking of the held-out interactions
    Evaluate(Evaluate),
    /// Train and compare models × data sets × settings × seeds as a file says, and write a report
    Experiment(Experiment),
    /// Items that a user would like, or those of all users as a file
    Recommend(Recommend),
    /// Items most like a given one
    Similar(Similar),
    /// Answer over HTTP: recommendations, events, search
    Serve(Serve),
    /// Train on the newest log and events, and put the run in the live one's place unless it is worse
    Nightly(Nightly),
    /// The models and their settings
    Models(Models),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a generated page of the documentation
    #[command(hide = true)]
    Docs {
        /// The page
        page: Page,
    },
}

/// `alike demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Folder to write to; a demo that is there already is replaced
    #[arg(long, value_name = "DIR", default_value = "runs/demo")]
    pub(crate) out: PathBuf,
    /// Train each model for at most so many epochs: quicker, and worse
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: Option<u32>,
    /// Seed of all randomness
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `alike embed`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("from").required(true).multiple(true).args(["items", "image_folder"]))]
pub(crate) struct Embed {
    /// Items with their texts or the paths of their pictures: .jsonl, .csv, .tsv, .xlsx, .ods or .parquet;
    /// sqlite:PATH or postgres://… for what the server of that store was told of items
    #[arg(long, value_name = "FILE")]
    pub(crate) items: Option<LogPlace>,
    /// Column of texts; repeat to join more [default: title, category, author and description, those that are
    /// there]
    #[arg(long = "text", value_name = "COLUMN", requires = "items", conflicts_with_all = ["images", "image_folder"])]
    pub(crate) texts: Vec<String>,
    /// Column of pictures' paths, which start at --image-folder or at the items file's folder; alone: guessed
    #[arg(long, value_name = "COLUMN", requires = "items", num_args = 0..=1)]
    pub(crate) images: Option<Option<String>>,
    /// Folder of pictures; without --images they are named as the items: ID.jpg, ID.png, ID.webp
    #[arg(long, value_name = "DIR")]
    pub(crate) image_folder: Option<PathBuf>,
    /// Column of item ids [default: guessed]
    #[arg(long, value_name = "COLUMN", requires = "items")]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) text: Text,
    /// `builtin`, modest but at hand, or an ONNX model
    #[arg(long, value_name = "MODEL.onnx", default_value = "builtin")]
    pub(crate) encoder: PathBuf,
    /// Tokenizer of an ONNX text model
    #[arg(long, value_name = "tokenizer.json", conflicts_with_all = ["images", "image_folder"])]
    pub(crate) tokenizer: Option<PathBuf>,
    /// What an ONNX model expects: a TOML file, or for pictures clip, resnet, siglip or squeezenet, for texts
    /// clip or siglip
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) preprocess: Option<PathBuf>,
    /// Maximum of values of a vector of the built-in text encoder [default: 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) dim: Option<u16>,
    /// Items between two savings; after a stop the same command goes on from there
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: u32,
    /// File to write; its encoder is saved beside it
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) out: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `alike train`.
#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Model, one of `alike models`
    #[arg(default_value = "alloy", value_parser = given::model)]
    pub(crate) model: String,
    /// Prepared folder
    #[arg(long, value_name = "DIR", value_parser = given::prepared())]
    pub(crate) data: PathBuf,
    /// Run folder to write: checkpoint, log, metrics
    #[arg(long, value_name = "RUN")]
    pub(crate) out: PathBuf,
    /// Settings from a TOML file
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// Where to train: cpu, wgpu, vulkan, metal or cuda, with :N for the N-th of several, from 0; repeat to
    /// share batches
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = parse_device)]
    pub(crate) device: Vec<DeviceName>,
    /// One setting, stronger than the file; repeat for more; `alike models MODEL` lists them
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed of all randomness: same seed, same numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Continue the run in RUN where it stopped, bit for bit; `epochs` may be more than before
    #[arg(long)]
    pub(crate) resume: bool,
    /// Start from the best parameters of another run of the model: rows of users and items by id, new ones
    /// fresh
    #[arg(long, value_name = "RUN", value_parser = given::run())]
    pub(crate) warm_start: Option<PathBuf>,
    /// Do not score the test split: for searches, which choose on validation
    #[arg(long)]
    pub(crate) no_test: bool,
    /// Stop, as on Ctrl-C, when standard input ends
    #[arg(long, hide = true)]
    pub(crate) stop_with_input: bool,
    /// Print the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `alike nightly`.
#[derive(Debug, Args)]
pub(crate) struct Nightly {
    /// What to do, as docs/nightly.md says
    #[arg(value_name = "CONFIG.toml")]
    pub(crate) config: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `alike evaluate`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["run", "vectors", "ranking"]))]
pub(crate) struct Evaluate {
    /// Run folder
    #[arg(value_parser = given::run())]
    pub(crate) run: Option<PathBuf>,
    /// Prepared data, where they are no longer where the run says, nor beside it as they were
    #[arg(long, value_name = "DIR", value_parser = given::prepared())]
    pub(crate) data: Option<PathBuf>,
    /// Vectors that another program trained: .npz or .safetensors with `users` and `items`, rows by
    /// `user_ids` and `item_ids` or in the data's order
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) vectors: Option<PathBuf>,
    /// Lists that another program ranked: a table of user, item, and rank or score
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) ranking: Option<PathBuf>,
    /// Make a run folder of the vectors, which `recommend`, `similar` and `serve` take like any other
    #[arg(long, value_name = "RUN", requires = "vectors")]
    pub(crate) out: Option<PathBuf>,
    /// Which held-out interactions
    #[arg(long, default_value = "test", value_parser = words::<alike::eval::Split>(&["valid", "test"]))]
    pub(crate) split: alike::eval::Split,
    /// What is masked at test time: public masks train as published tables do, clean also validation
    #[arg(long, default_value = "public", value_parser = words::<alike::eval::Protocol>(&["public", "clean"]))]
    pub(crate) protocol: alike::eval::Protocol,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `alike experiment`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["file", "models"]))]
pub(crate) struct Experiment {
    /// What to compare; see `docs/formats.md`, and `configs/` for examples
    #[arg(value_name = "FILE.toml")]
    pub(crate) file: Option<PathBuf>,
    /// Without a file: prepared data to compare models on; repeat for more
    #[arg(long, value_name = "DIR", value_parser = given::prepared(), requires = "models", conflicts_with = "file")]
    pub(crate) data: Vec<PathBuf>,
    /// Without a file: models to compare by their defaults, separated by commas
    #[arg(long, value_name = "MODEL,…", value_delimiter = ',', value_parser = given::model, requires = "data")]
    pub(crate) models: Vec<String>,
    /// Without a file: number of seeds, from 1
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with = "file")]
    pub(crate) seeds: u16,
    /// Folder of runs and results; what is finished there is not done again [default: runs/ and the file's
    /// name]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Folder where the file's paths of data start [default: the file's own]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Runs at a time, which share the threads; timings are cleanest with one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Where the runs train, as for `alike train`; the runs of one experiment all on the same
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = parse_device)]
    pub(crate) device: Vec<DeviceName>,
    /// Prepare the data, say what would be run, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Train nothing; write results and report from what is finished
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) report: bool,
}

/// `alike similar`.
#[derive(Debug, Args)]
pub(crate) struct Similar {
    /// Run folder
    #[arg(value_parser = given::run())]
    pub(crate) run: PathBuf,
    /// Prepared data, where they are no longer where the run says, nor beside it as they were
    #[arg(long, value_name = "DIR", value_parser = given::prepared())]
    pub(crate) data: Option<PathBuf>,
    /// An item's id, as in the interactions
    #[arg(long, value_name = "ID")]
    pub(crate) item: String,
    /// Number of items
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) top: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `alike models`.
#[derive(Debug, Args)]
pub(crate) struct Models {
    /// Show only this model
    pub(crate) model: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Generated pages.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Page {
    /// `docs/cli.md`
    Cli,
    /// `docs/models.md`
    Models,
    /// `docs/api.md`
    Api,
}

fn words<T>(allowed: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err = alike::Error> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(allowed).try_map(|word| word.parse::<T>())
}

fn parse_device(text: &str) -> Result<DeviceName, String> {
    text.parse().map_err(|e: alike::Error| e.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_is_consistent() {
        Cli::command().debug_assert();
    }
}
