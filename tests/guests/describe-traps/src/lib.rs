//! Plans well, but traps when it is asked what it offers.

use breakwater_guest::__private::{Guest, Image, Request, Strategy};
use breakwater_guest::{CallContext, CropPlan, Detection, Failure, ImageView, LargestWindow, Reasons};

struct Plugin;

impl Guest for Plugin {
    fn describe() -> Vec<Strategy> {
        std::process::abort()
    }

    fn plan(_call: CallContext, subject: &Image, _given: Vec<Detection>, wanted: Request) -> Result<CropPlan, Failure> {
        Ok(Reasons::new().plan(LargestWindow::new(ImageView::size(subject), wanted.ratio).centered()))
    }
}

#[cfg(target_arch = "wasm32")]
breakwater_guest::bindings::__export_crop_strategy!(Plugin with_types_in breakwater_guest::bindings);
