//! From planes to pixels: chroma stretched to full size, then colours converted.
//!
//! Chroma at half the size is stretched with a triangle filter, three quarters of the nearer and one of the farther sample, as
//! libjpeg does it ("fancy upsampling"); other ratios repeat samples. Colours follow JFIF (ITU-T T.871).

use super::planes::Plane;
use crate::colour::CmykToRgb;
use crate::raster::Raster;

/// What the components of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Whether the inks are stored inverted, as Adobe does it.
    Cmyk {
        inverted: bool,
    },
    /// The same as luma, chroma and black.
    Ycck {
        inverted: bool,
    },
}

/// Rows of one component at the picture's full size.
struct Rows<'a> {
    plane: &'a Plane,
    height: usize,
    blended: Vec<u16>,
    row: Vec<u8>,
}

impl<'a> Rows<'a> {
    fn new(plane: &'a Plane) -> Self {
        let height = plane.samples.len() / plane.width.max(1);
        Self { plane, height, blended: vec![0; plane.width], row: vec![0; plane.width * plane.stretch.0] }
    }

    fn stored(&self, y: usize) -> &'a [u8] {
        let start = y.min(self.height.saturating_sub(1)) * self.plane.width;
        self.plane.samples.get(start..start + self.plane.width).unwrap_or_default()
    }

    /// Row `y` of the picture.
    fn at(&mut self, y: usize) -> &[u8] {
        let (across, down) = self.plane.stretch;
        let near = y / down;
        match (across, down) {
            (1, 1) => self.stored(near),
            (1 | 2, 1 | 2) => {
                // The farther row is above the upper half of a sample and below the lower.
                let far = if down == 1 {
                    near
                } else if y % 2 == 0 {
                    near.saturating_sub(1)
                } else {
                    near + 1
                };
                let rows = self.stored(near).iter().zip(self.stored(far));
                self.blended.iter_mut().zip(rows).for_each(|(sum, (near, far))| *sum = 3 * u16::from(*near) + u16::from(*far));
                if across == 1 {
                    self.row.iter_mut().zip(&self.blended).for_each(|(sample, sum)| *sample = ((sum + 2) >> 2) as u8);
                } else {
                    stretch(&self.blended, &mut self.row);
                }
                &self.row
            }
            _ => {
                let samples = self.stored(near).iter().flat_map(|sample| std::iter::repeat_n(*sample, across));
                self.row.iter_mut().zip(samples).for_each(|(place, sample)| *place = sample);
                &self.row
            }
        }
    }
}

/// Doubles a row of sums of four, the outermost samples being their own neighbours.
#[inline(always)]
fn stretch(sums: &[u16], row: &mut [u8]) {
    let (pairs, _) = row.as_chunks_mut::<2>();
    let (Some(first), Some(last)) = (sums.first(), sums.last()) else { return };
    let mix = |near: u16, far: u16, rounding: u16| ((3 * near + far + rounding) >> 4) as u8;
    if let Some([left, right]) = pairs.first_mut() {
        let next = sums.get(1).unwrap_or(first);
        (*left, *right) = (mix(*first, *first, 8), mix(*first, *next, 7));
    }
    let inner = sums.get(1..).unwrap_or_default().iter().zip(sums).zip(sums.get(2..).unwrap_or_default());
    for (((near, before), after), [left, right]) in inner.zip(pairs.get_mut(1..).unwrap_or_default()) {
        (*left, *right) = (mix(*near, *before, 8), mix(*near, *after, 7));
    }
    if pairs.len() > 1
        && let Some([left, right]) = pairs.last_mut()
    {
        let before = sums.get(sums.len().wrapping_sub(2)).unwrap_or(last);
        (*left, *right) = (mix(*last, *before, 8), mix(*last, *last, 7));
    }
}

/// Fills `pixels`, RGBA rows of `width`, from the planes, one a component.
pub(super) fn fill(planes: &[Plane], colours: Colours, icc: Option<&[u8]>, width: usize, pixels: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the machine was just found to have AVX2, which is all the function needs beyond the baseline.
        return unsafe { fill_avx2(planes, colours, icc, width, pixels) };
    }
    fill_any(planes, colours, icc, width, pixels);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn fill_avx2(planes: &[Plane], colours: Colours, icc: Option<&[u8]>, width: usize, pixels: &mut [u8]) {
    fill_any(planes, colours, icc, width, pixels);
}

#[inline(always)]
fn fill_any(planes: &[Plane], colours: Colours, icc: Option<&[u8]>, width: usize, pixels: &mut [u8]) {
    let mut rows: Vec<Rows> = planes.iter().map(Rows::new).collect();
    let cmyk = matches!(colours, Colours::Cmyk { .. } | Colours::Ycck { .. }).then(|| CmykToRgb::new(icc));
    let mut inks = vec![[0; 4]; if cmyk.is_some() { width } else { 0 }];
    for (y, row) in pixels.chunks_exact_mut(width * Raster::CHANNELS).enumerate() {
        let row = row.as_chunks_mut::<4>().0;
        match (colours, rows.as_mut_slice()) {
            (Colours::Grey, [grey]) => {
                row.iter_mut().zip(grey.at(y)).for_each(|(pixel, level)| *pixel = [*level, *level, *level, 255]);
            }
            (Colours::YCbCr, [luma, blue, red]) => {
                let samples = luma.at(y).iter().zip(blue.at(y)).zip(red.at(y));
                row.iter_mut().zip(samples).for_each(|(pixel, ((y, cb), cr))| *pixel = to_rgba(*y, *cb, *cr));
            }
            (Colours::Rgb, [red, green, blue]) => {
                let samples = red.at(y).iter().zip(green.at(y)).zip(blue.at(y));
                row.iter_mut().zip(samples).for_each(|(pixel, ((r, g), b))| *pixel = [*r, *g, *b, 255]);
            }
            (Colours::Cmyk { inverted } | Colours::Ycck { inverted }, [a, b, c, black]) => {
                let samples = a.at(y).iter().zip(b.at(y)).zip(c.at(y)).zip(black.at(y));
                let ycck = matches!(colours, Colours::Ycck { .. });
                for (ink, (((a, b), c), black)) in inks.iter_mut().zip(samples) {
                    // YCCK holds the complement of the first three inks as if it were red, green and blue.
                    let [c, m, y, _] = if ycck { to_rgba(*a, *b, *c).map(|value| 255 - value) } else { [*a, *b, *c, 0] };
                    *ink = if inverted { [c, m, y, *black].map(|value| 255 - value) } else { [c, m, y, *black] };
                }
                if let Some(cmyk) = &cmyk {
                    cmyk.convert(inks.as_flattened(), row.as_flattened_mut());
                }
            }
            _ => {}
        }
    }
}

/// Fixed point with 16 bits behind the point, rounded.
#[inline(always)]
fn to_rgba(luma: u8, blue: u8, red: u8) -> [u8; 4] {
    let luma = (i32::from(luma) << 16) + 32_768;
    let (cb, cr) = (i32::from(blue) - 128, i32::from(red) - 128);
    let channel = |value: i32| (value >> 16).clamp(0, 255) as u32;
    let r = channel(luma + 91_881 * cr);
    let g = channel(luma - 22_554 * cb - 46_802 * cr);
    let b = channel(luma + 116_130 * cb);
    (r | g << 8 | b << 16 | 0xff00_0000).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_jfif() {
        for (ycc, rgb) in [
            ([0, 128, 128], [0, 0, 0]),
            ([255, 128, 128], [255, 255, 255]),
            ([76, 85, 255], [254, 0, 0]),
            ([150, 44, 21], [0, 255, 1]),
            ([29, 255, 107], [0, 0, 254]),
        ] {
            let [r, g, b, a] = to_rgba(ycc[0], ycc[1], ycc[2]);
            assert_eq!(([r, g, b], a), (rgb, 255), "{ycc:?}");
        }
    }

    #[test]
    fn half_size_chroma_is_stretched_with_a_triangle() {
        let sums: Vec<u16> = [10u16, 50, 90].iter().map(|value| value * 4).collect();
        let mut row = [0; 6];
        stretch(&sums, &mut row);
        assert_eq!(row, [10, 20, 40, 60, 80, 90]);
        let mut single = [0; 2];
        stretch(&[28], &mut single);
        assert_eq!(single, [7, 7]);
    }
}
