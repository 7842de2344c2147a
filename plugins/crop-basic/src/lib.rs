//! Crops that need no detector.

pub mod center;

breakwater_guest::export_crop_plugin!(center::Center);
