//! The networks that this project ships weights for, each written once.

pub mod efficientnet_lite0;
pub mod nanodet;
pub mod yunet;
