//! What a model takes and gives, as tensors.

use std::sync::Arc;

use breakwater_core::Digest;
use serde::Serialize;

use crate::graph::shape::Shape;
use crate::graph::weights::Network;
use crate::tensor::{DataType, TensorSpec};

/// A model as those see it who send it tensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelMetadata {
    /// Its id.
    pub name: Arc<str>,
    /// What computes it, for people.
    pub platform: String,
    /// Its weights and preparation.
    pub revision: Digest,
    /// What it takes: one of these at a time.
    pub inputs: Vec<TensorSpec>,
    /// What it gives: all of these.
    pub outputs: Vec<TensorSpec>,
}

/// Name of the only input of a detector.
pub(crate) const PLANES: &str = "input";
/// Numbers of images as an embedder takes them.
pub(crate) const PIXELS: &str = "pixel_values";
/// Files of images.
pub(crate) const IMAGE: &str = "image";
/// Texts in UTF-8.
pub(crate) const TEXT: &str = "text";
/// Tokens of texts, those that begin and end them included.
pub(crate) const TOKENS: &str = "input_ids";
/// What embedders give.
pub(crate) const EMBEDDING: &str = "embedding";

pub(crate) fn spec(name: &str, data_type: DataType, shape: impl Into<Vec<i64>>) -> TensorSpec {
    TensorSpec { name: name.to_owned(), data_type, shape: shape.into() }
}

/// What a detector takes and gives. `usual` is a shape that it takes; a `fixed` one takes no other rows and columns.
pub(crate) fn of_network(network: &Network, usual: Shape, fixed: bool) -> (Vec<TensorSpec>, Vec<TensorSpec>) {
    let edge = |edge: usize| if fixed { edge as i64 } else { -1 };
    let of = |name: &str, shape: Shape| spec(name, DataType::Fp32, [-1, shape.channels as i64, edge(shape.height), edge(shape.width)]);
    let shapes = network.graph().shapes(usual).unwrap_or_default();
    let outputs = network.graph().outputs().iter();
    let outputs = outputs.filter_map(|output| Some(of(&output.name, *shapes.get(output.node.index())?)));
    (vec![of(PLANES, usual)], outputs.collect())
}
