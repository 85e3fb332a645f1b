//! Encoders: made or loaded, saved beside the features they made, opened again to encode one more text or
//! picture.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::embed::onnx::{OnnxImage, OnnxText};
use crate::embed::settings::{self, ImageSettings, TextSettings};
use crate::embed::words::Words;
use crate::embed::{descriptor, picture};
use crate::{Error, Result};

const FORMAT: &str = "alike-encoder";
const VERSION: u32 = 1;
/// How pictures are decoded: 2 sees them as the camera was held.
const DECODING: u32 = 2;

/// What is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modality {
    /// Texts.
    Text,
    /// Pictures.
    Image,
}

/// A file that an encoder needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncoderFile {
    path: PathBuf,
    blake3: String,
}

/// Which encoder, as its description tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Kind {
    BuiltinText { weights: EncoderFile },
    BuiltinImage,
    OnnxText { model: EncoderFile, tokenizer: EncoderFile, settings: TextSettings },
    OnnxImage { model: EncoderFile, settings: ImageSettings },
}

/// The description file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: String,
    version: u32,
    dim: usize,
    encoder: Kind,
}

/// What does the work.
enum Engine {
    Words(Words),
    Descriptor,
    OnnxText(Box<OnnxText>),
    OnnxImage(Box<OnnxImage>),
}

/// Makes vectors of texts or of pictures. The vector of an item does not depend on what else is encoded.
pub struct Encoder {
    kind: Kind,
    engine: Engine,
    dim: usize,
    key: [u8; 32],
}

impl Encoder {
    /// The built-in text encoder, fitted to `texts`: vectors of at most `dim` values.
    pub(crate) fn builtin_text(words: Words) -> Result<Self> {
        let bytes = words.to_bytes(Path::new("the encoder"))?;
        let weights = EncoderFile { path: PathBuf::new(), blake3: hex(&bytes) };
        Self::new(Kind::BuiltinText { weights }, Engine::Words(words))
    }

    /// The built-in picture encoder.
    pub fn builtin_image() -> Result<Self> {
        Self::new(Kind::BuiltinImage, Engine::Descriptor)
    }

    /// An ONNX text model, its `tokenizer.json`, and its settings (TOML), if they are not the usual ones.
    pub fn onnx_text(model: &Path, tokenizer: &Path, settings: Option<&Path>) -> Result<Self> {
        let settings = settings::of_texts(settings)?;
        let kind = Kind::OnnxText { model: reference(model)?, tokenizer: reference(tokenizer)?, settings };
        Self::load(kind, Path::new(""))
    }

    /// An ONNX picture model and its preprocessing: a TOML file or the name of a preset.
    pub fn onnx_image(model: &Path, preprocess: &Path) -> Result<Self> {
        let settings = settings::of_pictures(preprocess)?;
        Self::load(Kind::OnnxImage { model: reference(model)?, settings }, Path::new(""))
    }

    /// Opens the encoder that was saved beside features: `text.encoder.json`, or `text.safetensors` itself.
    /// Files that it needs must be where they were, or beside it, with the content they had.
    pub fn open(path: &Path) -> Result<Self> {
        let path = match path.extension() {
            Some(e) if e.eq_ignore_ascii_case("json") => path.to_path_buf(),
            _ => description_of(path),
        };
        let text = disk::text(&path)?;
        let bad =
            |e: serde_json::Error| Error::format(&path, format!("is no description of an encoder: {e}"));
        let description: Description = serde_json::from_str(&text).map_err(bad)?;
        if description.format != FORMAT || description.version != VERSION {
            let message =
                format!("is no description of an encoder of version {VERSION}; make the features again");
            return Err(Error::format(&path, message));
        }
        let encoder = Self::load(description.encoder, path.parent().unwrap_or(Path::new("")))?;
        if encoder.dim != description.dim {
            let message = format!("says {} values, the encoder gives {}", description.dim, encoder.dim);
            return Err(Error::format(&path, message));
        }
        Ok(encoder)
    }

    /// Loads what `kind` names; files are looked for where it says and in `folder`.
    fn load(mut kind: Kind, folder: &Path) -> Result<Self> {
        let engine = match &mut kind {
            Kind::BuiltinText { weights } => {
                let bytes = content(weights, folder)?;
                Engine::Words(Words::from_bytes(&weights.path, &bytes)?)
            }
            Kind::BuiltinImage => Engine::Descriptor,
            Kind::OnnxText { model, tokenizer, settings } => {
                content(model, folder)?;
                let bytes = content(tokenizer, folder)?;
                Engine::OnnxText(OnnxText::open(&model.path, (&tokenizer.path, &bytes), settings)?.into())
            }
            Kind::OnnxImage { model, settings } => {
                content(model, folder)?;
                Engine::OnnxImage(OnnxImage::open(&model.path, settings)?.into())
            }
        };
        Self::new(kind, engine)
    }

    fn new(kind: Kind, engine: Engine) -> Result<Self> {
        // Where files are is no part of what the encoder is.
        let mut what = kind.clone();
        match &mut what {
            Kind::BuiltinText { weights } => weights.path.clear(),
            Kind::BuiltinImage => {}
            Kind::OnnxText { model, tokenizer, .. } => {
                model.path.clear();
                tokenizer.path.clear();
            }
            Kind::OnnxImage { model, .. } => model.path.clear(),
        }
        let text = match what {
            // Pictures as they were decoded before had other vectors.
            Kind::BuiltinImage | Kind::OnnxImage { .. } => serde_json::to_string(&(VERSION, what, DECODING)),
            Kind::BuiltinText { .. } | Kind::OnnxText { .. } => serde_json::to_string(&(VERSION, what)),
        };
        let text = text.map_err(|e| Error::Data(e.to_string()))?;
        let key = *blake3::hash(text.as_bytes()).as_bytes();
        let mut encoder = Self { kind, engine, dim: 0, key };
        encoder.dim = match &encoder.engine {
            Engine::Words(words) => words.dim(),
            Engine::Descriptor => descriptor::DIM,
            Engine::OnnxText(text) => text.encode("a")?.len(),
            Engine::OnnxImage(image) => image.encode(&image::RgbImage::new(8, 8))?.len(),
        };
        Ok(encoder)
    }

    /// Width of the vectors.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What it encodes.
    pub fn modality(&self) -> Modality {
        match self.engine {
            Engine::Words(_) | Engine::OnnxText(_) => Modality::Text,
            Engine::Descriptor | Engine::OnnxImage(_) => Modality::Image,
        }
    }

    /// Its name, for people.
    pub fn name(&self) -> String {
        let file =
            |model: &EncoderFile| model.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match (&self.kind, &self.engine) {
            (Kind::OnnxText { model, .. } | Kind::OnnxImage { model, .. }, _) => file(model),
            (_, Engine::Words(words)) => format!("built-in text (modest): {} terms", words.terms()),
            _ => "built-in picture (modest): edges and colours".into(),
        }
    }

    /// Hash of all that decides about the vectors.
    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The vector of a text, `[dim]`.
    pub fn text(&self, text: &str) -> Result<Vec<f32>> {
        match &self.engine {
            _ if text.trim().is_empty() => Err(Error::Data("has no text".into())),
            Engine::Words(words) => words.encode(text),
            Engine::OnnxText(model) => self.checked(model.encode(text)?),
            Engine::Descriptor | Engine::OnnxImage(_) => {
                Err(Error::Data("this encoder is one of pictures".into()))
            }
        }
    }

    /// The vector of a picture that somebody brings, `[dim]`, from the bytes of its file: JPEG, PNG or WebP
    /// of at most 24 million pixels. It is seen as the camera was held.
    pub fn picture(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        self.picture_of(bytes, picture::BROUGHT)
    }

    /// The same for pictures of a catalogue, which may be larger.
    pub(crate) fn picture_of_catalogue(&self, bytes: &[u8]) -> Result<Vec<f32>> {
        self.picture_of(bytes, picture::CATALOGUE)
    }

    fn picture_of(&self, bytes: &[u8], most_pixels: u64) -> Result<Vec<f32>> {
        match &self.engine {
            Engine::Descriptor => Ok(descriptor::describe(&picture::decode(bytes, most_pixels)?)),
            Engine::OnnxImage(model) => self.checked(model.encode(&picture::decode(bytes, most_pixels)?)?),
            Engine::Words(_) | Engine::OnnxText(_) => Err(Error::Data("this encoder is one of texts".into())),
        }
    }

    /// The vectors of many texts, on all threads.
    pub fn texts(&self, texts: &[&str]) -> Vec<Result<Vec<f32>>> {
        texts.par_iter().map(|text| self.text(text)).collect()
    }

    /// The vectors of many pictures, on all threads.
    pub fn pictures(&self, pictures: &[&[u8]]) -> Vec<Result<Vec<f32>>> {
        pictures.par_iter().map(|bytes| self.picture(bytes)).collect()
    }

    fn checked(&self, vector: Vec<f32>) -> Result<Vec<f32>> {
        match vector.len() == self.dim {
            true => Ok(vector),
            false => {
                Err(Error::Data(format!("the model gives {} values, before {}", vector.len(), self.dim)))
            }
        }
    }

    /// Saves the description beside the features, and the weights if they are in no other file.
    pub(crate) fn save(&self, features: &Path) -> Result<()> {
        let path = description_of(features);
        let mut kind = self.kind.clone();
        if let (Kind::BuiltinText { weights }, Engine::Words(words)) = (&mut kind, &self.engine) {
            let file = weights_of(&path);
            disk::write_atomic(&file, &words.to_bytes(&file)?)?;
            weights.path = file.file_name().map(PathBuf::from).unwrap_or_default();
        }
        let description =
            Description { format: FORMAT.into(), version: VERSION, dim: self.dim, encoder: kind };
        let text =
            serde_json::to_string_pretty(&description).map_err(|e| Error::format(&path, e.to_string()))?;
        disk::write_atomic(&path, (text + "\n").as_bytes())
    }
}

/// `text.encoder.json` of `text.safetensors`.
fn description_of(features: &Path) -> PathBuf {
    features.with_extension("encoder.json")
}

/// `text.encoder.safetensors` of `text.encoder.json`.
fn weights_of(description: &Path) -> PathBuf {
    description.with_extension("safetensors")
}

/// The files that may be written beside the features: what describes their encoder, and its weights.
pub fn companions(features: &Path) -> [PathBuf; 2] {
    let description = description_of(features);
    let weights = weights_of(&description);
    [description, weights]
}

fn hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// A file by its absolute path and its content.
fn reference(path: &Path) -> Result<EncoderFile> {
    let blake3 = hex(&disk::bytes(path)?);
    Ok(EncoderFile { path: std::path::absolute(path).map_err(|e| Error::io(path, e))?, blake3 })
}

/// Finds a file and checks its content.
fn content(file: &mut EncoderFile, folder: &Path) -> Result<Vec<u8>> {
    if !disk::exists(&file.path) || file.path.is_relative() {
        file.path = folder.join(file.path.file_name().unwrap_or_default());
    }
    let bytes = disk::bytes(&file.path)?;
    if hex(&bytes) != file.blake3 {
        return Err(Error::format(&file.path, "has another content than when the encoder was saved"));
    }
    Ok(bytes)
}
