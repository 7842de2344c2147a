//! Which skills a job asks for and a person has.

use std::collections::BTreeSet;

use talent_model::JobPosting;

/// The same for two ways to write a skill: lower case, single spaces.
pub(crate) fn key(skill: &str) -> String {
    skill.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// What a job asks for, held against what a person names.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    /// Asked for and there, required ones first; as the job writes them.
    pub(crate) matched: Vec<String>,
    /// Required and not there.
    pub(crate) missing: Vec<String>,
    /// How many are required, and how many of them are there.
    pub(crate) required: (usize, usize),
    /// How many are preferred, and how many of them are there.
    pub(crate) preferred: (usize, usize),
}

impl Overlap {
    pub(crate) fn of(own: &[String], job: &JobPosting) -> Self {
        let own: BTreeSet<String> = own.iter().map(|skill| key(skill)).collect();
        let mut overlap = Self::default();
        let mut seen = BTreeSet::new();
        for (skills, is_required) in [(&job.required_skills, true), (&job.preferred_skills, false)] {
            for skill in skills {
                let key = key(skill);
                if key.is_empty() || !seen.insert(key.clone()) {
                    continue;
                }
                let has = own.contains(&key);
                let (wanted, there) = if is_required { &mut overlap.required } else { &mut overlap.preferred };
                *wanted += 1;
                *there += usize::from(has);
                match (has, is_required) {
                    (true, _) => overlap.matched.push(skill.clone()),
                    (false, true) => overlap.missing.push(skill.clone()),
                    (false, false) => {}
                }
            }
        }
        overlap
    }

    /// Share of what is asked for that is there; a preferred skill counts half a required one. Nothing when no skill is asked for.
    pub(crate) fn share(&self) -> Option<f64> {
        let weigh = |required: usize, preferred: usize| required as f64 + 0.5 * preferred as f64;
        let wanted = weigh(self.required.0, self.preferred.0);
        (wanted > 0.0).then(|| weigh(self.required.1, self.preferred.1) / wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn overlap(own: &str, required: &str, preferred: &str) -> Overlap {
        let job = JobPosting { required_skills: words(required), preferred_skills: words(preferred), ..JobPosting::default() };
        Overlap::of(&words(own), &job)
    }

    #[test]
    fn a_preferred_skill_counts_half_a_required_one() {
        assert_eq!(overlap("Rust,SQL", "rust,Go", "sql, SQL ").share(), Some(1.5 / 2.5));
        assert_eq!(overlap("", "Rust", "").share(), Some(0.0));
        assert_eq!(overlap("Rust", "", "").share(), None);
    }

    #[test]
    fn skills_are_named_as_the_job_does() {
        let overlap = overlap("machine  learning,rust", "Rust,Go,Rust", "Machine Learning,Excel");
        assert_eq!((overlap.matched, overlap.missing), (words("Rust,Machine Learning"), words("Go")));
    }
}
