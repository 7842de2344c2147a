//! Matching by rules: skills, experience, place and wage.

use talent_model::{JobPosting, MatchInput, MatchOutput, Matched, Reason, UserProfile};

use crate::calendar;
use crate::skills::Overlap;

/// How much each factor counts. One that posting or profile say nothing about is left out, and the others share its weight.
const SKILLS: f64 = 0.5;
const EXPERIENCE: f64 = 0.2;
const LOCATION: f64 = 0.15;
const SALARY: f64 = 0.15;

/// Matches given when the caller does not say how many.
const DEFAULT_LIMIT: u32 = 10;

/// One factor: its name, its weight, what it came to, and why.
struct Factor(&'static str, f64, f64, String);

/// Ranks the jobs of the input; nothing when it has none.
pub(crate) fn find(input: &MatchInput) -> Option<MatchOutput> {
    let jobs = input.job_postings.as_ref()?;
    let years = years(&input.user_profile, input.as_of.as_deref());
    let mut matches: Vec<Matched> = jobs.iter().map(|job| matched(&input.user_profile, years, job)).collect();
    matches.retain(|one| one.score >= input.min_score.unwrap_or(0.0));
    matches.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.job_id.cmp(&b.job_id)));
    matches.truncate(input.limit.unwrap_or(DEFAULT_LIMIT) as usize);
    Some(MatchOutput { matches, total: jobs.len() as u64, model: None })
}

/// Years of work: those that the profile names, else those that its jobs come to.
pub(crate) fn years(profile: &UserProfile, as_of: Option<&str>) -> Option<f64> {
    profile.years_of_experience.or_else(|| {
        let stretch = |job: &talent_model::Experience| calendar::months(job.start_date.as_deref(), job.end_date.as_deref(), as_of);
        let stretches: Vec<_> = profile.experience.iter().filter_map(stretch).collect();
        (!stretches.is_empty()).then(|| calendar::years(stretches))
    })
}

fn matched(profile: &UserProfile, years: Option<f64>, job: &JobPosting) -> Matched {
    let overlap = Overlap::of(&profile.skills, job);
    let factors = [skills(&overlap), experience(years, job), location(profile, job), salary(profile, job)];
    let known: Vec<Factor> = factors.into_iter().flatten().collect();
    let weight: f64 = known.iter().map(|Factor(_, weight, ..)| weight).sum();
    let score: f64 = known.iter().map(|Factor(_, weight, score, _)| weight * score).sum();
    let reason = |Factor(factor, own, score, text): Factor| Reason {
        factor: factor.to_owned(),
        weight: rounded(own / weight),
        score: rounded(score),
        text,
    };
    Matched {
        job_id: job.id.clone(),
        title: job.title.clone(),
        // A job that says nothing fits nobody in particular.
        score: if weight > 0.0 { rounded(score / weight) } else { 0.0 },
        reasons: known.into_iter().map(reason).collect(),
        matched_skills: overlap.matched,
        missing_skills: overlap.missing,
    }
}

/// To four decimals, so that answers are the same on every machine.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn skills(overlap: &Overlap) -> Option<Factor> {
    let (required, preferred) = (overlap.required, overlap.preferred);
    let text = format!("{} of {} required and {} of {} preferred skills", required.1, required.0, preferred.1, preferred.0);
    overlap.share().map(|share| Factor("skills", SKILLS, share, text))
}

/// Years there are by years asked for, at most 1.
fn experience(years: Option<f64>, job: &JobPosting) -> Option<Factor> {
    let (years, wanted) = (years?, job.min_years_of_experience?);
    let score = if wanted > 0.0 { (years / wanted).min(1.0) } else { 1.0 };
    Some(Factor("experience", EXPERIENCE, score, format!("{years:.1} years of work, {wanted:.1} asked for")))
}

/// 1 from anywhere or in the same place, 0.5 with a part of the place in common (such as the country) or for those who would move, else 0.
fn location(profile: &UserProfile, job: &JobPosting) -> Option<Factor> {
    let factor = |score: f64, text: &str| Some(Factor("location", LOCATION, score, text.to_owned()));
    if job.remote {
        return factor(1.0, "can be done from anywhere");
    }
    let (own, there) = (parts(profile.location.as_deref()?), parts(job.location.as_deref()?));
    if own.is_empty() || there.is_empty() {
        return None;
    }
    if own.first() == there.first() {
        return factor(1.0, "the same place");
    }
    if own.iter().any(|part| there.contains(part)) {
        return factor(0.5, "the same region");
    }
    if profile.willing_to_relocate { factor(0.5, "elsewhere, and moving is possible") } else { factor(0.0, "elsewhere") }
}

/// `Berlin, Germany` is a town and a country.
fn parts(place: &str) -> Vec<String> {
    place.split(',').map(crate::skills::key).filter(|part| !part.is_empty()).collect()
}

/// 1 when the highest wage paid reaches the least accepted; below, it falls to 0 at half of it.
fn salary(profile: &UserProfile, job: &JobPosting) -> Option<Factor> {
    let (wanted, paid) = (profile.salary_min?, job.salary_max.or(job.salary_min)?);
    let comparable = match (&profile.salary_currency, &job.salary_currency) {
        (Some(own), Some(theirs)) => own == theirs,
        _ => true,
    };
    if !comparable {
        return None;
    }
    let score = if paid >= wanted { 1.0 } else { (2.0 * paid / wanted - 1.0).max(0.0) };
    Some(Factor("salary", SALARY, score, format!("up to {paid:.0} paid, {wanted:.0} wanted")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> UserProfile {
        UserProfile {
            name: "Ana".to_owned(),
            location: Some("Berlin, Germany".to_owned()),
            skills: vec!["Rust".to_owned(), "SQL".to_owned()],
            years_of_experience: Some(4.0),
            salary_min: Some(80_000.0),
            salary_currency: Some("EUR".to_owned()),
            ..UserProfile::default()
        }
    }

    fn job(id: &str) -> JobPosting {
        JobPosting { id: id.to_owned(), title: "Engineer".to_owned(), ..JobPosting::default() }
    }

    fn score(job: &JobPosting) -> f64 {
        matched(&profile(), Some(4.0), job).score
    }

    #[test]
    fn all_factors_together_are_their_weighted_mean() {
        let job = JobPosting {
            required_skills: vec!["rust".to_owned(), "go".to_owned()],
            preferred_skills: vec!["sql".to_owned()],
            min_years_of_experience: Some(5.0),
            location: Some("Munich, Germany".to_owned()),
            salary_max: Some(60_000.0),
            salary_currency: Some("EUR".to_owned()),
            ..job("a")
        };
        let one = matched(&profile(), Some(4.0), &job);
        // 0.5 x 0.6 + 0.2 x 0.8 + 0.15 x 0.5 + 0.15 x 0.5
        assert_eq!(one.score, 0.61);
        let reasons: Vec<_> = one.reasons.iter().map(|reason| (reason.factor.as_str(), reason.weight, reason.score)).collect();
        assert_eq!(reasons, [("skills", 0.5, 0.6), ("experience", 0.2, 0.8), ("location", 0.15, 0.5), ("salary", 0.15, 0.5)]);
        assert_eq!((one.matched_skills, one.missing_skills), (vec!["rust".to_owned(), "sql".to_owned()], vec!["go".to_owned()]));
    }

    #[test]
    fn what_is_not_said_counts_nothing() {
        let skilled = JobPosting { required_skills: vec!["Rust".to_owned(), "Go".to_owned()], ..job("a") };
        assert_eq!(score(&skilled), 0.5);
        let also_remote = JobPosting { remote: true, ..skilled };
        // (0.5 x 0.5 + 0.15 x 1) / 0.65
        assert_eq!(score(&also_remote), 0.6154);
        assert_eq!(score(&job("a")), 0.0);
    }

    #[test]
    fn each_factor_has_its_own_formula() {
        let place = |place: &str| score(&JobPosting { location: Some(place.to_owned()), ..job("a") });
        assert_eq!([place("berlin"), place("Munich, Germany"), place("Paris, France"), place(" ")], [1.0, 0.5, 0.0, 0.0]);
        let mover = UserProfile { willing_to_relocate: true, ..profile() };
        assert_eq!(matched(&mover, None, &JobPosting { location: Some("Paris".to_owned()), ..job("a") }).score, 0.5);
        let years = |years: f64| score(&JobPosting { min_years_of_experience: Some(years), ..job("a") });
        assert_eq!([years(0.0), years(4.0), years(8.0)], [1.0, 1.0, 0.5]);
        let paid = |paid: f64| score(&JobPosting { salary_max: Some(paid), ..job("a") });
        assert_eq!([paid(80_000.0), paid(60_000.0), paid(40_000.0), paid(10_000.0)], [1.0, 0.5, 0.0, 0.0]);
        let dollars = JobPosting { salary_max: Some(1.0), salary_currency: Some("USD".to_owned()), remote: true, ..job("a") };
        assert_eq!(score(&dollars), 1.0);
    }

    #[test]
    fn the_best_come_first_and_equal_ones_by_name() {
        let remote = |id: &str| JobPosting { remote: true, ..job(id) };
        let input = MatchInput {
            user_profile: profile(),
            job_postings: Some(vec![remote("c"), job("d"), remote("a"), remote("b")]),
            limit: None,
            min_score: None,
            as_of: None,
        };
        let ids = |input: &MatchInput| find(input).unwrap().matches.into_iter().map(|one| one.job_id).collect::<String>();
        assert_eq!(ids(&input), "abcd");
        assert_eq!(ids(&MatchInput { limit: Some(2), ..input.clone() }), "ab");
        assert_eq!(ids(&MatchInput { min_score: Some(0.5), ..input.clone() }), "abc");
        assert_eq!(find(&MatchInput { min_score: Some(1.0), ..input.clone() }).unwrap().total, 4);
        assert_eq!(find(&MatchInput { job_postings: None, ..input }), None);
    }

    #[test]
    fn years_are_those_of_the_jobs_when_nobody_names_them() {
        let worked = |start: &str, end: Option<&str>| talent_model::Experience {
            start_date: Some(start.to_owned()),
            end_date: end.map(str::to_owned),
            ..talent_model::Experience::default()
        };
        let profile = UserProfile {
            experience: vec![worked("2020-01", Some("2021-12")), worked("2022-01", None)],
            years_of_experience: None,
            ..profile()
        };
        assert_eq!(years(&profile, None), Some(2.0));
        assert_eq!(years(&profile, Some("2023-12-31")), Some(4.0));
        assert_eq!(years(&UserProfile::default(), None), None);
    }
}
