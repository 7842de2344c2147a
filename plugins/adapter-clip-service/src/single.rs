//! `extract-features`.

use breakwater_guest::{Failure, FailureKind, Invocation, Reply, Upstreams};
use image_model::FeaturesOutput;

use crate::answer::Found;
use crate::service::{self, Model, Route};

pub(crate) const NAME: &str = "extract-features";
const ROUTE: Route = Route { setting: "extract_path", path: "/extract-features", part: "file" };

/// Asks the service for the features of a picture.
pub(crate) fn extract<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure> {
    match (call.input.get("image_path").is_some(), call.attachments.len()) {
        (false, 1) => {}
        // The service takes files, and this plugin opens none: the next provider may.
        (true, 0) => {
            let message = "the service takes pictures that are attached, not paths";
            return Err(Failure::new(FailureKind::Other, "operation.image-not-attached", message));
        }
        _ => {
            let message = "give the picture either as `image_path` or as attachment";
            return Err(Failure::invalid_request("operation.image-missing", message));
        }
    }
    let model = Model::of(host, &call)?;
    let found: Found = service::ask(host, call, &ROUTE)?.json()?;
    let embedding = found.features(&model, "")?;
    Reply::of(&FeaturesOutput { dimension: embedding.len(), embedding, model: model.id, normalized: true })
}
