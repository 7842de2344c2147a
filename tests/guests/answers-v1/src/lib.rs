//! Version 1 of the plugin `answers`.

breakwater_guest::export_crop_plugin!(answers::Versioned<1>);
