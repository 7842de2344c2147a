//! A remote AI service behind `generate-resume`, `find-matching-jobs` and `calculate-analytics`.
//!
//! docs/talent.md holds the protocol.

mod names;
mod service;

use breakwater_guest::{Adapter, Failure, Invocation, Operation, Reply, Upstreams};
use talent_model::{AnalyticsOutput, CALCULATE_ANALYTICS, FIND_MATCHING_JOBS, GENERATE_RESUME, MatchOutput, ResumeOutput, schemas};

use crate::service::Route;

/// Speaks to the upstream `talent-service`.
pub struct Talent;

const RESUME: Route = Route { setting: "generate_resume_path", path: "/generate-resume", flag: "ai-document-generation" };
const MATCHING: Route = Route { setting: "find_matching_jobs_path", path: "/find-matching-jobs", flag: "ai-job-matching" };
const ANALYTICS: Route = Route { setting: "calculate_analytics_path", path: "/calculate-analytics", flag: "ai-analytics" };

impl Adapter for Talent {
    /// All of them read: what they answer follows from the input, and nothing is kept.
    const OPERATIONS: &'static [Operation] = &[
        Operation::read(GENERATE_RESUME, "Writes a résumé, for a job if one is given.", schemas::RESUME_INPUT, schemas::RESUME_OUTPUT)
            .with_permission("operation:generate-resume"),
        Operation::read(FIND_MATCHING_JOBS, "Finds the jobs that fit a person.", schemas::MATCHING_INPUT, schemas::MATCHING_OUTPUT)
            .with_permission("operation:find-matching-jobs"),
        Operation::read(CALCULATE_ANALYTICS, "Says how applications are going.", schemas::ANALYTICS_INPUT, schemas::ANALYTICS_OUTPUT)
            .with_permission("operation:calculate-analytics"),
    ];

    fn invoke<H: Upstreams>(host: &H, call: Invocation) -> Result<Reply, Failure> {
        match call.operation.as_str() {
            GENERATE_RESUME => {
                let answer: ResumeOutput = service::ask(host, &call, &RESUME)?;
                answer.check()?;
                Reply::of(&answer)
            }
            FIND_MATCHING_JOBS => {
                let answer: MatchOutput = service::ask(host, &call, &MATCHING)?;
                Reply::of(&answer.checked()?)
            }
            _ => {
                let answer: AnalyticsOutput = service::ask(host, &call, &ANALYTICS)?;
                answer.check()?;
                Reply::of(&answer)
            }
        }
    }
}

breakwater_guest::export_adapter_plugin!(Talent);
