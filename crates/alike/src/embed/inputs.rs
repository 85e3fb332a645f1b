//! The texts or pictures of a request, with their content keys.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::data::folder::journal::ContentKey;
use crate::data::folder::read;
use crate::data::prepare::item_texts::{Wanted, pictures_in, read_item_texts};
use crate::embed::{Modality, Source};
use crate::{Error, Result};

/// Most bytes of a picture's file.
const FILE_BYTES: u64 = 256 << 20;

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
    if read::size(path).map_err(why)? > FILE_BYTES {
        return Err(format!("{} has more than {} MiB", path.display(), FILE_BYTES >> 20));
    }
    read::bytes(path).map_err(why)
}

/// Reads what is to be encoded. Pictures are only named here.
pub(crate) fn gather(source: &Source, id: Option<&str>) -> Result<Inputs> {
    match source {
        Source::Texts { items, columns } => {
            let read = read_item_texts(items, id, Wanted::Texts(columns))?;
            let content = |text: String| match text.is_empty() {
                true => Content::Nothing("has no text".into()),
                false => Content::Text(text),
            };
            let contents = read.texts.into_iter().map(content).collect();
            Ok(Inputs { modality: Modality::Text, ids: read.ids, contents, columns: read.columns })
        }
        Source::PictureColumn { items, column, folder } => {
            let read = read_item_texts(items, id, Wanted::Image(column.as_deref()))?;
            let root = folder.as_deref().or(items.parent()).unwrap_or(Path::new(""));
            let content = |text: &String| match text.as_str() {
                "" => Content::Nothing("has no picture".into()),
                url if url.starts_with("http://") || url.starts_with("https://") => {
                    Content::Nothing("its picture is an address; `alike embed` reads files only".into())
                }
                path => Content::Picture(root.join(path)),
            };
            let contents = read.texts.iter().map(content).collect();
            Ok(Inputs { modality: Modality::Image, ids: read.ids, contents, columns: read.columns })
        }
        Source::PictureFolder { folder, items } => {
            let found = pictures_in(folder)?;
            let (ids, contents) = match items {
                None => found.into_iter().map(|(id, path)| (id, Content::Picture(path))).unzip(),
                Some(items) => {
                    let ids = read_item_texts(items, id, Wanted::Ids)?.ids;
                    let content = |id: &String| match found.binary_search_by(|(name, _)| name.cmp(id)) {
                        Ok(at) => Content::Picture(found[at].1.clone()),
                        Err(_) => Content::Nothing(format!("no picture {id}.* in {}", folder.display())),
                    };
                    let contents = ids.iter().map(content).collect();
                    (ids, contents)
                }
            };
            if ids.is_empty() {
                return Err(Error::format(folder, "has no pictures (.jpg, .jpeg, .png, .webp)"));
            }
            Ok(Inputs { modality: Modality::Image, ids, contents, columns: Vec::new() })
        }
    }
}

impl Inputs {
    /// The key of every item, or why it has none.
    pub(crate) fn keys(&self) -> Vec<Result<ContentKey, String>> {
        self.contents.par_iter().map(Content::key).collect()
    }
}
