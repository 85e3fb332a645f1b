//! What a disk holds, and what of it a loss of power leaves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use alike::disk::Op;

type Names = BTreeMap<OsString, usize>;

enum Node {
    File { now: Vec<u8>, synced: Vec<u8> },
    Folder { now: Names, synced: Names },
}

/// What of the names a loss of power leaves; of contents only what was synced is ever left.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Left {
    /// Those of folders that were synced after the change.
    Synced,
    /// All: a name may reach the disk before the content does.
    All,
}

/// A folder and all below it.
pub(crate) struct Model {
    root: PathBuf,
    nodes: Vec<Node>,
}

impl Model {
    /// All of `root` as it is, safely on the disk.
    pub(crate) fn new(root: &Path) -> Self {
        let mut model = Self { root: root.to_path_buf(), nodes: Vec::new() };
        model.scan(root);
        model
    }

    fn scan(&mut self, path: &Path) -> usize {
        let at = self.nodes.len();
        if path.is_file() {
            let content = fs::read(path).unwrap();
            self.nodes.push(Node::File { now: content.clone(), synced: content });
            return at;
        }
        self.nodes.push(Node::Folder { now: Names::new(), synced: Names::new() });
        let mut names = Names::new();
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            names.insert(entry.file_name(), self.scan(&entry.path()));
        }
        self.nodes[at] = Node::Folder { now: names.clone(), synced: names };
        at
    }

    pub(crate) fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let mut at = 0;
        for part in path.strip_prefix(&self.root).ok()?.components() {
            let Component::Normal(name) = part else { continue };
            let Node::Folder { now, .. } = &self.nodes[at] else { return None };
            at = *now.get(name)?;
        }
        Some(at)
    }

    /// The names in the folder of `path`.
    fn names(&mut self, path: &Path) -> &mut Names {
        let at = self.find(path.parent().unwrap()).unwrap_or_else(|| panic!("no folder for {path:?}"));
        let Node::Folder { now, .. } = &mut self.nodes[at] else { panic!("{path:?} is below a file") };
        now
    }

    fn put(&mut self, path: &Path, node: usize) {
        let name = path.file_name().unwrap().to_os_string();
        self.names(path).insert(name, node);
    }

    fn take(&mut self, path: &Path) -> Option<usize> {
        let name = path.file_name().unwrap().to_os_string();
        self.names(path).remove(&name)
    }

    /// Does what the call will do. A call that the system refuses (a name that is not there) changes nothing.
    pub(crate) fn apply(&mut self, op: &Op<'_>) {
        match *op {
            Op::Create(path) => {
                self.nodes.push(Node::File { now: Vec::new(), synced: Vec::new() });
                self.put(path, self.nodes.len() - 1);
            }
            Op::MakeFolder(path) => {
                self.nodes.push(Node::Folder { now: Names::new(), synced: Names::new() });
                self.put(path, self.nodes.len() - 1);
            }
            Op::Write(path, at, bytes) => {
                let now = self.content(path);
                now.resize(now.len().max(at as usize + bytes.len()), 0);
                now[at as usize..][..bytes.len()].copy_from_slice(bytes);
            }
            Op::SetLength(path, length) => self.content(path).resize(length as usize, 0),
            Op::Sync(path) => {
                let at = self.find(path).unwrap();
                let Node::File { now, synced } = &mut self.nodes[at] else { panic!("{path:?} is a folder") };
                synced.clone_from(now);
            }
            Op::SyncFolder(path) => {
                // Folders above the model's are not its matter.
                if let Some(at) = self.find(path) {
                    let Node::Folder { now, synced } = &mut self.nodes[at] else {
                        panic!("{path:?} is a file")
                    };
                    synced.clone_from(now);
                }
            }
            Op::Rename(from, to) => {
                let node = self.take(from).unwrap();
                self.put(to, node);
            }
            Op::Exchange(one, other) => {
                let (a, b) = (self.take(one).unwrap(), self.take(other).unwrap());
                self.put(one, b);
                self.put(other, a);
            }
            Op::Remove(path) => {
                self.take(path);
            }
        }
    }

    fn content(&mut self, path: &Path) -> &mut Vec<u8> {
        let at = self.find(path).unwrap_or_else(|| panic!("no file {path:?}"));
        match &mut self.nodes[at] {
            Node::File { now, .. } => now,
            Node::Folder { .. } => panic!("{path:?} is a folder"),
        }
    }

    /// Makes the real folder what a loss of power would have left.
    pub(crate) fn lose_power(&self, kept: Left) {
        for entry in fs::read_dir(&self.root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        self.write(0, &self.root, kept);
    }

    fn write(&self, node: usize, path: &Path, kept: Left) {
        match &self.nodes[node] {
            Node::File { synced, .. } => fs::write(path, synced).unwrap(),
            Node::Folder { now, synced } => {
                fs::create_dir_all(path).unwrap();
                let names = match kept {
                    Left::Synced => synced,
                    Left::All => now,
                };
                for (name, &node) in names {
                    self.write(node, &path.join(name), kept);
                }
            }
        }
    }
}
