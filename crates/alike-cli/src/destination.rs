//! Where a command writes: every output path is checked here, before any work.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// Links to links that are followed.
const LINKS: usize = 40;

/// A file that a command writes.
pub(crate) struct OutputKind {
    /// Endings that the name may have.
    pub(crate) endings: &'static [&'static str],
    /// What it is called in messages, with its article.
    pub(crate) name: &'static str,
    /// Whether what is there is such a file and may be replaced.
    pub(crate) is_ours: fn(&Path) -> bool,
}

impl OutputKind {
    /// The place of a file to write at `path`: where links lead. An empty file may be there, or one of
    /// this kind.
    ///
    /// # Errors
    /// Another ending is wrong usage; the folder is missing; something else is there.
    pub(crate) fn place(&self, path: &Path) -> Outcome<PathBuf> {
        let place = behind_links(path)?;
        let fits = |path: &Path| self.endings.contains(&&*ending(path));
        let is_folder = ends_with_slash(path);
        // A link of another name than the file would say another kind of file.
        if is_folder || !fits(path) || !fits(&place) {
            let why = if is_folder { "ends with a slash, as folders do; " } else { "" };
            let endings: Vec<String> = self.endings.iter().map(|e| format!(".{e}")).collect();
            let text = format!("{}: {why}the output is a {} file", path.display(), one_of(&endings));
            return Err(Failure::Usage(text));
        }
        folder_of(path, &place)?;
        let failed = |text: String| Failure::Failed(format!("{}: {text}", path.display()));
        match fs::metadata(&place) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(place),
            Err(e) => Err(Failure::io(path, &e)),
            Ok(meta) if !meta.is_file() => Err(failed("is not a file, and is left alone".into())),
            Ok(meta) if meta.len() > 0 && !(self.is_ours)(&place) => {
                Err(failed(format!("is not {}, and is left alone; choose another --out", self.name)))
            }
            Ok(_) => Ok(place),
        }
    }
}

fn ends_with_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|&c| std::path::is_separator(c as char))
}

/// What a file's name ends with, in lower case: who calls a file `LIST.CSV` means CSV.
pub(crate) fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// The file that says that a folder is an experiment's.
const EXPERIMENT: &str = "alike-experiment.txt";

/// The place of an experiment's folder at `path`: where links lead.
///
/// # Errors
/// A file is there, or in the way; or files that an experiment would write, of no experiment.
pub(crate) fn experiment(path: &Path) -> Outcome<PathBuf> {
    let place = folder(path)?;
    if place.join(EXPERIMENT).is_file() || has_a_run(&place.join("runs")) {
        return Ok(place);
    }
    let names =
        ["runs", "results.csv", "results.parquet", "tables.tex", "report.html", "run.json", "manifest.json"];
    for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if names.contains(&&*name) || name.ends_with(".svg") {
            return Err(Failure::Failed(format!(
                "{}: is of no experiment, and is left alone; choose another --out",
                place.join(&*name).display()
            )));
        }
    }
    Ok(place)
}

/// Whether there is a run at `runs/DATA/RUN`: experiments of earlier versions left no mark.
fn has_a_run(runs: &Path) -> bool {
    let folders = |at: &Path| fs::read_dir(at).into_iter().flatten().flatten().map(|entry| entry.path());
    folders(runs)
        .flat_map(|data| folders(&data).collect::<Vec<_>>())
        .any(|run| run.join("run.json").is_file())
}

/// Marks the folder `place` as an experiment's.
pub(crate) fn mark_experiment(place: &Path) -> Outcome {
    let mark = place.join(EXPERIMENT);
    if mark.is_file() {
        return Ok(());
    }
    fs::create_dir_all(place).map_err(|e| Failure::io(place, &e))?;
    let text = "Made by `alike experiment`, which writes its runs and results into this folder.\n";
    fs::write(&mark, text).map_err(|e| Failure::io(&mark, &e))
}

/// The place of a folder to write at `path`: where links lead. What may be there is for the command to
/// say.
///
/// # Errors
/// A file is there, or in the way.
pub(crate) fn folder(path: &Path) -> Outcome<PathBuf> {
    let place = behind_links(path)?;
    for above in place.ancestors().filter(|p| !p.as_os_str().is_empty()) {
        match fs::metadata(above) {
            Ok(meta) if meta.is_dir() => break,
            Ok(_) => {
                let what = if above == place { "is a file" } else { "has a file in its way" };
                let text = format!("{}: {what}; the output is a folder", path.display());
                return Err(Failure::Failed(text));
            }
            Err(_) if above.is_symlink() => {
                let text = format!(
                    "{}: {} is a link that leads to nothing; make the folder it leads to, or remove it",
                    path.display(),
                    above.display()
                );
                return Err(Failure::Failed(text));
            }
            // Made with the output.
            Err(_) => {}
        }
    }
    Ok(place)
}

/// What `path` leads to through links, whether or not anything is there. A slash at its end, which would
/// name what the link leads to, is left out: what leads to nothing has no such name.
fn behind_links(path: &Path) -> Outcome<PathBuf> {
    let without_slash = |path: &Path| path.components().collect::<PathBuf>();
    let mut place = without_slash(path);
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&place) else { return Ok(place) };
        place = without_slash(&place.parent().unwrap_or(Path::new("")).join(target));
    }
    Err(Failure::Failed(format!("{}: a link that leads to itself", path.display())))
}

fn folder_of(path: &Path, place: &Path) -> Outcome {
    let folder = alike::disk::parent(place);
    if folder.is_dir() {
        return Ok(());
    }
    let text = format!("{}: there is no folder {}; make it first", path.display(), folder.display());
    Err(Failure::Failed(text))
}

fn one_of(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTES: OutputKind = OutputKind {
        endings: &["txt", "md", "text"],
        name: "a file of notes",
        is_ours: |path| fs::read_to_string(path).is_ok_and(|text| text.starts_with("notes")),
    };

    fn refused(path: &Path) -> (u8, String) {
        let failure = NOTES.place(path).unwrap_err();
        (failure.code(), failure.line().unwrap())
    }

    #[test]
    fn only_what_is_ours_is_replaced() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        assert_eq!(NOTES.place(&at("new.md")).unwrap(), at("new.md"));
        assert_eq!(NOTES.place(&at("NEW.MD")).unwrap(), at("NEW.MD"));
        fs::write(at("ours.md"), "notes of mine").unwrap();
        fs::write(at("empty.md"), "").unwrap();
        fs::write(at("novel.md"), "It was a dark night").unwrap();
        fs::create_dir(at("folder.md")).unwrap();
        assert!(NOTES.place(&at("ours.md")).is_ok() && NOTES.place(&at("empty.md")).is_ok());
        let (code, said) = refused(&at("novel.md"));
        assert!(code == 1 && said.contains("novel.md: is not a file of notes"), "{said}");
        assert!(refused(&at("folder.md")).1.contains("is not a file"));
        let (code, said) = refused(&at("new.csv"));
        assert!(code == 2 && said.ends_with("the output is a .txt, .md or .text file"), "{said}");
        assert_eq!(refused(&at("noending")).0, 2);
        let (code, said) = refused(&at("none/new.md"));
        assert!(code == 1 && said.contains("none/new.md: there is no folder "), "{said}");
        assert!(folder(&at("novel.md")).unwrap_err().line().unwrap().contains("is a file"));
        assert!(folder(&at("novel.md/under")).unwrap_err().line().unwrap().contains("a file in its way"));
        assert_eq!(folder(&at("a/b")).unwrap(), at("a/b"));
    }

    #[test]
    fn only_a_folder_of_an_experiment_takes_its_results() {
        let base = tempfile::tempdir().unwrap();
        let made = |name: &str, files: &[&str]| {
            let folder = base.path().join(name);
            for file in files.iter().map(|file| folder.join(file)) {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "{}").unwrap();
            }
            experiment(&folder)
        };
        assert!(made("new", &[]).is_ok() && made("notes", &["notes.md", "data/x.csv"]).is_ok());
        for file in ["tables.tex", "results.parquet", "a.svg", "run.json", "manifest.json", "runs/mine.txt"] {
            let name = format!("theirs-{}", file.replace('/', "-"));
            let said = made(&name, &[file]).unwrap_err().line().unwrap();
            assert!(said.contains("is of no experiment, and is left alone"), "{file}: {said}");
        }
        assert!(made("older", &["runs/toy/bpr-s1/run.json", "results.csv"]).is_ok());
        let marked = base.path().join("marked");
        mark_experiment(&marked).unwrap();
        assert!(made("marked", &["runs/mine.txt", "report.html"]).is_ok());
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed() {
        use std::os::unix::fs::symlink;
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        fs::create_dir(at("big")).unwrap();
        symlink("big/data", at("one")).unwrap();
        symlink(at("one"), at("two")).unwrap();
        assert_eq!(folder(&at("two")).unwrap(), at("big/data"));
        symlink("novel.md", at("link.md")).unwrap();
        fs::write(at("novel.md"), "It was a dark night").unwrap();
        assert!(refused(&at("link.md")).1.contains("is not a file of notes"));
        symlink("other.csv", at("other.md")).unwrap();
        assert_eq!(refused(&at("other.md")).0, 2, "what would be written there is no .csv");
        symlink("round", at("round")).unwrap();
        assert!(folder(&at("round")).unwrap_err().line().unwrap().contains("leads to itself"));
        // A slash at the end changes nothing: to a folder, to nothing, to a file, to itself.
        symlink("big/", at("slash")).unwrap();
        assert_eq!(folder(&at("slash/")).unwrap(), at("big"));
        assert_eq!(folder(&at("one/")).unwrap(), at("big/data"));
        assert!(folder(&at("link.md/")).unwrap_err().line().unwrap().contains("link.md/: is a file"));
        assert!(folder(&at("round/")).unwrap_err().line().unwrap().contains("leads to itself"));
        let (code, said) = refused(&at("link.md/"));
        assert!(code == 2 && said.contains("link.md/: ends with a slash, as folders do"), "{said}");
        // A link in the way leads somewhere, or is named.
        assert_eq!(folder(&at("slash/new")).unwrap(), at("slash/new"));
        let said = folder(&at("one/new")).unwrap_err().line().unwrap();
        assert!(said.contains("one is a link that leads to nothing"), "{said}");
    }
}
