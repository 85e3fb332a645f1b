//! The pictures of a folder, by the names of their files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::data::formats::id_text::clean;
use crate::data::formats::open::has_extension;
use crate::data::prepare::report::counted;
use crate::disk;
use crate::{Error, Result};

/// Kinds of pictures that are read, by the ends of their files' names.
const READ: &[&str] = &["jpg", "jpeg", "png", "webp"];
/// Kinds that are not.
const UNREAD: &[&str] = &["gif", "bmp", "tif", "tiff", "avif", "heic", "heif", "svg", "jxl", "ico", "psd"];
/// Folders in folders that are looked into.
const DEPTH: usize = 8;

/// Ids and paths, by id.
pub(crate) type Pictures = Vec<(String, PathBuf)>;

/// What a folder and its subfolders hold.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// Pictures by id: what stands before the end of a file's name.
    pub(crate) pictures: Pictures,
    /// Pictures of kinds that are not read.
    pub(crate) unread: Pictures,
    /// Pictures whose names are no UTF-8, and so no ids.
    unnamed: u64,
    /// Folders that lie too deep.
    deep: u64,
    /// Folders that were looked into, whatever leads to them.
    seen: BTreeSet<PathBuf>,
}

impl Folder {
    /// Looks into `folder`, also behind links. Names that start with `.` are passed over.
    ///
    /// # Errors
    /// An item has two pictures.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut found = Self::default();
        found.collect(folder, 0)?;
        found.pictures.sort();
        found.unread.sort();
        if let Some(two) = found.pictures.windows(2).find(|two| two[0].0 == two[1].0) {
            let name = |at: usize| two[at].1.strip_prefix(folder).unwrap_or(&two[at].1).display();
            let message = format!("item `{}` has two pictures: {} and {}", two[0].0, name(0), name(1));
            return Err(Error::format(folder, message));
        }
        Ok(found)
    }

    /// What was passed over.
    pub(crate) fn notes(&self) -> Vec<String> {
        let names = counted(self.unnamed, "picture has a name that is", "pictures have names that are");
        let deep = counted(self.deep, "folder lies", "folders lie");
        [
            (self.unnamed, format!("{names} not UTF-8 text, and cannot be ids: left out; rename the files")),
            (self.deep, format!("{deep} more than {DEPTH} folders deep: not looked into")),
        ]
        .into_iter()
        .filter_map(|(count, note)| (count > 0).then_some(note))
        .collect()
    }

    fn collect(&mut self, folder: &Path, depth: usize) -> Result<()> {
        if !self.seen.insert(disk::real_path(folder)?) {
            return Ok(());
        }
        let mut inside = disk::files_in(folder)?;
        // Which of two ways to a folder is taken is not to depend on the disk.
        inside.sort();
        for path in inside {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            if !path.is_dir() {
                self.add(path);
            } else if depth < DEPTH {
                self.collect(&path, depth + 1)?;
            } else {
                self.deep += 1;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf) {
        let list = match (has_extension(&path, READ), has_extension(&path, UNREAD)) {
            (true, _) => &mut self.pictures,
            (_, true) => &mut self.unread,
            _ => return,
        };
        match path.file_stem().and_then(|stem| stem.to_str()).map(clean) {
            None => self.unnamed += 1,
            Some("") => {}
            Some(id) => list.push((id.to_string(), path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &Pictures) -> Vec<&str> {
        list.iter().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn pictures_are_found_in_subfolders_and_by_kind() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(base.path().join("red/small")).unwrap();
        for name in ["a.jpg", ".hidden.png", "red/b.PNG", "red/small/c.webp", "d.gif", "notes.txt"] {
            std::fs::write(base.path().join(name), "x").unwrap();
        }
        let found = Folder::read(base.path()).unwrap();
        assert_eq!((ids(&found.pictures), ids(&found.unread)), (vec!["a", "b", "c"], vec!["d"]));
        assert!(found.notes().is_empty());
        std::fs::write(base.path().join("red/a.png"), "x").unwrap();
        let text = Folder::read(base.path()).unwrap_err().to_string();
        assert!(text.contains("item `a` has two pictures: a.jpg and red/a.png"), "{text}");
    }

    #[test]
    #[cfg(unix)]
    fn linked_folders_are_looked_into_once() {
        use std::os::unix::fs::symlink;
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        std::fs::create_dir_all(at("disk/more")).unwrap();
        std::fs::create_dir(at("shop")).unwrap();
        std::fs::write(at("disk/a.jpg"), "x").unwrap();
        std::fs::write(at("disk/more/b.jpg"), "x").unwrap();
        symlink(at("disk"), at("shop/one")).unwrap();
        symlink(at("disk/more"), at("shop/two")).unwrap();
        symlink(at("shop"), at("disk/round")).unwrap();
        assert_eq!(ids(&Folder::read(&at("shop")).unwrap().pictures), ["a", "b"]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_passed_over_is_counted() {
        use std::os::unix::ffi::OsStrExt;
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.jpg")), "x").unwrap();
        std::fs::create_dir_all(base.path().join("1/2/3/4/5/6/7/8/9")).unwrap();
        let notes = Folder::read(base.path()).unwrap().notes();
        assert!(notes[0].starts_with("1 picture has a name that is not UTF-8"), "{notes:?}");
        assert!(notes[1].starts_with("1 folder lies more than 8"), "{notes:?}");
    }
}
