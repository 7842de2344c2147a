//! YuNet: from its outputs to faces with five landmarks. The layers are in [`breakwater_convnet::networks::yunet`].

pub mod decode;

pub use breakwater_convnet::networks::yunet::{MAX_EDGE, STRIDE, STRIDES, graph};
