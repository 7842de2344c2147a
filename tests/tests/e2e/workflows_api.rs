//! Services, workflows and executions over HTTP.

use std::time::Duration;

use breakwater_tests::upstream::{Behaviour, FakeUpstream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{assert_problem, eventually, ok};
use crate::workflow_bed::{Bed, any_action, effects};

/// Long enough to cancel an execution meanwhile, also on a busy machine.
const LATE: Duration = Duration::from_secs(4);

fn extract() -> Value {
    json!([{
        "name": "extract",
        "input_schema": { "type": "object", "properties": { "document_url": { "type": "string", "format": "uri" } }, "required": ["document_url"] },
        "output_schema": { "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"] }
    }])
}

fn analyze() -> Value {
    json!([{
        "name": "analyze",
        "input_schema": { "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"] },
        "output_schema": { "type": "object", "properties": { "sentiment": { "type": "string" }, "score": { "type": "number" } }, "required": ["sentiment", "score"] }
    }])
}

fn document_sentiment() -> Value {
    json!({
        "name": "document-sentiment",
        "description": "Extract text from a document and analyze sentiment",
        "steps": [
            { "id": "extract-text", "service": "text-extraction", "action": "extract", "next": "analyze-sentiment" },
            { "id": "analyze-sentiment", "service": "sentiment-analysis", "action": "analyze", "next": null }
        ],
        "metadata": { "version": "1.0.0", "author": "somebody" }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_and_a_workflow_give_the_result_at_the_top_level() {
    let text = FakeUpstream::start(r#"{"text":"a fine day"}"#).await.unwrap();
    let mood = FakeUpstream::start(r#"{"sentiment":"positive","score":0.8}"#).await.unwrap();
    let bed = Bed::new();
    bed.register("text-extraction", &text.base(), extract()).await;
    bed.register("sentiment-analysis", &mood.base(), analyze()).await;
    let workflow = bed.create(&document_sentiment()).await;
    assert_eq!((&workflow["status"], &workflow["version"], &workflow["warnings"]), (&json!("ACTIVE"), &json!(1), &json!([])), "{workflow}");
    assert_eq!(workflow["metadata"], json!({ "version": "1.0.0", "author": "somebody" }));

    let body = json!({ "input_data": { "document_url": "https://example.com/document.pdf" }, "context": { "project_id": "456", "request_id": "req-123" } });
    let answer = bed.execute(workflow["id"].as_str().unwrap(), &body).await;
    assert_eq!(ok(&answer), json!({ "sentiment": "positive", "score": 0.8 }));
    let execution = bed.execution(answer.header("x-execution-id")).await;
    assert_eq!((&execution["status"], &execution["context"]["project_id"]), (&json!("COMPLETED"), &json!("456")));
    let seen = mood.seen().into_iter().find(|request| request.starts_with("POST /analyze")).unwrap();
    assert!(seen.contains(r#"{"text":"a fine day"}"#) && seen.contains("x-correlation-id: req-123"), "{seen}");
    let history = ok(&bed.client.get(&format!("/api/executions/{}/history", execution["id"].as_str().unwrap())).await.unwrap());
    let kinds: Vec<&str> = history["items"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds, &history["total"]), (vec!["started", "completed", "started", "completed"], &json!(4)));

    let pages = ok(&bed.client.get("/api/executions?status=COMPLETED&page=2&per_page=10").await.unwrap());
    assert_eq!(pages, json!({ "items": [], "total": 1, "page": 2, "per_page": 10 }));
    let result = ok(&bed.client.get(&format!("/api/executions/{}/result", execution["id"].as_str().unwrap())).await.unwrap());
    assert_eq!(result["sentiment"], "positive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_may_be_written_before_its_services_but_not_executed() {
    let bed = Bed::new();
    let workflow = bed.create(&document_sentiment()).await;
    assert_eq!(workflow["warnings"].as_array().unwrap().len(), 2, "{workflow}");
    assert_problem(&bed.execute("document-sentiment", &json!({})).await, 409, "workflow.not-executable");
    let strict =
        bed.client.post("/api/workflows?strict=true", &json!({ "name": "other", "steps": document_sentiment()["steps"] })).await.unwrap();
    assert_problem(&strict, 400, "workflow.invalid");
    assert_problem(&bed.client.post("/api/workflows", &document_sentiment()).await.unwrap(), 409, "workflow.name-taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_a_definition_is_told_with_its_place() {
    let bed = Bed::new();
    let definition = json!({ "name": "w", "steps": [
        { "id": "a", "operation": "detect-objects", "next": "nowhere" },
        { "id": "a", "operation": "detect-objects", "input": "steps.", "next": null },
        { "id": "lost", "service": "x", "next": null },
    ] });
    let answer = bed.client.post("/api/workflows", &definition).await.unwrap();
    assert_problem(&answer, 400, "workflow.invalid");
    let violations = answer.json().unwrap()["violations"].clone();
    let pointers: Vec<&str> = violations.as_array().unwrap().iter().map(|violation| violation["pointer"].as_str().unwrap()).collect();
    for pointer in ["/steps/0/next", "/steps/1/id", "/steps/1/input"] {
        assert!(pointers.contains(&pointer), "{pointer} in {violations}");
    }
    for cyclic in [
        json!([{ "id": "a", "operation": "detect-objects", "next": "b" }, { "id": "b", "operation": "detect-objects", "next": "a" }]),
        json!([{ "id": "a", "operation": "detect-objects", "next": "a" }]),
        json!([]),
    ] {
        assert_problem(
            &bed.client.post("/api/workflows", &json!({ "name": "w", "steps": cyclic })).await.unwrap(),
            400,
            "workflow.invalid",
        );
    }
    let large = json!({ "name": "w", "steps": [], "metadata": { "x": "y".repeat(2 << 20) } });
    assert_problem(&bed.client.post("/api/workflows", &large).await.unwrap(), 413, "http.body-too-large");
    let slip = bed.client.post("/api/workflows", &json!({ "name": "w", "stepz": [] })).await.unwrap();
    assert_problem(&slip, 400, "workflow.invalid");
    assert!(slip.json().unwrap()["violations"].to_string().contains("steps"), "{}", slip.beginning());
    assert_eq!(ok(&bed.client.get("/api/workflows").await.unwrap())["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_workflow_is_a_new_version_and_an_inactive_one_does_not_start() {
    let bed = Bed::new();
    let steps = json!([{ "id": "nap", "type": "timer", "wait_ms": 1, "next": null }]);
    let id = bed.create(&json!({ "name": "w", "steps": steps })).await["id"].as_str().unwrap().to_owned();
    let put = async |body: Value| {
        let request = bed.client.request(Method::PUT, &format!("/api/workflows/{id}")).json(&body);
        bed.client.send(request).await.unwrap()
    };
    let changed = ok(&put(json!({ "name": "w2", "description": "better", "status": "ACTIVE" })).await);
    assert_eq!((&changed["version"], &changed["name"], &changed["steps"]), (&json!(2), &json!("w2"), &json!(steps)));
    let first = ok(&bed.client.get(&format!("/api/workflows/{id}?version=1")).await.unwrap());
    assert_eq!((&first["version"], &first["name"]), (&json!(1), &json!("w")));
    assert_eq!(ok(&bed.execute("w2", &json!({ "input_data": 7 })).await), json!(7));
    ok(&put(json!({ "status": "INACTIVE" })).await);
    assert_problem(&bed.execute(&id, &json!({})).await, 409, "workflow.inactive");
    assert_eq!(ok(&bed.client.get("/api/workflows?status=ACTIVE").await.unwrap())["total"], 0);
    assert_problem(&put(json!({ "status": "asleep" })).await, 400, "request.field-invalid");
    let gone = bed.client.send(bed.client.request(Method::DELETE, &format!("/api/workflows/{id}"))).await.unwrap();
    assert_eq!(ok(&gone), json!({ "id": id, "deleted": true }));
    assert_problem(&bed.client.get(&format!("/api/workflows/{id}")).await.unwrap(), 404, "workflow.unknown");
    let executions = ok(&bed.client.get("/api/executions").await.unwrap());
    assert_eq!((&executions["total"], &executions["items"][0]["workflow_version"]), (&json!(1), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_execution_whatever_comes_first() {
    let sink = FakeUpstream::start(r#"{"done":true}"#).await.unwrap();
    let bed = Bed::new();
    bed.register("sink", &sink.base(), json!([any_action("commit")])).await;
    bed.create(&json!({ "name": "w", "steps": [{ "id": "one", "service": "sink", "action": "commit", "next": null }] })).await;
    let keyed = |n: u32| json!({ "input_data": { "n": n }, "idempotency_key": "k-1" });
    let (body, client) = (keyed(1), &bed);
    let (one, two) = tokio::join!(client.execute("w", &body), client.execute("w", &body));
    assert_eq!((ok(&one), ok(&two)), (json!({ "done": true }), json!({ "done": true })));
    assert_eq!(one.header("x-execution-id"), two.header("x-execution-id"));
    assert_eq!(effects(&sink).into_values().collect::<Vec<_>>(), [1]);
    let other = bed.execute("w", &keyed(2)).await;
    assert_problem(&other, 409, "execution.key-reused");
    assert_eq!(other.json().unwrap()["details"]["execution_id"], one.header("x-execution-id"));
    // What a form of a web page could send starts nothing.
    for path in ["/api/workflows/w/execute", "/api/executions/none/signals/go", "/v1/batches"] {
        let form = bed.client.request(Method::POST, path).header("content-type", "text/plain").body("{}");
        assert_problem(&bed.client.send(form).await.unwrap(), 415, "http.unsupported-media-type");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_is_named_and_can_be_retried_once_its_service_is_back() {
    let sink = FakeUpstream::start(r#"{"done":true}"#).await.unwrap();
    let bed = Bed::new();
    bed.register("sink", &sink.base(), json!([any_action("commit")])).await;
    let retry = json!({ "max_retries": 1, "base_ms": 10 });
    bed.create(&json!({ "name": "w", "steps": [{ "id": "one", "service": "sink", "action": "commit", "retry": retry, "next": null }] }))
        .await;
    sink.behave(Behaviour::Status(500), 100);
    let failed = bed.execute("w", &json!({ "input_data": {} })).await;
    assert_eq!(failed.code(), "workflow.max-retries-exceeded", "{}", failed.beginning());
    let details = failed.json().unwrap()["details"].clone();
    assert_eq!((&details["step"], &details["attempts"]), (&json!("one"), &json!(2)), "{details}");
    let id = details["execution_id"].as_str().unwrap().to_owned();
    assert_eq!(failed.header("x-execution-id"), id);
    assert_eq!(bed.execution(&id).await["status"], "FAILED");
    let by_name = ok(&bed.client.get("/api/executions?workflow_id=w&status=FAILED").await.unwrap());
    assert_eq!((&by_name["total"], &by_name["items"][0]["id"]), (&json!(1), &json!(id)));
    assert_problem(&bed.order(&id, "resume").await, 409, "execution.state");
    sink.behave(Behaviour::Answers, 100);
    // Its breaker may have opened meanwhile.
    eventually("the retry works", async || {
        bed.order(&id, "retry").await;
        let status = bed.execution(&id).await["status"].clone();
        (status == "COMPLETED").then_some(())
    })
    .await;
    assert_eq!(effects(&sink).len(), 1, "one effect, however often it was tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_after_the_end_changes_nothing() {
    let slow = FakeUpstream::start(r#"{"done":true}"#).await.unwrap();
    slow.behave(Behaviour::AnswersAfter(LATE), 100);
    let bed = Bed::new();
    bed.register("slow", &slow.base(), json!([any_action("work")])).await;
    bed.create(&json!({ "name": "w", "steps": [{ "id": "one", "service": "slow", "action": "work", "next": "two" }, { "id": "two", "service": "slow", "action": "work", "next": null }] })).await;
    let id = bed.begin("w", json!({})).await;
    eventually("the step is under way", async || (!effects(&slow).is_empty()).then_some(())).await;
    assert_eq!(bed.execution(&id).await["current_steps"], json!(["one"]));
    let not_yet = bed.client.get(&format!("/api/executions/{id}/result")).await.unwrap();
    assert_problem(&not_yet, 409, "execution.not-finished");
    assert_eq!(ok(&bed.order(&id, "cancel").await)["status"], "CANCELLED");
    tokio::time::sleep(LATE).await;
    let execution = bed.execution(&id).await;
    assert_eq!((&execution["status"], &execution["output"], effects(&slow).len()), (&json!("CANCELLED"), &Value::Null, 1));
    assert_problem(&bed.client.get(&format!("/api/executions/{id}/result")).await.unwrap(), 409, "execution.cancelled");
    assert_problem(&bed.order("no-such", "cancel").await, 404, "execution.unknown");
}
