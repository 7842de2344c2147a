//! `generate-resume`.

use breakwater_guest::Failure;
use serde::{Deserialize, Serialize};

use crate::posting::JobPosting;
use crate::profile::UserProfile;

/// What it takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumeInput {
    /// Whose résumé.
    pub user_profile: UserProfile,
    /// For which job.
    #[serde(default)]
    pub job_posting: Option<JobPosting>,
    /// The day that counts as today, `YYYY-MM-DD`: jobs that last are counted up to it.
    #[serde(default)]
    pub as_of: Option<String>,
}

/// What it gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumeOutput {
    /// The résumé.
    pub resume: Resume,
    /// Skills that the job asks for and the person has.
    #[serde(default, alias = "matched_skills", skip_serializing_if = "Vec::is_empty")]
    pub matched_skills: Vec<String>,
    /// Skills that the job asks for and the profile does not name.
    #[serde(default, alias = "missing_skills", skip_serializing_if = "Vec::is_empty")]
    pub missing_skills: Vec<String>,
    /// Which model wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How sure it is, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// A résumé, in parts and as one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// Whose.
    pub name: String,
    /// For which role.
    #[serde(default)]
    pub title: String,
    /// In a few sentences.
    #[serde(default)]
    pub summary: String,
    /// Those that the job asks for first.
    #[serde(default)]
    pub skills: Vec<String>,
    /// Latest first.
    #[serde(default)]
    pub experience: Vec<Station>,
    /// What `content` consists of.
    #[serde(default)]
    pub sections: Vec<Section>,
    /// All of it, in Markdown.
    pub content: String,
}

/// A job that the person had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Station {
    /// Role.
    #[serde(default)]
    pub title: String,
    /// Employer.
    #[serde(default)]
    pub company: String,
    /// Such as `2019-03 – present`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// What was done.
    #[serde(default)]
    pub highlights: Vec<String>,
}

/// A heading and what stands below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    /// Such as `Skills`.
    pub heading: String,
    /// Lines.
    #[serde(default)]
    pub items: Vec<String>,
}

impl ResumeOutput {
    /// Checks what a service answered.
    ///
    /// # Errors
    /// `upstream.response-invalid` with the JSON Pointer of what cannot be.
    pub fn check(&self) -> Result<(), Failure> {
        if self.confidence.is_some_and(|confidence| !crate::is_share(confidence)) {
            return Err(crate::impossible("/confidence"));
        }
        if self.resume.name.is_empty() || self.resume.content.is_empty() {
            return Err(Failure::response_invalid("/resume: name or content is empty"));
        }
        Ok(())
    }
}
