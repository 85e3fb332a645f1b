//! Pictures from the bytes of their files: JPEG, PNG, WebP.

use std::io::Cursor;

use image::error::{ImageError, LimitErrorKind};
use image::imageops;
use image::{ImageFormat, ImageReader, Limits, RgbImage};

use crate::embed::resample::{Filter, resample};
use crate::{Error, Result};

/// Longest side of a picture that is decoded, in pixels.
const SIDE: u32 = 16_384;
/// Most memory that decoding one picture may take, in bytes.
const MEMORY: u64 = 512 << 20;

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

/// Decodes a picture to RGB; an alpha channel is dropped, the orientation that a camera noted is not applied.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage> {
    let bad = |why: &str| Error::Data(why.to_string());
    if bytes.is_empty() {
        return Err(bad("the file is empty"));
    }
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| bad(&e.to_string()))?;
    match reader.format() {
        // The decoder fills what is missing of a cut JPEG with grey.
        Some(ImageFormat::Jpeg) if !jpeg_ends(bytes) => {
            return Err(bad("the JPEG is cut off: it has no end mark"));
        }
        Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP) => {}
        _ => return Err(bad("is no JPEG, PNG or WebP")),
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE);
    limits.max_image_height = Some(SIDE);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    match reader.decode() {
        Ok(picture) => Ok(picture.to_rgb8()),
        Err(ImageError::Limits(e)) => Err(match e.kind() {
            LimitErrorKind::DimensionError => bad(&format!("is larger than {SIDE} × {SIDE} pixels")),
            _ => bad(&format!("would take more than {} MiB to decode", MEMORY >> 20)),
        }),
        Err(e) => Err(bad(&format!("is damaged: {e}"))),
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
    pub(crate) fn of(&self, picture: &RgbImage) -> RgbImage {
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
            let picture = decode(&file(format, 30, 20, [250, 20, 90])).unwrap();
            assert_eq!(picture.dimensions(), (30, 20));
            assert!(picture.get_pixel(0, 0)[0].abs_diff(250) < 20, "{format:?}");
        }
    }

    #[test]
    fn what_is_broken_is_said() {
        let says = |bytes: &[u8], what: &str| {
            let text = decode(bytes).unwrap_err().to_string();
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
        assert_eq!(decode(&with(jpeg.len())).unwrap().dimensions(), (40, 40));
        // A header that announces 60,000 × 60,000 pixels.
        let mut huge = png.clone();
        huge[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        let crc = crc32(&huge[12..29]);
        huge[29..33].copy_from_slice(&crc.to_be_bytes());
        says(&huge, "larger than");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let step = |c: u32| (0..8).fold(c, |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 });
        !bytes.iter().fold(!0, |c, &b| c >> 8 ^ step((c ^ u32::from(b)) & 0xff))
    }

    #[test]
    fn shapes_are_stretched_or_cut() {
        let wide = decode(&file(ImageFormat::Png, 90, 30, [0, 0, 0])).unwrap();
        let fit = |resize, filter, middle| Fit { size: (20, 20), resize, shorter: 24, middle, filter };
        let cut = fit(Resize::CentreCrop, Filter::Bilinear, Middle::Even).of(&wide);
        let stretched = fit(Resize::Stretch, Filter::Bicubic, Middle::Even).of(&wide);
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
            fit.of(&narrow).get_pixel(0, 0)[0]
        };
        assert_eq!((first(Middle::Even), first(Middle::First)), (4, 3));
    }
}
