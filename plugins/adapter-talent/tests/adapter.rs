//! The adapter in front of a made-up service.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets a surprise should stop there")]

#[path = "../../testing/calls.rs"]
mod calls;

use adapter_talent::Talent;
use breakwater_guest::testing::{FakeHost, check_operations};
use breakwater_guest::{Adapter, Failure, Invocation, Method, Reply, Response};
use proptest::prelude::*;
use serde_json::{Value, json};

fn profile() -> Value {
    json!({ "userProfile": { "name": "Ana", "yearsOfExperience": 4, "skills": ["TypeScript"] } })
}

/// An input of each operation.
fn inputs() -> [(&'static str, Value); 3] {
    [
        ("generate-resume", profile()),
        ("find-matching-jobs", profile()),
        ("calculate-analytics", json!({ "applications": [{ "status": "applied", "appliedAt": "2026-11-01" }] })),
    ]
}

fn answered(operation: &str, input: Value, answer: Value) -> Result<Reply, Failure> {
    let host = FakeHost::new().answering(move |_| Ok(Response::of_json(&answer)));
    calls::invoke::<Talent>(&host, Invocation::new(operation, input))
}

fn nobody() -> FakeHost {
    FakeHost::new().answering(|_| Err(Failure::unavailable("upstream.connection", "the service cannot be reached")))
}

#[test]
fn the_operations_are_such_as_the_host_takes() {
    assert_eq!(check_operations(Talent::OPERATIONS), Ok(()));
    let names: Vec<_> = Talent::OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(names, ["generate-resume", "find-matching-jobs", "calculate-analytics"]);
}

#[test]
fn the_fixtures_of_the_manifest_are_answered_as_it_says() {
    calls::check_adapter::<Talent>(env!("CARGO_MANIFEST_DIR"));
}

#[test]
fn a_service_is_asked_with_the_names_it_knows() {
    let ask = |host: FakeHost| {
        let call = Invocation::new("generate-resume", profile());
        assert_eq!(calls::invoke::<Talent>(&host, call).unwrap_err().code, "upstream.connection");
        let sent = host.sent();
        assert_eq!((sent[0].upstream.as_str(), sent[0].request.method, sent[0].request.is_read), ("talent-service", Method::Post, true));
        sent[0].json()
    };
    let snake = json!({ "user_profile": { "name": "Ana", "years_of_experience": 4, "skills": ["TypeScript"] } });
    assert_eq!(ask(nobody()), snake);
    assert_eq!(ask(nobody().with_setting("wire_names", "camelCase")), profile());
    let wrong = nobody().with_setting("wire_names", "kebab-case");
    assert_eq!(calls::invoke::<Talent>(&wrong, Invocation::new("generate-resume", profile())).unwrap_err().code, "config.invalid");
}

#[test]
fn every_path_can_be_set() {
    for ((operation, input), setting) in
        inputs().into_iter().zip(["generate_resume_path", "find_matching_jobs_path", "calculate_analytics_path"])
    {
        let host = nobody().with_setting(setting, "/ai/{label:project_id}");
        let mut call = Invocation::new(operation, input.clone());
        call.context.labels.push(("project_id".to_owned(), "7".to_owned()));
        calls::invoke::<Talent>(&host, call).unwrap_err();
        assert_eq!(host.sent()[0].request.path, "/ai/7");
        let host = nobody();
        calls::invoke::<Talent>(&host, Invocation::new(operation, input)).unwrap_err();
        assert_eq!(host.sent()[0].request.path, format!("/{operation}"));
    }
}

#[test]
fn a_flag_that_is_off_is_obeyed_only_when_asked_to() {
    for ((operation, input), flag) in inputs().into_iter().zip(["ai-document-generation", "ai-job-matching", "ai-analytics"]) {
        let code = |host: &FakeHost| calls::invoke::<Talent>(host, Invocation::new(operation, input.clone())).unwrap_err().code;
        assert_eq!(code(&nobody()), "upstream.connection");
        let obedient = nobody().with_setting("obey_flags", "true");
        assert_eq!(code(&obedient), "talent.switched-off");
        assert!(obedient.sent().is_empty());
        assert_eq!(code(&obedient.with_flag(flag)), "upstream.connection");
    }
}

#[test]
fn answers_are_read_in_both_spellings_and_given_in_ours() {
    let one = json!({ "job_id": 17, "title": "Engineer", "score": 0.25, "matched_skills": ["Go"], "missing_skills": [] });
    let other = json!({ "jobId": "b", "score": 0.5, "matchedSkills": [], "missingSkills": ["Go"] });
    let output = answered("find-matching-jobs", profile(), json!({ "matches": [one, other], "total": 2, "extra": true })).unwrap().output;
    let expected = json!({
        "matches": [
            { "jobId": "b", "title": "", "score": 0.5, "matchedSkills": [], "missingSkills": ["Go"] },
            { "jobId": "17", "title": "Engineer", "score": 0.25, "matchedSkills": ["Go"], "missingSkills": [] }
        ],
        "total": 2
    });
    assert_eq!(output, expected);
}

#[test]
fn what_cannot_be_is_the_services_fault_and_is_named() {
    let rates =
        |rate: Value| json!({ "metrics": { "total": 1, "by_status": {}, "response_rate": rate, "interview_rate": 0, "offer_rate": 0 } });
    for (index, answer, names) in [
        (0, json!({}), "resume"),
        (0, json!({ "resume": { "name": "", "content": "x" } }), "/resume"),
        (0, json!({ "resume": { "name": "Ana", "content": "x" }, "confidence": 1.1 }), "/confidence"),
        (1, json!({ "matches": [{ "job_id": "a", "score": 2 }], "total": 1 }), "/matches/0/score"),
        (1, json!({ "matches": [{ "job_id": {}, "score": 1 }], "total": 1 }), "/matches/0/job_id"),
        (1, json!({ "matches": [], "total": -1 }), "/total"),
        (2, rates(json!(-0.5)), "/metrics/responseRate"),
        (2, rates(json!("most")), "/metrics/response_rate"),
    ] {
        let (operation, input) = inputs()[index].clone();
        let failure = answered(operation, input, answer.clone()).unwrap_err();
        assert_eq!(failure.code, "upstream.response-invalid", "{answer}");
        assert!(failure.message.contains(names), "{answer}: {}", failure.message);
    }
}

const NAMES: &[&str] =
    &["resume", "name", "content", "matches", "job_id", "score", "total", "metrics", "by_status", "response_rate", "model"];

/// Any JSON, often with the names that the service uses.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3000).prop_map(Value::from),
        (-0.5_f64..2.0).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop::sample::select(NAMES).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6).prop_map(|members| json!(members)),
        ]
    })
}

/// A usable answer of each operation.
fn answers() -> [Value; 3] {
    [
        json!({ "resume": { "name": "Ana", "title": "x", "skills": [], "experience": [{ "title": "x" }], "sections": [], "content": "# Ana" }, "model": "m" }),
        json!({ "matches": [{ "job_id": "a", "score": 1, "reasons": [{ "factor": "x", "weight": 1, "score": 0, "text": "" }] }], "total": 1 }),
        json!({ "metrics": { "total": 1, "by_status": { "a": 1 }, "response_rate": 1, "interview_rate": 0, "offer_rate": 0.5 }, "forecast": 1 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// `answered` checks the output against the schema: whatever the service says, the guest is not to blame.
    #[test]
    fn whatever_the_service_says_fits_the_schema_or_is_its_fault(odd in any_json(), place in 0..40_usize, which in 0..3_usize) {
        let (operation, input) = inputs()[which].clone();
        let whole = &answers()[which];
        prop_assert!(answered(operation, input.clone(), whole.clone()).is_ok());
        // One of its values is another.
        let mut pointers = Vec::new();
        collect(whole, String::new(), &mut pointers);
        let mut answer = whole.clone();
        *answer.pointer_mut(&pointers[place % pointers.len()]).unwrap() = odd.clone();
        for answer in [answer, odd] {
            if let Err(failure) = answered(operation, input.clone(), answer) {
                prop_assert_eq!(failure.code, "upstream.response-invalid");
            }
        }
    }
}

fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| collect(value, format!("{at}/{name}"), pointers)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| collect(value, format!("{at}/{index}"), pointers)),
        _ => {}
    }
    pointers.push(at);
}
