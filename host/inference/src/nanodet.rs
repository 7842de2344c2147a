//! NanoDet-g: from its outputs to people and objects. The layers are in [`breakwater_convnet::networks::nanodet`].

pub mod decode;
pub mod labels;

pub use breakwater_convnet::networks::nanodet::{BINS, CLASSES, DEVIATION, EDGE, MEAN, STRIDES, graph};

/// The head has a class for every label.
const _: () = assert!(labels::COCO.len() == CLASSES);
