//! Files of pictures for products: those that the catalogue names, and those of a folder that are named as
//! the products are. Each is linked, or copied, into the work folder, which the page may show.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use percent_encoding::percent_decode_str;

use crate::commands::shop::catalogue::product::Product;
use crate::failure::{Failure, Outcome};

/// The folder within the work folder.
pub(super) const FOLDER: &str = "pictures";
/// Endings of the kinds that are read.
const KINDS: [&str; 6] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp"];
/// Folders in folders that are looked into.
const DEPTH: usize = 8;

/// Pictures by what they may be called.
pub(super) struct PictureFinder {
    /// Where paths of the catalogue start.
    roots: Vec<PathBuf>,
    /// Files of the folder, by name and by name without ending, in lower case.
    files: HashMap<String, PathBuf>,
}

/// What there is of a product's picture.
#[derive(Debug, PartialEq)]
pub(super) enum FoundPicture {
    File(PathBuf),
    /// On the web only.
    Address(String),
    None,
}

impl PictureFinder {
    /// For the catalogue at `catalogue`, with the pictures of `folder`.
    ///
    /// # Errors
    /// The folder is none, or has no pictures.
    pub(super) fn new(catalogue: &Path, folder: Option<&Path>) -> Outcome<Self> {
        let mut roots = vec![alike::disk::parent(catalogue).to_path_buf()];
        let mut found = BTreeSet::new();
        if let Some(folder) = folder {
            if !folder.is_dir() {
                let text =
                    format!("--pictures: {} is no folder; give the folder of the pictures", folder.display());
                return Err(Failure::Usage(text));
            }
            collect(folder, DEPTH, &mut found).map_err(|e| Failure::io(folder, &e))?;
            if found.is_empty() {
                let text = "has no pictures (.jpg, .png, .webp); give the folder that they are in";
                return Err(Failure::Usage(format!("--pictures: {} {text}", folder.display())));
            }
            roots.push(folder.to_path_buf());
        }
        let mut files = HashMap::new();
        for path in found {
            for name in [path.file_name(), path.file_stem()].into_iter().flatten() {
                files.entry(name.to_string_lossy().to_lowercase()).or_insert_with(|| path.clone());
            }
        }
        Ok(Self { roots, files })
    }

    /// The picture of a product.
    pub(super) fn of(&self, product: &Product) -> FoundPicture {
        let mut address = None;
        for named in &product.pictures {
            if named.starts_with("http://") || named.starts_with("https://") {
                let path = named.split(['?', '#']).next().unwrap_or_default();
                let last =
                    percent_decode_str(path.rsplit('/').next().unwrap_or_default()).decode_utf8_lossy();
                if let Some(file) = self.named(&last) {
                    return FoundPicture::File(file);
                }
                address.get_or_insert(named);
                continue;
            }
            let at = self
                .roots
                .iter()
                .map(|root| root.join(named))
                .find(|path| path.is_file() && is_picture(path));
            let last = Path::new(named).file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(file) = at.or_else(|| self.named(&last)) {
                return FoundPicture::File(file);
            }
        }
        match product.codes.iter().find_map(|code| self.files.get(&code.to_lowercase())) {
            Some(file) => FoundPicture::File(file.clone()),
            None => address.map_or(FoundPicture::None, |address| FoundPicture::Address(address.clone())),
        }
    }

    /// Where files of a product's pictures would be that the catalogue names.
    pub(super) fn sought(&self, product: &Product) -> Vec<PathBuf> {
        let files = product.pictures.iter().filter(|named| !named.starts_with("http"));
        files.flat_map(|named| self.roots.iter().map(move |root| root.join(named))).collect()
    }

    /// What tells the files of the folder from others, and from themselves after a change.
    pub(super) fn fingerprint(&self) -> String {
        let mut all: Vec<String> = self.files.values().filter_map(|file| fingerprint(file)).collect();
        all.sort_unstable();
        blake3::hash(all.join("\n").as_bytes()).to_hex().to_string()
    }

    fn named(&self, name: &str) -> Option<PathBuf> {
        let name = name.to_lowercase();
        let stem = || name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let found = self.files.get(&name).or_else(|| self.files.get(stem()));
        found.filter(|_| !name.is_empty()).cloned()
    }
}

/// The pictures of a folder, in the order of their paths.
fn collect(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, found)?;
            }
        } else if is_picture(&path) {
            found.insert(path);
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    KINDS.contains(&crate::destination::ending(path).as_str())
}

/// What tells a file from another one, and from itself after a change, without reading it.
pub(super) fn fingerprint(file: &Path) -> Option<String> {
    let meta = fs::metadata(file).ok()?;
    let changed = meta.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let place = std::path::absolute(file).ok()?;
    let text = format!("{}\n{}\n{}", place.display(), meta.len(), changed.as_nanos());
    Some(blake3::hash(text.as_bytes()).to_hex()[..24].to_string())
}

/// Puts a picture into the work folder, unless it is there; its path from that folder.
pub(super) fn keep(work: &Path, file: &Path) -> Outcome<Option<String>> {
    let Some(print) = fingerprint(file) else { return Ok(None) };
    let name = format!("{print}.{}", crate::destination::ending(file));
    let place = work.join(FOLDER).join(&name);
    if !place.is_file() {
        alike::disk::create_folders(alike::disk::parent(&place))?;
        // A link costs nothing; where there can be none, as on another disk, a copy does.
        if fs::hard_link(file, &place).is_err() && !place.is_file() {
            let bytes = fs::read(file).map_err(|e| Failure::io(file, &e))?;
            alike::disk::write_atomic(&place, &bytes)?;
        }
    }
    Ok(Some(format!("{FOLDER}/{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_by_path_address_and_code() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        for name in ["own/a.jpg", "folder/deep/Blue Mug.png", "folder/TEE-1.webp", "folder/notes.txt"] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), name).unwrap();
        }
        let finder = PictureFinder::new(&at("own/products.csv"), Some(&at("folder"))).unwrap();
        let found = |pictures: &[&str], codes: &[&str]| {
            let texts = |list: &[&str]| list.iter().map(|t| t.to_string()).collect();
            finder.of(&Product { pictures: texts(pictures), codes: texts(codes), ..Product::default() })
        };
        assert_eq!(found(&["a.jpg"], &[]), FoundPicture::File(at("own/a.jpg")));
        let address = "https://cdn.shop/files/blue%20mug.jpg?v=1";
        assert_eq!(found(&[address], &[]), FoundPicture::File(at("folder/deep/Blue Mug.png")));
        assert_eq!(found(&[], &["x", "tee-1"]), FoundPicture::File(at("folder/TEE-1.webp")));
        assert_eq!(found(&["https://s/c.jpg"], &["x"]), FoundPicture::Address("https://s/c.jpg".into()));
        assert_eq!(found(&["gone.jpg", "notes.txt"], &[]), FoundPicture::None);
        let work = at("work");
        let kept = keep(&work, &at("own/a.jpg")).unwrap().unwrap();
        assert_eq!(fs::read(work.join(&kept)).unwrap(), b"own/a.jpg");
        assert_eq!(keep(&work, &at("own/a.jpg")).unwrap().unwrap(), kept);
        let said = PictureFinder::new(&at("own/p.csv"), Some(&at("none"))).err().unwrap().line().unwrap();
        assert!(said.contains("is no folder"), "{said}");
    }
}
