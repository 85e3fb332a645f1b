//! `alike embed`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use alike::data::TextOptions;
use alike::embed::{
    EmbedEvent, EmbedReport, EmbedRequest, EmbedSource, EncoderChoice, Modality, companions, embed,
};

use serde_json::{Map, Value};

use crate::args::Embed;
use crate::commands::logs::Catalogue;
use crate::destination::OutputKind;
use crate::failure::{Failure, Outcome};
use crate::output::{self, duration, grouped};
use crate::progress::Phases;
use crate::stop;

/// Items without a row that are named on standard error.
const NAMED: usize = 5;
/// Width of the built-in text encoder.
const DIM: u16 = 128;

/// The files that are written here: `.safetensors` that say which encoder made them, and of what.
const FILE: OutputKind =
    OutputKind { endings: &["safetensors"], name: "a feature file of `alike embed`", is_ours: is_features };

/// What is written beside them: which encoder that was, and its weights.
const DESCRIPTION: OutputKind =
    OutputKind { endings: &["json"], name: "an encoder of `alike embed`", is_ours: is_description };
const WEIGHTS: OutputKind =
    OutputKind { endings: &["safetensors"], name: "an encoder of `alike embed`", is_ours: is_weights };
/// Longest head of a file of tensors that is looked at.
const HEAD: u64 = 1 << 30;

/// Whether a file of tensors has these.
fn has_tensors(path: &Path, names: &[&str]) -> bool {
    let head = || -> io::Result<Map<String, Value>> {
        let mut file = File::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let mut head = Vec::new();
        file.take(u64::from_le_bytes(length).min(HEAD)).read_to_end(&mut head)?;
        Ok(serde_json::from_slice(&head)?)
    };
    head().is_ok_and(|head| names.iter().all(|name| head.contains_key(*name)))
}

fn is_features(path: &Path) -> bool {
    has_tensors(path, &["features", "contents", "encoder"])
}

fn is_weights(path: &Path) -> bool {
    has_tensors(path, &["buckets", "idf", "projection"])
}

fn is_description(path: &Path) -> bool {
    let read =
        File::open(path).map(|file| serde_json::from_reader::<_, Value>(BufReader::new(file.take(HEAD))));
    read.is_ok_and(|value| value.is_ok_and(|value| value["format"] == "alike-encoder"))
}

/// The file to write, after a look at all that is written.
fn place(out: &Path) -> Outcome<PathBuf> {
    let place = FILE.place(out)?;
    let [description, weights] = companions(out);
    DESCRIPTION.place(&description)?;
    WEIGHTS.place(&weights)?;
    Ok(place)
}

/// Encodes, with progress and what is left out on standard error, and the result on standard output.
pub(crate) fn run(args: &Embed, quiet: bool) -> Outcome {
    if args.out.is_symlink() {
        // What belongs to the file is saved beside it, and would be looked for beside the link.
        let text = format!("{}: is a link; give the file that it leads to", args.out.display());
        return Err(Failure::Failed(text));
    }
    let catalogue = args.items.as_ref().map(Catalogue::open).transpose()?;
    let phases = Phases::new("embed", Some(stop::flag("nothing was encoded yet", stop::SHORT)), quiet);
    let request = EmbedRequest {
        source: source(args, catalogue.as_ref().map(|catalogue| catalogue.path.clone()))?,
        id: args.id.clone(),
        encoder: choice(args)?,
        batch: args.batch as usize,
        text: TextOptions { encoding: args.text.encoding.clone(), ..TextOptions::default() },
        out: place(&args.out)?,
        progress: &phases,
    };
    let report = embed(&request, &mut |event| {
        if matches!(event, EmbedEvent::Planned { .. }) {
            stop::continue_note("what was encoded is saved: the same command goes on from there");
        }
    });
    drop(phases);
    let report = report.map_err(stop::explain)?;
    if !quiet {
        left_out(&report);
        report.notes.iter().for_each(|note| eprintln!("note: {note}"));
    }
    if args.json {
        return output::json(&report);
    }
    if quiet {
        return Ok(());
    }
    summary(&report)
}

fn source(args: &Embed, items: Option<PathBuf>) -> Outcome<EmbedSource> {
    if let Some(file) = args.image_folder.as_ref().filter(|path| path.is_file()) {
        let text = "is a file; the folder of the pictures is wanted (--items FILE --images COLUMN reads their paths)";
        return Err(Failure::Usage(format!("--image-folder: {} {text}", file.display())));
    }
    match (items, &args.images, &args.image_folder) {
        (Some(items), Some(column), folder) => {
            Ok(EmbedSource::PictureColumn { items, column: column.clone(), folder: folder.clone() })
        }
        (items, _, Some(folder)) => Ok(EmbedSource::PictureFolder { folder: folder.clone(), items }),
        (Some(items), None, None) => Ok(EmbedSource::Texts { items, columns: args.texts.clone() }),
        (None, _, None) => Err(Failure::Usage("either --items FILE or --image-folder DIR".into())),
    }
}

fn choice(args: &Embed) -> Outcome<EncoderChoice> {
    let only = |flag: &str, whose: &str| Err(Failure::Usage(format!("{flag} is for {whose}")));
    if args.encoder.as_os_str() != "builtin" {
        if args.dim.is_some() {
            return only("--dim", "the built-in text encoder; an ONNX model has its own width");
        }
        return Ok(EncoderChoice::Onnx {
            model: args.encoder.clone(),
            tokenizer: args.tokenizer.clone(),
            preprocess: args.preprocess.clone(),
        });
    }
    if args.tokenizer.is_some() {
        return only("--tokenizer", "an ONNX model (--encoder MODEL.onnx)");
    }
    if args.preprocess.is_some() {
        return only("--preprocess", "an ONNX model (--encoder MODEL.onnx)");
    }
    if args.dim.is_some() && (args.images.is_some() || args.image_folder.is_some()) {
        return only("--dim", "the built-in text encoder; the one of pictures has its own width");
    }
    Ok(EncoderChoice::Builtin { dim: args.dim.unwrap_or(DIM).into() })
}

/// Says how many items have no row, and why the first ones have none.
fn left_out(report: &EmbedReport) {
    let all = &report.left_out;
    if all.is_empty() {
        return;
    }
    let are = if all.len() == 1 { "is" } else { "are" };
    eprintln!("{} of {} items {are} left out:", grouped(all.len()), grouped(report.items));
    for item in all.iter().take(NAMED) {
        eprintln!("  {}: {}", item.item, item.reason);
    }
    if all.len() > NAMED {
        eprintln!("  and {} more (--json lists all)", grouped(all.len() - NAMED));
    }
}

fn summary(report: &EmbedReport) -> Outcome {
    let EmbedReport { encoded, reused, repeated, .. } = report;
    let from = match report.columns.as_slice() {
        [] => String::new(),
        columns => format!(" of {}", columns.join(", ")),
    };
    output::line(format!("{}{from}", report.encoder))?;
    output::line(format!(
        "wrote {} rows of {} values to {} in {}: {} encoded, {} taken over, {} repeated",
        grouped(report.rows),
        report.dim,
        report.out.display(),
        duration(report.seconds),
        grouped(*encoded),
        grouped(*reused),
        grouped(*repeated)
    ))?;
    let name = match report.modality {
        Modality::Text => "text",
        Modality::Image => "image",
    };
    output::line(format!("\nnext: alike prepare --feature {name}={} …", report.out.display()))
}
