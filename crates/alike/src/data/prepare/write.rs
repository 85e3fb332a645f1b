//! The prepared folder, written from what is left of the log and what is joined to its items.

use std::io::Write;
use std::path::Path;

use alike_ops::Csr;

use crate::data::folder::manifest::{
    FORMAT, FeatureEntry, KnnEntry, MANIFEST, Manifest, REPORT, TRAIN_WEIGHTS, VERSION,
};
use crate::data::formats::matrix::MatrixFile;
use crate::data::prepare::catalogue::Listing;
use crate::data::prepare::clean::Cleaned;
use crate::data::prepare::join::{self, FEW, Graph, Items, JoinedFeatures};
use crate::data::prepare::log::Log;
use crate::data::prepare::options::PrepareOptions;
use crate::data::prepare::report::{FeatureReport, KnnReport, PrepareReport, counted};
use crate::data::prepare::sources::Sources;
use crate::disk::{FileEntry, Staged};
use crate::ids::Vocab;
use crate::progress::Progress;
use crate::{Error, Result};

/// The folder while it is written.
struct Writing<'a> {
    options: &'a PrepareOptions,
    staged: Staged,
    files: Vec<FileEntry>,
    report: PrepareReport,
}

/// Writes the prepared folder.
pub(crate) fn write(
    options: &PrepareOptions,
    log: &Log,
    cleaned: Cleaned,
    sources: &Sources,
    progress: &dyn Progress,
) -> Result<PrepareReport> {
    let Cleaned { users, items, item_number, item_origin, integers, splits, train_weights, report } = cleaned;
    let joined = Items { all: &log.items, number: &item_number, origin: &item_origin, integers };
    let staged = Staged::new(&options.out, MANIFEST)?;
    let mut writing = Writing { options, staged, files: Vec::new(), report };
    writing.ids("users", &users)?;
    writing.ids("items", &items)?;
    writing.interactions(&splits, train_weights.as_deref())?;
    let parts = progress.phase("writing features", sources.features.len())?;
    for (name, matrix) in &sources.features {
        writing.features(name, matrix, &joined)?;
        parts.add(1)?;
    }
    progress.phase("writing the rest", 0)?;
    for (name, graph) in &sources.knn {
        writing.neighbors(name, graph, &joined)?;
    }
    let image_root = match (&options.items, &sources.listing) {
        (Some(path), Some(listing)) => writing.catalogue(path, listing, &items)?,
        _ => None,
    };
    progress.check()?;
    writing.finish(train_weights.is_some(), image_root)
}

impl Writing<'_> {
    fn add(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.files.push(self.staged.write_bytes(name, content)?);
        Ok(())
    }

    fn ids(&mut self, what: &str, vocab: &Vocab) -> Result<()> {
        let (names, offsets) = vocab.parts();
        self.add(&format!("{what}.names"), names)?;
        self.add(&format!("{what}.offsets"), bytemuck::cast_slice(offsets))
    }

    fn interactions(&mut self, splits: &[Csr; 3], train_weights: Option<&[f32]>) -> Result<()> {
        for (what, csr) in ["train", "valid", "test"].iter().zip(splits) {
            self.add(&format!("{what}.ptr"), bytemuck::cast_slice(csr.ptr()))?;
            self.add(&format!("{what}.idx"), bytemuck::cast_slice(csr.idx()))?;
        }
        match train_weights {
            Some(weights) => self.add(TRAIN_WEIGHTS, bytemuck::cast_slice(weights)),
            None => Ok(()),
        }
    }

    fn features(&mut self, name: &str, matrix: &MatrixFile, items: &Items<'_>) -> Result<()> {
        let file = format!("feature.{name}.f32");
        let failed = |e: std::io::Error| Error::io(self.options.out.join(&file), e);
        let mut made = None;
        let entry = self.staged.write(&file, |out| {
            made = Some(join::write_features(name, matrix, items, out, failed)?);
            out.flush().map_err(failed)
        })?;
        self.files.push(entry);
        let JoinedFeatures { report, missing, notes } = made.expect("what is written was joined");
        let missing: Vec<u8> = missing.into_iter().map(u8::from).collect();
        self.add(&format!("feature.{name}.missing"), &missing)?;
        self.report.features.push(report);
        self.report.notes.extend(notes);
        Ok(())
    }

    fn neighbors(&mut self, name: &str, graph: &Graph, items: &Items<'_>) -> Result<()> {
        let graph = graph.join(name, items)?;
        self.add(&format!("knn.{name}.idx"), bytemuck::cast_slice(&graph.idx))?;
        self.add(&format!("knn.{name}.cos"), bytemuck::cast_slice(&graph.cos))?;
        self.report.knn.push(graph.report);
        self.report.notes.extend(graph.notes);
        Ok(())
    }

    /// Writes what the items file says, and returns its folder.
    fn catalogue(&mut self, path: &Path, listing: &Listing, items: &Vocab) -> Result<Option<String>> {
        let read = listing.join(items);
        if read.known_items == 0 {
            let (ours, count) = (items.names().next().unwrap_or_default(), read.unknown_items);
            let message =
                format!("none of its {count} ids is an item of the interactions (one there is `{ours}`)");
            return Err(Error::format(path, message));
        }
        if read.known_items * FEW < items.len() {
            let note = format!("the catalogue knows only {} of {} items", read.known_items, items.len());
            self.report.notes.push(note);
        }
        let (text, offsets) = read.catalogue.parts();
        self.add("catalogue.text", text)?;
        self.add("catalogue.offsets", bytemuck::cast_slice(offsets))?;
        self.report.titles = Some(read.with_title);
        let file = path.file_name().and_then(|n| n.to_str()).unwrap_or("the items file");
        for (count, one, many) in [
            (read.unknown_items, "describes another item", "describe other items"),
            (read.repeated, "repeats an item", "repeat an item"),
        ] {
            if count > 0 {
                let what = if count == 1 { one } else { many };
                let lines = counted(count as u64, "line", "lines");
                self.report.notes.push(format!("{lines} of {file} {what}"));
            }
        }
        self.report.notes.extend(listing.notes.iter().map(|note| format!("{file}: {note}")));
        Ok(read.catalogue.image_root().and_then(Path::to_str).map(str::to_string))
    }

    /// Writes report and manifest, and puts the folder in place.
    fn finish(mut self, weighted: bool, image_root: Option<String>) -> Result<PrepareReport> {
        let text = serde_json::to_vec_pretty(&self.report).map_err(|e| Error::Data(e.to_string()))?;
        self.add(REPORT, &text)?;
        let Self { options, staged, files, mut report } = self;
        let feature = |f: &FeatureReport| FeatureEntry { name: f.name.clone(), dim: f.dim };
        let graph = |g: &KnnReport| KnnEntry { name: g.name.clone(), k: g.k };
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
            weighted,
            features: report.features.iter().map(feature).collect(),
            knn: report.knn.iter().map(graph).collect(),
            catalogue: options.items.is_some(),
            attributes: options.item_columns.attributes.iter().map(|a| a.0.clone()).collect(),
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
}
