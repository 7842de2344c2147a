//! The networks that this project ships weights for, each written once.

pub mod nanodet;
pub mod yunet;
