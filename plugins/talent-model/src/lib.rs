//! The JSON of résumés, matching jobs and analytics: types and schemas that the plugins around talent share.
//!
//! Names are in camelCase, as callers write them; what a service answers is read in snake_case too. docs/talent.md explains the fields.

mod analytics;
mod matching;
mod posting;
mod profile;
mod resume;
pub mod schemas;

pub use analytics::{AnalyticsInput, AnalyticsOutput, Application, Metrics, MonthCount, Period};
pub use matching::{MatchInput, MatchOutput, Matched, Reason};
pub use posting::JobPosting;
pub use profile::{Education, Experience, UserProfile};
pub use resume::{Resume, ResumeInput, ResumeOutput, Section, Station};

/// `generate-resume`.
pub const GENERATE_RESUME: &str = "generate-resume";
/// `find-matching-jobs`.
pub const FIND_MATCHING_JOBS: &str = "find-matching-jobs";
/// `calculate-analytics`.
pub const CALCULATE_ANALYTICS: &str = "calculate-analytics";

/// Whether a share, a rate or a score can be one.
fn is_share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

/// Says which field of a service's answer cannot be.
fn impossible(place: &str) -> breakwater_guest::Failure {
    breakwater_guest::Failure::response_invalid(&format!("{place}: not from 0 to 1"))
}
