//! Keys that clients send, and what each of them may do.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Name of the header that holds a key, where it is not in `Authorization`.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a route asks of a key. One route asks for one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Lists, items, histories, the model.
    Read,
    /// Events.
    Write,
    /// Everything: also forgetting people and loading checkpoints.
    Admin,
}

impl Scope {
    /// By the word that files and the OpenAPI document have for it.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// What it is called.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A key; what clients send is known by its hash only.
#[derive(Debug)]
pub(crate) struct Key {
    name: String,
    scopes: Vec<Scope>,
    hash: blake3::Hash,
}

impl Key {
    /// Whether it is good for `needed`; none is needed where any key will do.
    pub(crate) fn allows(&self, needed: Option<Scope>) -> bool {
        needed.is_none_or(|needed| self.scopes.contains(&needed) || self.scopes.contains(&Scope::Admin))
    }
}

impl From<Keys> for KeyRing {
    fn from(keys: Keys) -> Self {
        Self { sources: KeySources::default(), current: RwLock::new(Arc::new(keys)) }
    }
}

/// The keys that are good for something; with none, everybody may do everything.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<Key>);

impl Keys {
    /// One key that is good for everything.
    ///
    /// # Errors
    /// It is too short or cannot be sent.
    pub(crate) fn admin(key: &str) -> Result<Self, String> {
        let mut keys = Self::default();
        keys.add(Key { name: "the API key".into(), scopes: vec![Scope::Admin], hash: hash(key)? })?;
        Ok(keys)
    }

    /// Adds the keys of a file: a line each, `NAME SCOPES KEY`. Scopes are joined by commas; instead of the
    /// key there may be `blake3:` and its hash, so that anyone who reads the file cannot use it. Empty lines
    /// and those that start with # say nothing.
    ///
    /// # Errors
    /// A line is none of these, or a name or key comes twice.
    pub(crate) fn add_file(&mut self, text: &str) -> Result<(), String> {
        let before = self.0.len();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = line_of_file(text).and_then(|key| self.add(key));
            key.map_err(|why| format!("line {line}: {why}"))?;
        }
        if self.0.len() == before { Err("has no keys".into()) } else { Ok(()) }
    }

    fn add(&mut self, key: Key) -> Result<(), String> {
        if let Some(other) = self.0.iter().find(|other| other.name == key.name || other.hash == key.hash) {
            return Err(format!("the name or the key of `{}` comes twice", other.name));
        }
        self.0.push(key);
        Ok(())
    }

    /// Whether none is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that a request brings, and its number, if it is one of these. Each is compared, and each
    /// comparison takes the same time wherever the hashes differ.
    pub(crate) fn find(&self, headers: &HeaderMap) -> Option<(usize, &Key)> {
        let given = blake3::hash(key_of_request(headers)?);
        self.0
            .iter()
            .enumerate()
            .fold(None, |found, (at, key)| if key.hash == given { Some((at, key)) } else { found })
    }
}

/// Where keys come from.
#[derive(Debug, Default, Clone)]
pub(crate) struct KeySources {
    /// A file with one key.
    pub(crate) one: Option<PathBuf>,
    /// One key, where there is no such file.
    pub(crate) given: Option<String>,
    /// A file with a key per line.
    pub(crate) several: Option<PathBuf>,
}

/// The keys of a server, which can be read again while it runs.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    sources: KeySources,
    current: RwLock<Arc<Keys>>,
}

impl KeySources {
    fn read(&self) -> Result<Keys, String> {
        let of = |path: &PathBuf, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let text = |path: &PathBuf| std::fs::read_to_string(path).map_err(|e| of(path, &e));
        let one = self.one.as_ref().map(text).transpose()?.or_else(|| self.given.clone());
        let mut keys = match one {
            Some(key) => Keys::admin(key.trim())?,
            None => Keys::default(),
        };
        if let Some(path) = &self.several {
            keys.add_file(&text(path)?).map_err(|why| of(path, &why))?;
        }
        Ok(keys)
    }
}

impl KeyRing {
    /// Reads the keys of `sources`; there may be none.
    ///
    /// # Errors
    /// A file cannot be read, or holds what is no key.
    pub(crate) fn open(sources: KeySources) -> Result<Self, String> {
        let current = RwLock::new(Arc::new(sources.read()?));
        Ok(Self { sources, current })
    }

    /// Reads them again: from now on those count that are there now. A server that asks for a key goes on to
    /// ask for one, and one that does not goes on not to.
    ///
    /// # Errors
    /// As above; what was read before stays.
    pub(crate) fn refresh(&self) -> Result<(), String> {
        if !self.is_empty() {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(self.sources.read()?);
        }
        Ok(())
    }

    /// The keys that count now.
    pub(crate) fn current(&self) -> Arc<Keys> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether none is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.current().is_empty()
    }
}

/// What a request brings as its key: `Authorization: Bearer KEY`, the word in any case, or `X-Api-Key: KEY`.
fn key_of_request(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(b"bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
    });
    bearer.or_else(|| headers.get(API_KEY).map(HeaderValue::as_bytes))
}

/// The hash of a key, if it can be one.
fn hash(key: &str) -> Result<blake3::Hash, String> {
    if key.len() < 16 || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("an API key must have at least 16 characters, all visible ASCII".into());
    }
    Ok(blake3::hash(key.as_bytes()))
}

fn line_of_file(text: &str) -> Result<Key, String> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [name, scopes, key] = parts[..] else { return Err("expected NAME SCOPES KEY".into()) };
    let scope = |word: &str| {
        Scope::from_word(word).ok_or_else(|| format!("unknown scope `{word}`; allowed: read, write, admin"))
    };
    let scopes = scopes.split(',').map(scope).collect::<Result<_, _>>()?;
    let hash = match key.strip_prefix("blake3:") {
        Some(hex) => {
            blake3::Hash::from_hex(hex).map_err(|_| "expected 64 hexadecimal digits after blake3:")?
        }
        None => hash(key)?,
    };
    Ok(Key { name: name.into(), scopes, hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_each_key_its_scopes() {
        let hashed = blake3::hash(b"the key of the back office").to_hex();
        let text = format!(
            "# who may what\n\nshop read 0123456789abcdef\n tracker read,write fedcba9876543210\noffice admin blake3:{hashed}\n"
        );
        let mut keys = Keys::default();
        keys.add_file(&text).unwrap();
        let may = |key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-api-key", key.parse().unwrap());
            let scopes = [Scope::Read, Scope::Write, Scope::Admin];
            keys.find(&headers).map(|(_, key)| scopes.map(|scope| key.allows(Some(scope))))
        };
        assert_eq!(may("0123456789abcdef"), Some([true, false, false]));
        assert_eq!(may("fedcba9876543210"), Some([true, true, false]));
        assert_eq!(may("the key of the back office"), Some([true; 3]));
        assert_eq!(may("0123456789abcdeF"), None);
    }

    #[test]
    fn keys_are_read_again_and_what_is_wrong_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        let old = "shop read 0123456789abcdef\n";
        write(old);
        let sources = KeySources { several: Some(file.clone()), ..KeySources::default() };
        let ring = KeyRing::open(sources).unwrap();
        let good = |key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-api-key", key.parse().unwrap());
            ring.current().find(&headers).is_some()
        };
        write(&format!("{old}shop-2 read fedcba9876543210\n"));
        assert!(good("0123456789abcdef") && !good("fedcba9876543210"));
        ring.refresh().unwrap();
        assert!(good("0123456789abcdef") && good("fedcba9876543210"));
        for wrong in ["", "shop-2 read short"] {
            write(wrong);
            assert!(ring.refresh().unwrap_err().contains("keys: "));
            assert!(good("0123456789abcdef") && good("fedcba9876543210"));
        }
        write("shop-2 read fedcba9876543210\n");
        ring.refresh().unwrap();
        assert!(!good("0123456789abcdef") && good("fedcba9876543210"));
        assert!(KeyRing::default().refresh().is_ok());
    }

    #[test]
    fn what_is_no_line_of_keys_is_named() {
        for (text, says) in [
            ("", "has no keys"),
            ("# nothing\n", "has no keys"),
            ("\nshop read", "line 2: expected NAME SCOPES KEY"),
            ("shop look 0123456789abcdef", "unknown scope `look`; allowed: read, write, admin"),
            ("shop read short", "line 1: an API key must have at least 16 characters"),
            ("shop read blake3:12", "64 hexadecimal digits"),
            (
                "a read 0123456789abcdef\nb read 0123456789abcdef",
                "line 2: the name or the key of `a` comes twice",
            ),
        ] {
            let error = Keys::default().add_file(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
