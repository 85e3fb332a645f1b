//! Text of any encoding as UTF-8, and of any line ends as lines.

use std::io::{self, Cursor, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};

/// Bytes that are read at once.
const BLOCK: usize = 1 << 16;

/// The way out of text in another encoding.
pub(crate) fn encoding_advice() -> &'static str {
    "name its encoding (`--encoding windows-1252`), or write it as UTF-8 (`iconv -f WINDOWS-1252 -t UTF-8`)"
}

/// The encoding of text that starts with `head`: what a byte order mark says; else what was `given`, unless
/// that has other bytes for ASCII and the head plainly is UTF-8.
pub(crate) fn encoding_of(head: &[u8], given: Option<&'static Encoding>) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return encoding;
    }
    match given {
        Some(given) if given.is_ascii_compatible() || head.is_ascii() || !is_utf8(head) => given,
        _ => UTF_8,
    }
}

/// True when the text is UTF-8; it may end within a character.
fn is_utf8(text: &[u8]) -> bool {
    std::str::from_utf8(text).map_or_else(|e| e.error_len().is_none(), |_| true)
}

/// `input` as UTF-8. Text without a byte order mark that plainly is UTF-8 where it first leaves ASCII stays
/// as it is.
pub(crate) fn decoded(input: Box<dyn Read>, encoding: &'static Encoding, marked: bool) -> Box<dyn Read> {
    match encoding {
        _ if encoding == UTF_8 => input,
        _ if marked || !encoding.is_ascii_compatible() => Box::new(Decoded::new(input, encoding)),
        _ => Box::new(Undecided { encoding, input: Some(input), ready: Cursor::default(), rest: None }),
    }
}

/// Reads text that is in an encoding or in UTF-8: which of them, the first bytes beyond ASCII say, however
/// late they come.
struct Undecided {
    encoding: &'static Encoding,
    /// Until it is decided.
    input: Option<Box<dyn Read>>,
    /// ASCII that is not handed on yet.
    ready: Cursor<Vec<u8>>,
    /// From then on.
    rest: Option<Box<dyn Read>>,
}

impl Read for Undecided {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = self.ready.read(out)?;
            if ready > 0 || out.is_empty() {
                return Ok(ready);
            }
            if let Some(rest) = &mut self.rest {
                return rest.read(out);
            }
            let Some(mut input) = self.input.take() else { return Ok(0) };
            let mut block = vec![0; BLOCK];
            let read = input.read(&mut block);
            let beyond = read.as_ref().ok().and_then(|&n| block[..n].iter().position(|c| !c.is_ascii()));
            let Some(at) = beyond else {
                self.input = Some(input);
                block.truncate(read?);
                if block.is_empty() {
                    return Ok(0);
                }
                self.ready = Cursor::new(block);
                continue;
            };
            block.truncate(read?);
            let mut window = block.split_off(at);
            input.by_ref().take(BLOCK as u64).read_to_end(&mut window)?;
            let utf8 = is_utf8(&window);
            let rest: Box<dyn Read> = Box::new(Cursor::new(window).chain(input));
            self.ready = Cursor::new(block);
            self.rest = Some(if utf8 { rest } else { Box::new(Decoded::new(rest, self.encoding)) });
        }
    }
}

/// Reads text of an encoding as UTF-8.
pub(crate) struct Decoded<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    /// What of `raw` is not decoded yet.
    left: std::ops::Range<usize>,
    ready: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    pub(crate) fn new(input: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { input, decoder, raw: vec![0; BLOCK], left: 0..0, ready: Vec::new(), at: 0, ended: false }
    }

    /// Decodes more into `ready`; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        while self.at == self.ready.len() {
            if self.ended && self.left.is_empty() {
                return Ok(false);
            }
            if self.left.is_empty() {
                let n = self.input.read(&mut self.raw)?;
                self.left = 0..n;
                self.ended = n == 0;
            }
            self.ready.resize(BLOCK * 3, 0);
            let (result, read, written, wrong) =
                self.decoder.decode_to_utf8(&self.raw[self.left.clone()], &mut self.ready, self.ended);
            if wrong {
                let message = format!("is not {} text", self.decoder.encoding().name());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            self.left.start += read;
            self.ready.truncate(written);
            self.at = 0;
            if self.ended && result == CoderResult::InputEmpty {
                self.left = 0..0;
                return Ok(written > 0);
            }
        }
        Ok(true)
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || (self.at == self.ready.len() && !self.fill()?) {
            return Ok(0);
        }
        let n = out.len().min(self.ready.len() - self.at);
        out[..n].copy_from_slice(&self.ready[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Reads text whose lines end with a carriage return alone, as old Macs wrote it.
pub(crate) struct CarriageReturns<R>(pub(crate) R);

impl<R: Read> Read for CarriageReturns<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(out)?;
        out[..n].iter_mut().filter(|c| **c == b'\r').for_each(|c| *c = b'\n');
        Ok(n)
    }
}

/// True when the lines of `head` end with a carriage return alone.
pub(crate) fn has_bare_carriage_returns(head: &[u8]) -> bool {
    head.contains(&b'\r') && !head.contains(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{SHIFT_JIS, UTF_16LE, WINDOWS_1252};

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut out[..1])
        }
    }

    fn slowly(bytes: &[u8], encoding: &'static Encoding) -> io::Result<String> {
        let mut text = String::new();
        Decoded::new(Slow(bytes), encoding).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn text_of_any_encoding_becomes_utf8() {
        assert_eq!(slowly(b"M\xfcller \x80", WINDOWS_1252).unwrap(), "Müller €");
        let wide: Vec<u8> = "\u{feff}a,ü\n🙂".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(slowly(&wide, UTF_16LE).unwrap(), "a,ü\n🙂");
        assert_eq!(slowly(b"\x83J", SHIFT_JIS).unwrap(), "カ");
        assert!(slowly(&wide[..wide.len() - 1], UTF_16LE).is_err());
        let long = "é".repeat(3 * BLOCK);
        let mut text = String::new();
        Decoded::new(&vec![0xe9; 3 * BLOCK][..], WINDOWS_1252).read_to_string(&mut text).unwrap();
        assert_eq!(text, long);
    }

    #[test]
    fn the_encoding_given_is_not_for_text_that_is_plainly_utf8() {
        let given = Some(WINDOWS_1252);
        assert_eq!(encoding_of(b"M\xfcller", given), WINDOWS_1252);
        assert_eq!(encoding_of(b"M\xfcller", None), UTF_8);
        assert_eq!(encoding_of(b"\xff\xfea\0", given), UTF_16LE);
        assert_eq!(encoding_of("Müller".as_bytes(), Some(UTF_16LE)), UTF_8);
        assert_eq!(encoding_of(b"a\0", Some(UTF_16LE)), UTF_16LE);
        // However late it leaves ASCII.
        for ascii in [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 7] {
            for name in [&b"M\xfcller"[..], "Müller".as_bytes()] {
                let bytes = [&vec![b'a'; ascii][..], name].concat();
                let mut text = String::new();
                let input = Box::new(Cursor::new(bytes));
                decoded(input, WINDOWS_1252, false).read_to_string(&mut text).unwrap();
                assert_eq!(text, "a".repeat(ascii) + "Müller", "{ascii}");
            }
        }
    }
}
