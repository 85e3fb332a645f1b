//! The flags of `alike serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::given;
use crate::args::values::{parse_named, parse_size};

/// `alike serve`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// Run folder
    #[arg(value_parser = given::run())]
    pub(crate) run: PathBuf,
    /// Prepared data, where they are no longer where the run says, nor beside it as they were
    #[arg(long, value_name = "DIR", value_parser = given::prepared())]
    pub(crate) data: Option<PathBuf>,
    /// Address to listen on; port 0 takes any that is free. What was taken is printed on stdout
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) address: SocketAddr,
    /// Where events are kept: sqlite:PATH or postgres://… (or the variable ALIKE_STORE) [default:
    /// events.sqlite in RUN.serve, beside the run folder]
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<String>,
    /// Remove events that are older than so many days; otherwise they are kept for good
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) keep_events: Option<u32>,
    /// Maximum of events that are kept per user: beyond it the oldest go
    #[arg(long, value_name = "N", default_value_t = crate::serve::KEPT_OF_USER,
          value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) keep_events_per_user: u32,
    /// Lists by name, for pages: which kind, how long, with which rules and fallbacks; see docs/serving.md
    /// [default: one of each kind]
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) scenarios: Option<PathBuf>,
    /// Tests of two or more ways to recommend on the people who come: which arms, of which share; see
    /// docs/serving.md [default: none]
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) tests: Option<PathBuf>,
    /// More catalogues, each of a run and a store of its own, for requests that name one of their hosts; see
    /// docs/serving.md [default: none]
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) tenants: Option<PathBuf>,
    /// How far items that nobody took in training are raised in lists: 0 leaves their scores as they are, at
    /// 1 they compete like the average item that somebody took
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0, value_parser = given::share)]
    pub(crate) cold_items: f32,
    /// Count what was held out for test as history too, so that nobody is recommended what they have
    #[arg(long)]
    pub(crate) held_out_is_history: bool,
    /// Where the items nearest to somebody are looked up: exact (every item is scored), hnsw (a graph in
    /// memory, for models that rank by inner product), or postgres://… (a table with pgvector that replicas
    /// share; or the variable ALIKE_INDEX). What they find is scored exactly. The run of --compare is always
    /// exact [default: exact]
    #[arg(long, value_name = "INDEX")]
    pub(crate) index: Option<String>,
    /// File with the API key that clients must send, 16 visible ASCII characters or more (or the variable
    /// ALIKE_API_KEY holds it). It is good for everything; a hang-up signal reads it again
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// File with keys that are each good for some things: lines NAME SCOPES KEY, where scopes are read,
    /// write, admin, joined by commas, and a key may be given as blake3: and its hash; a hang-up signal reads
    /// it again
    #[arg(long, value_name = "FILE")]
    pub(crate) api_keys: Option<PathBuf>,
    /// Maximum of requests per second of each key, or of each address where there is none; twice as many may
    /// come at once. More are refused by 429, which says when to come again [default: any]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// A site whose pages may ask from browsers, such as https://shop.example; repeat for more [default:
    /// none]
    #[arg(long, value_name = "ORIGIN", value_parser = crate::serve::parse_site)]
    pub(crate) cors: Vec<String>,
    /// A name by which clients may call a server that listens on this machine only and has no key; repeat for
    /// more. Without it: localhost and IP addresses
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// Listen without an API key on an address that others can reach
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Encrypt connections: the certificate, and those that signed it, as PEM; a hang-up signal reads it
    /// again
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Form of the log on stderr [default: text on a terminal, json otherwise]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) log: Option<LogForm>,
    /// Largest body of a request, such as 64KiB or 8MiB
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = parse_size)]
    pub(crate) max_body: usize,
    /// Maximum of connections at a time; fewer where the system allows fewer open files
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(8..))]
    pub(crate) connections: u16,
    /// Maximum of connections of one client address; raise it where all requests come through one proxy
    /// [default: half of --connections]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections_per_address: Option<u16>,
    /// How long to go on answering after a termination signal: /health/ready says 503 and connections end
    /// with their next answer, so that load balancers and clients go elsewhere first. Ctrl-C does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub(crate) drain: u64,
    /// A second run, to compare with
    #[arg(long, value_name = "RUN", value_parser = given::run())]
    pub(crate) compare: Option<PathBuf>,
    /// Search by what people bring: an encoder that `alike embed` saved, given by its feature file, and the
    /// name that the features have in the data; repeat for more
    #[arg(long = "encoder", value_name = "NAME=FILE", value_parser = parse_named)]
    pub(crate) encoders: Vec<(String, PathBuf)>,
    /// Look for a newer checkpoint of the run so often; a hang-up signal looks at once
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) watch: Option<u64>,
}

/// Forms of the server's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// One JSON object per line
    Json,
    /// Lines for people
    Text,
}
