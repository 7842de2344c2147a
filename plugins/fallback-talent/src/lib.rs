//! What the AI service answers, without it: a résumé from a template, matching by rules, analytics by counting.
//!
//! Each answer follows from the input alone. docs/talent.md holds the formulas.

mod analytics;
mod calendar;
mod matching;
mod resume;
mod skills;

use breakwater_guest::{Failure, Fallback, Host, Invocation, Level, Reply};
use talent_model::{CALCULATE_ANALYTICS, FIND_MATCHING_JOBS, GENERATE_RESUME};

/// Computes.
pub struct Talent;

impl Fallback for Talent {
    const LEVELS: &'static [Level] = &[
        Level::new(GENERATE_RESUME, "basic-template"),
        Level::new(FIND_MATCHING_JOBS, "rule-based"),
        Level::new(CALCULATE_ANALYTICS, "basic-analytics"),
    ];

    fn degrade<H: Host>(_: &H, call: Invocation, _level: &str, _cause: &Failure) -> Result<Option<Reply>, Failure> {
        match call.operation.as_str() {
            GENERATE_RESUME => Reply::of(&resume::generate(&call.read()?)).map(Some),
            // Among jobs that only the service knows nothing can be found here.
            FIND_MATCHING_JOBS => matching::find(&call.read()?).map(|found| Reply::of(&found)).transpose(),
            _ => Reply::of(&analytics::calculate(&call.read()?)).map(Some),
        }
    }
}

breakwater_guest::export_fallback_plugin!(Talent);
