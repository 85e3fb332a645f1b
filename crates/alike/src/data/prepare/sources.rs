//! What belongs to the items and comes from files of its own: features, neighbours, the catalogue.

use std::path::PathBuf;

use crate::data::formats::feature_file::open_features;
use crate::data::formats::header::data_first;
use crate::data::formats::id_text::{self, clean};
use crate::data::formats::matrix::MatrixFile;
use crate::data::prepare::catalogue::Listing;
use crate::data::prepare::join::Graph;
use crate::data::prepare::log::Log;
use crate::data::prepare::options::PrepareOptions;
use crate::ids::Vocab;
use crate::{Error, Result};

/// What belongs to the items, read and not yet joined to them.
pub(crate) struct Sources {
    pub(crate) features: Vec<(String, MatrixFile)>,
    pub(crate) knn: Vec<(String, Graph)>,
    /// The catalogue.
    pub(crate) listing: Option<Listing>,
}

impl Sources {
    /// Opens what `options` name.
    pub(crate) fn open(options: &PrepareOptions) -> Result<Self> {
        let mut features = Vec::new();
        for (name, path) in &options.features {
            let mut matrix = open_features(path)?;
            if let Some((_, ids)) = options.feature_ids.iter().find(|(n, _)| n == name) {
                matrix = matrix.with_ids_file(ids)?;
            }
            features.push((name.clone(), matrix));
        }
        let graph = |(name, path): &(String, PathBuf)| Ok((name.clone(), Graph::open(path)?));
        let knn = options.knn.iter().map(graph).collect::<Result<_>>()?;
        let items = options.items.as_ref();
        let listing = items.map(|path| Listing::read(path, &options.text.of_items(), &options.item_columns));
        let mut listing = listing.transpose()?;
        for path in &options.items_over {
            listing.as_mut().map(|listing| listing.put_over(path)).transpose()?;
        }
        Ok(Self { features, knn, listing })
    }

    /// Refuses a catalogue whose first row was taken for its header: then the column of ids is called like an
    /// item, of the interactions or of the features.
    pub(crate) fn check_header_of_items(&self, options: &PrepareOptions, log: &Log) -> Result<()> {
        let (Some(path), Some(id)) = (&options.items, &options.item_columns.id) else { return Ok(()) };
        let has_row = |matrix: &MatrixFile| {
            matrix.ids.as_ref().is_some_and(|ids| ids.names.iter().any(|name| clean(name) == id))
        };
        let why = match self.features.iter().find(|(_, matrix)| has_row(matrix)) {
            _ if id_text::find(&log.items, id).is_some() => format!("`{id}` is an item of the interactions"),
            Some((name, _)) => format!("`{id}` is an item of the features `{name}`"),
            None => return Ok(()),
        };
        Err(Error::format(path, data_first(&why, false)))
    }

    /// With integer ids and arrays without ids, row = id also holds for ids that no interaction names, if
    /// there is exactly one row for each integer up to the largest id: then the missing ones are items too,
    /// and those whose interactions do not stay remain such.
    pub(crate) fn add_items_of_rows(&self, options: &PrepareOptions, log: &mut Log) -> Result<()> {
        let features = self.features.iter().filter(|(_, m)| m.ids.is_none()).map(|(_, m)| m.rows);
        let rows = features.chain(self.knn.iter().filter_map(|(_, g)| g.bare_rows())).next();
        if let (Some(rows), Some(largest)) = (rows, log.items.largest_integer())
            && rows == largest + 1
        {
            for id in 0..rows {
                let (item, new) = log.items.intern(&id.to_string())?;
                if new || options.cold_items {
                    log.cold.push(item);
                }
            }
        }
        Ok(())
    }

    /// Items of the catalogue that have features are items whatever the interactions say of them, so that
    /// they can be recommended from their first day. Rows without ids are items by their place, so nothing
    /// can be added to them.
    pub(crate) fn add_items_of_catalogue(&self, options: &PrepareOptions, log: &mut Log) -> Result<()> {
        let by_place = self.features.iter().any(|(_, m)| m.ids.is_none())
            || self.knn.iter().any(|(_, g)| g.bare_rows().is_some());
        let Some(listing) = self.listing.as_ref().filter(|_| options.cold_items && !by_place) else {
            return Ok(());
        };
        // Another shop's catalogue is an error later.
        if !listing.ids().any(|id| id_text::find(&log.items, id).is_some()) {
            return Ok(());
        }
        let mut listed = Vocab::default();
        for id in listing.ids() {
            listed.intern(id)?;
        }
        for (_, matrix) in &self.features {
            let mut values = vec![0f32; matrix.dim];
            for (row, name) in matrix.ids.iter().flat_map(|ids| ids.names.iter().enumerate()) {
                let Some(at) = id_text::find(&listed, name) else { continue };
                matrix.row(row, &mut values);
                let id = listed.name(at);
                if values.iter().all(|&v| v == 0.0) {
                    continue;
                }
                let item = match id_text::find(&log.items, id) {
                    Some(known) => known,
                    None => log.items.intern(id)?.0,
                };
                log.cold.push(item);
            }
        }
        Ok(())
    }
}
