//! A remote CLIP service behind `extract-features` and `extract-features-batch`. The README holds the protocol.

mod answer;
mod batch;
mod service;
mod single;

use breakwater_guest::{Adapter, Failure, Invocation, Operation, Reply, Upstreams};
use image_model::schemas;

/// Speaks to the upstream `clip-service`.
pub struct ClipService;

impl Adapter for ClipService {
    const OPERATIONS: &'static [Operation] = &[
        Operation::read(
            single::NAME,
            "Gives the features of an image, by which it can be compared with others.",
            schemas::FEATURES_INPUT,
            schemas::FEATURES_OUTPUT,
        )
        .with_permission("operation:extract-features"),
        Operation::read(batch::NAME, "Gives the features of many images.", schemas::FEATURES_BATCH_INPUT, schemas::FEATURES_BATCH_OUTPUT)
            .with_permission("operation:extract-features-batch"),
    ];

    fn invoke<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure> {
        match call.operation.as_str() {
            single::NAME => single::extract(host, call),
            _ => batch::extract(host, call),
        }
    }
}

breakwater_guest::export_adapter_plugin!(ClipService);
