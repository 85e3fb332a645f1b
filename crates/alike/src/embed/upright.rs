//! A decoded picture as encoders look at it: RGB of 8 bits and upright, whatever its file has, without a
//! second copy of it.

use std::sync::MutexGuard;

use image::metadata::Orientation;
use image::{DynamicImage, GenericImageView, Rgb};

/// The pixels as they were decoded, and how the camera was held.
pub(crate) struct Upright {
    pixels: DynamicImage,
    orientation: Orientation,
    /// Of large pictures there is one at a time.
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Upright {
    /// Looks at `pixels`, which were taken in this `orientation`.
    pub(crate) fn new(
        pixels: DynamicImage,
        orientation: Orientation,
        alone: Option<MutexGuard<'static, ()>>,
    ) -> Self {
        Self { pixels, orientation, _alone: alone }
    }

    /// Where the file has what is seen at a place.
    fn place(&self, x: u32, y: u32) -> (u32, u32) {
        let (right, bottom) = (self.pixels.width() - 1, self.pixels.height() - 1);
        match self.orientation {
            Orientation::NoTransforms => (x, y),
            Orientation::FlipHorizontal => (right - x, y),
            Orientation::Rotate180 => (right - x, bottom - y),
            Orientation::FlipVertical => (x, bottom - y),
            Orientation::Rotate90 => (y, bottom - x),
            Orientation::Rotate270 => (right - y, x),
            Orientation::Rotate90FlipH => (y, x),
            Orientation::Rotate270FlipH => (right - y, bottom - x),
        }
    }
}

impl GenericImageView for Upright {
    type Pixel = Rgb<u8>;

    fn dimensions(&self) -> (u32, u32) {
        let (width, height) = (self.pixels.width(), self.pixels.height());
        match self.orientation {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => (height, width),
            _ => (width, height),
        }
    }

    fn get_pixel(&self, x: u32, y: u32) -> Rgb<u8> {
        let (x, y) = self.place(x, y);
        // Alpha is dropped; grey is as much of each colour.
        match &self.pixels {
            DynamicImage::ImageRgb8(p) => *p.get_pixel(x, y),
            DynamicImage::ImageLuma8(p) => Rgb([p.get_pixel(x, y)[0]; 3]),
            DynamicImage::ImageLumaA8(p) => Rgb([p.get_pixel(x, y)[0]; 3]),
            DynamicImage::ImageRgba8(p) => colours(p.get_pixel(x, y).0, |c| c),
            DynamicImage::ImageLuma16(p) => Rgb([eight_bits(p.get_pixel(x, y)[0]); 3]),
            DynamicImage::ImageLumaA16(p) => Rgb([eight_bits(p.get_pixel(x, y)[0]); 3]),
            DynamicImage::ImageRgb16(p) => Rgb(p.get_pixel(x, y).0.map(eight_bits)),
            DynamicImage::ImageRgba16(p) => colours(p.get_pixel(x, y).0, eight_bits),
            // None of the formats that are read has others.
            other => colours(other.get_pixel(x, y).0, |c| c),
        }
    }
}

fn colours<T: Copy>([r, g, b, _]: [T; 4], to: impl Fn(T) -> u8) -> Rgb<u8> {
    Rgb([to(r), to(g), to(b)])
}

/// The nearest value of 8 bits.
fn eight_bits(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, RgbImage};

    use super::*;

    /// A picture of every kind that decoders make, with values all over their range.
    fn of_all_kinds() -> Vec<DynamicImage> {
        let at = |i: usize, x: u32, y: u32| (x * 9173 + y * 4241 + i as u32 * 21_101) as u16;
        let eight = |i, x, y| (at(i, x, y) >> 8) as u8;
        vec![
            ImageBuffer::from_fn(7, 5, |x, y| image::Luma([eight(0, x, y)])).into(),
            ImageBuffer::from_fn(7, 5, |x, y| image::LumaA([0, 1].map(|i| eight(i, x, y)))).into(),
            ImageBuffer::from_fn(7, 5, |x, y| image::Rgb([0, 1, 2].map(|i| eight(i, x, y)))).into(),
            ImageBuffer::from_fn(7, 5, |x, y| image::Rgba([0, 1, 2, 3].map(|i| eight(i, x, y)))).into(),
            ImageBuffer::from_fn(7, 5, |x, y| image::Luma([at(0, x, y)])).into(),
            ImageBuffer::from_fn(7, 5, |x, y| image::LumaA([0, 1].map(|i| at(i, x, y)))).into(),
            ImageBuffer::from_fn(7, 5, |x, y| image::Rgb([0, 1, 2].map(|i| at(i, x, y)))).into(),
            ImageBuffer::from_fn(7, 5, |x, y| image::Rgba([0, 1, 2, 3].map(|i| at(i, x, y)))).into(),
        ]
    }

    #[test]
    fn it_looks_as_a_turned_copy_in_rgb_would() {
        for picture in of_all_kinds() {
            for held in 1..=8 {
                let orientation = Orientation::from_exif(held).unwrap();
                let mut copy = picture.clone();
                copy.apply_orientation(orientation);
                let copy = copy.to_rgb8();
                let seen = Upright::new(picture.clone(), orientation, None);
                assert_eq!(seen.dimensions(), copy.dimensions());
                let seen = RgbImage::from_fn(seen.width(), seen.height(), |x, y| seen.get_pixel(x, y));
                assert!(seen == copy, "{:?}, held as {held}", picture.color());
            }
        }
    }
}
