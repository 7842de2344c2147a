//! The Open Inference Protocol, version 2, with its binary tensor extension: what goes over the wire. Nothing here knows a model.

pub(crate) mod answer;
pub(crate) mod data;
pub(crate) mod request;
pub(crate) mod values;

use breakwater_core::Failure;

/// Says how many bytes of a body are JSON; tensors in binary form follow them.
pub(crate) const LENGTH_HEADER: &str = "inference-header-content-length";

/// The most numbers or texts of one tensor: as many as fit into the 64 MiB that the tensors of a call may take.
pub(crate) const MAX_ELEMENTS: usize = 16 << 20;

/// The most dimensions of a tensor, and the deepest nesting of its data.
pub(crate) const MAX_DIMENSIONS: usize = 8;

/// The most tensors of a call, in either direction.
pub(crate) const MAX_TENSORS: usize = 64;

/// The longest name of a tensor or of a call, in bytes.
pub(crate) const MAX_NAME: usize = 256;

/// A tensor's data is not what is said of it.
pub(crate) fn malformed(tensor: &str, problem: &str) -> Failure {
    let tensor: String = tensor.chars().take(MAX_NAME).collect();
    Failure::invalid("tensor.malformed", format!("the tensor {tensor:?} {problem}"))
}
