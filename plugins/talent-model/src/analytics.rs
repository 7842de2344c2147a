//! `calculate-analytics`.

use std::collections::BTreeMap;

use breakwater_guest::Failure;
use serde::{Deserialize, Serialize};

/// What it takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalyticsInput {
    /// In any order.
    pub applications: Vec<Application>,
    /// Applications of which days count; all when absent.
    #[serde(default)]
    pub period: Option<Period>,
}

/// An application for a job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Application {
    /// `applied`, `screening`, `interview`, `offer`, `accepted`, `rejected`, `withdrawn`, or something else, which is only counted.
    pub status: String,
    /// Employer.
    pub company: Option<String>,
    /// Where the job was found.
    pub source: Option<String>,
    /// A day or a point in time (RFC 3339).
    pub applied_at: Option<String>,
    /// When the employer first answered, likewise.
    pub responded_at: Option<String>,
}

/// From one day to another, both included.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Period {
    /// `YYYY-MM-DD`.
    pub from: Option<String>,
    /// `YYYY-MM-DD`.
    pub to: Option<String>,
}

/// What it gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalyticsOutput {
    /// Counts, rates and averages.
    pub metrics: Metrics,
    /// For people.
    #[serde(default)]
    pub insights: Vec<String>,
    /// The chance that a next application leads to an interview, 0 to 1, where somebody predicts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<f64>,
    /// Which model calculated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Counts, rates (0 to 1) and averages.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Applications.
    pub total: u64,
    /// Applications by status.
    #[serde(alias = "by_status")]
    pub by_status: BTreeMap<String, u64>,
    /// Share that was answered.
    #[serde(alias = "response_rate")]
    pub response_rate: f64,
    /// Share that led to an interview.
    #[serde(alias = "interview_rate")]
    pub interview_rate: f64,
    /// Share that led to an offer.
    #[serde(alias = "offer_rate")]
    pub offer_rate: f64,
    /// Share of offers that were accepted.
    #[serde(default, alias = "acceptance_rate", skip_serializing_if = "Option::is_none")]
    pub acceptance_rate: Option<f64>,
    /// Mean days until an answer.
    #[serde(default, alias = "average_response_days", skip_serializing_if = "Option::is_none")]
    pub average_response_days: Option<f64>,
    /// Median of the days until an answer.
    #[serde(default, alias = "median_response_days", skip_serializing_if = "Option::is_none")]
    pub median_response_days: Option<f64>,
    /// Applications in a week, on average.
    #[serde(default, alias = "applications_per_week", skip_serializing_if = "Option::is_none")]
    pub applications_per_week: Option<f64>,
    /// Applications by where the job was found.
    #[serde(default, alias = "by_source", skip_serializing_if = "BTreeMap::is_empty")]
    pub by_source: BTreeMap<String, u64>,
    /// Applications by month, earliest first.
    #[serde(default, alias = "by_month", skip_serializing_if = "Vec::is_empty")]
    pub by_month: Vec<MonthCount>,
}

/// A month's applications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthCount {
    /// `YYYY-MM`.
    pub month: String,
    /// How many.
    pub count: u64,
}

impl AnalyticsOutput {
    /// Checks what a service answered.
    ///
    /// # Errors
    /// `upstream.response-invalid` with the JSON Pointer of what cannot be.
    pub fn check(&self) -> Result<(), Failure> {
        let metrics = &self.metrics;
        for (place, share) in [
            ("/metrics/responseRate", Some(metrics.response_rate)),
            ("/metrics/interviewRate", Some(metrics.interview_rate)),
            ("/metrics/offerRate", Some(metrics.offer_rate)),
            ("/metrics/acceptanceRate", metrics.acceptance_rate),
            ("/forecast", self.forecast),
        ] {
            if share.is_some_and(|share| !crate::is_share(share)) {
                return Err(crate::impossible(place));
            }
        }
        let averages = [metrics.average_response_days, metrics.median_response_days, metrics.applications_per_week];
        if averages.iter().flatten().any(|average| *average < 0.0) {
            return Err(Failure::response_invalid("/metrics: an average is negative"));
        }
        Ok(())
    }
}
