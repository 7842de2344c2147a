//! `find-matching-jobs`.

use breakwater_guest::Failure;
use serde::{Deserialize, Deserializer, Serialize};

use crate::posting::JobPosting;
use crate::profile::UserProfile;

/// What it takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchInput {
    /// Who looks for work.
    pub user_profile: UserProfile,
    /// Among which jobs; absent, among those that the service knows.
    #[serde(default)]
    pub job_postings: Option<Vec<JobPosting>>,
    /// The most matches given; 10 when absent.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The least score given; 0 when absent.
    #[serde(default)]
    pub min_score: Option<f64>,
    /// The day that counts as today, `YYYY-MM-DD`: jobs that last are counted up to it.
    #[serde(default)]
    pub as_of: Option<String>,
}

/// What it gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchOutput {
    /// Best first.
    pub matches: Vec<Matched>,
    /// How many jobs were looked at.
    pub total: u64,
    /// Which model matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// A job that fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matched {
    /// Of the job posting.
    #[serde(alias = "job_id", deserialize_with = "name")]
    pub job_id: String,
    /// Role.
    #[serde(default)]
    pub title: String,
    /// How well it fits, 0 to 1.
    pub score: f64,
    /// What makes up the score; empty when nobody says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Skills that the job asks for and the person has.
    #[serde(default, alias = "matched_skills")]
    pub matched_skills: Vec<String>,
    /// Skills that the job asks for and the profile does not name.
    #[serde(default, alias = "missing_skills")]
    pub missing_skills: Vec<String>,
}

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Such as `skills`.
    pub factor: String,
    /// How much it counts, 0 to 1.
    pub weight: f64,
    /// What it came to, 0 to 1.
    pub score: f64,
    /// For people.
    pub text: String,
}

/// A name, which some write as a number.
fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Name {
        Text(String),
        Number(u64),
    }
    Ok(match Name::deserialize(from)? {
        Name::Text(text) => text,
        Name::Number(number) => number.to_string(),
    })
}

impl MatchOutput {
    /// Checks what a service answered, and puts the best first.
    ///
    /// # Errors
    /// `upstream.response-invalid` with the JSON Pointer of what cannot be.
    pub fn checked(mut self) -> Result<Self, Failure> {
        for (index, one) in self.matches.iter().enumerate() {
            if !crate::is_share(one.score) {
                return Err(crate::impossible(&format!("/matches/{index}/score")));
            }
            for (part, reason) in one.reasons.iter().enumerate() {
                if !crate::is_share(reason.weight) || !crate::is_share(reason.score) {
                    return Err(crate::impossible(&format!("/matches/{index}/reasons/{part}")));
                }
            }
        }
        self.matches.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(self)
    }
}
