//! The texts or pictures of a request, with their content keys.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::data::TextOptions;
use crate::data::folder::journal::ContentKey;
use crate::data::prepare::item_texts::{ItemContent, read_item_texts};
use crate::data::prepare::pictures::{Folder, Pictures};
use crate::disk;
use crate::embed::encoder::Modality;
use crate::{Error, Result};

/// Maximum of bytes of a picture's file.
const FILE_BYTES: u64 = 256 << 20;

/// Where texts or pictures come from.
#[derive(Debug, Clone)]
pub enum EmbedSource {
    /// Columns of an items file, joined; none given: title, category, author and description, those that are
    /// there.
    Texts {
        /// JSON objects, delimited text, a workbook or Parquet.
        items: PathBuf,
        /// Columns.
        columns: Vec<String>,
    },
    /// Paths in a column of an items file.
    PictureColumn {
        /// JSON objects, delimited text, a workbook or Parquet.
        items: PathBuf,
        /// The column; by default guessed.
        column: Option<String>,
        /// Where paths start; by default the items file's folder.
        folder: Option<PathBuf>,
    },
    /// The pictures of a folder, named as the items.
    PictureFolder {
        /// The folder.
        folder: PathBuf,
        /// The items that should have a picture; by default those that have one.
        items: Option<PathBuf>,
    },
}

/// What an item offers.
#[derive(Debug)]
pub(crate) enum Content {
    /// A text.
    Text(String),
    /// A picture's file.
    Picture(PathBuf),
    /// Nothing, and why.
    Nothing(String),
}

/// The items of a request.
pub(crate) struct Inputs {
    pub(crate) modality: Modality,
    pub(crate) ids: Vec<String>,
    pub(crate) contents: Vec<Content>,
    /// Columns that the contents come from.
    pub(crate) columns: Vec<String>,
    /// What is good to know of where they come from.
    pub(crate) notes: Vec<String>,
}

impl Content {
    /// Its key; a picture's file is read for it.
    pub(crate) fn key(&self) -> Result<ContentKey, String> {
        match self {
            Self::Text(text) => Ok(key_of(text.as_bytes())),
            Self::Picture(path) => Ok(key_of(&picture_bytes(path)?)),
            Self::Nothing(why) => Err(why.clone()),
        }
    }
}

/// The key of bytes.
pub(crate) fn key_of(bytes: &[u8]) -> ContentKey {
    let (key, _) =
        blake3::hash(bytes).as_bytes().split_first_chunk().map_or(([0; 16], &[][..]), |(k, r)| (*k, r));
    key
}

/// The bytes of a picture's file, or in a few words why there are none.
pub(crate) fn picture_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let why = |e: Error| match e {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            format!("no file {}", path.display())
        }
        other => other.to_string(),
    };
    let content = disk::bytes_within(path, FILE_BYTES).map_err(why)?;
    content.ok_or_else(|| format!("{} has more than {} MiB", path.display(), FILE_BYTES >> 20))
}

/// Reads what is to be encoded. Pictures are only named here.
pub(crate) fn gather(source: &EmbedSource, text: &TextOptions, id: Option<&str>) -> Result<Inputs> {
    match source {
        EmbedSource::Texts { items, columns } => {
            let read = read_item_texts(items, text, id, ItemContent::Texts(columns))?;
            let content = |text: String| match text.is_empty() {
                true => Content::Nothing("has no text".into()),
                false => Content::Text(text),
            };
            let contents = read.texts.into_iter().map(content).collect();
            let (ids, columns, notes) = (read.ids, read.columns, read.notes);
            Ok(Inputs { modality: Modality::Text, ids, contents, columns, notes })
        }
        EmbedSource::PictureColumn { items, column, folder } => {
            let read = read_item_texts(items, text, id, ItemContent::Image(column.as_deref()))?;
            let root = folder.as_deref().or(items.parent()).unwrap_or(Path::new(""));
            let content = |text: &String| match text.as_str() {
                "" => Content::Nothing("has no picture".into()),
                url if url.starts_with("http://") || url.starts_with("https://") => {
                    Content::Nothing("its picture is an address; `alike embed` reads files only".into())
                }
                path => Content::Picture(root.join(path)),
            };
            let contents = read.texts.iter().map(content).collect();
            let (ids, columns, notes) = (read.ids, read.columns, read.notes);
            Ok(Inputs { modality: Modality::Image, ids, contents, columns, notes })
        }
        EmbedSource::PictureFolder { folder, items } => {
            let all = Folder::read(folder)?;
            let mut notes = all.notes();
            let Folder { pictures: found, unread, others, .. } = all;
            let of_kind =
                |path: &Path| Content::Nothing(format!("{} is of a kind that is not read", path.display()));
            let at = |list: &Pictures, id: &String| {
                list.binary_search_by(|(name, _)| name.cmp(id)).ok().map(|at| list[at].1.clone())
            };
            let (ids, contents) = match items {
                None => {
                    let without = unread.into_iter().filter(|(id, _)| at(&found, id).is_none());
                    let without: Vec<_> = without.map(|(id, path)| (id, of_kind(&path))).collect();
                    let with = found.into_iter().map(|(id, path)| (id, Content::Picture(path)));
                    // An item may have several pictures of kinds that are not read; it is left out once.
                    let mut all: Vec<_> = with.chain(without).collect();
                    all.dedup_by(|a, b| a.0 == b.0);
                    all.into_iter().unzip()
                }
                Some(items) => {
                    let read = read_item_texts(items, text, id, ItemContent::Ids)?;
                    notes.extend(read.notes);
                    let ids = read.ids;
                    let content = |id: &String| match (at(&found, id), at(&unread, id).or(at(&others, id))) {
                        (Some(path), _) => Content::Picture(path),
                        (None, Some(path)) => of_kind(&path),
                        (None, None) => {
                            Content::Nothing(format!("no picture {id}.* in {}", folder.display()))
                        }
                    };
                    let contents = ids.iter().map(content).collect();
                    (ids, contents)
                }
            };
            if ids.is_empty() {
                let notes: String = notes.iter().map(|note| format!("; {note}")).collect();
                let message = format!("has no pictures (.jpg, .jpeg, .jpe, .jfif, .png, .webp){notes}");
                return Err(Error::format(folder, message));
            }
            Ok(Inputs { modality: Modality::Image, ids, contents, columns: Vec::new(), notes })
        }
    }
}

impl Inputs {
    /// The key of every item, or why it has none.
    pub(crate) fn keys(&self) -> Vec<Result<ContentKey, String>> {
        self.contents.par_iter().map(Content::key).collect()
    }
}
