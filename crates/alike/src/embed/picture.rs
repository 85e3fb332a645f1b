//! Pictures from the bytes of their files: JPEG, PNG, WebP.

use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use image::error::{ImageError, LimitErrorKind};
use image::metadata::Orientation;
use image::{
    DynamicImage, GenericImageView, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage, imageops,
};

use crate::embed::png_chunks;
use crate::embed::resample::{Filter, resample};
use crate::embed::upright::Upright;
use crate::{Error, Result};

/// Longest side of a picture that is decoded, in pixels.
const SIDE: u32 = 16_384;
/// Maximum of memory that decoding one picture may take, in bytes.
const MEMORY: u64 = 512 << 20;
/// Maximum of pixels of a picture that somebody brings: more than most cameras make, and decoded in about a
/// second.
pub(crate) const BROUGHT: u64 = 24_000_000;
/// Maximum of pixels of a picture of a catalogue.
pub(crate) const CATALOGUE: u64 = 64_000_000;

/// Held by a thread that has decoded a picture larger than most: several at a time, one per thread, would
/// take the machine's memory.
static LARGE: Mutex<()> = Mutex::new(());

/// How a picture is brought to the size that an encoder expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Resize {
    /// To width and height, whatever becomes of the shape.
    Stretch,
    /// The shorter side to a length, then the middle is cut out.
    CentreCrop,
}

/// Where the middle of a picture begins when it falls between two pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Middle {
    /// At the even one of the two, as torchvision has it.
    #[default]
    Even,
    /// At the first of the two, as transformers has it.
    First,
}

/// Decodes a picture of at most `most` pixels, which is then seen as RGB and upright; an alpha channel is
/// dropped.
pub(crate) fn decode(bytes: &[u8], most: u64) -> Result<Upright> {
    let bad = |why: &str| Error::Data(why.to_string());
    if bytes.is_empty() {
        return Err(bad("is empty"));
    }
    let format = match image::guess_format(bytes) {
        // The decoder fills what is missing of a cut JPEG with grey.
        Ok(ImageFormat::Jpeg) if !jpeg_ends(bytes) => {
            return Err(bad("the JPEG is cut off: it has no end mark"));
        }
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) => format,
        _ => return Err(bad("is no JPEG, PNG or WebP")),
    };
    let needed = if format == ImageFormat::Png { png_chunks::essential(bytes) } else { bytes.into() };
    let failed = |error: ImageError| match error {
        ImageError::Limits(e) if e.kind() == LimitErrorKind::DimensionError => {
            bad(&format!("is larger than {SIDE} × {SIDE} pixels"))
        }
        ImageError::Limits(_) => bad(&format!("would take more than {} MiB to decode", MEMORY >> 20)),
        error => bad(&format!("is damaged: {error}")),
    };
    let mut reader = ImageReader::with_format(Cursor::new(&*needed), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE);
    limits.max_image_height = Some(SIDE);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    // Before anything is decoded: the file's header says it all.
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > most {
        let text = format!("has {width} × {height} pixels; allowed: {} million", most / 1_000_000);
        return Err(bad(&text));
    }
    if decoder.total_bytes() + pixels * decoder_bytes_per_pixel(format, bytes) > MEMORY {
        return Err(bad(&format!("would take more than {} MiB to decode", MEMORY >> 20)));
    }
    let alone = (pixels > BROUGHT).then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let pixels = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok(Upright::new(pixels, orientation, alone))
}

/// Bytes a pixel that the decoder of a format holds beside its result.
fn decoder_bytes_per_pixel(format: ImageFormat, bytes: &[u8]) -> u64 {
    match format {
        // A progressive one, which this mark tells, keeps two bytes of each of up to four channels until its
        // last scan.
        ImageFormat::Jpeg if bytes.windows(2).any(|two| two == [0xff, 0xc2]) => 8,
        // Canvas and frame, where it moves.
        ImageFormat::WebP => 8,
        _ => 0,
    }
}

/// Whether an end mark follows the last start of a scan. (A thumbnail in front has marks of its own.)
fn jpeg_ends(bytes: &[u8]) -> bool {
    let last = |mark: u8| bytes.windows(2).rposition(|two| two == [0xff, mark]);
    last(0xd9).is_some_and(|end| last(0xda).is_none_or(|scan| scan < end))
}

/// How a picture is brought to the size that an encoder expects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fit {
    /// Width and height.
    pub(crate) size: (u32, u32),
    /// What becomes of the shape.
    pub(crate) resize: Resize,
    /// Length of the shorter side before the middle is cut out.
    pub(crate) shorter: u32,
    /// Where the middle begins.
    pub(crate) middle: Middle,
    /// How pixels are averaged.
    pub(crate) filter: Filter,
}

impl Fit {
    /// The picture in that size.
    pub(crate) fn apply(&self, picture: &impl GenericImageView<Pixel = Rgb<u8>>) -> RgbImage {
        let &Self { size: (width, height), shorter, filter, .. } = self;
        match self.resize {
            Resize::Stretch => resample(picture, width, height, filter),
            Resize::CentreCrop => {
                let (w, h) = picture.dimensions();
                // As torchvision and transformers do it: the longer side is rounded down.
                let longer = |long: u32, short: u32| {
                    ((u64::from(shorter) * u64::from(long) / u64::from(short)).min(u64::from(SIDE)) as u32)
                        .max(shorter)
                };
                let (w, h) = if w <= h { (shorter, longer(h, w)) } else { (longer(w, h), shorter) };
                let whole = resample(picture, w, h, filter);
                let begin = |outer: u32, inner: u32| match self.middle {
                    Middle::Even => (f64::from(outer - inner) / 2.0).round_ties_even() as u32,
                    Middle::First => (outer - inner) / 2,
                };
                imageops::crop_imm(&whole, begin(w, width), begin(h, height), width, height).to_image()
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::embed::png_chunks::tests::chunk;

    /// A picture as a file of the given format: a gradient from `from` to its inverse.
    pub(crate) fn file(format: ImageFormat, width: u32, height: u32, from: [u8; 3]) -> Vec<u8> {
        let picture = RgbImage::from_fn(width, height, |x, y| {
            let t = (x + y) as f32 / (width + height) as f32;
            image::Rgb(from.map(|c| (f32::from(c) * (1.0 - t) + f32::from(255 - c) * t) as u8))
        });
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn the_three_formats_are_read() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let picture = decode(&file(format, 30, 20, [250, 20, 90]), BROUGHT).unwrap();
            assert_eq!(picture.dimensions(), (30, 20));
            assert!(picture.get_pixel(0, 0)[0].abs_diff(250) < 20, "{format:?}");
        }
    }

    #[test]
    fn what_is_broken_is_said() {
        let says = |bytes: &[u8], what: &str| {
            let text = decode(bytes, BROUGHT).err().unwrap().to_string();
            assert!(text.contains(what), "{text}");
        };
        says(b"", "empty");
        says(b"<html>404</html>", "no JPEG, PNG or WebP");
        says(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "no JPEG, PNG or WebP");
        let png = file(ImageFormat::Png, 40, 40, [10, 200, 30]);
        says(&png[..png.len() / 2], "is damaged");
        let jpeg = file(ImageFormat::Jpeg, 40, 40, [10, 200, 30]);
        says(&jpeg[..jpeg.len() / 2], "cut off");
        let thumbnail = file(ImageFormat::Jpeg, 8, 8, [10, 200, 30]);
        let len = (thumbnail.len() as u16 + 2).to_be_bytes();
        let with = |to: usize| [&jpeg[..2], &[0xff, 0xe1], &len, &thumbnail, &jpeg[2..to]].concat();
        says(&with(jpeg.len() - 20), "cut off");
        assert_eq!(decode(&with(jpeg.len()), BROUGHT).unwrap().dimensions(), (40, 40));
    }

    #[test]
    fn what_a_header_announces_is_bounded_before_it_is_decoded() {
        // One row is there of what is announced: a decoder that begins with it says that it is damaged.
        let png = |width: u32, height: u32, bits: u8, colour: u8| {
            let (w, h) = (width.to_be_bytes(), height.to_be_bytes());
            let head = [&w[..], &h, &[bits, colour, 0, 0, 0]].concat();
            let mut file = vec![137, 80, 78, 71, 13, 10, 26, 10];
            file.extend(chunk(b"IHDR", &head));
            file.extend(chunk(b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]));
            file.extend(chunk(b"IEND", b""));
            file
        };
        let says = |file: &[u8], most, what: &str| {
            let text = decode(file, most).err().unwrap().to_string();
            assert!(text.contains(what), "{text}");
        };
        says(&png(60_000, 60_000, 8, 2), CATALOGUE, "is larger than 16384");
        says(&png(16_384, 16_384, 1, 0), BROUGHT, "has 16384 × 16384 pixels; allowed: 24 million");
        says(&png(16_384, 16_384, 1, 0), CATALOGUE, "allowed: 64 million");
        says(&png(9000, 9000, 8, 2), BROUGHT, "allowed: 24 million");
        says(&png(8100, 8400, 16, 6), CATALOGUE, "allowed: 64 million");
        says(&png(8001, 7999, 16, 6), CATALOGUE, "is damaged");
        says(&png(6000, 4000, 16, 6), BROUGHT, "is damaged");
        // What its decoder keeps beside it counts, too.
        assert_eq!(
            (
                decoder_bytes_per_pixel(ImageFormat::Jpeg, &[0xff, 0xc0]),
                decoder_bytes_per_pixel(ImageFormat::Jpeg, &[0xff, 0xc2])
            ),
            (0, 8)
        );
    }

    #[test]
    fn what_a_picture_does_not_need_is_not_unpacked() {
        let png = file(ImageFormat::Png, 8, 8, [10, 200, 30]);
        // A profile that the decoder would unpack, or refuse: it says nothing of the pixels.
        let profile = chunk(b"iCCP", b"name\0\0no zlib stream");
        let text = chunk(b"zTXt", &[b'a'; 5000]);
        let full = [&png[..33], &profile, &text, &png[33..]].concat();
        let (plain, full) = (decode(&png, BROUGHT).unwrap(), decode(&full, BROUGHT).unwrap());
        assert!(plain.pixels().eq(full.pixels()));
    }

    #[test]
    fn a_picture_is_seen_as_the_camera_was_held() {
        let png = file(ImageFormat::Png, 6, 4, [250, 20, 90]);
        let held = |orientation: u8| {
            let exif =
                [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[orientation, 0, 0, 0]].concat();
            let turned = [&png[..33], &chunk(b"eXIf", &exif), &png[33..]].concat();
            decode(&turned, BROUGHT).unwrap()
        };
        assert_eq!((held(1).dimensions(), held(6).dimensions()), ((6, 4), (4, 6)));
        assert_eq!(held(6).get_pixel(3, 0), held(1).get_pixel(0, 0));
        assert_eq!(held(3).get_pixel(5, 3), held(1).get_pixel(0, 0));
    }

    #[test]
    fn shapes_are_stretched_or_cut() {
        let wide = decode(&file(ImageFormat::Png, 90, 30, [0, 0, 0]), BROUGHT).unwrap();
        let fit = |resize, filter, middle| Fit { size: (20, 20), resize, shorter: 24, middle, filter };
        let cut = fit(Resize::CentreCrop, Filter::Bilinear, Middle::Even).apply(&wide);
        let stretched = fit(Resize::Stretch, Filter::Bicubic, Middle::Even).apply(&wide);
        assert_eq!((cut.dimensions(), stretched.dimensions()), ((20, 20), (20, 20)));
        // The middle has less of the gradient than the whole.
        let range = |p: &RgbImage| p.get_pixel(19, 19)[0].abs_diff(p.get_pixel(0, 0)[0]);
        assert!(range(&cut) + 50 < range(&stretched), "{} {}", range(&cut), range(&stretched));
        // A margin of 7 pixels: from the fourth on or from the third.
        let narrow = RgbImage::from_fn(27, 20, |x, _| image::Rgb([x as u8; 3]));
        let first = |middle| {
            let fit = Fit {
                size: (20, 20),
                resize: Resize::CentreCrop,
                shorter: 20,
                middle,
                filter: Filter::Bilinear,
            };
            fit.apply(&narrow).get_pixel(0, 0)[0]
        };
        assert_eq!((first(Middle::Even), first(Middle::First)), (4, 3));
    }
}
