//! The names under which NSMAR+ runs: presets of one model's settings.

use super::config::{Aggregation, Alignment, Config, memory_bytes, train_defaults};
use super::{Parts, build_variant, used};
use crate::config::Names;
use crate::layers::Params;
use crate::models::{ModelInfo, Plan, infos, largest_bytes, resolve, table};

const REFERENCE: &str =
    "Zhang et al., Neighbor Similarity and Multimodal Alignment based Product Recommendation Study";

macro_rules! variants {
    ($($constant:ident, $preset:ident, $name:literal, $summary:literal, |$config:ident| $change:expr;)*) => {$(
        fn $preset() -> Config {
            #[allow(unused_mut)]
            let mut $config = Config::default();
            { $change };
            $config
        }

        pub(in crate::models) const $constant: ModelInfo = ModelInfo {
            name: $name,
            summary: $summary,
            reference: REFERENCE,
            settings: || infos(&$preset(), &train_defaults()),
            plan: |data, overrides| {
                let (config, train) = resolve($preset(), train_defaults(), overrides)?;
                let names = used(data, &config)?;
                let mut params = Params::dry();
                Parts::register(&mut params, data, &config, &names)?;
                let parameters = params.count();
                let memory_bytes = memory_bytes(data, &config, &names);
                Ok(Plan { settings: table(&config, &train), train, parameters, memory_bytes, largest_bytes: largest_bytes(data, &params) })
            },
            folds: true,
            build: |data, overrides, seed, device| build_variant($preset, data, overrides, seed, device),
        };
    )*};
}

variants! {
    PLUS, plus, "nsmar+", "Neighbour-similarity convolution per modality, aligned by MLPs, with user and item graphs.",
        |c| {};
    NSMAR, nsmar, "nsmar", "NSMAR+ with an explicit alignment matrix per modality in place of the MLPs.",
        |c| c.alignment = Alignment::Matrix;
    NO_SIMILARITY, no_similarity, "nsmar+/nc", "Ablation: plain convolution in place of neighbour similarity.",
        |c| c.aggregation = Aggregation::Plain;
    NO_ALIGNMENT, no_alignment, "nsmar+/ma", "Ablation: no alignment of modalities.",
        |c| c.alignment = Alignment::None;
    NO_GRAPHS, no_graphs, "nsmar+/gui", "Ablation: neither user graph nor item graph.",
        |c| (c.user_graph, c.item_graph) = (false, false);
    NO_TEXT, no_text, "nsmar+/t", "Ablation: without the modality `text`.",
        |c| c.exclude = Names(vec!["text".into()]);
    NO_IMAGE, no_image, "nsmar+/v", "Ablation: without the modality `image`.",
        |c| c.exclude = Names(vec!["image".into()]);
}
