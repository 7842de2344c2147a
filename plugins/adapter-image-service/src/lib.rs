//! A remote image-processing service behind `detect-objects`, `crop-image`, `process-batch` and `compose-sheet`.
//!
//! docs/image-service.md holds the protocol.

mod batch;
mod crop;
mod detect;
mod service;
mod sheet;

use breakwater_guest::{Adapter, Failure, Invocation, Operation, Reply, Upstreams};
use image_model::schemas;

/// Speaks to the upstream `image-service`.
pub struct ImageService;

impl Adapter for ImageService {
    /// All of them read: what they write is named by its content, so that asking twice does no more than asking once.
    const OPERATIONS: &'static [Operation] = &[
        Operation::read(detect::NAME, "Finds faces, people and objects in an image.", schemas::DETECT_INPUT, schemas::DETECT_OUTPUT)
            .with_permission("operation:detect-objects"),
        Operation::read(crop::NAME, "Cuts an image to a ratio where a strategy says.", schemas::CROP_INPUT, schemas::CROP_OUTPUT)
            .with_permission("operation:crop-image"),
        Operation::read(batch::NAME, "Detects and cuts in many images.", schemas::BATCH_INPUT, schemas::BATCH_OUTPUT)
            .with_permission("operation:process-batch"),
        Operation::read(sheet::NAME, "Arranges images on a sheet to print.", schemas::SHEET_INPUT, schemas::SHEET_OUTPUT)
            .with_permission("operation:compose-sheet"),
    ];

    fn invoke<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure> {
        match call.operation.as_str() {
            detect::NAME => detect::detect(host, call),
            crop::NAME => crop::crop(host, call),
            batch::NAME => batch::process(host, call),
            _ => sheet::compose(host, call),
        }
    }
}

breakwater_guest::export_adapter_plugin!(ImageService);
