//! What a PNG file needs to be decoded. The rest of it (colour profiles, texts, further frames) may be
//! compressed by the thousand, and decoders unpack it without being asked.

use std::borrow::Cow;

/// What every PNG file begins with.
const SIGNATURE: [u8; 8] = [137, 80, 78, 71, 13, 10, 26, 10];

/// The file without what decoding to RGB does not need; itself where it has no such thing. Of one that is cut
/// off, what there is.
pub(crate) fn essential(bytes: &[u8]) -> Cow<'_, [u8]> {
    let Some(mut rest) = bytes.strip_prefix(&SIGNATURE) else { return Cow::Borrowed(bytes) };
    let mut kept = vec![&SIGNATURE[..]];
    let mut dropped = false;
    // Length, kind, content, checksum.
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((chunk, after)) = rest.split_at_checked(length.saturating_add(12)) else { break };
        if is_needed(&chunk[4..8]) {
            kept.push(chunk);
        } else {
            dropped = true;
        }
        rest = after;
    }
    // What is left is no whole chunk, and says what is missing.
    match dropped {
        false => Cow::Borrowed(bytes),
        true => Cow::Owned(kept.concat()),
    }
}

/// Critical chunks have a capital first letter; of the others, transparency says how pixels are stored, and
/// Exif how the camera was held.
fn is_needed(kind: &[u8]) -> bool {
    kind[0].is_ascii_uppercase() || matches!(kind, b"tRNS" | b"eXIf")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A chunk with its checksum.
    pub(crate) fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = content.len() as u32;
        let body = [&kind[..], content].concat();
        [&length.to_be_bytes()[..], &body, &crc32(&body).to_be_bytes()].concat()
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let step = |c: u32| (0..8).fold(c, |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 });
        !bytes.iter().fold(!0, |c, &b| c >> 8 ^ step((c ^ u32::from(b)) & 0xff))
    }

    #[test]
    fn only_what_is_needed_is_kept() {
        let with = |kinds: &[&[u8; 4]]| {
            let chunks: Vec<u8> = kinds.iter().flat_map(|kind| chunk(kind, b"content")).collect();
            [&SIGNATURE[..], &chunks].concat()
        };
        let plain = with(&[b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"]);
        assert!(matches!(essential(&plain), Cow::Borrowed(same) if same == plain));
        let full = with(&[
            b"IHDR", b"iCCP", b"acTL", b"PLTE", b"tRNS", b"zTXt", b"eXIf", b"IDAT", b"iTXt", b"fdAT", b"IEND",
        ]);
        assert_eq!(*essential(&full), *plain);
        // A cut one ends where its last whole chunk does.
        let end = full.len() - 20;
        assert_eq!(*essential(&full[..end]), *with(&[b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT"]));
        assert_eq!(*essential(b"no PNG"), *b"no PNG");
        let endless = [&SIGNATURE[..], &[255; 12]].concat();
        assert_eq!(*essential(&endless), *endless);
    }
}
