//! The pictures of a folder, by the names of their files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::data::formats::id_text::clean;
use crate::data::formats::open::has_extension;
use crate::data::prepare::missing::Without;
use crate::data::prepare::report::counted;
use crate::disk;
use crate::{Error, Result};

/// Kinds of pictures that are read, by the ends of their files' names.
const READ: &[&str] = &["jpg", "jpeg", "jpe", "jfif", "png", "webp"];
/// Kinds that are not: items that have only such a picture are named.
const UNREAD: &[&str] = &["gif", "bmp", "tif", "tiff", "avif", "heic", "heif", "svg", "jxl", "ico", "psd"];
/// Further kinds of pictures; who has files of these is told as of all files that are not read.
const RARE: &[&str] =
    &["ppm", "pgm", "pbm", "pnm", "tga", "jp2", "j2k", "dds", "exr", "qoi", "pcx", "eps", "raw", "dng"];
/// Folders in folders that are looked into.
const DEPTH: usize = 8;
/// Kinds of files that a note names.
const KINDS: usize = 12;

/// Ids and paths, by id.
pub(crate) type Pictures = Vec<(String, PathBuf)>;

/// What a folder and its subfolders hold.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// Pictures by id: what comes before the end of a file's name.
    pub(crate) pictures: Pictures,
    /// Pictures of kinds that are not read.
    pub(crate) unread: Pictures,
    /// Files that are none of these, as far as their names tell.
    pub(crate) others: Pictures,
    /// Pictures whose names are no ids.
    without: Without,
    /// How many of `others` are of each kind.
    kinds: BTreeMap<String, u64>,
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
        found.others.sort();
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
        let others: u64 = self.kinds.values().sum();
        let kinds = counted(others, "file of a kind that is not read", "files of kinds that are not read");
        let without = counted(self.without.count(), "picture has a name", "pictures have names");
        [
            (others, format!("{kinds}: {}", self.kinds())),
            (self.without.count(), format!("{without} like `nan`, and no item id: left out")),
            (self.unnamed, format!("{names} not UTF-8 text, and cannot be ids: left out; rename the files")),
            (self.deep, format!("{deep} more than {DEPTH} folders deep: not looked into")),
        ]
        .into_iter()
        .filter_map(|(count, note)| (count > 0).then_some(note))
        .collect()
    }

    /// The kinds of the files that are not read, those with the most first.
    fn kinds(&self) -> String {
        let mut kinds: Vec<(&String, &u64)> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let mut named: Vec<&str> = kinds.iter().take(KINDS).map(|(kind, _)| kind.as_str()).collect();
        if kinds.len() > KINDS {
            named.push("…");
        }
        named.join(", ")
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
        let id = path.file_stem().and_then(|stem| stem.to_str()).map(clean);
        if !has_extension(&path, READ) && !has_extension(&path, UNREAD) {
            *self.kinds.entry(kind_of(&path)).or_default() += 1;
            self.others.extend(id.map(|id| (id.to_string(), path.clone())));
            return;
        }
        match id {
            None => self.unnamed += 1,
            Some(id) if self.without.check(id) => {}
            Some(id) if has_extension(&path, READ) => self.pictures.push((id.to_string(), path)),
            Some(id) => self.unread.push((id.to_string(), path)),
        }
    }
}

/// What people call the kind of a file: its ending.
fn kind_of(path: &Path) -> String {
    match path.extension() {
        Some(ending) => format!(".{}", ending.to_string_lossy().to_lowercase()),
        None => "no ending".into(),
    }
}

/// Whether `name` ends as the name of a picture does, read or not.
pub(crate) fn is_picture_name(name: &str) -> bool {
    [READ, UNREAD, RARE].iter().any(|kinds| has_extension(Path::new(name), kinds))
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
        assert_eq!(found.notes(), ["1 file of a kind that is not read: .txt"]);
        std::fs::write(base.path().join("red/a.png"), "x").unwrap();
        let text = Folder::read(base.path()).unwrap_err().to_string();
        assert!(text.contains("item `a` has two pictures: a.jpg and red/a.png"), "{text}");
    }

    #[test]
    fn files_of_all_other_kinds_are_counted_by_kind() {
        let base = tempfile::tempdir().unwrap();
        for name in ["a.jfif", "b.JPE", "c.tga", "d.tga", "e.jp2", "f", "nan.png", ".DS_Store", "g.tar.gz"] {
            std::fs::write(base.path().join(name), "x").unwrap();
        }
        let found = Folder::read(base.path()).unwrap();
        assert_eq!(
            (ids(&found.pictures), ids(&found.others)),
            (vec!["a", "b"], vec!["c", "d", "e", "f", "g.tar"])
        );
        let notes = found.notes();
        assert_eq!(notes[0], "5 files of kinds that are not read: .tga, .gz, .jp2, no ending");
        assert_eq!(
            (&*notes[1], notes.len()),
            ("1 picture has a name like `nan`, and no item id: left out", 2)
        );
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
