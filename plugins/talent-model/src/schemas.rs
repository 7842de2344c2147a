//! JSON Schemas (2020-12), as written in `schemas/`.

/// Input of `generate-resume`.
pub const RESUME_INPUT: &str = include_str!("../schemas/generate-resume.input.json");
/// Output of `generate-resume`.
pub const RESUME_OUTPUT: &str = include_str!("../schemas/generate-resume.output.json");
/// Input of `find-matching-jobs`.
pub const MATCHING_INPUT: &str = include_str!("../schemas/find-matching-jobs.input.json");
/// Output of `find-matching-jobs`.
pub const MATCHING_OUTPUT: &str = include_str!("../schemas/find-matching-jobs.output.json");
/// Input of `calculate-analytics`.
pub const ANALYTICS_INPUT: &str = include_str!("../schemas/calculate-analytics.input.json");
/// Output of `calculate-analytics`.
pub const ANALYTICS_OUTPUT: &str = include_str!("../schemas/calculate-analytics.output.json");

/// The schema of an operation's output.
#[must_use]
pub fn output_of(operation: &str) -> &'static str {
    match operation {
        crate::GENERATE_RESUME => RESUME_OUTPUT,
        crate::FIND_MATCHING_JOBS => MATCHING_OUTPUT,
        _ => ANALYTICS_OUTPUT,
    }
}
