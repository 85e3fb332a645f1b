//! What small files of large pictures take to decode, alone in a process that can be asked for its peak.
#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use alike::embed::Encoder;

/// The promise of the documentation.
const PROMISE: usize = 512 << 20;

/// `count` zeros as a zlib stream of about a six-hundredth of that: one literal and then repetitions of it.
fn zeros(count: usize) -> Vec<u8> {
    let (mut out, mut held, mut bits) = (vec![0x78, 0x9c], 0u32, 0);
    let mut put = |code: u32, length: u32| {
        held |= code << bits;
        bits += length;
        while bits >= 8 {
            out.push(held as u8);
            (held, bits) = (held >> 8, bits - 8);
        }
    };
    // The last block, of the fixed code. Codes are written from their first bit on, so here they stand
    // mirrored.
    put(0b011, 3);
    let literal = |put: &mut dyn FnMut(u32, u32)| put(0b0000_1100, 8);
    literal(&mut put);
    // 258 bytes from one byte before.
    (0..(count - 1) / 258).for_each(|_| put(0b1010_0011, 13));
    (0..(count - 1) % 258).for_each(|_| literal(&mut put));
    // The end, and what is missing of a byte.
    put(0, 7 + 7);
    out.extend((((count % 65_521) as u32) << 16 | 1).to_be_bytes());
    out
}

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let body = [&kind[..], content].concat();
    let step = |c: u32| (0..8).fold(c, |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 });
    let sum = !body.iter().fold(!0, |c, &b| c >> 8 ^ step((c ^ u32::from(b)) & 0xff));
    [&(content.len() as u32).to_be_bytes()[..], &body, &sum.to_be_bytes()].concat()
}

/// A black PNG of so many bits a pixel, with what is put between its head and its pixels.
fn black(width: u32, height: u32, (bits, colour, channels): (u8, u8, usize), between: &[u8]) -> Vec<u8> {
    let line = 1 + (width as usize * usize::from(bits) * channels).div_ceil(8);
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, colour, 0, 0, 0]].concat();
    let signature = vec![137, 80, 78, 71, 13, 10, 26, 10];
    let pixels = chunk(b"IDAT", &zeros(line * height as usize));
    [signature, chunk(b"IHDR", &head), between.to_vec(), pixels, chunk(b"IEND", b"")].concat()
}

/// The most memory that this process has had so far.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn pictures_that_are_brought_take_no_more_than_was_promised() {
    let encoder = Encoder::builtin_image().unwrap();
    let (grey1, rgba16) = ((1, 0, 1), (16, 6, 4));
    let plain = encoder.picture(&black(8, 8, grey1, b"")).unwrap();
    let before = peak();
    // A profile that would take 300 MiB, unpacked.
    let profile = chunk(b"iCCP", &[b"name\0\0", &zeros(300 << 20)[..]].concat());
    assert_eq!(encoder.picture(&black(8, 8, grey1, &profile)).unwrap(), plain);
    assert!(peak() - before < 32 << 20, "{} MiB for a profile", (peak() - before) >> 20);
    // More pixels than are allowed, in 33 KB.
    let text = encoder.picture(&black(16_384, 16_384, grey1, b"")).unwrap_err().to_string();
    assert!(text.contains("has 16384 × 16384 pixels; allowed: 24 million"), "{text}");
    assert!(peak() - before < 32 << 20);
    // As many as are allowed, of the largest kind.
    assert_eq!(encoder.picture(&black(6000, 4000, rgba16, b"")).unwrap(), plain);
    assert!(peak() < PROMISE, "{} MiB", peak() >> 20);
    assert!(peak() - before > 100 << 20, "what is measured is there");
}
