//! Files that are there whole or not at all, and what a kill leaves of them.

use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::File;
use super::unfinished::Unfinished;
use crate::error::{Error, Result};

/// Writes a file so that it is there whole or not at all, also after a crash. Its folder is made if it is
/// missing; what a killed process left of the same file is removed. A file that is replaced keeps its
/// permissions.
///
/// # Errors
/// Those of the disk, with the path of the file. What was there before is still there then.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<()> {
    write_atomic_with(path, |file| file.write_all(content))
}

/// The same of what `fill` writes, call by call. Returns what `fill` does.
///
/// # Errors
/// As [`write_atomic`], and those of `fill`.
pub fn write_atomic_with<T>(
    path: &Path,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<T>,
) -> Result<T> {
    let folder = super::parent(path);
    super::create_folders(folder)?;
    remove_leftovers(path);
    let named = |e: Error| e.at_path(path);
    let (unfinished, mut file) = temporary(path).map_err(named)?;
    // Before anything is in it: what others may not read is never theirs to read.
    file.take_permissions_of(path);
    let write = || {
        let filled = fill(&mut file).map_err(|e| Error::io(path, e))?;
        file.sync()?;
        unfinished.finish(|| super::rename(unfinished.path(), path))?;
        Ok(filled)
    };
    let filled = write().map_err(|e| {
        // The first error is the one to tell.
        let _ = super::remove_file(unfinished.path());
        named(e)
    })?;
    super::sync_folder(folder)?;
    Ok(filled)
}

/// A new file beside `path`, locked as long as this process has it open.
fn temporary(path: &Path) -> Result<(Unfinished, File)> {
    begin(path, |name| {
        let file = File::create_new(name)?;
        // Some network file systems know no locks.
        let _ = file.plain().lock();
        Ok(file)
    })
}

/// Begins what will become `path`, beside it: `make` makes it under the name that it is given, and locks it.
pub(super) fn begin<T>(path: &Path, make: impl Fn(&Path) -> Result<T>) -> Result<(Unfinished, T)> {
    loop {
        let (unfinished, made) = Unfinished::create(temporary_name(path), &make)?;
        // Another process may have taken it for a leftover before it was locked.
        if super::exists(unfinished.path()) {
            return Ok((unfinished, made));
        }
    }
}

/// `.NAME.writing-` and what no other writer has, beside `path`.
fn temporary_name(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    super::parent(path).join(format!("{}{}-{count}", prefix(path), std::process::id()))
}

fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A file system's names have at most 255 bytes.
    let short: String = name.chars().take(50).collect();
    format!(".{short}.writing-")
}

/// Whether `text` is what [`temporary_name`] puts behind `.writing-`: two numbers, written as this program
/// writes them.
fn is_writers_mark(text: &str) -> bool {
    let is_number = |text: &str| text.parse::<u64>().is_ok_and(|number| number.to_string() == text);
    text.split_once('-').is_some_and(|(process, count)| is_number(process) && is_number(count))
}

/// The name of the file or folder of which `name` is a half-written one by [`temporary_name`], the start of it
/// where it is long.
pub(crate) fn temporary_of(name: &str) -> Option<&str> {
    let (of, mark) = name.strip_prefix('.')?.rsplit_once(".writing-")?;
    is_writers_mark(mark).then_some(of)
}

/// Removes what dead processes left half-written for `path`: whatever of theirs is not locked. What cannot be
/// removed is left to the next; names that only look alike are somebody's own.
pub(crate) fn remove_leftovers(path: &Path) {
    let prefix = prefix(path);
    for entry in fs::read_dir(super::parent(path)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_str().and_then(|name| name.strip_prefix(&*prefix)).is_some_and(is_writers_mark) {
            continue;
        }
        let left = entry.path();
        let Ok(held) = fs::File::open(&left) else { continue };
        match held.try_lock() {
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
            Ok(()) => {
                let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
                let _ = if is_folder { super::remove_folder(&left) } else { super::remove_file(&left) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("out.json");
        let dead = base.path().join(".out.json.writing-1-0");
        fs::write(&dead, "half").unwrap();
        let (alive, held) = temporary(&path).unwrap();
        let other = base.path().join(".other.writing-1-0");
        fs::write(&other, "half").unwrap();
        write_atomic(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        let alive = alive.path();
        assert!(!dead.exists() && alive.exists() && other.exists());
        drop(held);
        write_atomic(&path, b"again").unwrap();
        assert!(!alive.exists());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 2);
    }

    #[test]
    fn names_that_only_look_like_leftovers_stay() {
        let base = tempfile::tempdir().unwrap();
        let mine =
            ["backup", "notes", "1", "1-", "-1", "1-0-copy", "1-0.txt", "2024-05-01", "2024-05", "+1-0"];
        let mine = mine.map(|end| base.path().join(format!(".out.writing-{end}")));
        fs::create_dir(&mine[0]).unwrap();
        mine[1..].iter().for_each(|path| fs::write(path, "mine").unwrap());
        write_atomic(&base.path().join("out"), b"new").unwrap();
        for path in &mine {
            assert!(path.exists(), "{}", path.display());
            assert_eq!(
                temporary_of(&path.file_name().unwrap().to_string_lossy()),
                None,
                "{}",
                path.display()
            );
        }
        assert_eq!(temporary_of(".out.writing-12-0"), Some("out"));
        assert_eq!(temporary_of("out.writing-12-0"), None);
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_is_replaced_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("keys.json");
        for mode in [0o600, 0o640, 0o400] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            write_atomic(&path, b"new").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn an_error_names_the_file_and_leaves_the_old_one() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("folder");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("mine"), "x").unwrap();
        let text = write_atomic(&path, b"new").unwrap_err().to_string();
        assert!(text.contains("folder") && !text.contains("writing-"), "{text}");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }
}
