//! From texts and pictures to feature files: encoders, and the work of running one over a catalogue.
//!
//! [`embed()`] encodes what differs once, keeps what is finished through a stop or a kill, and writes a file
//! that `alike prepare` joins by item id. The encoder is saved beside it; [`Encoder::open`] gives it back to
//! encode one text or one picture more.

#[cfg(feature = "onnx")]
mod arena;
mod descriptor;
mod encoder;
mod inputs;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(not(feature = "onnx"))]
#[path = "no_onnx.rs"]
mod onnx;
mod picture;
mod png_chunks;
mod resample;
#[cfg(feature = "onnx")]
mod runtime;
mod settings;
mod svd;
mod unit_length;
mod upright;
mod words;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use crate::data::TextOptions;
use crate::data::folder::feature_file::{self, Earlier};
use crate::data::folder::journal::{ContentKey, Journal};
use crate::data::formats::open::has_extension;
use crate::progress::Progress;
use crate::{Error, Result};

pub use encoder::{Encoder, Modality, companions};
pub use inputs::EmbedSource;
use inputs::{Content, Inputs};
use words::Words;

/// Which encoder.
#[derive(Debug, Clone)]
pub enum EncoderChoice {
    /// The built-in one of texts or pictures; the width of text vectors.
    Builtin {
        /// At most so many values.
        dim: usize,
    },
    /// An ONNX model.
    Onnx {
        /// The model.
        model: PathBuf,
        /// Of a text model: `tokenizer.json`.
        tokenizer: Option<PathBuf>,
        /// A TOML file, or for pictures a preset's name.
        preprocess: Option<PathBuf>,
    },
}

/// What to encode, how, and where to.
#[derive(Clone)]
pub struct EmbedRequest<'a> {
    /// Texts or pictures.
    pub source: EmbedSource,
    /// How the items file is written; what is not given is guessed.
    pub text: TextOptions,
    /// Column of item ids; by default guessed.
    pub id: Option<String>,
    /// Encoder.
    pub encoder: EncoderChoice,
    /// Items between two savings.
    pub batch: usize,
    /// The file to write, `.safetensors`.
    pub out: PathBuf,
    /// Told of every item, and asked before it whether to stop. What is encoded by then is kept.
    pub progress: &'a dyn Progress,
}

/// What happens meanwhile.
#[derive(Debug)]
pub enum EmbedEvent<'a> {
    /// The items are read and the encoder is there.
    Planned {
        /// Name of the encoder.
        encoder: &'a str,
        /// Different texts or pictures.
        total: usize,
        /// Those that an earlier run encoded.
        known: usize,
    },
    /// A batch is encoded and saved.
    Batch {
        /// Encoded or known.
        done: usize,
    },
}

/// An item without a row, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its id.
    pub item: String,
    /// In a few words.
    pub reason: String,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct EmbedReport {
    /// The file.
    pub out: PathBuf,
    /// Texts or pictures.
    pub modality: Modality,
    /// Name of the encoder.
    pub encoder: String,
    /// Columns that were read.
    pub columns: Vec<String>,
    /// Items of the source.
    pub items: usize,
    /// Rows of the file.
    pub rows: usize,
    /// Width of the rows.
    pub dim: usize,
    /// Texts or pictures encoded now.
    pub encoded: usize,
    /// Those that an earlier run encoded.
    pub reused: usize,
    /// Rows that repeat the content of another.
    pub repeated: usize,
    /// Items without a row.
    pub left_out: Vec<LeftOut>,
    /// What else is good to know.
    pub notes: Vec<String>,
    /// All of it.
    pub seconds: f64,
}

/// Vectors by the content they were made of.
struct Vectors {
    dim: usize,
    place: HashMap<ContentKey, usize>,
    values: Vec<f32>,
}

impl Vectors {
    fn add(&mut self, key: ContentKey, vector: &[f32]) {
        if let std::collections::hash_map::Entry::Vacant(place) = self.place.entry(key) {
            place.insert(self.values.len());
            self.values.extend_from_slice(vector);
        }
    }

    fn get(&self, key: &ContentKey) -> Option<&[f32]> {
        self.place.get(key).map(|&at| &self.values[at..at + self.dim])
    }
}

/// Vectors that earlier runs made, and the work file of this one.
struct EncodingState {
    vectors: Vectors,
    journal: Journal,
}

impl EncodingState {
    /// Takes over what the same encoder made: rows of the file at `out` and of its work file. A damaged file
    /// gives nothing, which `notes` say.
    fn open(out: &Path, encoder: &Encoder, notes: &mut Vec<String>) -> Result<Self> {
        let (key, dim) = (encoder.key(), encoder.dim());
        let mut vectors = Vectors { dim, place: HashMap::new(), values: Vec::new() };
        let earlier = feature_file::visit_rows(out, key, dim, &mut |key, row| vectors.add(key, row))?;
        if earlier == Earlier::Damaged {
            let file = out.display();
            notes.push(format!("{file} was damaged (its hash differed): nothing was taken over from it"));
        }
        let journal = Journal::open(&part_of(out), key, dim, &mut |key, row| vectors.add(key, row))?;
        Ok(Self { vectors, journal })
    }
}

/// What encoding came to.
#[derive(Default)]
struct Encoded {
    count: usize,
    /// Contents that cannot be encoded, and why.
    failed: HashMap<ContentKey, String>,
}

/// Encodes and writes. What an interrupted run finished is taken over, and so is every row of an earlier file
/// that the same encoder made of the same content, unless the file is damaged.
pub fn embed(request: &EmbedRequest<'_>, watch: &mut dyn FnMut(EmbedEvent<'_>)) -> Result<EmbedReport> {
    let since = Instant::now();
    let out = &request.out;
    if !has_extension(out, &["safetensors"]) {
        return Err(Error::format(out, "the output is a .safetensors file"));
    }
    request.progress.phase("reading items", 0)?;
    let mut inputs = inputs::gather(&request.source, &request.text, request.id.as_deref())?;
    let keys = inputs.keys();
    let different = different(&keys);
    let encoder = encoder(request, &inputs, &different)?;
    let mut kept = EncodingState::open(out, &encoder, &mut inputs.notes)?;
    let (known, todo): (Vec<_>, Vec<_>) =
        different.into_iter().partition(|(key, _)| kept.vectors.get(key).is_some());
    let name = encoder.name();
    watch(EmbedEvent::Planned { encoder: &name, total: known.len() + todo.len(), known: known.len() });
    let mut batches = |done: usize| watch(EmbedEvent::Batch { done: known.len() + done });
    let encoded = encode_all(request, &encoder, &inputs, &todo, &mut kept, &mut batches)?;
    let EncodingState { vectors, journal } = kept;
    let rows = FeatureRows::new(&inputs.ids, keys, &vectors, &encoded.failed);
    if rows.ids.is_empty() {
        // Nothing is worth keeping of such a run.
        journal.remove()?;
        let why = rows.left_out.first().map_or("", |l| &l.reason);
        let count = rows.left_out.len();
        return Err(Error::Data(format!("none of {count} items can be encoded; the first: {why}")));
    }
    encoder.save(out)?;
    feature_file::write(out, &rows.ids, &rows.contents, encoder.key(), &rows.features)?;
    journal.remove()?;
    Ok(EmbedReport {
        out: out.clone(),
        modality: inputs.modality,
        encoder: name,
        columns: inputs.columns,
        items: inputs.ids.len(),
        rows: rows.ids.len(),
        dim: encoder.dim(),
        encoded: encoded.count,
        reused: known.len(),
        repeated: rows.ids.len() - encoded.count - known.len(),
        left_out: rows.left_out,
        notes: inputs.notes,
        seconds: since.elapsed().as_secs_f64(),
    })
}

/// The different contents, each with the first item that has it.
fn different(keys: &[Result<ContentKey, String>]) -> Vec<(ContentKey, usize)> {
    let mut seen = HashSet::new();
    let with_key = keys.iter().enumerate().filter_map(|(item, key)| Some((*key.as_ref().ok()?, item)));
    with_key.filter(|(key, _)| seen.insert(*key)).collect()
}

/// Encodes `todo` batch by batch and keeps what is finished. After each batch `done` is told how many are.
fn encode_all(
    request: &EmbedRequest<'_>,
    encoder: &Encoder,
    inputs: &Inputs,
    todo: &[(ContentKey, usize)],
    kept: &mut EncodingState,
    done: &mut dyn FnMut(usize),
) -> Result<Encoded> {
    let mut encoded = Encoded::default();
    let parts = request.progress.phase("encoding", todo.len())?;
    let size = request.batch.max(1);
    for (at, batch) in todo.chunks(size).enumerate() {
        let one = |(key, item): &(ContentKey, usize)| {
            (!request.progress.stopped()).then(|| {
                let vector = encode(encoder, &inputs.contents[*item], key);
                // It is kept, whether or not that was the last.
                let _ = parts.add(1);
                vector
            })
        };
        // What a stop kept from being encoded is `None`; the rest of the batch is kept.
        let made: Vec<Option<Result<Vec<f32>, String>>> = batch.par_iter().map(one).collect();
        let pairs = || batch.iter().zip(&made).filter_map(|((key, _), made)| Some((key, made.as_ref()?)));
        kept.journal.append(pairs().filter_map(|(key, v)| Some((key, v.as_deref().ok()?))))?;
        for (key, vector) in pairs() {
            match vector {
                Ok(vector) => {
                    kept.vectors.add(*key, vector);
                    encoded.count += 1;
                }
                Err(why) => drop(encoded.failed.insert(*key, why.clone())),
            }
        }
        if made.iter().any(Option::is_none) {
            return Err(Error::Interrupted);
        }
        done(at * size + batch.len());
    }
    Ok(encoded)
}

/// The rows of the file, in the order of the items, and the items without one.
#[derive(Default)]
struct FeatureRows<'a> {
    ids: Vec<&'a str>,
    contents: Vec<ContentKey>,
    features: Vec<f32>,
    left_out: Vec<LeftOut>,
}

impl<'a> FeatureRows<'a> {
    fn new(
        ids: &'a [String],
        keys: Vec<Result<ContentKey, String>>,
        vectors: &Vectors,
        failed: &HashMap<ContentKey, String>,
    ) -> Self {
        let mut rows = Self::default();
        for (id, key) in ids.iter().zip(keys) {
            let row = key.and_then(|key| {
                let row = vectors.get(&key);
                row.map(|row| (key, row)).ok_or_else(|| failed.get(&key).cloned().unwrap_or_default())
            });
            match row {
                Ok((key, row)) => {
                    rows.ids.push(id);
                    rows.contents.push(key);
                    rows.features.extend_from_slice(row);
                }
                Err(reason) => rows.left_out.push(LeftOut { item: id.clone(), reason }),
            }
        }
        rows
    }
}

/// The work file of `out`.
fn part_of(out: &Path) -> PathBuf {
    let mut name = OsString::from(out);
    name.push(".part");
    name.into()
}

fn encoder(
    request: &EmbedRequest<'_>,
    inputs: &Inputs,
    different: &[(ContentKey, usize)],
) -> Result<Encoder> {
    let usage = |text: &str| Err(Error::Data(text.into()));
    match (&request.encoder, inputs.modality) {
        (EncoderChoice::Builtin { .. }, Modality::Image) => Encoder::builtin_image(),
        (EncoderChoice::Builtin { dim }, Modality::Text) => {
            let text = |&(_, item): &(ContentKey, usize)| match &inputs.contents[item] {
                Content::Text(text) => Some(text.as_str()),
                _ => None,
            };
            let texts: Vec<&str> = different.iter().filter_map(text).collect();
            Encoder::builtin_text(Words::fit(&texts, *dim, request.progress)?)
        }
        (EncoderChoice::Onnx { model, tokenizer: Some(tokenizer), preprocess }, Modality::Text) => {
            Encoder::onnx_text(model, tokenizer, preprocess.as_deref())
        }
        (EncoderChoice::Onnx { tokenizer: None, .. }, Modality::Text) => {
            usage("an ONNX text model needs its tokenizer (`--tokenizer tokenizer.json`)")
        }
        (EncoderChoice::Onnx { model, preprocess: Some(preprocess), .. }, Modality::Image) => {
            Encoder::onnx_image(model, preprocess)
        }
        (EncoderChoice::Onnx { .. }, Modality::Image) => {
            let presets = settings::presets();
            usage(&format!("an ONNX picture model needs `--preprocess`: a TOML file or one of {presets}"))
        }
    }
}

/// The vector of one content, or in a few words why there is none.
fn encode(encoder: &Encoder, content: &Content, key: &ContentKey) -> Result<Vec<f32>, String> {
    match content {
        Content::Text(text) => encoder.text(text).map_err(|e| e.to_string()),
        Content::Picture(path) => {
            let bytes = inputs::picture_bytes(path)?;
            if inputs::key_of(&bytes) != *key {
                return Err("its file changed while it was read".into());
            }
            encoder.picture_of_catalogue(&bytes).map_err(|e| e.to_string())
        }
        Content::Nothing(why) => Err(why.clone()),
    }
}
