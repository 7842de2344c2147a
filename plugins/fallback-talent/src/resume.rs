//! A résumé from a template: what the profile says, in the usual order.

use talent_model::{Experience, JobPosting, Resume, ResumeInput, ResumeOutput, Section, Station, UserProfile};

use crate::calendar;
use crate::matching;
use crate::skills::{Overlap, key};

/// How many skills a summary names.
const NAMED_SKILLS: usize = 3;

/// Writes it.
pub(crate) fn generate(input: &ResumeInput) -> ResumeOutput {
    let profile = &input.user_profile;
    let overlap = input.job_posting.as_ref().map(|job| Overlap::of(&profile.skills, job)).unwrap_or_default();
    let skills = skills(profile, &overlap);
    let title = profile.title.clone().or_else(|| input.job_posting.as_ref().map(|job| job.title.clone())).unwrap_or_default();
    let summary = summary(input, &title, &skills, &overlap);
    let experience = experience(profile);
    let sections = sections(profile, &summary, &skills, &experience);
    let content = content(profile, &title, &sections);
    ResumeOutput {
        resume: Resume { name: line(&profile.name), title: line(&title), summary, skills, experience, sections, content },
        matched_skills: overlap.matched,
        missing_skills: overlap.missing,
        model: None,
        confidence: None,
    }
}

/// One line: what people pasted may hold breaks.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| line(text)).filter(|text| !text.is_empty()).collect()
}

/// Those that the job asks for first, otherwise in the person's order, each once.
fn skills(profile: &UserProfile, overlap: &Overlap) -> Vec<String> {
    let wanted: Vec<String> = overlap.matched.iter().map(|skill| key(skill)).collect();
    let mut skills = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for skill in lines(&profile.skills) {
        if seen.insert(key(&skill)) {
            skills.push(skill);
        }
    }
    // Stable: equal ones keep their order.
    skills.sort_by_key(|skill| !wanted.contains(&key(skill)));
    skills
}

/// The person's own words, else a sentence of what is known; and what it means for the job.
fn summary(input: &ResumeInput, title: &str, skills: &[String], overlap: &Overlap) -> String {
    let profile = &input.user_profile;
    let mut text = profile.summary.as_deref().map(line).unwrap_or_default();
    if text.is_empty() {
        text = line(if title.is_empty() { "Professional" } else { title });
        let years = matching::years(profile, input.as_of.as_deref()).map_or(0.0, f64::floor);
        if years >= 1.0 {
            text.push_str(&format!(" with {years} {} of experience", if years < 2.0 { "year" } else { "years" }));
        }
        if !skills.is_empty() {
            let named: Vec<&str> = skills.iter().take(NAMED_SKILLS).map(String::as_str).collect();
            text.push_str(&format!("{} {}", if years >= 1.0 { " in" } else { ", skilled in" }, named.join(", ")));
        }
        text.push('.');
    }
    if let Some(job) = &input.job_posting {
        text.push_str(&format!(" Applying for {}{}", line(&job.title), at(job)));
        if overlap.required.0 > 0 {
            text.push_str(&format!(" with {} of the {} required skills", overlap.required.1, overlap.required.0));
        }
        text.push('.');
    }
    text
}

fn at(job: &JobPosting) -> String {
    job.company.as_deref().map(|company| format!(" at {}", line(company))).unwrap_or_default()
}

/// Latest first: those that last, then by their end, then by their start. Those without dates keep their order at the end.
fn experience(profile: &UserProfile) -> Vec<Station> {
    let date = |text: &Option<String>| text.as_deref().and_then(calendar::day);
    let mut jobs: Vec<&Experience> = profile.experience.iter().collect();
    jobs.sort_by_key(|job| {
        let (start, end) = (date(&job.start_date), date(&job.end_date));
        let lasts = start.is_some() && job.end_date.is_none();
        std::cmp::Reverse((lasts, end.or(start), start))
    });
    jobs.into_iter().map(station).collect()
}

fn station(job: &Experience) -> Station {
    let mut highlights = lines(&job.highlights);
    if highlights.is_empty() {
        highlights.extend(job.description.as_deref().map(line).filter(|text| !text.is_empty()));
    }
    Station {
        title: line(&job.title),
        company: job.company.as_deref().map(line).unwrap_or_default(),
        period: period(job.start_date.as_deref(), job.end_date.as_deref(), true),
        highlights,
    }
}

/// Such as `2019-03 – present`.
fn period(start: Option<&str>, end: Option<&str>, lasts: bool) -> Option<String> {
    match (start, end) {
        (Some(start), Some(end)) => Some(format!("{start} – {end}")),
        (Some(start), None) if lasts => Some(format!("{start} – present")),
        (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
        (None, None) => None,
    }
}

/// Without those that would be empty.
fn sections(profile: &UserProfile, summary: &str, skills: &[String], experience: &[Station]) -> Vec<Section> {
    let stations = experience.iter().map(|station| {
        let mut text =
            [station.title.as_str(), station.company.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        if let Some(period) = &station.period {
            text.push_str(&format!(" ({period})"));
        }
        station.highlights.iter().for_each(|highlight| text.push_str(&format!("\n  - {highlight}")));
        text
    });
    let schools = profile.education.iter().map(|school| {
        let parts = [&school.degree, &school.school].into_iter().flatten().map(|part| line(part)).filter(|part| !part.is_empty());
        let text = parts.collect::<Vec<_>>().join(", ");
        let period = period(school.start_date.as_deref(), school.end_date.as_deref(), false);
        period.map_or_else(|| text.clone(), |period| format!("{text} ({period})"))
    });
    [
        ("Summary", vec![summary.to_owned()]),
        ("Skills", skills.to_vec()),
        ("Experience", stations.collect()),
        ("Education", schools.filter(|school| !school.is_empty()).collect()),
        ("Certifications", lines(&profile.certifications)),
        ("Languages", lines(&profile.languages)),
    ]
    .into_iter()
    .filter(|(_, items)| !items.is_empty())
    .map(|(heading, items)| Section { heading: heading.to_owned(), items })
    .collect()
}

/// Markdown: the name, how to reach the person, and the sections.
fn content(profile: &UserProfile, title: &str, sections: &[Section]) -> String {
    let mut text = format!("# {}\n", line(&profile.name));
    let known = [Some(title), profile.location.as_deref(), profile.email.as_deref(), profile.phone.as_deref()];
    let head: Vec<String> = known.into_iter().flatten().map(line).filter(|part| !part.is_empty()).collect();
    if !head.is_empty() {
        text.push_str(&format!("\n{}\n", head.join(" | ")));
    }
    for section in sections {
        text.push_str(&format!("\n## {}\n\n", section.heading));
        let is_text = section.heading == "Summary";
        section.items.iter().for_each(|item| text.push_str(&if is_text { format!("{item}\n") } else { format!("- {item}\n") }));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use talent_model::Education;

    fn profile() -> UserProfile {
        UserProfile {
            name: "Ana María\n Díaz".to_owned(),
            title: Some("Backend Engineer".to_owned()),
            email: Some("ana@example.org".to_owned()),
            location: Some("Berlin, Germany".to_owned()),
            skills: ["SQL", "Rust", "rust ", "Kafka", "Go"].map(str::to_owned).to_vec(),
            experience: vec![
                Experience {
                    title: "Developer".to_owned(),
                    company: Some("Old".to_owned()),
                    start_date: Some("2017-01".to_owned()),
                    end_date: Some("2019-12".to_owned()),
                    description: Some("Kept things\nrunning.".to_owned()),
                    ..Experience::default()
                },
                Experience { title: "Intern".to_owned(), ..Experience::default() },
                Experience {
                    title: "Engineer".to_owned(),
                    company: Some("New".to_owned()),
                    start_date: Some("2020-01".to_owned()),
                    highlights: vec!["Halved the bill.".to_owned(), " ".to_owned()],
                    ..Experience::default()
                },
            ],
            education: vec![Education {
                degree: Some("BSc".to_owned()),
                school: Some("TU".to_owned()),
                end_date: Some("2016".to_owned()),
                ..Education::default()
            }],
            languages: vec!["Spanish (native)".to_owned()],
            ..UserProfile::default()
        }
    }

    fn generated(job: Option<JobPosting>, as_of: Option<&str>) -> ResumeOutput {
        generate(&ResumeInput { user_profile: profile(), job_posting: job, as_of: as_of.map(str::to_owned) })
    }

    fn job() -> JobPosting {
        JobPosting {
            title: "Platform Engineer".to_owned(),
            company: Some("Acme".to_owned()),
            required_skills: ["go", "rust", "Terraform"].map(str::to_owned).to_vec(),
            ..JobPosting::default()
        }
    }

    #[test]
    fn a_résumé_for_a_job_puts_first_what_the_job_asks_for() {
        let output = generated(Some(job()), Some("2026-11-22"));
        assert_eq!(output.resume.skills, ["Rust", "Go", "SQL", "Kafka"]);
        assert_eq!(
            (output.matched_skills, output.missing_skills),
            (vec!["go".to_owned(), "rust".to_owned()], vec!["Terraform".to_owned()])
        );
        let summary = "Backend Engineer with 9 years of experience in Rust, Go, SQL. \
                       Applying for Platform Engineer at Acme with 2 of the 3 required skills.";
        assert_eq!(output.resume.summary, summary);
    }

    #[test]
    fn the_text_holds_all_that_the_profile_says() {
        let content = "# Ana María Díaz

Backend Engineer | Berlin, Germany | ana@example.org

## Summary

Backend Engineer with 3 years of experience in SQL, Rust, Kafka.

## Skills

- SQL
- Rust
- Kafka
- Go

## Experience

- Engineer, New (2020-01 – present)
  - Halved the bill.
- Developer, Old (2017-01 – 2019-12)
  - Kept things running.
- Intern

## Education

- BSc, TU (2016)

## Languages

- Spanish (native)
";
        assert_eq!(generated(None, None).resume.content, content);
    }

    #[test]
    fn a_name_alone_makes_a_résumé() {
        let user_profile = UserProfile { name: "Ana".to_owned(), ..UserProfile::default() };
        let resume = generate(&ResumeInput { user_profile, job_posting: None, as_of: None }).resume;
        assert_eq!(resume.content, "# Ana\n\n## Summary\n\nProfessional.\n");
        assert_eq!((resume.sections.len(), resume.experience.len()), (1, 0));
    }

    #[test]
    fn the_persons_own_words_come_before_ours() {
        let user_profile = UserProfile { summary: Some("I build  bridges.".to_owned()), ..profile() };
        let resume = generate(&ResumeInput {
            user_profile,
            job_posting: Some(JobPosting { title: "Builder".to_owned(), ..JobPosting::default() }),
            as_of: None,
        });
        assert_eq!(resume.resume.summary, "I build bridges. Applying for Builder.");
    }
}
