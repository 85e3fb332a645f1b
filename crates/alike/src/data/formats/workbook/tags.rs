//! The tags of XML that comes in blocks, without what is between them.

/// Bytes of a tag that are looked at; of longer ones only the length counts.
pub(super) const KEPT: usize = 1 << 12;

/// Takes tags out of blocks of XML.
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

    /// Takes in the next block; `each` gets every tag that ends in it.
    pub(super) fn feed(&mut self, block: &[u8], each: &mut dyn FnMut(&str)) {
        let mut rest = block;
        while let Some(&byte) = rest.first() {
            if self.length == 0 {
                let Some(at) = rest.iter().position(|&c| c == b'<') else { return };
                rest = &rest[at + 1..];
                (self.length, self.quote, self.last) = (1, None, [0; 2]);
                self.tag.clear();
                continue;
            }
            rest = &rest[1..];
            if self.ends_with(byte) {
                self.longest = self.longest();
                self.length = 0;
                if let Ok(tag) = std::str::from_utf8(&self.tag) {
                    each(tag);
                }
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

/// Whether `tag` starts an element of this name, whatever its namespace.
pub(super) fn is_element(tag: &str, name: &str) -> bool {
    let found = tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
    found.rsplit(':').next() == Some(name)
}

/// An attribute of a tag, as it is written, whatever its namespace.
pub(super) fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, next) = after[1..].split_once(quote)?;
        let found = before.trim_end().rsplit([' ', '\t', '\r', '\n', ':']).next();
        if found == Some(name) {
            return Some(value);
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_whole_however_they_are_cut() {
        let xml = "<?xml version='1.0'?><a x=\"1 > 0\" y='<\"'>text<!-- don't > <b/> --><![CDATA[<c> it's]]><x:row r = \"7\"/></a>";
        let whole =
            ["?xml version='1.0'?", "a x=\"1 > 0\" y='<\"'", "!-- don't > <b/> --", "![CDATA[<c> it's]]"];
        for step in [1, 2, 7, 1000] {
            let (mut tags, mut found) = (Tags::default(), Vec::new());
            xml.as_bytes()
                .chunks(step)
                .for_each(|block| tags.feed(block, &mut |tag| found.push(tag.to_string())));
            assert_eq!(found[..4], whole, "{step}");
            assert_eq!(found[4..], ["x:row r = \"7\"/", "/a"]);
            assert_eq!(tags.longest(), whole.iter().map(|tag| tag.len()).max().unwrap() + 1);
        }
        let mut endless = Tags::default();
        endless.feed(b"<a x=\"", &mut |_| {});
        (0..100).for_each(|_| endless.feed(&[b'x'; 1000], &mut |_| {}));
        assert!(endless.longest() > 100_000 && endless.tag.len() == KEPT);
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
