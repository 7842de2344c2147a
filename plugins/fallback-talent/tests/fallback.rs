//! What is answered without the AI service.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets a surprise should stop there")]

#[path = "../../testing/calls.rs"]
mod calls;

use breakwater_guest::testing::{FakeHost, check_levels};
use breakwater_guest::{Failure, Fallback, Invocation};
use fallback_talent::Talent;
use proptest::prelude::*;
use serde_json::{Value, json};
use talent_model::schemas;

fn degraded(operation: &str, input: Value) -> Option<Value> {
    let level = Talent::LEVELS.iter().find(|level| level.operation == operation).unwrap().name;
    let down = Failure::unavailable("upstream.connection", "the service cannot be reached");
    Talent::degrade(&FakeHost::new(), Invocation::new(operation, input), level, &down).unwrap().map(|reply| reply.output)
}

#[test]
fn the_levels_are_such_as_the_host_takes() {
    assert_eq!(check_levels(Talent::LEVELS), Ok(()));
    let levels: Vec<_> = Talent::LEVELS.iter().map(|level| (level.operation, level.name)).collect();
    let expected =
        [("generate-resume", "basic-template"), ("find-matching-jobs", "rule-based"), ("calculate-analytics", "basic-analytics")];
    assert_eq!(levels, expected);
}

#[test]
fn the_fixtures_of_the_manifest_are_answered_as_it_says() {
    calls::check_fallback::<Talent>(env!("CARGO_MANIFEST_DIR"), schemas::output_of);
}

#[test]
fn among_jobs_that_only_the_service_knows_nothing_is_found() {
    assert_eq!(degraded("find-matching-jobs", json!({ "userProfile": { "name": "Ana" } })), None);
    let none = json!({ "userProfile": { "name": "Ana" }, "jobPostings": [] });
    assert_eq!(degraded("find-matching-jobs", none), Some(json!({ "matches": [], "total": 0 })));
}

fn text() -> impl Strategy<Value = Value> {
    "[ -~äß\n]{0,20}".prop_map(Value::from)
}

fn date() -> impl Strategy<Value = Value> {
    prop_oneof!["[0-9]{4}", "[0-9]{4}-[01][0-9]", "[0-9]{4}-[01][0-9]-[0-3][0-9]"].prop_map(Value::from)
}

fn skills() -> impl Strategy<Value = Value> {
    prop::collection::vec("[A-C ]{1,3}", 0..6).prop_map(Value::from)
}

fn profile() -> impl Strategy<Value = Value> {
    let job = (text(), date(), prop::option::of(date()), text())
        .prop_map(|(title, start, end, about)| json!({ "title": title, "startDate": start, "endDate": end, "description": about }));
    let optional = (prop::option::of(0.0_f64..60.0), prop::option::of(0.0_f64..3e5), prop::option::of(text()));
    (text(), skills(), prop::collection::vec(job, 0..5), optional, any::<bool>()).prop_map(
        |(name, skills, jobs, (years, wage, place), moves)| {
            let mut profile = json!({ "name": format!("Ana {name}"), "skills": skills, "experience": jobs, "willingToRelocate": moves });
            let optional = [("yearsOfExperience", years.map(Value::from)), ("salaryMin", wage.map(Value::from)), ("location", place)];
            for (key, value) in optional {
                if let Some(value) = value {
                    profile[key] = value;
                }
            }
            profile
        },
    )
}

fn posting() -> impl Strategy<Value = Value> {
    let numbers = (prop::option::of(0.0_f64..60.0), prop::option::of(0.0_f64..3e5), prop::option::of(text()));
    ("[a-z]{1,3}", text(), skills(), skills(), numbers, any::<bool>()).prop_map(
        |(id, title, required, preferred, (years, wage, place), remote)| {
            let mut job = json!({ "id": id, "title": title, "requiredSkills": required, "preferredSkills": preferred, "remote": remote });
            let optional = [("minYearsOfExperience", years.map(Value::from)), ("salaryMax", wage.map(Value::from)), ("location", place)];
            for (key, value) in optional {
                if let Some(value) = value {
                    job[key] = value;
                }
            }
            job
        },
    )
}

fn application() -> impl Strategy<Value = Value> {
    let status = prop::sample::select(["applied", "Interview", "offer", "accepted", "rejected", "else"].as_slice());
    (status, prop::option::of("[0-9]{4}-[01][0-9]-[0-3][0-9]"), prop::option::of("[0-9]{4}-[01][0-9]-[0-3][0-9]"), text()).prop_map(
        |(status, applied, responded, source)| {
            let mut application = json!({ "status": status, "source": source });
            for (key, value) in [("appliedAt", applied), ("respondedAt", responded)] {
                if let Some(value) = value {
                    application[key] = value.into();
                }
            }
            application
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_fits_the_input_is_answered_within_the_schema_and_the_same_twice(
        profile in profile(),
        jobs in prop::collection::vec(posting(), 0..8),
        applications in prop::collection::vec(application(), 0..20),
        limit in 1_u32..=100,
    ) {
        let mut resume = json!({ "userProfile": profile, "asOf": "2026-11-22" });
        if let Some(job) = jobs.first() {
            resume["jobPosting"] = job.clone();
        }
        let matching = json!({ "userProfile": profile, "jobPostings": jobs, "limit": limit });
        let analytics = json!({ "applications": applications });
        for (operation, schema, input) in [
            ("generate-resume", schemas::RESUME_INPUT, resume),
            ("find-matching-jobs", schemas::MATCHING_INPUT, matching),
            ("calculate-analytics", schemas::ANALYTICS_INPUT, analytics),
        ] {
            calls::assert_fits(schema, &input);
            let output = degraded(operation, input.clone());
            calls::assert_fits(schemas::output_of(operation), output.as_ref().unwrap());
            prop_assert_eq!(degraded(operation, input), output);
        }
    }
}
