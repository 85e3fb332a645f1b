//! Users and items: numbers inside, names outside.

use bytemuck::TransparentWrapper;

use crate::{Error, Result};

/// Number of a user: a row of the training matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, TransparentWrapper)]
#[repr(transparent)]
pub struct UserId(pub u32);

/// Number of an item: a column of the training matrix, a row of every feature matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, TransparentWrapper)]
#[repr(transparent)]
pub struct ItemId(pub u32);

/// Number of a node of the bipartite graph: users first, then items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, TransparentWrapper)]
#[repr(transparent)]
pub struct NodeId(pub u32);

/// The same numbers without their kind, as operators take rows.
pub fn numbers<T: TransparentWrapper<u32>>(ids: &[T]) -> &[u32] {
    T::peel_slice(ids)
}

const EMPTY: u32 = u32::MAX;

/// Names numbered from 0, without repeats: one buffer of bytes, an offset a name, and a hash index, so that
/// a million names take a few allocations.
#[derive(Debug, Clone)]
pub struct Vocab {
    bytes: Vec<u8>,
    /// `len + 1` values; name `i` is `bytes[offsets[i]..offsets[i + 1]]`.
    offsets: Vec<u64>,
    /// Open addressing with linear probing; a power of two of slots, at most half of them taken.
    slots: Vec<u32>,
}

impl Default for Vocab {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0], slots: vec![EMPTY; 16] }
    }
}

impl Vocab {
    /// Numbers `names` in their order. A name that comes twice is an error.
    pub fn from_names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        let mut vocab = Self::default();
        for name in names {
            let (_, new) = vocab.intern(name.as_ref())?;
            if !new {
                return Err(Error::Data(format!("id `{}` comes twice", name.as_ref())));
            }
        }
        Ok(vocab)
    }

    /// From the stored form: all names one after another, and where each starts (`len + 1` values).
    pub(crate) fn from_parts(bytes: Vec<u8>, offsets: Vec<u64>) -> Result<Self> {
        let text = std::str::from_utf8(&bytes).map_err(|e| Error::Data(format!("ids are not UTF-8: {e}")))?;
        let ends = offsets.first() == Some(&0) && offsets.last() == Some(&(bytes.len() as u64));
        let rising = offsets.windows(2).all(|w| w[0] <= w[1]);
        if !ends || !rising || offsets.iter().any(|&o| !text.is_char_boundary(o as usize)) {
            return Err(Error::Data("id offsets do not fit the id text".into()));
        }
        let count = offsets.len() - 1;
        if count >= EMPTY as usize {
            return Err(Error::Data(format!("{count} ids; at most {} are supported", EMPTY - 1)));
        }
        let mut vocab = Self { bytes, offsets, slots: Vec::new() };
        vocab.slots = vec![EMPTY; slots_for(count)];
        for id in 0..count as u32 {
            let at = match vocab.find(vocab.raw(id)) {
                Ok(_) => return Err(Error::Data(format!("id `{}` comes twice", vocab.name(id)))),
                Err(at) => at,
            };
            vocab.slots[at] = id;
        }
        Ok(vocab)
    }

    /// The stored form, see [`Vocab::from_parts`].
    pub(crate) fn parts(&self) -> (&[u8], &[u64]) {
        (&self.bytes, &self.offsets)
    }

    /// Number of `name`, new or known, and whether it is new.
    pub(crate) fn intern(&mut self, name: &str) -> Result<(u32, bool)> {
        let at = match self.find(name.as_bytes()) {
            Ok(id) => return Ok((id, false)),
            Err(at) => at,
        };
        let id = self.len() as u32;
        if id >= EMPTY - 1 {
            return Err(Error::Data(format!("more than {} ids are not supported", EMPTY - 1)));
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.offsets.push(self.bytes.len() as u64);
        self.slots[at] = id;
        if self.slots.len() < slots_for(self.len()) {
            self.grow();
        }
        Ok((id, true))
    }

    fn grow(&mut self) {
        self.slots = vec![EMPTY; slots_for(self.len()) * 2];
        for id in 0..self.len() as u32 {
            if let Err(at) = self.find(self.raw(id)) {
                self.slots[at] = id;
            }
        }
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// True when there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of number `id`. Panics when `id` is not below [`Vocab::len`].
    pub fn name(&self, id: u32) -> &str {
        std::str::from_utf8(self.raw(id)).expect("names are checked to be UTF-8 when they come in")
    }

    /// Number of `name`, if it is known.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.find(name.as_bytes()).ok()
    }

    /// All names in the order of their numbers.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + '_ {
        (0..self.len() as u32).map(|id| self.name(id))
    }

    /// The numbers in numeric order of their names when the names are exactly the integers `0..len`
    /// (plain decimal digits), else nothing.
    pub(crate) fn integer_order(&self) -> Option<Vec<u32>> {
        let mut order = vec![0u32; self.len()];
        for id in 0..self.len() as u32 {
            // Names differ, so integers below `len` that are all canonical fill every place.
            *order.get_mut(plain_integer(self.raw(id))?)? = id;
        }
        Some(order)
    }

    /// The largest of the names when all are integers in plain decimal digits, else nothing.
    pub(crate) fn largest_integer(&self) -> Option<usize> {
        (0..self.len() as u32).try_fold(0, |max, id| Some(plain_integer(self.raw(id))?.max(max)))
    }

    fn raw(&self, id: u32) -> &[u8] {
        let id = id as usize;
        &self.bytes[self.offsets[id] as usize..self.offsets[id + 1] as usize]
    }

    /// The number of `name`, or the slot where it belongs.
    fn find(&self, name: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash(name) as usize & mask;
        loop {
            match self.slots[at] {
                EMPTY => return Err(at),
                id if self.raw(id) == name => return Ok(id),
                _ => at = (at + 1) & mask,
            }
        }
    }
}

/// `text` as an integer when it is written as plain decimal digits without a leading zero or sign.
pub(crate) fn plain_integer(text: &[u8]) -> Option<usize> {
    if text.is_empty() || text.len() > 10 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    text.iter().try_fold(0usize, |n, &c| c.is_ascii_digit().then(|| n * 10 + (c - b'0') as usize))
}

fn slots_for(count: usize) -> usize {
    (count * 2).next_power_of_two().max(16)
}

/// Folded multiplication over 8-byte words; fixed, since the order of ids never depends on it.
fn hash(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9E37_79B9_7F4A_7C15;
    let fold = |h: u64, word: u64| {
        let wide = u128::from(h ^ word) * u128::from(K);
        (wide as u64) ^ ((wide >> 64) as u64)
    };
    let mut h = K ^ bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        h = fold(h, u64::from_le_bytes(word.try_into().expect("chunks have 8 bytes")));
    }
    let mut last = [0u8; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    fold(fold(h, u64::from_le_bytes(last)), K)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree_after_growth() {
        let names: Vec<String> = (0..5000).map(|i| format!("user-{}", i * 7919 % 5000)).collect();
        let vocab = Vocab::from_names(&names).unwrap();
        for (i, name) in names.iter().enumerate() {
            assert_eq!(vocab.get(name), Some(i as u32));
            assert_eq!(vocab.name(i as u32), name);
        }
        assert_eq!(vocab.get("user-5000"), None);
        let (bytes, offsets) = vocab.parts();
        let again = Vocab::from_parts(bytes.to_vec(), offsets.to_vec()).unwrap();
        assert!(again.names().eq(vocab.names()));
        assert_eq!(again.get("user-17"), vocab.get("user-17"));
    }

    #[test]
    fn a_repeated_name_is_an_error() {
        assert!(Vocab::from_names(["a", "b", "a"]).unwrap_err().to_string().contains("`a` comes twice"));
        assert!(Vocab::from_parts(b"xx".to_vec(), vec![0, 1, 2]).is_err());
    }

    #[test]
    fn broken_parts_are_errors() {
        assert!(Vocab::from_parts(b"ab".to_vec(), vec![0, 3]).is_err());
        assert!(Vocab::from_parts(b"ab".to_vec(), vec![]).is_err());
        assert!(Vocab::from_parts(b"ab".to_vec(), vec![0, 9, 2]).is_err());
        assert!(Vocab::from_parts(vec![0xff], vec![0, 1]).is_err());
        assert!(Vocab::from_parts("é".as_bytes().to_vec(), vec![0, 1, 2]).is_err());
    }

    #[test]
    fn integers_are_recognised_only_when_complete() {
        let order = |names: &[&str]| Vocab::from_names(names).unwrap().integer_order();
        assert_eq!(order(&["2", "0", "1"]), Some(vec![1, 2, 0]));
        assert_eq!(order(&["3", "0", "1"]), None);
        assert_eq!(order(&["0", "01"]), None);
        assert_eq!(order(&["0", "x"]), None);
        assert_eq!(order(&["0", ""]), None);
    }
}
