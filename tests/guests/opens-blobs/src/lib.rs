//! Opens an image from bytes of its own, and so imports `blobs`, which a manifest must ask for.

use breakwater_guest::bindings::breakwater::plugin::blobs::Blob;
use breakwater_guest::bindings::breakwater::plugin::imaging;
use breakwater_guest::parameters::NoParameters;
use breakwater_guest::{CropPlan, CropStrategy, Failure, ImageView, Kind, LargestWindow, Reasons, Wanted, export_crop_plugin};

/// A 1x1 GIF.
const PICTURE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// The centre crop; the term `own_width` is the width of the picture that it opened.
struct OpensBlobs;

impl CropStrategy for OpensBlobs {
    const NAME: &'static str = "opens_blobs";
    const SUMMARY: &'static str = "The centre crop, after opening a picture of its own.";
    const NEEDS: &'static [Kind] = &[];
    type Parameters = NoParameters;

    fn plan<I: ImageView>(image: &I, wanted: &Wanted<NoParameters>) -> Result<CropPlan, Failure> {
        let own = imaging::open(&Blob::new("image/gif", PICTURE))?;
        let mut reasons = Reasons::new();
        reasons.note("own_width", own.size().width as f32);
        Ok(reasons.plan(LargestWindow::new(image.size(), wanted.ratio).centered()))
    }
}

export_crop_plugin!(OpensBlobs);
