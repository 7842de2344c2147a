//! Into sRGB.

use moxcms::{
    CicpColorPrimaries, CicpProfile, ColorProfile, DataColorSpace, Layout, MatrixCoefficients, TransferCharacteristics, TransformOptions,
};

use crate::header::avif::CodePoints;
use crate::raster::Raster;

/// Profiles beyond this are refused; real ones reach a few megabytes with CMYK tables.
const MAX_PROFILE_BYTES: usize = 8 * 1024 * 1024;

/// A profile worth converting from. A broken profile is treated as none, as every viewer does it: the pixels are there.
pub(crate) fn parse(icc: Option<&[u8]>, space: DataColorSpace) -> Option<ColorProfile> {
    let icc = icc.filter(|icc| icc.len() <= MAX_PROFILE_BYTES)?;
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    (profile.color_space == space).then_some(profile)
}

/// Converts RGBA pixels from the profile to sRGB, row by row; a profile that is sRGB already costs nothing.
pub(crate) fn rgb_to_srgb(raster: &mut Raster, icc: Option<&[u8]>) {
    let Some(profile) = parse(icc, DataColorSpace::Rgb) else { return };
    convert(raster, &profile);
}

/// Converts RGBA pixels that AVIF describes by code points. Unknown ones count as sRGB.
pub(crate) fn code_points_to_srgb(raster: &mut Raster, points: CodePoints) {
    let (Ok(primaries), Ok(transfer)) =
        (CicpColorPrimaries::try_from(points.primaries), TransferCharacteristics::try_from(points.transfer))
    else {
        return;
    };
    // BT.709's curve is what cameras write and sRGB what screens show; like browsers, both count as sRGB here.
    let srgb_curve = matches!(points.transfer, 1 | 2 | 6 | 13 | 14 | 15);
    if srgb_curve && matches!(points.primaries, 1 | 2) {
        return;
    }
    let transfer = if srgb_curve { TransferCharacteristics::Srgb } else { transfer };
    let profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: primaries,
        transfer_characteristics: transfer,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    convert(raster, &profile);
}

fn convert(raster: &mut Raster, profile: &ColorProfile) {
    let srgb = ColorProfile::new_srgb();
    if is_srgb(profile, &srgb) {
        return;
    }
    let Ok(transform) = profile.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgba, TransformOptions::default()) else { return };
    let row = raster.size().width as usize * Raster::CHANNELS;
    let mut converted = vec![0; row];
    for pixels in raster.pixels_mut().chunks_exact_mut(row) {
        if transform.transform(pixels, &mut converted).is_ok() {
            pixels.copy_from_slice(&converted);
        }
    }
}

/// Whether a conversion would change no 8-bit value by more than one: tried on a small cube of colours.
fn is_srgb(profile: &ColorProfile, srgb: &ColorProfile) -> bool {
    let Ok(transform) = profile.create_transform_8bit(Layout::Rgb, srgb, Layout::Rgb, TransformOptions::default()) else { return true };
    const LEVELS: [u8; 8] = [0, 16, 51, 102, 128, 153, 204, 255];
    let pairs = LEVELS.into_iter().flat_map(|red| LEVELS.map(|green| [red, green]));
    let cube: Vec<u8> = pairs.flat_map(|[red, green]| LEVELS.map(|blue| [red, green, blue])).flatten().collect();
    let mut converted = vec![0; cube.len()];
    transform.transform(&cube, &mut converted).is_err() || cube.iter().zip(&converted).all(|(a, b)| a.abs_diff(*b) <= 1)
}

/// Grey levels to sRGB grey; `None` when the profile asks for nothing.
pub(crate) fn grey_table(icc: Option<&[u8]>) -> Option<[u8; 256]> {
    let profile = parse(icc, DataColorSpace::Gray)?;
    let transform =
        profile.create_transform_8bit(Layout::Gray, &ColorProfile::new_srgb(), Layout::Rgb, TransformOptions::default()).ok()?;
    let levels: Vec<u8> = (0..=255).collect();
    let mut converted = vec![0; 3 * 256];
    transform.transform(&levels, &mut converted).ok()?;
    let mut table = [0; 256];
    table.iter_mut().zip(converted.chunks_exact(3)).for_each(|(entry, rgb)| *entry = rgb.first().copied().unwrap_or_default());
    Some(table)
}

/// Converts RGBA pixels that are grey from a grey profile to sRGB.
pub(crate) fn grey_to_srgb(raster: &mut Raster, icc: Option<&[u8]>) {
    let Some(table) = grey_table(icc) else { return };
    for [red, green, blue, _] in raster.pixels_mut().as_chunks_mut::<4>().0 {
        let level = table.get(usize::from(*red)).copied().unwrap_or(*red);
        (*red, *green, *blue) = (level, level, level);
    }
}

/// One row of CMYK (255 is full ink) to RGBA: through the profile where there is one, else by the naive formula
/// `R = (255 - C) * (255 - K) / 255`, which is what browsers without a profile do.
pub(crate) struct CmykToRgb(Option<std::sync::Arc<moxcms::Transform8BitExecutor>>);

impl CmykToRgb {
    pub(crate) fn new(icc: Option<&[u8]>) -> Self {
        let profile = parse(icc, DataColorSpace::Cmyk);
        Self(profile.and_then(|profile| {
            profile.create_transform_8bit(Layout::Rgba, &ColorProfile::new_srgb(), Layout::Rgba, TransformOptions::default()).ok()
        }))
    }

    pub(crate) fn convert(&self, cmyk: &[u8], rgba: &mut [u8]) {
        if self.0.as_ref().is_some_and(|transform| transform.transform(cmyk, rgba).is_ok()) {
            rgba.as_chunks_mut::<4>().0.iter_mut().for_each(|[_, _, _, alpha]| *alpha = 255);
            return;
        }
        for ([c, m, y, k], to) in cmyk.as_chunks::<4>().0.iter().zip(rgba.as_chunks_mut::<4>().0) {
            let paper = 255 - u32::from(*k);
            let channel = |ink: u8| (((255 - u32::from(ink)) * paper + 127) / 255) as u8;
            *to = [channel(*c), channel(*m), channel(*y), 255];
        }
    }
}

#[cfg(test)]
mod tests {
    use breakwater_core::Size;

    use super::*;

    fn pixel(rgba: [u8; 4]) -> Raster {
        Raster::new(Size::new(1, 1), true, rgba.to_vec()).unwrap()
    }

    #[test]
    fn display_p3_becomes_the_srgb_values_of_the_same_colour() {
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        // Computed from the primaries of both spaces: P3 (200, 100, 50) is sRGB (215, 93, 31); P3 grey is sRGB grey.
        for (p3, srgb) in [([200, 100, 50], [215, 93, 31]), ([128, 128, 128], [128, 128, 128]), ([0, 255, 0], [0, 255, 0])] {
            let mut raster = pixel([p3[0], p3[1], p3[2], 9]);
            rgb_to_srgb(&mut raster, Some(&icc));
            let got = raster.pixels();
            assert!(got.iter().zip(srgb).all(|(got, want)| got.abs_diff(want) <= 2), "{p3:?} became {got:?}, not {srgb:?}");
            assert_eq!(got[3], 9, "alpha is no colour");
        }
    }

    #[test]
    fn an_srgb_or_broken_profile_changes_nothing() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        for icc in [Some(&srgb[..]), Some(b"not a profile"), Some(&srgb[..100]), None] {
            let mut raster = pixel([200, 100, 50, 255]);
            rgb_to_srgb(&mut raster, icc);
            assert_eq!(raster.pixels(), [200, 100, 50, 255]);
        }
    }

    #[test]
    fn cmyk_without_a_profile_is_ink_on_white_paper() {
        let mut rgba = [0; 16];
        let inks = [0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255, 51, 102, 0, 128];
        CmykToRgb::new(None).convert(&inks, &mut rgba);
        assert_eq!(rgba, [255, 255, 255, 255, 0, 255, 255, 255, 0, 0, 0, 255, 102, 76, 127, 255]);
    }

    #[test]
    fn linear_grey_becomes_brighter() {
        let icc = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let table = grey_table(Some(&icc)).unwrap();
        assert_eq!((table[0], table[255]), (0, 255));
        assert!(table[55].abs_diff(128) <= 2, "linear 55/255 is sRGB 128, not {}", table[55]);
    }
}
