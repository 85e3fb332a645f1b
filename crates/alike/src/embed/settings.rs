//! What an ONNX encoder expects, from a small TOML file or a preset.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::embed::picture::{Fit, Middle, Resize};
use crate::embed::resample::Filter;
use crate::{Error, Result};

/// How a model's output becomes one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pooling {
    /// Mean over the tokens of a text, or over all places of a picture.
    Mean,
    /// The first place.
    Cls,
    /// The output has one vector already.
    None,
}

/// Of text encoders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TextSettings {
    /// Default: none if the output is one vector a text, otherwise mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pooling: Option<Pooling>,
    /// Whether vectors are brought to length one.
    pub(crate) normalize: bool,
    /// Maximum of tokens of a text; default: what the tokenizer says, otherwise 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_length: Option<usize>,
    /// Texts are filled up to so many tokens, for models that were trained so; 0: not at all.
    pub(crate) pad: usize,
    /// With which token; default: what the tokenizer says, otherwise number 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pad_token: Option<String>,
    /// Name of the output; default: the first of the usual names, or the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<String>,
}

impl Default for TextSettings {
    fn default() -> Self {
        Self { pooling: None, normalize: true, max_length: None, pad: 0, pad_token: None, output: None }
    }
}

/// Order of the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Channels {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// Order of the input's axes after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layout {
    /// Channel, row, column.
    Nchw,
    /// Row, column, channel.
    Nhwc,
}

/// Of picture encoders. A value `v` of 0 to 255 goes in as `(v · scale - mean) / std` of its channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageSettings {
    /// Width and height of the input.
    pub(crate) size: [u32; 2],
    /// How a picture gets there.
    pub(crate) resize: Resize,
    /// Length of the shorter side before the middle is cut out; default: the smallest that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shorter: Option<u32>,
    /// Where the middle begins when it falls between two pixels.
    #[serde(default)]
    pub(crate) middle: Middle,
    /// How pixels are averaged.
    pub(crate) filter: Filter,
    /// Order of the colours, also of `mean` and `std`.
    #[serde(default = "rgb")]
    pub(crate) channels: Channels,
    /// Factor.
    pub(crate) scale: f32,
    /// What is taken off.
    pub(crate) mean: [f32; 3],
    /// What it is divided by.
    pub(crate) std: [f32; 3],
    /// Order of the axes.
    #[serde(default = "nchw")]
    pub(crate) layout: Layout,
    /// Default: none if the output is one vector a picture, otherwise mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pooling: Option<Pooling>,
    /// Whether vectors are brought to length one.
    #[serde(default)]
    pub(crate) normalize: bool,
    /// Name of the output; default: the first of the usual names, or the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<String>,
}

fn rgb() -> Channels {
    Channels::Rgb
}

fn nchw() -> Layout {
    Layout::Nchw
}

impl ImageSettings {
    /// Length of the shorter side before the middle is cut out.
    fn shorter(&self) -> u32 {
        self.shorter.unwrap_or(self.size[0].max(self.size[1]))
    }

    /// How a picture gets the size of the input.
    pub(crate) fn fit(&self) -> Fit {
        let &Self { size: [width, height], resize, middle, filter, .. } = self;
        Fit { size: (width, height), resize, shorter: self.shorter(), middle, filter }
    }

    fn check(&self, path: &Path) -> Result<()> {
        let bad = |message: &str| Err(Error::format(path, message));
        if self.size.iter().any(|s| !(1..=4096).contains(s)) {
            return bad("`size` is [width, height], each of 1..=4096");
        }
        if self.shorter() < self.size[0].max(self.size[1]) || self.shorter() > 8192 {
            return bad("`shorter` is at least both sides of `size`, at most 8192");
        }
        let numbers = self.mean.iter().chain(&self.std).chain([&self.scale]);
        if !numbers.into_iter().all(|v| v.is_finite()) || self.std.contains(&0.0) {
            return bad("`scale`, `mean` and `std` are finite numbers, none of `std` is zero");
        }
        Ok(())
    }
}

/// Presets by name; `docs/formats.md` shows them.
type Presets = &'static [(&'static str, &'static str)];

/// Those of picture encoders.
const PICTURES: Presets = &[
    ("clip", include_str!("presets/clip.toml")),
    ("resnet", include_str!("presets/resnet.toml")),
    ("siglip", include_str!("presets/siglip.toml")),
    ("squeezenet", include_str!("presets/squeezenet.toml")),
];

/// Those of text encoders.
const TEXTS: Presets =
    &[("clip", include_str!("presets/clip-text.toml")), ("siglip", include_str!("presets/siglip-text.toml"))];

/// Names of the presets for pictures.
pub(crate) fn presets() -> String {
    names(PICTURES)
}

fn names(presets: Presets) -> String {
    presets.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// The settings of a picture encoder: a preset's name or a file.
pub(crate) fn of_pictures(given: &Path) -> Result<ImageSettings> {
    let settings: ImageSettings = named(given, PICTURES)?;
    settings.check(given)?;
    Ok(settings)
}

/// The settings of a text encoder.
pub(crate) fn of_texts(given: Option<&Path>) -> Result<TextSettings> {
    let Some(path) = given else { return Ok(TextSettings::default()) };
    let settings: TextSettings = named(path, TEXTS)?;
    if settings.max_length.is_some_and(|n| !(1..=8192).contains(&n)) || settings.pad > 8192 {
        return Err(Error::format(path, "`max_length` is 1..=8192, `pad` 0..=8192"));
    }
    Ok(settings)
}

/// A preset, by its name, or a file.
fn named<T: DeserializeOwned>(given: &Path, presets: Presets) -> Result<T> {
    if let Some((_, text)) = presets.iter().find(|(name, _)| given.as_os_str() == *name) {
        return parse(given, text);
    }
    if !disk::exists(given) && given.extension().is_none() {
        return Err(Error::format(given, format!("is neither a file nor a preset ({})", names(presets))));
    }
    parse(given, &disk::text(given)?)
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |s| 1 + text[..s.start].matches('\n').count());
        Error::format_at(path, line as u64, e.message())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_whole_and_what_they_say() {
        for (name, _) in PICTURES {
            of_pictures(Path::new(name)).unwrap();
        }
        for (name, _) in TEXTS {
            of_texts(Some(Path::new(name))).unwrap();
        }
        let squeeze = of_pictures(Path::new("squeezenet")).unwrap();
        assert_eq!((squeeze.size, squeeze.channels), ([227, 227], Channels::Bgr));
        assert_eq!(of_pictures(Path::new("resnet")).unwrap().shorter(), 256);
        assert_eq!(of_texts(Some(Path::new("siglip"))).unwrap().pad, 64);
    }

    #[test]
    fn wrong_settings_are_named() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("p.toml");
        let says = |text: &str| {
            std::fs::write(&path, text).unwrap();
            of_pictures(&path).unwrap_err().to_string()
        };
        let good = PICTURES[3].1;
        assert!(says(&good.replace("scale", "skale")).contains("unknown field `skale`"));
        assert!(says(&good.replace("[227, 227]", "[0, 227]")).contains("`size` is"));
        assert!(says(&good.replace("std = [1", "std = [0")).contains("none of `std` is zero"));
        assert!(says(&good.replace("\"stretch\"", "\"squash\"")).contains("`stretch`"));
        assert!(of_pictures(Path::new("alexnet")).unwrap_err().to_string().contains("preset (clip, resnet"));
        let none = of_texts(Some(Path::new("resnet"))).unwrap_err().to_string();
        assert!(none.contains("preset (clip, siglip)"), "{none}");
        std::fs::write(&path, "pooling = \"max\"\n").unwrap();
        assert!(of_texts(Some(&path)).unwrap_err().to_string().contains("p.toml:1: unknown variant `max`"));
        std::fs::write(&path, "max_length = 0\n").unwrap();
        assert!(of_texts(Some(&path)).unwrap_err().to_string().contains("1..=8192"));
    }
}
