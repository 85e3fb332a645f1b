//! XML that comes in blocks: its tags, and the text between them.

/// Bytes of a tag that are looked at; of longer ones only the length counts. The text of a cell may be in its
/// tag.
pub(super) const KEPT: usize = 1 << 16;
/// Maximum of bytes of the names of all elements that are open.
const OPEN_NAMES: usize = 1 << 16;

/// A piece of XML.
pub(super) enum Piece<'a> {
    /// What is between `<` and `>`, of a long tag the first bytes.
    Tag(&'a [u8]),
    /// What is between two tags, as it is written; it may come in several pieces.
    Text(&'a [u8]),
}

impl<'a> Piece<'a> {
    /// A tag that is UTF-8.
    pub(super) fn as_tag(&self) -> Option<&'a str> {
        match self {
            Self::Tag(tag) => std::str::from_utf8(tag).ok(),
            Self::Text(_) => None,
        }
    }
}

/// Takes blocks of XML apart.
#[derive(Default)]
pub(super) struct Tags {
    /// What came of a tag, without `<`.
    tag: Vec<u8>,
    /// Its length; 0 outside of tags.
    length: usize,
    quote: Option<u8>,
    /// The last two bytes, which end comments and the like.
    last: [u8; 2],
    longest: usize,
}

impl Tags {
    /// Length of the longest tag so far.
    pub(super) fn longest(&self) -> usize {
        self.longest.max(self.length)
    }

    /// Takes in the next block; `each` gets its text, and every tag that ends in it.
    pub(super) fn feed(&mut self, block: &[u8], each: &mut dyn FnMut(Piece<'_>)) {
        let mut rest = block;
        while let Some(&byte) = rest.first() {
            if self.length == 0 {
                let at = rest.iter().position(|&c| c == b'<').unwrap_or(rest.len());
                if at > 0 {
                    each(Piece::Text(&rest[..at]));
                }
                let Some(after) = rest.get(at + 1..) else { return };
                rest = after;
                (self.length, self.quote, self.last) = (1, None, [0; 2]);
                self.tag.clear();
                continue;
            }
            if self.tag.first().is_some_and(|&first| first != b'!') {
                // Most bytes end neither the tag nor a value in it.
                let ends = |c: &u8| self.quote.map_or(matches!(c, b'>' | b'"' | b'\''), |quote| *c == quote);
                let run = rest.iter().position(ends).unwrap_or(rest.len());
                if run > 0 {
                    self.length += run;
                    let kept = run.min(KEPT - self.tag.len());
                    self.tag.extend_from_slice(&rest[..kept]);
                    rest = &rest[run..];
                    continue;
                }
            }
            rest = &rest[1..];
            if self.ends_with(byte) {
                self.longest = self.longest();
                self.length = 0;
                each(Piece::Tag(&self.tag));
                continue;
            }
            self.length += 1;
            self.last = [self.last[1], byte];
            if self.tag.len() < KEPT {
                self.tag.push(byte);
            }
        }
    }

    /// Whether `byte` ends the tag; within quotes, comments and raw text `>` does not.
    fn ends_with(&mut self, byte: u8) -> bool {
        if self.tag.starts_with(b"!--") {
            return byte == b'>' && self.last == *b"--" && self.length > 5;
        }
        if self.tag.starts_with(b"![CDATA[") {
            return byte == b'>' && self.last == *b"]]";
        }
        match (self.quote, byte) {
            (Some(quote), _) if quote == byte => self.quote = None,
            (None, b'"' | b'\'') => self.quote = Some(byte),
            (None, b'>') => return true,
            _ => {}
        }
        false
    }
}

/// A tag that starts or ends an element.
pub(super) struct Element<'a> {
    /// Its name, with the namespace.
    pub(super) name: &'a str,
    pub(super) starts: bool,
    pub(super) ends: bool,
}

impl<'a> Element<'a> {
    /// None for comments and the like.
    pub(super) fn of(tag: &'a str) -> Option<Self> {
        if tag.starts_with(['?', '!']) {
            return None;
        }
        let starts = !tag.starts_with('/');
        let name = name_of(tag.strip_prefix('/').unwrap_or(tag));
        Some(Self { name, starts, ends: !starts || tag.ends_with('/') })
    }
}

/// The elements that have started and not ended.
#[derive(Default)]
pub(super) struct OpenElements {
    /// Their names, one after another.
    names: String,
    /// Where each name starts.
    starts: Vec<usize>,
}

impl OpenElements {
    /// Number of elements.
    pub(super) fn depth(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn start(&mut self, name: &str) -> Result<(), String> {
        self.starts.push(self.names.len());
        self.names.push_str(name);
        match self.names.len() > OPEN_NAMES || self.starts.len() > OPEN_NAMES {
            true => Err("holds elements in elements without an end".into()),
            false => Ok(()),
        }
    }

    /// Ends the last element, which must have this name.
    pub(super) fn end(&mut self, name: &str) -> Result<(), String> {
        let start = self.starts.pop().unwrap_or_default();
        if self.names[start..] != *name || name.is_empty() {
            let name: String = name.chars().take(40).collect();
            return Err(format!("is damaged (its element `{name}` ends out of order)"));
        }
        self.names.truncate(start);
        Ok(())
    }
}

/// The name that a tag starts with.
fn name_of(tag: &str) -> &str {
    tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default()
}

/// Whether `tag` starts an element of this name, whatever its namespace.
pub(super) fn is_element(tag: &str, name: &str) -> bool {
    name_of(tag).rsplit(':').next() == Some(name)
}

/// An attribute of a tag, as it is written, whatever its namespace.
pub(super) fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    attributes(tag).find(|&(found, _)| found == name).map(|(_, value)| value)
}

/// All attributes of a tag, as they are written, without their namespaces.
pub(super) fn attributes(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        let (before, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, next) = after[1..].split_once(quote)?;
        rest = next;
        Some((before.trim_end().rsplit([' ', '\t', '\r', '\n', ':']).next()?, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_whole_however_they_are_cut() {
        let xml = "<?xml version='1.0'?><a x=\"1 > 0\" y='<\"'>text<!-- don't > <b/> --><![CDATA[<c> it's]]>more<x:row r = \"7\"/></a>";
        let whole =
            ["?xml version='1.0'?", "a x=\"1 > 0\" y='<\"'", "!-- don't > <b/> --", "![CDATA[<c> it's]]"];
        for step in [1, 2, 7, 1000] {
            let (mut tags, mut found, mut text) = (Tags::default(), Vec::new(), Vec::new());
            for block in xml.as_bytes().chunks(step) {
                tags.feed(block, &mut |piece| match piece {
                    Piece::Tag(_) => found.push(piece.as_tag().unwrap().to_string()),
                    Piece::Text(more) => text.extend_from_slice(more),
                });
            }
            assert_eq!(found[..4], whole, "{step}");
            assert_eq!(found[4..], ["x:row r = \"7\"/", "/a"]);
            assert_eq!(text, b"textmore");
            assert_eq!(tags.longest(), whole.iter().map(|tag| tag.len()).max().unwrap() + 1);
        }
        let mut endless = Tags::default();
        endless.feed(b"<a x=\"", &mut |_| {});
        (0..100).for_each(|_| endless.feed(&[b'x'; 1000], &mut |_| {}));
        assert!(endless.longest() > 100_000 && endless.tag.len() == KEPT);
    }

    #[test]
    fn elements_end_in_order() {
        let parts = |tag| Element::of(tag).map(|e| (e.name, e.starts, e.ends));
        assert_eq!(parts("x:row r=\"1/\""), Some(("x:row", true, false)));
        assert_eq!(parts("x:row/"), Some(("x:row", true, true)));
        assert_eq!(parts("/x:row "), Some(("x:row", false, true)));
        assert_eq!(parts("!-- a --"), None);
        assert_eq!(parts("?xml version='1.0'?"), None);
        let mut open = OpenElements::default();
        open.start("a").unwrap();
        open.start("bc").unwrap();
        assert!(open.end("c").unwrap_err().contains("`c` ends out of order"));
        let mut open = OpenElements::default();
        ["a", "b"].iter().for_each(|name| open.start(name).unwrap());
        open.end("b").unwrap();
        assert_eq!(open.depth(), 1);
        open.end("a").unwrap();
        assert!(open.end("a").is_err() && open.depth() == 0);
        assert!((0..OPEN_NAMES).any(|_| open.start("many").is_err()));
    }

    #[test]
    fn elements_and_attributes_are_found_whatever_their_namespace() {
        assert!(is_element("x:row r=\"1\"", "row") && is_element("row/", "row") && is_element("row", "row"));
        assert!(!is_element("rows", "row") && !is_element("/row", "row"));
        let tag = "sheet name=\"a id='9'\" sheetId=\"1\" r:id='rId3'";
        assert_eq!(attribute(tag, "id"), Some("rId3"));
        assert_eq!(attribute(tag, "name"), Some("a id='9'"));
        assert_eq!(attribute(tag, "state"), None);
        assert_eq!(attribute("row a=1", "a"), None);
    }
}
