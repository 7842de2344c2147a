//! How large the result is to be, from what the caller asked.

use breakwater_core::{AspectRatio, Failure, Size};
use breakwater_vision::Limits;
use serde_json::json;

/// The wanted size, as asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WantedSize {
    /// Columns of the result.
    pub width: Option<u32>,
    /// Rows of the result.
    pub height: Option<u32>,
}

/// The ratio of a crop: the one asked for, otherwise that of `width` and `height` together.
///
/// # Errors
/// `crop.ratio-missing` when neither is given, `crop.ratio-invalid` when width and height make none.
pub(crate) fn ratio(asked: Option<AspectRatio>, wanted: WantedSize) -> Result<AspectRatio, Failure> {
    if let Some(ratio) = asked {
        return Ok(ratio);
    }
    let (Some(width), Some(height)) = (wanted.width, wanted.height) else {
        let message = "say which ratio the crop is to have: target_aspect_ratio, or both width and height";
        return Err(Failure::invalid("crop.ratio-missing", message));
    };
    let divisor = greatest_common_divisor(width, height).max(1);
    AspectRatio::new(width / divisor, height / divisor).map_err(|error| Failure::invalid("crop.ratio-invalid", error.to_string()))
}

/// The size of the result: `None` when the crop is to be kept at its own size. One edge gives the other by the ratio; two must have
/// it within a pixel.
///
/// # Errors
/// `crop.size-invalid` for an edge of zero, `crop.size-mismatch` when the edges are of another ratio, `crop.output-too-large`
/// (limit) over the limits of images.
pub(crate) fn resolve(wanted: WantedSize, ratio: AspectRatio, limits: &Limits) -> Result<Option<Size>, Failure> {
    let size = match (wanted.width, wanted.height) {
        (None, None) => return Ok(None),
        (Some(width), None) => Size::new(width, scaled(width, ratio.height, ratio.width)),
        (None, Some(height)) => Size::new(scaled(height, ratio.width, ratio.height), height),
        (Some(width), Some(height)) => Size::new(width, height),
    };
    if size.is_empty() {
        return Err(Failure::invalid("crop.size-invalid", "width and height are at least 1"));
    }
    if size.longer() > limits.max_edge || size.pixels() > limits.max_pixels {
        let message = format!("the result may have edges of at most {} and {} pixels", limits.max_edge, limits.max_pixels);
        let detail = json!({ "max_edge": limits.max_edge, "max_pixels": limits.max_pixels });
        return Err(Failure::limit("crop.output-too-large", message).with_detail(detail));
    }
    let both = wanted.width.is_some() && wanted.height.is_some();
    if both && !ratio.fits(size) {
        let height = scaled(size.width, ratio.height, ratio.width);
        let message = format!("{size} does not have the ratio {ratio}; for this width the height is {height}, or give only one of the two");
        return Err(Failure::invalid("crop.size-mismatch", message).with_detail(json!({ "width": size.width, "height": height })));
    }
    Ok(Some(size))
}

/// How large a raster must be so that a crop of this ratio can be rendered at `wanted` without enlarging, if the strategy takes the
/// largest window. A smaller window makes the renderer decode again at a higher scale.
pub(crate) fn raster_for(original: Size, ratio: AspectRatio, wanted: Option<Size>) -> Size {
    let Some(wanted) = wanted else {
        return original;
    };
    let window = ratio.largest_in(original);
    let scale =
        f64::max(f64::from(wanted.width) / f64::from(window.width.max(1)), f64::from(wanted.height) / f64::from(window.height.max(1)));
    let edge = |length: u32| ((f64::from(length) * scale).ceil() as u32).clamp(1, length.max(1));
    Size::new(edge(original.width), edge(original.height))
}

fn scaled(length: u32, numerator: u32, denominator: u32) -> u32 {
    let (length, numerator, denominator) = (u64::from(length), u64::from(numerator), u64::from(denominator.max(1)));
    if length == 0 {
        return 0;
    }
    let rounded = (2 * length * numerator + denominator) / (2 * denominator);
    u32::try_from(rounded.max(1)).unwrap_or(u32::MAX)
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted(width: impl Into<Option<u32>>, height: impl Into<Option<u32>>) -> WantedSize {
        WantedSize { width: width.into(), height: height.into() }
    }

    fn check(wanted: WantedSize, ratio: &str) -> Result<Option<Size>, String> {
        resolve(wanted, ratio.parse().unwrap(), &Limits::default()).map_err(|failure| failure.code.into_owned())
    }

    #[test]
    fn one_edge_gives_the_other() {
        assert_eq!(check(wanted(400, None), "4:6"), Ok(Some(Size::new(400, 600))));
        assert_eq!(check(wanted(None, 600), "4:6"), Ok(Some(Size::new(400, 600))));
        assert_eq!(check(wanted(100, None), "16:9"), Ok(Some(Size::new(100, 56))));
        assert_eq!(check(wanted(None, None), "1:1"), Ok(None));
    }

    #[test]
    fn two_edges_must_agree_within_a_pixel() {
        assert_eq!(check(wanted(401, 600), "4:6"), Ok(Some(Size::new(401, 600))));
        assert_eq!(check(wanted(400, 500), "4:6"), Err("crop.size-mismatch".into()));
        let failure = resolve(wanted(400, 500), "4:6".parse().unwrap(), &Limits::default()).unwrap_err();
        assert!(failure.message.contains("the height is 600"), "{}", failure.message);
    }

    #[test]
    fn sizes_nobody_can_want_are_refused() {
        assert_eq!(check(wanted(0, None), "1:1"), Err("crop.size-invalid".into()));
        assert_eq!(check(wanted(30_001, None), "1:1"), Err("crop.output-too-large".into()));
        assert_eq!(check(wanted(u32::MAX, None), "1:10000"), Err("crop.output-too-large".into()));
        assert_eq!(check(wanted(10_000, 10_000), "1:1"), Err("crop.output-too-large".into()));
    }

    #[test]
    fn width_and_height_make_a_ratio_when_none_is_given() {
        assert_eq!(ratio(None, wanted(1920, 1080)).unwrap().to_string(), "16:9");
        assert_eq!(ratio(None, wanted(1920, None)).unwrap_err().code, "crop.ratio-missing");
        assert_eq!(ratio(None, wanted(20_001, 1)).unwrap_err().code, "crop.ratio-invalid");
        assert_eq!(ratio(None, wanted(0, 0)).unwrap_err().code, "crop.ratio-invalid");
    }

    proptest! {
        #[test]
        fn a_raster_of_the_computed_size_never_needs_enlarging(
            w in 1u32..8000, h in 1u32..8000, rw in 1u32..50, rh in 1u32..50, edge in 1u32..5000,
        ) {
            let (original, ratio) = (Size::new(w, h), AspectRatio::new(rw, rh).unwrap());
            let window = ratio.largest_in(original);
            let size = ratio.largest_in(Size::new(edge, edge));
            let raster = raster_for(original, ratio, Some(size));
            prop_assert!(raster.width <= w && raster.height <= h && !raster.is_empty());
            let scale = f64::from(raster.width) / f64::from(w);
            if raster != original {
                prop_assert!(f64::from(window.width) * scale + 1e-6 >= f64::from(size.width));
            }
        }

        #[test]
        fn a_resolved_size_has_the_ratio(edge in 1u32..5000, rw in 1u32..50, rh in 1u32..50) {
            let ratio = AspectRatio::new(rw, rh).unwrap();
            if let Ok(Some(size)) = resolve(wanted(edge, None), ratio, &Limits::default()) {
                prop_assert!(ratio.fits(size) || size.height == 1);
            }
        }
    }
}
