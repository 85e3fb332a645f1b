//! The flags of `alike prepare`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::values::{Text, parse_named, split_pair};
use crate::commands::logs::LogPlace;

/// `alike prepare`.
#[derive(Debug, Args)]
pub(crate) struct Prepare {
    /// Who took what: delimited text, JSON lines, Parquet, .xlsx or .ods, plain, .gz or .zst; a folder of
    /// part files; - for standard input; sqlite:PATH or postgres://… for events of `alike serve`; repeat for
    /// more
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) interactions: Vec<LogPlace>,
    /// Name of a column of the interactions; ROLE is user, item, rating, time, label or event; none leaves
    /// one out [default: guessed]
    #[arg(long = "column", value_name = "ROLE=NAME", value_parser = parse_column)]
    pub(crate) roles: Vec<(Role, String)>,
    /// The first line of the interactions is data, not a header
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Names of the columns where there is no header: user,item,rating,time, _ for what is not needed
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Lines of the interactions before the table
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip_lines: usize,
    /// What separates the columns of the interactions: one or more characters, or `tab`, `blanks`, `comma`,
    /// `semicolon`, `pipe` or `colon` [default: guessed]
    #[arg(long, value_name = "X")]
    pub(crate) delimiter: Option<String>,
    #[command(flatten)]
    pub(crate) text: Text,
    /// Sheet of the interactions, where they are a workbook [default: the first that is not hidden]
    #[arg(long, value_name = "NAME")]
    pub(crate) sheet: Option<String>,
    /// How times are written, in strftime's signs, such as "%d.%m.%Y %H:%M" [default: a number or ISO 8601]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) time_format: Option<String>,
    /// Kind of events to keep, where a column tells the kind, and perhaps its weight (view=0.1): how often it
    /// takes part in training; 0 (refund=0) takes back what was before; repeat for more [default: all, alike;
    /// of a store take and like, and dislike and remove take back]
    #[arg(long = "event", value_name = "KIND[=WEIGHT]", value_parser = parse_event)]
    pub(crate) events: Vec<(String, f32)>,
    /// Days after which an interaction takes part in training half as often
    #[arg(long, value_name = "DAYS")]
    pub(crate) half_life: Option<f64>,
    /// Leave out rows whose user or item (or needed rating or time) is empty, nan, NULL or None
    #[arg(long)]
    pub(crate) drop_missing: bool,
    /// Keep only interactions with at least this rating; of several ratings of an item by a user the last
    /// decides
    #[arg(long, value_name = "X")]
    pub(crate) min_rating: Option<f32>,
    /// Item features of a modality: .npy, .npz, .safetensors or .parquet; repeat for more
    #[arg(long = "feature", value_name = "NAME=FILE", value_parser = parse_named)]
    pub(crate) features: Vec<(String, PathBuf)>,
    /// Item ids of a feature file's rows, one per line; without it rows are the items 0, 1, 2 …
    #[arg(long = "feature-ids", value_name = "NAME=FILE", value_parser = parse_named)]
    pub(crate) feature_ids: Vec<(String, PathBuf)>,
    /// Item graph computed elsewhere: .npz with idx and cos, both items × k; repeat for more
    #[arg(long, value_name = "NAME=FILE", value_parser = parse_named)]
    pub(crate) knn: Vec<(String, PathBuf)>,
    /// Catalogue with the item's id and title, picture, category: .jsonl, .csv, .tsv, .xlsx, .ods or
    /// .parquet; sqlite:PATH or postgres://… for what the server of that store was told of items, which may
    /// also follow a file (--items FILE --items STORE): then it lies over what the file says
    #[arg(long, value_name = "FILE")]
    pub(crate) items: Vec<LogPlace>,
    /// Its column of item ids [default: guessed]
    #[arg(long, value_name = "COLUMN", requires = "items")]
    pub(crate) id: Option<String>,
    /// Its column of titles [default: guessed]
    #[arg(long, value_name = "COLUMN", requires = "items")]
    pub(crate) title: Option<String>,
    /// Its column of pictures' paths or addresses [default: guessed]
    #[arg(long, value_name = "COLUMN", requires = "items")]
    pub(crate) images: Option<String>,
    /// Its column of categories [default: guessed]
    #[arg(long, value_name = "COLUMN", requires = "items")]
    pub(crate) category: Option<String>,
    /// Column of the catalogue by which lists can be filtered (price, brand, stock), perhaps under another
    /// name; repeat for more
    #[arg(long = "attribute", value_name = "[NAME=]COLUMN", requires = "items", value_parser = parse_attribute)]
    pub(crate) attributes: Vec<(String, String)>,
    /// Leave out items of the catalogue that have features and that nobody took yet; kept, they can be
    /// recommended
    #[arg(long, requires = "items")]
    pub(crate) no_cold_items: bool,
    /// How to hold out interactions [default: label where there is a column x_label, else random]
    #[arg(long, value_enum)]
    pub(crate) split: Option<SplitName>,
    /// Drop users and items with fewer interactions, repeatedly; 0 keeps all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) k_core: usize,
    /// Seed of the random split
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Print the data report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Ways to hold out interactions.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SplitName {
    /// As the file's label column says: 0 train, 1 valid, 2 test
    Label,
    /// Per user at random: 1 + 1 below ten interactions, otherwise 20 %, half of it for validation
    Random,
    /// Each user's last interaction for test, the one before for validation
    LeaveOneOut,
    /// The latest interactions of all users
    Temporal,
}

/// What a column of the interactions holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// User id
    User,
    /// Item id
    Item,
    /// Rating
    Rating,
    /// Time, any number that grows
    Time,
    /// Split label
    Label,
    /// Kind of event
    Event,
}

fn parse_column(text: &str) -> Result<(Role, String), String> {
    let (role, name) = split_pair(text, "ROLE=NAME")?;
    let role = Role::from_str(role, false)
        .map_err(|_| format!("unknown role `{role}`; allowed: user, item, rating, time, label, event"))?;
    Ok((role, name.to_string()))
}

/// An attribute's name, and its column.
fn parse_attribute(text: &str) -> Result<(String, String), String> {
    let (name, column) = text.split_once('=').unwrap_or((text, text));
    let named = !name.trim().is_empty() && !column.trim().is_empty();
    named.then(|| (name.trim().into(), column.trim().into())).ok_or_else(|| "expected [NAME=]COLUMN".into())
}

/// A kind of event, and its weight where a number follows the last `=`.
fn parse_event(text: &str) -> Result<(String, f32), String> {
    let weighted = text.rsplit_once('=').and_then(|(kind, weight)| Some((kind, weight.trim().parse().ok()?)));
    Ok(weighted.map_or_else(|| (text.to_string(), 1.0), |(kind, weight)| (kind.trim().to_string(), weight)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_kinds_are_strict() {
        assert_eq!(parse_column("time=ts").unwrap(), (Role::Time, "ts".into()));
        assert!(parse_column("when=ts").unwrap_err().contains("allowed: user"));
        assert_eq!(parse_attribute("brand").unwrap(), ("brand".into(), "brand".into()));
        assert_eq!(parse_attribute("brand = Vendor").unwrap(), ("brand".into(), "Vendor".into()));
        assert!(parse_attribute("=Vendor").is_err());
        assert_eq!(parse_event("purchase").unwrap(), ("purchase".into(), 1.0));
        assert_eq!(parse_event("view=0.1").unwrap(), ("view".into(), 0.1));
        assert_eq!(parse_event("kind=a").unwrap(), ("kind=a".into(), 1.0));
    }
}
