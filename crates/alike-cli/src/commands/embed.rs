//! `alike embed`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use alike::Error;
use alike::embed::{Choice, Modality, Report, Request, Source, embed};

use serde_json::{Map, Value};

use crate::args::Embed;
use crate::destination::Kind;
use crate::failure::{Failure, Outcome};
use crate::output::{self, duration, grouped};
use crate::progress::Encoding;
use crate::stop;

/// Items without a row that are named on standard error.
const NAMED: usize = 5;
/// Width of the built-in text encoder.
const DIM: u16 = 128;

/// The files that are written here: `.safetensors` that say which encoder made them, and of what.
const FILE: Kind =
    Kind { endings: &["safetensors"], name: "a feature file of `alike embed`", is_ours: is_features };

fn is_features(path: &Path) -> bool {
    let head = || -> io::Result<Map<String, Value>> {
        let mut file = File::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let mut head = Vec::new();
        file.take(u64::from_le_bytes(length)).read_to_end(&mut head)?;
        Ok(serde_json::from_slice(&head)?)
    };
    head().is_ok_and(|head| ["features", "contents", "encoder"].iter().all(|name| head.contains_key(*name)))
}

/// Encodes, with progress and what is left out on standard error, and the result on standard output.
pub(crate) fn run(args: &Embed, quiet: bool) -> Outcome {
    if args.out.is_symlink() {
        // What belongs to the file is saved beside it, and would be looked for beside the link.
        let text = format!("{}: is a link; give the file that it leads to", args.out.display());
        return Err(Failure::Failed(text));
    }
    let goes_on = "what was encoded is saved: the same command goes on from there";
    let request = Request {
        source: source(args)?,
        id: args.id.clone(),
        encoder: choice(args)?,
        batch: args.batch as usize,
        out: FILE.place(&args.out)?,
        stop: Some(stop::flag(goes_on, stop::SHORT)),
    };
    let mut progress = Encoding::new(quiet);
    let report = embed(&request, &mut |event| progress.on(&event));
    drop(progress);
    let report = report.map_err(|e| match e {
        Error::Interrupted => stop::interrupted(),
        other => other.into(),
    })?;
    if !quiet {
        left_out(&report);
    }
    if args.json {
        return output::json(&report);
    }
    if quiet {
        return Ok(());
    }
    summary(&report)
}

fn source(args: &Embed) -> Outcome<Source> {
    match (&args.items, &args.images, &args.image_folder) {
        (Some(items), Some(column), folder) => {
            Ok(Source::PictureColumn { items: items.clone(), column: column.clone(), folder: folder.clone() })
        }
        (items, _, Some(folder)) => {
            Ok(Source::PictureFolder { folder: folder.clone(), items: items.clone() })
        }
        (Some(items), None, None) => Ok(Source::Texts { items: items.clone(), columns: args.texts.clone() }),
        (None, _, None) => Err(Failure::Usage("either --items FILE or --image-folder DIR".into())),
    }
}

fn choice(args: &Embed) -> Outcome<Choice> {
    let only = |flag: &str, whose: &str| Err(Failure::Usage(format!("{flag} is for {whose}")));
    if args.encoder.as_os_str() != "builtin" {
        if args.dim.is_some() {
            return only("--dim", "the built-in text encoder; an ONNX model has its own width");
        }
        return Ok(Choice::Onnx {
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
    Ok(Choice::Builtin { dim: args.dim.unwrap_or(DIM).into() })
}

/// Says how many items have no row, and why the first ones have none.
fn left_out(report: &Report) {
    let all = &report.left_out;
    if all.is_empty() {
        return;
    }
    eprintln!("{} of {} items are left out:", grouped(all.len()), grouped(report.items));
    for item in all.iter().take(NAMED) {
        eprintln!("  {}: {}", item.item, item.reason);
    }
    if all.len() > NAMED {
        eprintln!("  and {} more (--json lists all)", grouped(all.len() - NAMED));
    }
}

fn summary(report: &Report) -> Outcome {
    let Report { encoded, reused, repeated, .. } = report;
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
