//! The prepared folder, written from what is left of the log and what is joined to its items.

use std::io::Write;
use std::path::Path;

use crate::data::folder::manifest::{
    FORMAT, FeatureEntry, KnnEntry, MANIFEST, Manifest, REPORT, TRAIN_WEIGHTS, VERSION,
};
use crate::data::prepare::clean::Cleaned;
use crate::data::prepare::join::{self, Items};
use crate::data::prepare::log::Log;
use crate::data::prepare::report::{PrepareReport, counted};
use crate::data::prepare::{PrepareOptions, Sources};
use crate::disk::Staged;
use crate::{Error, Result};

/// Where less than one item in so many is known to a file, its ids are probably not those of the interactions.
const FEW: usize = 10;

/// Writes the prepared folder.
pub(crate) fn write(
    options: &PrepareOptions,
    log: &Log,
    cleaned: Cleaned,
    sources: &Sources,
) -> Result<PrepareReport> {
    let Cleaned { users, items, item_number, item_origin, integers, splits, train_weights, mut report } =
        cleaned;
    let joined = Items { all: &log.items, number: &item_number, origin: &item_origin, integers };
    let staged = Staged::new(&options.out, MANIFEST)?;
    let mut files = Vec::new();
    for (what, vocab) in [("users", &users), ("items", &items)] {
        let (names, offsets) = vocab.parts();
        files.push(staged.write_bytes(&format!("{what}.names"), names)?);
        files.push(staged.write_bytes(&format!("{what}.offsets"), bytemuck::cast_slice(offsets))?);
    }
    for (what, csr) in ["train", "valid", "test"].iter().zip(&splits) {
        files.push(staged.write_bytes(&format!("{what}.ptr"), bytemuck::cast_slice(csr.ptr()))?);
        files.push(staged.write_bytes(&format!("{what}.idx"), bytemuck::cast_slice(csr.idx()))?);
    }
    if let Some(weights) = &train_weights {
        files.push(staged.write_bytes(TRAIN_WEIGHTS, bytemuck::cast_slice(weights))?);
    }
    for (name, matrix) in &sources.features {
        let file = format!("feature.{name}.f32");
        let failed = |e: std::io::Error| Error::io(options.out.join(&file), e);
        let mut missing = Vec::new();
        files.push(staged.write(&file, |out| {
            let (entry, flags) = join::write_features(name, matrix, &joined, out, failed)?;
            if (items.len() - entry.no_row) * FEW < items.len() {
                let note = format!(
                    "features {name}: only {} of {} items have a row",
                    items.len() - entry.no_row,
                    items.len()
                );
                report.notes.push(note);
            }
            report.features.push(entry);
            missing = flags.into_iter().map(u8::from).collect();
            out.flush().map_err(failed)
        })?);
        files.push(staged.write_bytes(&format!("feature.{name}.missing"), &missing)?);
    }
    for (name, graph) in &sources.knn {
        let graph = graph.join(name, &joined)?;
        files.push(staged.write_bytes(&format!("knn.{name}.idx"), bytemuck::cast_slice(&graph.idx))?);
        files.push(staged.write_bytes(&format!("knn.{name}.cos"), bytemuck::cast_slice(&graph.cos))?);
        report.knn.push(graph.report);
    }
    let mut image_root = None;
    if let (Some(path), Some(listing)) = (&options.items, &sources.listing) {
        let read = listing.join(&items);
        if read.known_items == 0 {
            let (ours, count) = (items.names().next().unwrap_or_default(), read.unknown_items);
            let message =
                format!("none of its {count} ids is an item of the interactions (one there is `{ours}`)");
            return Err(Error::format(path, message));
        }
        if read.known_items * FEW < items.len() {
            let note = format!("the catalogue knows only {} of {} items", read.known_items, items.len());
            report.notes.push(note);
        }
        let (text, offsets) = read.catalogue.parts();
        files.push(staged.write_bytes("catalogue.text", text)?);
        files.push(staged.write_bytes("catalogue.offsets", bytemuck::cast_slice(offsets))?);
        image_root = read.catalogue.image_root().and_then(Path::to_str).map(str::to_string);
        report.titles = Some(read.with_title);
        let file = path.file_name().and_then(|n| n.to_str()).unwrap_or("the items file");
        for (count, one, many) in [
            (read.unknown_items, "describes another item", "describe other items"),
            (read.repeated, "repeats an item", "repeat an item"),
        ] {
            if count > 0 {
                let what = if count == 1 { one } else { many };
                report.notes.push(format!("{} of {file} {what}", counted(count as u64, "line", "lines")));
            }
        }
        report.notes.extend(listing.notes.iter().map(|note| format!("{file}: {note}")));
    }
    let text = serde_json::to_vec_pretty(&report).map_err(|e| Error::Data(e.to_string()))?;
    files.push(staged.write_bytes(REPORT, &text)?);

    let mut manifest = Manifest {
        format: FORMAT.into(),
        version: VERSION,
        hash: String::new(),
        name: report.name.clone(),
        split: report.split.clone(),
        seed: report.seed,
        users: report.users,
        items: report.items,
        interactions: report.interactions,
        weighted: train_weights.is_some(),
        features: report.features.iter().map(|f| FeatureEntry { name: f.name.clone(), dim: f.dim }).collect(),
        knn: report.knn.iter().map(|g| KnnEntry { name: g.name.clone(), k: g.k }).collect(),
        catalogue: options.items.is_some(),
        image_root,
        files,
    };
    manifest.hash = manifest.content_hash();
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::Data(e.to_string()))?;
    staged.write_bytes(MANIFEST, &text)?;
    staged.commit(MANIFEST)?;
    report.hash = manifest.hash;
    Ok(report)
}
