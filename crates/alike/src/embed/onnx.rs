//! Encoders of texts and of pictures that are ONNX models.

use std::path::Path;

use image::{GenericImageView, Rgb, RgbImage};
use tokenizers::{Tokenizer, TruncationParams};

use crate::embed::runtime::{Input, OnnxModel};
use crate::embed::settings::{Channels, ImageSettings, Layout, Pooling, TextSettings};
use crate::embed::unit_length::to_unit_length;
use crate::{Error, Result};

/// Outputs that text models usually have, in order of preference.
const TEXT_OUTPUTS: &[&str] =
    &["sentence_embedding", "text_embeds", "last_hidden_state", "token_embeddings", "pooler_output"];
/// Outputs that picture models usually have.
const IMAGE_OUTPUTS: &[&str] = &["image_embeds", "features", "pooler_output", "last_hidden_state"];
/// Inputs that a text model may have.
const TEXT_INPUTS: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];
/// Maximum of tokens of a text when neither tokenizer nor settings say it.
const MAX_LENGTH: usize = 256;

/// A text model with its tokenizer.
pub(crate) struct OnnxText {
    model: OnnxModel,
    tokenizer: Tokenizer,
    settings: TextSettings,
    pad_id: u32,
}

impl OnnxText {
    /// Loads both and sees whether they fit together.
    pub(crate) fn open(model: &Path, tokenizer: (&Path, &[u8]), settings: &TextSettings) -> Result<Self> {
        let (path, content) = tokenizer;
        let no_tokenizer = |e: tokenizers::Error| Error::format(path, format!("is no tokenizer: {e}"));
        let mut tokenizer = Tokenizer::from_bytes(content).map_err(no_tokenizer)?;
        let mut cut = tokenizer
            .get_truncation()
            .cloned()
            .unwrap_or(TruncationParams { max_length: MAX_LENGTH, ..Default::default() });
        cut.max_length = settings.max_length.unwrap_or(cut.max_length);
        tokenizer.with_truncation(Some(cut)).map_err(no_tokenizer)?;
        let usual = tokenizer.get_padding().map_or(0, |p| p.pad_id);
        let pad_id = match &settings.pad_token {
            Some(token) => tokenizer.token_to_id(token).ok_or_else(|| {
                Error::format(path, format!("has no token `{token}` (`pad_token` in the TOML file)"))
            })?,
            None => usual,
        };
        tokenizer.with_padding(None);
        let model_path = model;
        let model = OnnxModel::open(model)?;
        let inputs = model.inputs();
        if !inputs.contains(&"input_ids") || !inputs.iter().all(|i| TEXT_INPUTS.contains(i)) {
            let message = format!(
                "takes {}; a text model takes input_ids and, if it likes, attention_mask, token_type_ids, position_ids",
                inputs.join(", ")
            );
            return Err(Error::format(model_path, message));
        }
        let model = model.with_output(settings.output.as_deref(), TEXT_OUTPUTS)?;
        let encoder = Self { model, tokenizer, settings: settings.clone(), pad_id };
        encoder.encode("a")?;
        let tokens = encoder.tokenizer.get_vocab_size(true).max(1);
        encoder.run(vec![tokens as u32 - 1]).map_err(|_| {
            let message = format!("has {tokens} tokens, more than {} knows", model_path.display());
            Error::format(path, message)
        })?;
        Ok(encoder)
    }

    /// The vector of a text.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<f32>> {
        let encoding = self.tokenizer.encode_fast(text, true);
        let encoding = encoding.map_err(|e| Error::Data(format!("the tokenizer fails: {e}")))?;
        match encoding.get_ids() {
            [] => Err(Error::Data("has no tokens".into())),
            ids => self.run(ids.to_vec()),
        }
    }

    fn run(&self, mut ids: Vec<u32>) -> Result<Vec<f32>> {
        let tokens = ids.len();
        ids.resize(tokens.max(self.settings.pad), self.pad_id);
        let all = ids.len();
        let [id_name, mask, kinds, positions] = TEXT_INPUTS;
        let inputs = vec![
            Input::Integers(id_name, ids.into_iter().map(i64::from).collect()),
            Input::Integers(mask, (0..all).map(|t| i64::from(t < tokens)).collect()),
            Input::Integers(kinds, vec![0; all]),
            Input::Integers(positions, (0..all as i64).collect()),
        ];
        let (shape, values) = self.model.run(inputs)?;
        let one = match (shape.as_slice(), self.settings.pooling) {
            (&[1, _], None | Some(Pooling::None)) => Some(values),
            (&[1, t, d], Some(Pooling::Cls)) if t > 0 => Some(values[..d].to_vec()),
            (&[1, t, d], None | Some(Pooling::Mean)) if t == all => Some(mean_rows(&values[..tokens * d], d)),
            _ => None,
        };
        finish(one, &shape, self.settings.normalize)
    }
}

/// A picture model with its preprocessing.
pub(crate) struct OnnxImage {
    model: OnnxModel,
    settings: ImageSettings,
}

impl OnnxImage {
    /// Loads the model and tries it on a grey picture.
    pub(crate) fn open(path: &Path, settings: &ImageSettings) -> Result<Self> {
        let model = OnnxModel::open(path)?;
        if model.inputs().len() != 1 {
            let inputs = model.inputs().join(", ");
            let message =
                format!("takes {inputs}; a picture model takes one input (export the picture side alone)");
            return Err(Error::format(path, message));
        }
        let model = model.with_output(settings.output.as_deref(), IMAGE_OUTPUTS)?;
        let encoder = Self { model, settings: settings.clone() };
        encoder.encode(&RgbImage::from_pixel(8, 8, Rgb([127; 3])))?;
        Ok(encoder)
    }

    /// The vector of a picture.
    pub(crate) fn encode(&self, picture: &impl GenericImageView<Pixel = Rgb<u8>>) -> Result<Vec<f32>> {
        let s = &self.settings;
        let small = s.fit().apply(picture);
        let (w, h) = (small.width() as usize, small.height() as usize);
        let mut values = vec![0f32; 3 * w * h];
        for (at, pixel) in small.pixels().enumerate() {
            for c in 0..3 {
                let raw = match s.channels {
                    Channels::Rgb => pixel[c],
                    Channels::Bgr => pixel[2 - c],
                };
                let value = (f32::from(raw) * s.scale - s.mean[c]) / s.std[c];
                match s.layout {
                    Layout::Nchw => values[c * w * h + at] = value,
                    Layout::Nhwc => values[at * 3 + c] = value,
                }
            }
        }
        let shape = match s.layout {
            Layout::Nchw => [3, h, w],
            Layout::Nhwc => [h, w, 3],
        };
        let (shape, values) = self.model.run(vec![Input::Floats(shape, values)])?;
        let one = match (shape.as_slice(), s.pooling, s.layout) {
            (&[1, _] | &[1, _, 1, 1], None | Some(Pooling::None), _) => Some(values),
            (&[1, t, d], Some(Pooling::Cls), _) if t > 0 => Some(values[..d].to_vec()),
            (&[1, t, d], None | Some(Pooling::Mean), _) if t > 0 => Some(mean_rows(&values, d)),
            (&[1, a, b, d], None | Some(Pooling::Mean), Layout::Nhwc) if a * b > 0 => {
                Some(mean_rows(&values, d))
            }
            (&[1, _, a, b], None | Some(Pooling::Mean), Layout::Nchw) if a * b > 0 => {
                Some(values.chunks_exact(a * b).map(|map| map.iter().sum::<f32>() / (a * b) as f32).collect())
            }
            _ => None,
        };
        finish(one, &shape, s.normalize)
    }
}

/// The mean of rows of `d` values.
fn mean_rows(values: &[f32], d: usize) -> Vec<f32> {
    let mut mean = vec![0f32; d];
    for row in values.chunks_exact(d) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
    }
    let rows = (values.len() / d) as f32;
    mean.iter_mut().for_each(|m| *m /= rows);
    mean
}

fn finish(vector: Option<Vec<f32>>, shape: &[usize], normalize: bool) -> Result<Vec<f32>> {
    let bad = |message: String| Err(Error::Data(message));
    let Some(mut vector) = vector.filter(|v| !v.is_empty()) else {
        return bad(format!("the model's output has the shape {shape:?}, which does not fit `pooling`"));
    };
    if !vector.iter().all(|v| v.is_finite()) {
        return bad("the model's output is not finite".into());
    }
    if normalize && !to_unit_length(&mut vector) {
        return bad("the model's output is all zeros".into());
    }
    Ok(vector)
}
