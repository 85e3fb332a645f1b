//! The phases after reading: texts and pictures become vectors, purchases are split, a model learns, and what
//! it finds is said. Each is done once for what it depends on.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use alike::data::{Dataset, ItemColumns, PrepareOptions, SplitKind, TextOptions, prepare_with};
use alike::embed::{EmbedReport, EmbedRequest, EmbedSource, EncoderChoice, embed};
use alike::train::{CRITERION, Summary, TrainRequest, fit};

use crate::commands::shop::enough::{CHECKED, LEAST};
use crate::commands::shop::state::{
    IMAGE, KeyOf, LiveRun, PRODUCTS, PURCHASES, ReadFiles, ShopFolder, TEXT, vectors,
};
use crate::commands::shop::words::{Teller, counted};
use crate::commands::train::in_words;
use crate::failure::{Failure, Outcome};
use crate::output::duration;
use crate::progress::{Phases, TrainingProgress};
use crate::stop;

/// What learns, where there is enough to learn from, and what stands in for it elsewhere.
const MODEL: &str = "alloy";
const BESTSELLERS: &str = "popularity";
/// Values of a vector of a text.
const DIM: usize = 128;
/// Products between two savings.
const BATCH: usize = 256;
/// Purchases kept aside below which a share is rough.
const FEW: usize = 100;
/// Products below which lists of 20 hold much of everything.
const SMALL: usize = 100;
/// Seed of everything.
const SEED: u64 = 0;

/// The work on a shop.
pub(super) struct ShopWork<'a> {
    pub(super) folder: &'a ShopFolder,
    pub(super) read: &'a ReadFiles,
    pub(super) rounds: Option<u32>,
    pub(super) stop: &'static AtomicBool,
    pub(super) teller: Teller,
    /// No progress.
    pub(super) quiet: bool,
}

impl ShopWork<'_> {
    /// The name of the prepared data, and the data's of the run; by all that they depend on.
    pub(super) fn names(&self) -> LiveRun {
        let model = if self.read.enough { MODEL } else { BESTSELLERS };
        let data = KeyOf::default()
            .and("tables", &self.read.tables)
            .and("texts", &self.read.texts)
            .and("pictures", &self.read.pictures)
            .and("vectors", self.read.modalities().collect::<Vec<_>>().join(" "));
        let data = data.name("data");
        let rounds = self.rounds.map(|n| n.to_string()).unwrap_or_default();
        let run = KeyOf::default().and("data", &data).and("model", model).and("rounds", rounds).name("run");
        LiveRun { data, run, model: model.into(), ..LiveRun::default() }
    }

    /// Makes the vectors of a modality; those that are there and still right are kept.
    pub(super) fn encode(&self, modality: &str) -> Outcome {
        if modality == TEXT { self.texts() } else { self.pictures() }
    }

    fn texts(&self) -> Outcome {
        let columns = ["title", "category", "author", "description"].map(String::from).to_vec();
        let source = EmbedSource::Texts { items: self.folder.at(PRODUCTS), columns };
        let report = self.embed("texts", source, &self.folder.at(&vectors(TEXT)))?;
        let without = self.read.products - report.rows;
        let left = match without {
            0 => String::new(),
            n => format!("; {} nothing to read", counted(n, "product has", "products have")),
        };
        let texts = counted(report.rows, "product", "products");
        self.teller.line(format!("Texts: read for {texts} in {}{left}", duration(report.seconds)))
    }

    fn pictures(&self) -> Outcome {
        let source = EmbedSource::PictureColumn {
            items: self.folder.at(PRODUCTS),
            column: Some("image".into()),
            folder: Some(self.folder.path.clone()),
        };
        let report = self.embed("pictures", source, &self.folder.at(&vectors(IMAGE)))?;
        let broken = self.read.with_picture.saturating_sub(report.rows);
        let left = match broken {
            0 => String::new(),
            n => {
                let of_file =
                    |reason: &str| !reason.starts_with("has no") && !reason.starts_with("its picture is an");
                let first = report.left_out.iter().find(|left| of_file(&left.reason));
                let why = first.map(|left| format!(", such as that of `{}`", left.item)).unwrap_or_default();
                format!("; {} not be opened{why}", counted(n, "file could", "files could"))
            }
        };
        let pictures = counted(report.rows, "product", "products");
        self.teller.line(format!("Pictures: looked at for {pictures} in {}{left}", duration(report.seconds)))
    }

    fn embed(&self, name: &str, source: EmbedSource, out: &Path) -> Outcome<EmbedReport> {
        let phases = Phases::new(name, Some(self.stop), self.quiet);
        let request = EmbedRequest {
            source,
            text: TextOptions::default(),
            id: Some("item_id".into()),
            encoder: EncoderChoice::Builtin { dim: DIM },
            batch: BATCH,
            out: out.to_path_buf(),
            progress: &phases,
        };
        embed(&request, &mut |_| {}).map_err(stop::explain)
    }

    /// Splits the purchases and joins everything to them, unless that is done.
    pub(super) fn data(&self, names: &LiveRun) -> Outcome<Dataset> {
        let out = self.folder.at(&names.data);
        if let Ok(data) = Dataset::open(&out) {
            return Ok(data);
        }
        let phases = Phases::new("purchases", Some(self.stop), self.quiet);
        let features = self.read.modalities().map(|name| (name.to_string(), self.folder.at(&vectors(name))));
        let mut options = PrepareOptions {
            text: TextOptions { delimiter: Some("comma".into()), ..TextOptions::default() },
            features: features.collect(),
            items: Some(self.folder.at(PRODUCTS)),
            item_columns: ItemColumns {
                id: Some("item_id".into()),
                title: Some("title".into()),
                image: Some("image".into()),
                category: Some("category".into()),
                // Descriptions are for people to read.
                attributes: self
                    .read
                    .filters
                    .iter()
                    .map(String::as_str)
                    .chain(["description"])
                    .map(|name| (name.to_string(), name.to_string()))
                    .collect(),
            },
            split: if self.read.dated { SplitKind::LeaveOneOut } else { SplitKind::Random },
            seed: SEED,
            ..PrepareOptions::new(self.folder.at(PURCHASES), &out)
        };
        (options.columns.user, options.columns.item) = ("user_id".into(), "item_id".into());
        prepare_with(&options, &phases).map_err(|error| self.too_few(stop::explain(error)))?;
        Ok(Dataset::open(&out)?)
    }

    /// What is to be said where even bestsellers cannot be checked.
    fn too_few(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Failed(text) if text.contains("leaves no") => Failure::Failed(format!(
                "there are {} only, and hardly a customer who bought three different products: too little to learn from, and to \
                 check it; come again with more orders",
                counted(self.read.purchases, "purchase", "purchases")
            )),
            other => other,
        }
    }

    /// Learns, or goes on where it was stopped, and says what came of it.
    pub(super) fn learn(&self, data: &Dataset, mut names: LiveRun) -> Outcome<LiveRun> {
        let run = self.folder.at(&names.run);
        let mut progress = TrainingProgress::in_plain_words("learning", self.quiet);
        let phases = progress.phases(self.stop);
        let settings = self.rounds.filter(|_| names.model == MODEL).into_iter();
        let request = TrainRequest {
            settings: settings.map(|n| ("epochs".to_string(), toml::Value::Integer(n.into()))).collect(),
            seed: SEED,
            run: Some(&run),
            resume: run.join("run.json").is_file(),
            progress: &phases,
            ..TrainRequest::new(&names.model)
        };
        alike_ops::keep_freed_memory();
        let summary = fit(data, &request, &mut |event| progress.show(&event));
        drop(phases);
        drop(progress);
        let summary = summary.map_err(stop::explain)?;
        names.found = summary.test_public.get(CRITERION);
        names.bestsellers = summary.popularity.and_then(|popularity| popularity.test);
        names.said = self.result(&summary, data.test.nnz());
        Ok(names)
    }

    /// What suggestions find, in plain words.
    fn result(&self, summary: &Summary, checked: usize) -> Vec<String> {
        let what = if self.read.dated {
            "the things customers bought next"
        } else {
            "the things kept aside to check with"
        };
        let mut said = Vec::new();
        if !self.read.enough {
            said.push(format!(
                "{} of {} {} too few to learn tastes from: everybody is suggested the bestsellers, until there are more \
                 orders ({LEAST} purchases, and some customers with {CHECKED} different products)",
                counted(self.read.purchases, "purchase", "purchases"),
                counted(self.read.customers, "customer", "customers"),
                if self.read.purchases == 1 { "is" } else { "are" }
            ));
        }
        said.extend(in_words(summary, what));
        if self.read.products < SMALL {
            let products = counted(self.read.products, "product", "products");
            said.push(format!(
                "With {products} in all, 20 suggestions are many of them: that figure says little"
            ));
        }
        if checked < FEW {
            said.push(format!(
                "That is a rough figure: only {} checked",
                counted(checked, "purchase was", "purchases were")
            ));
        }
        if summary.cut_short {
            said.push("It was still getting better when --rounds ended it: allow more".into());
        }
        said
    }
}
