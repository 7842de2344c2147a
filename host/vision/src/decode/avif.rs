//! AVIF: `avif-parse` finds the coded data, `re_rav1d` decodes it, and YUV becomes RGB here.
//!
//! Conversion follows ITU-T H.273: studio or full range, the luma coefficients of the matrix, chroma by the nearest sample.

use breakwater_core::Size;
use re_rav1d::{Decoder, Picture, PixelLayout, PlanarImageComponent, Settings};

use crate::header::Header;
use crate::header::avif::{AvifHeader, CodePoints};
use crate::raster::Raster;
use crate::{Format, VisionError, colour};

fn corrupt(reason: impl ToString) -> VisionError {
    VisionError::corrupt(Format::Avif, reason)
}

pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<Raster, VisionError> {
    let points = AvifHeader::read(bytes)?.code_points;
    let mut source = bytes;
    let parts = avif_parse::read_avif(&mut source).map_err(|error| match error {
        avif_parse::Error::Unsupported(reason) => VisionError::unsupported(reason),
        other => corrupt(other),
    })?;
    let picture = decode_item(&parts.primary_item, header.stored)?;
    let alpha = parts.alpha_item.as_deref().map(|item| decode_item(item, header.stored)).transpose()?;
    let points = points.unwrap_or_else(|| bitstream_points(&picture));
    let colour = to_rgb(&picture, points).ok_or_else(|| corrupt("a plane is short"))?;
    let opaque = alpha.is_none();
    let mut pixels = colour;
    if let Some(alpha) = alpha {
        let premultiplied = parts.premultiplied_alpha;
        set_alpha(&mut pixels, &alpha, header.stored.width, premultiplied).ok_or_else(|| corrupt("its alpha plane is short"))?;
    }
    let mut raster = Raster::new(header.stored, opaque, pixels).ok_or_else(|| corrupt("pixels are missing"))?;
    match header.icc.as_deref() {
        Some(icc) => colour::rgb_to_srgb(&mut raster, Some(icc)),
        None => colour::code_points_to_srgb(&mut raster, points),
    }
    Ok(raster)
}

/// Decodes one coded item, whose size must be `size`.
fn decode_item(item: &[u8], size: Size) -> Result<Picture, VisionError> {
    let announced = avif_parse::AV1Metadata::parse_av1_bitstream(item).map_err(corrupt)?;
    if (announced.max_frame_width.get(), announced.max_frame_height.get()) != (size.width, size.height) {
        return Err(corrupt("its headers disagree about its size"));
    }
    let mut settings = Settings::new();
    // One thread: the caller's pool decides how many images are worked on at a time.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(u32::try_from(size.pixels()).unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(corrupt)?;
    decoder.send_data(item.to_vec(), None, None, None).map_err(corrupt)?;
    let picture = decoder.get_picture().map_err(|_| corrupt("its coded picture is incomplete"))?;
    if (picture.width(), picture.height()) != (size.width, size.height) {
        return Err(corrupt("its coded picture has another size than its headers say"));
    }
    Ok(picture)
}

fn bitstream_points(picture: &Picture) -> CodePoints {
    use re_rav1d::pixel::YUVRange;
    CodePoints {
        primaries: picture.color_primaries() as u8,
        transfer: picture.transfer_characteristic() as u8,
        matrix: picture.matrix_coefficients() as u8,
        full_range: picture.color_range() == YUVRange::Full,
    }
}

/// One plane as rows of samples scaled to 0..=1 of the full sample range.
struct Samples {
    bytes: re_rav1d::Plane,
    stride: usize,
    wide: bool,
    scale: f32,
}

impl Samples {
    fn new(picture: &Picture, component: PlanarImageComponent) -> Self {
        let bits = picture.bit_depth();
        Self {
            bytes: picture.plane(component),
            stride: picture.stride(component) as usize,
            wide: bits > 8,
            scale: 1.0 / ((1u32 << bits.clamp(8, 16)) - 1) as f32,
        }
    }

    /// Copies a row into `into`; `None` when the plane has too few samples.
    fn row(&self, y: usize, into: &mut [f32]) -> Option<()> {
        let row = self.bytes.as_ref().get(y.checked_mul(self.stride)?..)?;
        if self.wide {
            let samples = row.get(..into.len() * 2)?.as_chunks::<2>().0;
            into.iter_mut().zip(samples).for_each(|(to, sample)| *to = f32::from(u16::from_ne_bytes(*sample)) * self.scale);
        } else {
            let samples = row.get(..into.len())?;
            into.iter_mut().zip(samples).for_each(|(to, sample)| *to = f32::from(*sample) * self.scale);
        }
        Some(())
    }
}

/// Luma coefficients of red and blue (H.273, table 4); `None` for the identity. Unknown ones count as BT.601, as libavif does it.
fn luma_coefficients(matrix: u8) -> Option<(f32, f32)> {
    match matrix {
        0 => None,
        1 => Some((0.2126, 0.0722)),
        4 => Some((0.30, 0.11)),
        7 => Some((0.212, 0.087)),
        9 | 10 => Some((0.2627, 0.0593)),
        _ => Some((0.299, 0.114)),
    }
}

/// RGBA with an alpha of 255.
fn to_rgb(picture: &Picture, points: CodePoints) -> Option<Vec<u8>> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let layout = picture.pixel_layout();
    let (across, down) = match layout {
        PixelLayout::I420 => (2, 2),
        PixelLayout::I422 => (2, 1),
        PixelLayout::I400 | PixelLayout::I444 => (1, 1),
    };
    let grey = layout == PixelLayout::I400;
    let luma = Samples::new(picture, PlanarImageComponent::Y);
    let chroma = (!grey).then(|| [PlanarImageComponent::U, PlanarImageComponent::V].map(|plane| Samples::new(picture, plane)));
    // Studio range leaves room below and above: 16..=235 of luma and 16..=240 of chroma, at 8 bits.
    let (black, luma_range, chroma_range) = if points.full_range { (0.0, 1.0, 1.0) } else { (16.0 / 255.0, 219.0 / 255.0, 224.0 / 255.0) };
    // The middle of chroma is 128 of 255, not one half.
    let middle = if picture.bit_depth() > 8 { 0.5 } else { 128.0 / 255.0 };
    let coefficients = luma_coefficients(points.matrix);

    let columns = width.div_ceil(across);
    let (mut y_row, mut u_row, mut v_row) = (vec![0.0; width], vec![middle; columns], vec![middle; columns]);
    let mut pixels = vec![255; width.checked_mul(height)?.checked_mul(Raster::CHANNELS)?];
    for (y, target) in pixels.chunks_exact_mut(width * Raster::CHANNELS).enumerate() {
        luma.row(y, &mut y_row)?;
        if let Some([u, v]) = &chroma {
            u.row(y / down, &mut u_row)?;
            v.row(y / down, &mut v_row)?;
        }
        let u_of = u_row.iter().flat_map(|value| std::iter::repeat_n(*value, across));
        let v_of = v_row.iter().flat_map(|value| std::iter::repeat_n(*value, across));
        for (((luma, u), v), pixel) in y_row.iter().zip(u_of).zip(v_of).zip(target.as_chunks_mut::<4>().0) {
            let level = (luma - black) / luma_range;
            let rgb = match coefficients {
                _ if grey => [level; 3],
                None => [(v - black) / luma_range, level, (u - black) / luma_range],
                Some((kr, kb)) => {
                    let (cb, cr) = ((u - middle) / chroma_range, (v - middle) / chroma_range);
                    let red = level + 2.0 * (1.0 - kr) * cr;
                    let blue = level + 2.0 * (1.0 - kb) * cb;
                    [red, (level - kr * red - kb * blue) / (1.0 - kr - kb), blue]
                }
            };
            let [red, green, blue] = rgb.map(to_byte);
            *pixel = [red, green, blue, 255];
        }
    }
    Some(pixels)
}

fn to_byte(value: f32) -> u8 {
    (value * 255.0 + 0.5) as u8
}

/// Takes alpha from the luma of `picture`; colour that was multiplied by it is divided again.
fn set_alpha(pixels: &mut [u8], picture: &Picture, width: u32, premultiplied: bool) -> Option<()> {
    let samples = Samples::new(picture, PlanarImageComponent::Y);
    let full_range = bitstream_points(picture).full_range;
    let mut row = vec![0.0; width as usize];
    for (y, target) in pixels.chunks_exact_mut(row.len() * Raster::CHANNELS).enumerate() {
        samples.row(y, &mut row)?;
        for (sample, [red, green, blue, alpha]) in row.iter().zip(target.as_chunks_mut::<4>().0) {
            let value = if full_range { *sample } else { (sample * 255.0 - 16.0) / 219.0 };
            *alpha = to_byte(value);
            if premultiplied && value > 0.0 {
                for channel in [red, green, blue] {
                    *channel = to_byte(f32::from(*channel) / 255.0 / value);
                }
            }
        }
    }
    Some(())
}
