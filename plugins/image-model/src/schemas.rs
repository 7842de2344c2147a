//! JSON Schemas (2020-12), as written in `schemas/`.

/// Input of `detect-objects`.
pub const DETECT_INPUT: &str = include_str!("../schemas/detect-objects.input.json");
/// Output of `detect-objects`.
pub const DETECT_OUTPUT: &str = include_str!("../schemas/detect-objects.output.json");
/// Input of `crop-image`.
pub const CROP_INPUT: &str = include_str!("../schemas/crop-image.input.json");
/// Output of `crop-image`.
pub const CROP_OUTPUT: &str = include_str!("../schemas/crop-image.output.json");
/// Input of `process-batch`.
pub const BATCH_INPUT: &str = include_str!("../schemas/process-batch.input.json");
/// Output of `process-batch`.
pub const BATCH_OUTPUT: &str = include_str!("../schemas/process-batch.output.json");
/// Input of `compose-sheet`.
pub const SHEET_INPUT: &str = include_str!("../schemas/compose-sheet.input.json");
/// Output of `compose-sheet`.
pub const SHEET_OUTPUT: &str = include_str!("../schemas/compose-sheet.output.json");
/// Input of `extract-features`.
pub const FEATURES_INPUT: &str = include_str!("../schemas/extract-features.input.json");
/// Output of `extract-features`.
pub const FEATURES_OUTPUT: &str = include_str!("../schemas/extract-features.output.json");
/// Input of `extract-features-batch`.
pub const FEATURES_BATCH_INPUT: &str = include_str!("../schemas/extract-features-batch.input.json");
/// Output of `extract-features-batch`.
pub const FEATURES_BATCH_OUTPUT: &str = include_str!("../schemas/extract-features-batch.output.json");
