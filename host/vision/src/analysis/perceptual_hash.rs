//! A hash that near-duplicates share: the signs of the lowest frequencies.
//!
//! The picture is squeezed to 32x32 luminances and transformed by a discrete cosine transform (DCT-II) in both directions. Of the 8x8
//! lowest frequencies, each bit says whether the coefficient is above their median (the `pHash` of Zauner, "Implementation and
//! benchmarking of perceptual image hash functions", 2010, as most libraries compute it). Re-encoding and scaling change a few bits,
//! pictures that have nothing in common differ in about half.

use crate::raster::Raster;
use crate::resize::{Filter, Window, resize};
use breakwater_core::Size;

/// Edge of the picture that is transformed.
const EDGE: usize = 32;
/// Frequencies kept in each direction.
const KEPT: usize = 8;
/// The least root mean square of the frequencies kept, the constant one aside, in luminances of 0..=255: below it there is nothing to see
/// but noise, and the bits would be noise as well.
const LEAST_CONTRAST: f32 = 0.5;

/// The hash of a picture; none for one that is nearly of one brightness.
pub(super) fn of(raster: &Raster) -> Option<u64> {
    let edge = EDGE as u32;
    let small = resize(raster, Window::whole(raster.size()), Size::new(edge, edge), Filter::Smooth)?;
    let levels: Vec<f32> = small.pixels().as_chunks::<4>().0.iter().map(|[r, g, b, _]| super::luma(*r, *g, *b)).collect();
    of_levels(&levels)
}

fn of_levels(levels: &[f32]) -> Option<u64> {
    let basis = basis();
    let transform = |values: &mut dyn Iterator<Item = f32>| -> [f32; KEPT] {
        let mut sums = [0.0; KEPT];
        for (at, value) in values.enumerate() {
            for (sum, wave) in sums.iter_mut().zip(&basis) {
                *sum += value * wave.get(at).copied().unwrap_or_default();
            }
        }
        sums
    };
    let rows: Vec<[f32; KEPT]> = levels.chunks_exact(EDGE).map(|row| transform(&mut row.iter().copied())).collect();
    let mut kept = Vec::with_capacity(KEPT * KEPT);
    for across in 0..KEPT {
        kept.extend(transform(&mut rows.iter().map(|row| row.get(across).copied().unwrap_or_default())));
    }
    // The transform is orthonormal, so that this is the contrast of what is kept.
    let energy: f32 = kept.iter().skip(1).map(|value| value * value).sum();
    if (energy / levels.len() as f32).sqrt() < LEAST_CONTRAST {
        return None;
    }
    let mut sorted = kept.clone();
    sorted.sort_by(f32::total_cmp);
    let median = sorted.get(KEPT * KEPT / 2 - 1..=KEPT * KEPT / 2).map(|middle| middle.iter().sum::<f32>() / 2.0)?;
    Some(kept.iter().fold(0, |hash, value| (hash << 1) | u64::from(*value > median)))
}

/// The lowest waves of the transform, each of length one.
fn basis() -> [[f32; EDGE]; KEPT] {
    std::array::from_fn(|frequency| {
        let scale = if frequency == 0 { (1.0 / EDGE as f32).sqrt() } else { (2.0 / EDGE as f32).sqrt() };
        std::array::from_fn(|at| {
            let angle = std::f32::consts::PI / EDGE as f32 * (at as f32 + 0.5) * frequency as f32;
            scale * angle.cos()
        })
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::tests::painted;
    use super::*;
    use crate::{Detail, Format, Image, Limits, OutputOptions, render};

    const NAMES: [&str; 5] = ["astronaut.png", "camera.png", "chelsea.png", "china.jpg", "coffee.png"];

    /// Photographs: drawings of a few waves have hardly any of the frequencies whose signs are kept.
    fn photographs() -> Vec<Image> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/images");
        let decode =
            |name: &str| Image::decode(std::fs::read(folder.join(name)).unwrap().into(), Detail::Full, &Limits::default()).unwrap();
        NAMES.map(decode).into()
    }

    fn encode(image: &Image, format: Format, quality: Option<u8>, size: Size) -> Image {
        let options = OutputOptions { format, quality, size: Some(size), keep_metadata: false };
        let whole = breakwater_core::Rect::new(0, 0, image.size().width, image.size().height);
        let bytes: Bytes = render(image, whole, &options, &Limits::default()).unwrap().bytes;
        Image::decode(bytes, Detail::Full, &Limits::default()).unwrap()
    }

    fn distance(a: u64, b: u64) -> u32 {
        (a ^ b).count_ones()
    }

    #[test]
    fn re_encoding_and_scaling_change_few_bits() {
        for photograph in photographs() {
            let (hash, size) = (photograph.perceptual_hash().unwrap(), photograph.size());
            let forms = [
                (Format::Jpeg, Some(90), size),
                (Format::Jpeg, Some(30), size),
                (Format::WebP, Some(50), size),
                (Format::Png, None, Size::new(size.width / 2, size.height / 2)),
                (Format::Jpeg, Some(70), Size::new(size.width / 3, size.height / 3)),
            ];
            for (format, quality, size) in forms {
                let other = encode(&photograph, format, quality, size).perceptual_hash().unwrap();
                assert!(distance(hash, other) <= 4, "{format:?} {quality:?} {size:?}: {}", distance(hash, other));
            }
        }
    }

    #[test]
    fn a_darker_photograph_keeps_its_hash_and_others_have_others() {
        let hashes: Vec<u64> = photographs().iter().map(|photograph| of(photograph.raster()).unwrap()).collect();
        for (photograph, hash) in photographs().iter().zip(&hashes) {
            let raster = photograph.raster();
            let dark = painted(raster.size(), |x, y| {
                let at = (y * raster.size().width + x) as usize * 4;
                [0, 1, 2].map(|channel| raster.pixels()[at + channel] / 2)
            });
            assert!(distance(*hash, of(&dark).unwrap()) <= 4, "{}", distance(*hash, of(&dark).unwrap()));
        }
        for (index, hash) in hashes.iter().enumerate() {
            assert!(hashes[index + 1..].iter().all(|other| distance(*hash, *other) > 16), "{hashes:x?}");
        }
    }

    #[test]
    fn a_picture_of_one_brightness_has_none() {
        assert_eq!(of(&painted(Size::new(64, 48), |_, _| [200, 10, 77])), None);
        assert_eq!(of(&painted(Size::new(1, 1), |_, _| [0, 0, 0])), None);
        assert!(of(&painted(Size::new(64, 48), |x, _| if x < 32 { [0; 3] } else { [255; 3] })).is_some());
    }

    #[test]
    fn a_known_wave_sets_the_bits_it_should() {
        // One wave down the picture: all energy in the first vertical frequency, which comes second in its column.
        let levels: Vec<f32> =
            (0..EDGE * EDGE).map(|at| 128.0 + 100.0 * (std::f32::consts::PI / EDGE as f32 * ((at / EDGE) as f32 + 0.5)).cos()).collect();
        let hash = of_levels(&levels).unwrap();
        assert_eq!(hash >> 62, 0b11, "{hash:064b}");
    }
}
