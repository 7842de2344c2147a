//! Who looks for work.

use serde::Deserialize;

/// A person. Only the name is needed.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserProfile {
    /// Full name.
    pub name: String,
    /// Present or wanted role.
    pub title: Option<String>,
    /// In the person's own words.
    pub summary: Option<String>,
    /// Address for mail.
    pub email: Option<String>,
    /// Phone number, as written.
    pub phone: Option<String>,
    /// Such as `Berlin, Germany`.
    pub location: Option<String>,
    /// Whether work elsewhere is possible.
    pub willing_to_relocate: bool,
    /// Best first.
    pub skills: Vec<String>,
    /// In any order.
    pub experience: Vec<Experience>,
    /// In any order.
    pub education: Vec<Education>,
    /// As written.
    pub certifications: Vec<String>,
    /// As written, such as `German (native)`.
    pub languages: Vec<String>,
    /// Years of work; taken from `experience` when absent.
    pub years_of_experience: Option<f64>,
    /// The least wage accepted, per year.
    pub salary_min: Option<f64>,
    /// Of the wage, such as `EUR`.
    pub salary_currency: Option<String>,
}

/// A job that the person had.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Experience {
    /// Role.
    pub title: String,
    /// Employer.
    pub company: Option<String>,
    /// Where.
    pub location: Option<String>,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    pub start_date: Option<String>,
    /// Likewise; absent while it lasts.
    pub end_date: Option<String>,
    /// In one text.
    pub description: Option<String>,
    /// In points.
    pub highlights: Vec<String>,
}

/// A school.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Education {
    /// What was reached, such as `MSc Computer Science`.
    pub degree: Option<String>,
    /// Where.
    pub school: Option<String>,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    pub start_date: Option<String>,
    /// Likewise.
    pub end_date: Option<String>,
}
