//! What is on offer.

use serde::Deserialize;

/// A job on offer.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobPosting {
    /// Names it in the answer.
    pub id: String,
    /// Role.
    pub title: String,
    /// Employer.
    pub company: Option<String>,
    /// Such as `Berlin, Germany`.
    pub location: Option<String>,
    /// Whether it can be done from anywhere.
    pub remote: bool,
    /// What one must know.
    pub required_skills: Vec<String>,
    /// What it helps to know.
    pub preferred_skills: Vec<String>,
    /// The least years of work asked for.
    pub min_years_of_experience: Option<f64>,
    /// The least wage paid, per year.
    pub salary_min: Option<f64>,
    /// The highest wage paid, per year.
    pub salary_max: Option<f64>,
    /// Of the wage, such as `EUR`.
    pub salary_currency: Option<String>,
}
