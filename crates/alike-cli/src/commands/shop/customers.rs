//! Who bought: e-mail addresses become codes that nobody can turn back without the shop's own key.
//!
//! A plain hash of an address is no secret: anybody with a list of addresses can hash them all and compare
//! them. So the hash is keyed, with 32 random bytes that lie in the work folder and nowhere else. The same
//! address has the same code for as long as the key is there.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// The file of the key.
pub(super) const KEY_FILE: &str = "customers.key";
/// Bytes of a code; it has twice as many digits.
const CODE: usize = 16;

/// What tells customers apart.
pub(super) struct CustomerCodes {
    file: PathBuf,
    keep: bool,
    key: Option<[u8; 32]>,
    /// Addresses were made codes.
    pub(super) made: bool,
}

impl CustomerCodes {
    /// With the key of the work folder; one is made when it is first needed.
    pub(super) fn new(folder: &Path, keep_emails: bool) -> Self {
        Self { file: folder.join(KEY_FILE), keep: keep_emails, key: None, made: false }
    }

    /// The id of a customer as the data have it.
    pub(super) fn id(&mut self, customer: &str) -> Outcome<String> {
        if self.keep || !customer.contains('@') {
            return Ok(customer.to_string());
        }
        self.made = true;
        let key = match self.key {
            Some(key) => key,
            None => *self.key.insert(key_of(&self.file)?),
        };
        let mut code = [0; CODE];
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(customer.trim().to_lowercase().as_bytes());
        hasher.finalize_xof().fill(&mut code);
        Ok(code.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The key in `file`, which is made where it is not there.
fn key_of(file: &Path) -> Outcome<[u8; 32]> {
    let failed = |e: std::io::Error| Failure::io(file, &e);
    match fs::read(file) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            let text = "is no key of 32 bytes; put the right one back, or remove it: then all customers get new codes";
            Failure::Failed(format!("{}: {text}", file.display()))
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|e| Failure::Failed(format!("no random numbers: {e}")))?;
            // Whole or not at all, and never for others to read.
            let new = file.with_extension("key.new");
            let mut options = OpenOptions::new();
            options.create(true).truncate(true).write(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut out = options.open(&new).map_err(failed)?;
            out.write_all(&key).and_then(|()| out.sync_all()).map_err(failed)?;
            fs::rename(&new, file).map_err(failed)?;
            alike::disk::sync_folder(alike::disk::parent(file))?;
            Ok(key)
        }
        Err(e) => Err(failed(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_code_for_each_key() {
        let base = tempfile::tempdir().unwrap();
        let code = |keep: bool, text: &str| CustomerCodes::new(base.path(), keep).id(text).unwrap();
        let ada = code(false, "Ada@Example.com ");
        assert_eq!((ada.len(), code(false, "ada@example.com")), (32, ada.clone()));
        assert_ne!(code(false, "bob@example.com"), ada);
        assert_eq!(
            (code(true, "ada@example.com"), code(false, "4711")),
            ("ada@example.com".into(), "4711".into())
        );
        fs::remove_file(base.path().join(KEY_FILE)).unwrap();
        assert_ne!(code(false, "ada@example.com"), ada);
        fs::write(base.path().join(KEY_FILE), "short").unwrap();
        let said = CustomerCodes::new(base.path(), false).id("ada@example.com").unwrap_err().line().unwrap();
        assert!(said.contains("put the right one back"), "{said}");
    }
}
