//! Pictures in another size, pixel for pixel as Pillow before version 13 makes them: encoders were trained on
//! its results. (Version 13 does the columns first in some shapes.)
//!
//! A pixel of the result is a weighted mean of those that it covers; where the picture grows, of its
//! neighbours. Rows are done first, then columns, with weights of 22 bits after the point, and the values
//! between are rounded to 8 bits.

use image::{GenericImageView, Rgb, RgbImage};

/// How pixels are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Filter {
    /// A triangle over the pixels that become one.
    Bilinear,
    /// Catmull and Rom's cubic over them.
    Bicubic,
}

/// Bits after the point of a weight.
const BITS: u32 = 22;

impl Filter {
    /// How far it reaches, in pixels of the result.
    fn reach(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// Its weight at a distance.
    fn weight(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => ((2.5 - 0.5 * x) * x - 4.0) * x + 2.0,
            Self::Bicubic => 0.0,
        }
    }
}

/// What a place of the result is made of: the first place of the source, and the weights of it and those
/// after it.
struct Mean {
    first: usize,
    weights: Vec<i32>,
}

/// The means that bring a row of `from` pixels to `to`.
fn means(from: usize, to: usize, filter: Filter) -> Vec<Mean> {
    let scale = from as f64 / to as f64;
    let wide = scale.max(1.0);
    let reach = filter.reach() * wide;
    let mean = |place: usize| {
        let centre = (place as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let at = |x: usize| filter.weight((x as f64 - centre + 0.5) / wide);
        let sum: f64 = (first..end).map(at).sum();
        let fixed = |x: usize| (at(x) / sum * f64::from(1u32 << BITS)).round() as i32;
        Mean { first, weights: (first..end).map(fixed).collect() }
    };
    (0..to).map(mean).collect()
}

/// The weighted mean of values.
fn average(weights: &[i32], values: impl Iterator<Item = u8>) -> u8 {
    let half = 1 << (BITS - 1);
    let sum = weights.iter().zip(values).fold(half, |sum, (w, v)| sum + w * i32::from(v));
    (sum >> BITS).clamp(0, 255) as u8
}

/// `picture` in `width × height`. It is read a row at a time; no more than the result's width of it is kept.
pub(crate) fn resample(
    picture: &impl GenericImageView<Pixel = Rgb<u8>>,
    width: u32,
    height: u32,
    filter: Filter,
) -> RgbImage {
    let (from_width, from_height) = (picture.width() as usize, picture.height() as usize);
    let (to_width, to_height) = (width as usize, height as usize);
    let means_of_rows = means(from_width, to_width, filter);
    let mut source = Vec::with_capacity(to_width * from_height * 3);
    let mut row = vec![0; from_width * 3];
    for y in 0..picture.height() {
        for (x, pixel) in (0..).zip(row.chunks_exact_mut(3)) {
            pixel.copy_from_slice(&picture.get_pixel(x, y).0);
        }
        if from_width == to_width {
            source.extend_from_slice(&row);
            continue;
        }
        for mean in &means_of_rows {
            let pixels = &row[mean.first * 3..];
            source.extend((0..3).map(|c| average(&mean.weights, pixels[c..].iter().step_by(3).copied())));
        }
    }
    if from_height != to_height {
        let line = to_width * 3;
        let mut columns = Vec::with_capacity(line * to_height);
        for mean in &means(from_height, to_height, filter) {
            let rows = &source[mean.first * line..];
            columns
                .extend((0..line).map(|x| average(&mean.weights, rows[x..].iter().step_by(line).copied())));
        }
        source = columns;
    }
    RgbImage::from_raw(width, height, source).expect("as many values as the new size has")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_size_one_colour_and_known_means() {
        let line = |values: &[u8]| {
            RgbImage::from_fn(values.len() as u32, 1, |x, _| image::Rgb([values[x as usize]; 3]))
        };
        let reds = |p: &RgbImage| p.pixels().map(|p| p[0]).collect::<Vec<_>>();
        let steps = line(&[0, 40, 80, 120, 160, 200]);
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            assert_eq!(resample(&steps, 6, 1, filter), steps);
            let flat = RgbImage::from_pixel(7, 5, image::Rgb([9, 200, 255]));
            let other = resample(&flat, 3, 11, filter);
            assert!(other.dimensions() == (3, 11) && other.pixels().all(|p| p.0 == [9, 200, 255]));
        }
        // Pillow 13: `Image.resize((3, 1), BILINEAR)`, `(4, 1), BICUBIC` and `(9, 1), BICUBIC` of these
        // lines.
        assert_eq!(reds(&resample(&steps, 3, 1, Filter::Bilinear)), [29, 100, 171]);
        assert_eq!(reds(&resample(&steps, 4, 1, Filter::Bicubic)), [12, 68, 132, 188]);
        assert_eq!(
            reds(&resample(&line(&[0, 255, 0, 255, 255]), 9, 1, Filter::Bicubic)),
            [0, 79, 246, 149, 0, 131, 255, 255, 255]
        );
    }
}
