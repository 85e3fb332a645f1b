//! Folders that are still there after a power loss.

use std::io::Result;
use std::path::Path;

/// Makes `folder` with all that lead to it, each entered in its parent on disk.
pub(crate) fn make(folder: &Path) -> Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new(""));
    make(parent)?;
    match std::fs::create_dir(folder) {
        // Somebody else was quicker.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    sync(parent)
}

/// Waits until the names in `folder` are on disk.
#[cfg(unix)]
pub(crate) fn sync(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::fs::File::open(folder)?.sync_all()
}

/// Folders cannot be opened here; the system sees to their names.
#[cfg(not(unix))]
pub(crate) fn sync(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_and_what_is_in_the_way_is_told() {
        let base = tempfile::tempdir().unwrap();
        let deep = base.path().join("a/b/c");
        make(&deep).unwrap();
        make(&deep).unwrap();
        assert!(deep.is_dir());
        std::fs::write(base.path().join("file"), "").unwrap();
        assert!(make(&base.path().join("file/under")).is_err());
        assert!(make(&base.path().join("file")).is_err());
    }
}
