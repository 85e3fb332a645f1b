//! The built-in picture encoder: histograms of edge directions on a grid (Dalal and Triggs, CVPR 2005,
//! without their blocks) beside histograms of colour.
//!
//! A modest default: it sees shapes and colours, not what is shown.

use image::imageops::{self, FilterType};
use image::{GenericImageView, Rgb};

use super::unit_length::to_unit_length;

/// Side that every picture is brought to.
const SIDE: usize = 64;
/// Cells of edge directions a side.
const EDGE_CELLS: usize = 4;
/// Directions, over half a turn.
const DIRECTIONS: usize = 8;
/// Cells of colour a side.
const COLOUR_CELLS: usize = 2;
/// Hues, over the whole turn.
const HUES: usize = 12;
/// Greys from black to white, for what has no hue.
const GREYS: usize = 4;

const EDGES: usize = EDGE_CELLS * EDGE_CELLS * DIRECTIONS;
const COLOURS: usize = COLOUR_CELLS * COLOUR_CELLS * (HUES + GREYS);

/// Width of the vectors.
pub(crate) const DIM: usize = EDGES + COLOURS;

/// The vector of a picture, `[DIM]`, of length one.
pub(crate) fn describe(picture: &impl GenericImageView<Pixel = Rgb<u8>>) -> Vec<f32> {
    let small = imageops::resize(picture, SIDE as u32, SIDE as u32, FilterType::Triangle);
    let pixels: Vec<[f32; 3]> = small.pixels().map(|p| p.0.map(|c| f32::from(c) / 255.0)).collect();
    let mut edges = edges(&pixels);
    let mut colours = colours(&pixels);
    // Square roots keep a few strong cells from being all that counts; each part has half of the length.
    edges.iter_mut().chain(&mut colours).for_each(|v| *v = v.sqrt());
    to_unit_length(&mut edges);
    to_unit_length(&mut colours);
    edges.append(&mut colours);
    to_unit_length(&mut edges);
    edges
}

fn edges(pixels: &[[f32; 3]]) -> Vec<f32> {
    let grey: Vec<f32> = pixels.iter().map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b).collect();
    let at = |x: usize, y: usize| grey[y * SIDE + x];
    let mut out = vec![0f32; EDGES];
    for y in 1..SIDE - 1 {
        for x in 1..SIDE - 1 {
            let (dx, dy) = (at(x + 1, y) - at(x - 1, y), at(x, y + 1) - at(x, y - 1));
            let turn = dy.atan2(dx).rem_euclid(std::f32::consts::PI) / std::f32::consts::PI;
            let cell = y * EDGE_CELLS / SIDE * EDGE_CELLS + x * EDGE_CELLS / SIDE;
            let bins = &mut out[cell * DIRECTIONS..][..DIRECTIONS];
            share(bins, turn * DIRECTIONS as f32, dx.hypot(dy));
        }
    }
    out
}

fn colours(pixels: &[[f32; 3]]) -> Vec<f32> {
    let mut out = vec![0f32; COLOURS];
    for (at, [r, g, b]) in pixels.iter().enumerate() {
        let (high, low) = (r.max(*g).max(*b), r.min(*g).min(*b));
        let range = high - low;
        // Hue in sixths of a turn.
        let hue = match range {
            0.0 => 0.0,
            _ if high == *r => ((g - b) / range).rem_euclid(6.0),
            _ if high == *g => (b - r) / range + 2.0,
            _ => (r - g) / range + 4.0,
        };
        let (x, y) = (at % SIDE, at / SIDE);
        let cell = y * COLOUR_CELLS / SIDE * COLOUR_CELLS + x * COLOUR_CELLS / SIDE;
        let (hues, greys) = out[cell * (HUES + GREYS)..][..HUES + GREYS].split_at_mut(HUES);
        share(hues, hue / 6.0 * HUES as f32, range);
        // Greys go from black to white without coming round.
        let place = high * (GREYS - 1) as f32;
        let below = (place as usize).min(GREYS - 2);
        let part = place - below as f32;
        greys[below] += (1.0 - range) * (1.0 - part);
        greys[below + 1] += (1.0 - range) * part;
    }
    out
}

/// Shares a weight between the two bins next to a place on a ring of bins.
fn share(bins: &mut [f32], place: f32, weight: f32) {
    let below = place as usize % bins.len();
    let part = place.fract();
    bins[below] += weight * (1.0 - part);
    bins[(below + 1) % bins.len()] += weight * part;
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn drawn(paint: impl Fn(u32, u32) -> [u8; 3]) -> Vec<f32> {
        describe(&RgbImage::from_fn(120, 90, |x, y| image::Rgb(paint(x, y))))
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn pictures_that_look_alike_are_near() {
        let stripes = |red: u8, wide: u32| {
            drawn(move |x, _| if (x / wide).is_multiple_of(2) { [red, 10, 10] } else { [255; 3] })
        };
        let lying = drawn(|_, y| if (y / 10).is_multiple_of(2) { [10, 10, 220] } else { [0; 3] });
        let (a, b) = (stripes(220, 10), stripes(200, 12));
        assert!((dot(&a, &a) - 1.0).abs() < 1e-5 && a.len() == DIM);
        assert!(dot(&a, &b) > 0.9, "{}", dot(&a, &b));
        assert!(dot(&a, &lying) < 0.6, "{}", dot(&a, &lying));
    }

    #[test]
    fn a_picture_of_one_colour_has_a_vector() {
        for colour in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [128, 128, 128]] {
            let v = drawn(|_, _| colour);
            assert!((dot(&v, &v) - 1.0).abs() < 1e-5, "{colour:?}");
        }
    }
}
