//! Text of any encoding as UTF-8, and of any line ends as lines.

use std::io::{self, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};

/// Bytes that are read at once.
const BLOCK: usize = 1 << 16;

/// The encoding of text that starts with `head`: what a byte order mark says; else UTF-8 if the head is plainly that;
/// else what was `given`.
pub(crate) fn encoding_of(head: &[u8], given: Option<&'static Encoding>) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return encoding;
    }
    let Some(given) = given else { return UTF_8 };
    // The head may end within a character.
    let utf8 = std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
    if utf8 && !head.is_ascii() { UTF_8 } else { given }
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

    fn decoded(bytes: &[u8], encoding: &'static Encoding) -> io::Result<String> {
        let mut text = String::new();
        Decoded::new(Slow(bytes), encoding).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn text_of_any_encoding_becomes_utf8() {
        assert_eq!(decoded(b"M\xfcller \x80", WINDOWS_1252).unwrap(), "Müller €");
        let wide: Vec<u8> = "\u{feff}a,ü\n🙂".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(&wide, UTF_16LE).unwrap(), "a,ü\n🙂");
        assert_eq!(decoded(b"\x83J", SHIFT_JIS).unwrap(), "カ");
        assert!(decoded(&wide[..wide.len() - 1], UTF_16LE).is_err());
        let long = "é".repeat(3 * BLOCK);
        let mut text = String::new();
        Decoded::new(&vec![0xe9; 3 * BLOCK][..], WINDOWS_1252).read_to_string(&mut text).unwrap();
        assert_eq!(text, long);
    }

    #[test]
    fn the_encoding_given_is_not_for_text_that_is_plainly_utf8() {
        let given = Some(WINDOWS_1252);
        assert_eq!(encoding_of("Müller".as_bytes(), given), UTF_8);
        assert_eq!(encoding_of(b"Muller", given), WINDOWS_1252);
        assert_eq!(encoding_of(b"M\xfcller", given), WINDOWS_1252);
        assert_eq!(encoding_of(b"M\xfcller", None), UTF_8);
        assert_eq!(encoding_of(b"\xff\xfea\0", given), UTF_16LE);
        assert_eq!(encoding_of(&"Mü".as_bytes()[..2], given), UTF_8);
    }
}
