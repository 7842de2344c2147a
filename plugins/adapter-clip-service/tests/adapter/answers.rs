//! What the adapter makes of the service's JSON.

use breakwater_guest::testing::FakeHost;
use breakwater_guest::{Reply, Response};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{answered, call, calls};

const SINGLE: &str = "extract-features";
const BATCH: &str = "extract-features-batch";

fn features(reply: Reply) -> Value {
    assert_eq!((&reply.output["dimension"], &reply.output["normalized"]), (&json!(4), &json!(true)));
    assert_eq!(reply.output["model"], json!("clip-vit-base-patch32"));
    reply.output["embedding"].clone()
}

#[test]
fn features_are_read_by_the_names_in_use_and_brought_to_length_one() {
    for answer in [
        json!({ "embedding": [3, 0, 4, 0], "dimension": 4 }),
        json!({ "features": [3, 0, 4, 0], "dim": 4, "success": true, "model": "ViT-B/32", "processing_time": 0.1 }),
        json!({ "feature_vector": [[0.3, 0, 0.4, 0]], "success": true, "model_name": "openai/clip-vit-base-patch32" }),
        json!({ "embedding": [3e200, 0, 4e200, 0] }),
    ] {
        assert_eq!(features(answered(SINGLE, 1, answer).unwrap()), json!([0.6, 0.0, 0.8, 0.0]));
    }
}

#[test]
fn what_are_no_features_of_the_model_is_the_services_fault_and_is_named() {
    for (answer, names) in [
        (json!("none"), "invalid type"),
        (json!({}), "/embedding"),
        (json!({ "error": "out of memory" }), "/embedding"),
        (json!({ "embedding": [1, 2, 3, 4], "success": false }), "/success"),
        (json!({ "embedding": [1, 2, 3] }), "3 numbers instead of 4"),
        (json!({ "embedding": [1, 2, 3, 4, 5] }), "5 numbers instead of 4"),
        (json!({ "embedding": [[1, 2, 3, 4], [1, 2, 3, 4]] }), "embedding"),
        (json!({ "embedding": [1, 2, "three", 4] }), "embedding"),
        (json!({ "embedding": [1, 2, null, 4] }), "embedding"),
        (json!({ "embedding": [1, 2, 3, 4], "dimension": 512 }), "/dimension"),
        (json!({ "embedding": [0, 0, 0, 0] }), "all zero"),
    ] {
        let failure = answered(SINGLE, 1, answer.clone()).unwrap_err();
        assert_eq!(failure.code, "upstream.response-invalid", "{answer}");
        assert!(failure.message.contains(names), "{answer}: {}", failure.message);
    }
    for text in [r#"{"embedding": [1e999, 1]}"#, r#"{"embedding": [NaN, 1]}"#] {
        let text = text.as_bytes().to_vec();
        let host =
            FakeHost::new().with_setting("dimension", "2").answering(move |_| Ok(Response::of_bytes("application/json", text.clone())));
        assert_eq!(
            calls::invoke::<adapter_clip_service::ClipService>(&host, call(SINGLE, 1)).unwrap_err().code,
            "upstream.response-invalid"
        );
    }
}

#[test]
fn another_model_behind_the_address_is_refused_where_the_operator_named_one() {
    let said = |model: Value| {
        let answer = json!({ "embedding": [1, 0], "model": model });
        let host = FakeHost::new().with_setting("dimension", "2").with_setting("service_model", "openai/clip-vit-base-patch32");
        let host = host.answering(move |_| Ok(Response::of_json(&answer)));
        calls::invoke::<adapter_clip_service::ClipService>(&host, call(SINGLE, 1)).map(|_| ()).map_err(|failure| failure.message)
    };
    assert!(said(json!("openai/clip-vit-base-patch32")).is_ok() && said(json!(null)).is_ok());
    let message = said(json!("openai/clip-vit-large-patch14")).unwrap_err();
    assert!(message.contains("openai/clip-vit-large-patch14"), "{message}");
}

#[test]
fn a_batch_says_what_became_of_each_picture() {
    let answer = json!({ "results": [
        { "index": 1, "success": false, "error": "cannot open /srv/2.jpeg" },
        { "index": 0, "filename": "1.jpeg", "success": true, "features": [0, 2, 0, 0] },
        { "index": 2, "success": false, "error": { "code": "TOO_LARGE" } },
    ] });
    let output = answered(BATCH, 3, answer).unwrap().output;
    let error = |code: &str| json!({ "error_code": code, "message": "the service could not read this picture" });
    let expected = json!({
        "results": [
            { "success": true, "embedding": [0.0, 1.0, 0.0, 0.0] },
            { "success": false, "error": error("UNKNOWN") },
            { "success": false, "error": error("TOO_LARGE") },
        ],
        "total": 3, "succeeded": 1, "failed": 2, "model": "clip-vit-base-patch32", "dimension": 4, "normalized": true,
    });
    assert_eq!(output, expected);
}

#[test]
fn a_batch_of_numbers_alone_is_read_too() {
    for name in ["embeddings", "features"] {
        let output = answered(BATCH, 2, json!({ name: [[1, 0, 0, 0], null] })).unwrap().output;
        assert_eq!(output["results"][0]["embedding"], json!([1.0, 0.0, 0.0, 0.0]));
        assert_eq!((&output["results"][1]["success"], &output["failed"]), (&json!(false), &json!(1)));
    }
}

#[test]
fn a_batch_that_cannot_be_is_the_services_fault() {
    let one = |index: Value| json!({ "index": index, "embedding": [1, 0, 0, 0] });
    for (answer, names) in [
        (json!({}), "neither results nor embeddings"),
        (json!({ "results": [one(json!(0))] }), "1 of them for 2"),
        (json!({ "embeddings": [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]] }), "3 of them for 2"),
        (json!({ "results": [one(json!(0)), one(json!(0))] }), "indices"),
        (json!({ "results": [one(json!(1)), one(json!(2))] }), "indices"),
        (json!({ "results": [one(json!(0)), one(json!(null))] }), "indices"),
        (json!({ "embeddings": [[1, 0, 0, 0], [1, 0, 0]] }), "/results/1/embedding: 3 numbers"),
        (json!({ "embeddings": [[0, 0, 0, 0], [1, 0, 0, 0]] }), "/results/0/embedding"),
    ] {
        let failure = answered(BATCH, 2, answer.clone()).unwrap_err();
        assert_eq!(failure.code, "upstream.response-invalid", "{answer}");
        assert!(failure.message.contains(names), "{answer}: {}", failure.message);
    }
}

/// Any JSON, often with the names that services use.
fn any_json() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &["embedding", "features", "dimension", "success", "model", "results", "embeddings", "index", "error", "code"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..6).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop::sample::select(NAMES).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6).prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// `answered` checks the output against the schema: whatever the service says, the guest is not to blame.
    #[test]
    fn whatever_the_service_says_fits_the_schema_or_is_its_fault(
        numbers in prop::collection::vec(any::<f64>(), 4),
        odd in any_json(),
        place in prop::sample::select(["embedding", "dimension", "success", "model", "index", "results"].as_slice()),
    ) {
        let mut found = json!({ "embedding": numbers, "dimension": 4 });
        for answer in [odd.clone(), found.clone(), { found[place] = odd; found }] {
            for (operation, answer) in [(SINGLE, answer.clone()), (BATCH, answer.clone()), (BATCH, json!({ "results": [answer] }))] {
                if let Err(failure) = answered(operation, 1, answer) {
                    prop_assert_eq!(failure.code, "upstream.response-invalid");
                }
            }
        }
    }
}
