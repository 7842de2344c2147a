//! Calls every function of the contract once and says in its terms what each gave, so that a host that lacks one, or passes
//! something else, is found out.

use breakwater_guest::bindings::breakwater::plugin::{blobs::Blob, call, imaging};
use breakwater_guest::bindings::wasi::config::store;
use breakwater_guest::log::Level;
use breakwater_guest::{CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Rect, Wanted, export_crop_plugin};

breakwater_guest::parameters! {
    /// One of each type.
    struct Sample {
        /// A number.
        number: f32 = 0.5 in 0.0..=1.0,
        /// A whole number.
        count: u32 = 3 in 0..=10,
        /// A switch.
        flag: bool = false,
    }
}

/// A 1x1 GIF.
const PICTURE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// The centre crop, after a call of everything.
struct Everything;

impl CropStrategy for Everything {
    const NAME: &'static str = "everything";
    const SUMMARY: &'static str = "The centre crop; its terms say what each function of the contract gave.";
    const NEEDS: &'static [Kind] = &[Kind::Face, Kind::Person, Kind::Object];
    type Parameters = Sample;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<Sample>) -> Result<CropPlan, Failure> {
        let mut reasons = Reasons::new();
        let Sample { number, count, flag } = wanted.parameters;
        reasons.note("parameters", number + count as f32 + if flag { 100.0 } else { 0.0 });
        reasons.note("given", wanted.given.len() as f32);
        reasons.note("attempt", wanted.call.attempt as f32);
        reasons.note("correlation_id_bytes", wanted.call.correlation_id.len() as f32);
        reasons.note("labels", wanted.call.labels.len() as f32);

        for level in [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Critical] {
            breakwater_guest::log::write(level, "a line of every level");
        }
        reasons.note("remaining_ms", call::remaining_ms() as f32);
        reasons.note("setting_bytes", store::get("greeting").ok().flatten().map_or(-1.0, |value| value.len() as f32));
        reasons.note("settings", store::get_all().map_or(-1.0, |all| all.len() as f32));

        let blob = Blob::new("image/gif", PICTURE);
        reasons.note("blob_bytes", blob.length() as f32);
        reasons.note("blob_type_bytes", blob.media_type().len() as f32);
        reasons.note("blob_read", f32::from(blob.read(3, 3)? == b"89a"));
        let own = imaging::open(&blob)?;
        reasons.note("own_size", (own.size().width + own.size().height) as f32);

        let thumbnail = image.thumbnail(16)?;
        reasons.note("thumbnail_bytes", thumbnail.rgb.len() as f32);
        reasons.note("thumbnail_pixels", (thumbnail.size.width * thumbnail.size.height) as f32);
        for (name, map) in [("saliency_cells", image.saliency(16)?), ("luminance_cells", image.luminance(16)?)] {
            reasons.note(name, if map.values.iter().all(|value| (0.0..=1.0).contains(value)) { map.values.len() as f32 } else { -1.0 });
        }
        for (name, kind) in [("faces", Kind::Face), ("people", Kind::Person), ("objects", Kind::Object)] {
            // A host without models says so, and the rest goes on.
            reasons.note(name, image.detect(kind).map_or(-1.0, |found| found.len() as f32));
        }
        let size = image.size();
        reasons.note("entropy", image.entropy(size.rect())?);
        let outside = image.entropy(Rect { x: size.width, y: 0, width: 1, height: 1 });
        reasons.note("outside_is_refused", f32::from(outside.is_err_and(|failure| failure.code == "image.area-outside")));
        let too_large = image.thumbnail(513);
        reasons.note("edge_is_refused", f32::from(too_large.is_err_and(|failure| failure.code == "image.edge-out-of-range")));
        Ok(reasons.plan(LargestWindow::new(size, wanted.ratio).centered()))
    }
}

export_crop_plugin!(Everything);
