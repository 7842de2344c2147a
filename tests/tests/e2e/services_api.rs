//! Services that somebody defines with their actions: defined, changed, called, watched and gone, over HTTP, with a service in Python.

use breakwater_tests::client::{Answer, Client};
use breakwater_tests::external::ExternalService;
use breakwater_tests::service::Launch;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{assert_problem, eventually, ok, start, text_service};

/// The text extraction of the guide, as a read, so that nothing is in doubt when it fails.
fn extraction(endpoint: &str) -> Value {
    json!({
        "name": "text-extraction",
        "description": "Extract text from documents",
        "endpoint": format!("{endpoint}/api"),
        "actions": [{
            "name": "extract",
            "description": "Extract text from a document",
            "effect": "read",
            "input_schema": {
                "type": "object",
                "properties": { "document_url": { "type": "string", "format": "uri" }, "language": { "type": "string" } },
                "required": ["document_url"],
            },
            "output_schema": {
                "type": "object",
                "properties": { "text": { "type": "string" }, "metadata": { "type": "object" } },
                "required": ["text"],
            },
        }],
        "metadata": { "version": "1.0.0", "provider": { "team": "Berry" } },
    })
}

fn sentiment(endpoint: &str, action: &Value) -> Value {
    json!({ "name": "sentiment-analysis", "endpoint": endpoint, "actions": [action] })
}

const DOCUMENT: &str = "https://example.com/great-news.pdf";

async fn define(client: &Client, service: &Value) -> Value {
    let answer = client.post("/api/services", service).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.beginning());
    let made = answer.json().unwrap();
    assert_eq!(answer.header("location"), format!("/api/services/{}", made["id"].as_str().unwrap()));
    made
}

async fn send(client: &Client, method: Method, path: &str, body: &Value) -> Answer {
    client.send(client.request(method, path).json(body)).await.unwrap()
}

async fn execute(client: &Client, service: &str, action: &str, body: &Value) -> Answer {
    client.post(&format!("/api/services/{service}/actions/{action}/execute"), body).await.unwrap()
}

async fn switch(remote: &ExternalService, behaviour: &Value) {
    assert_eq!(Client::new(remote.base()).post("/_control", behaviour).await.unwrap().status, 200);
}

async fn effects(remote: &ExternalService) -> Value {
    ok(&Client::new(remote.base()).get("/_effects").await.unwrap())
}

fn pointers(answer: &Answer) -> Vec<String> {
    let problem = answer.json().unwrap();
    problem["violations"].as_array().unwrap().iter().map(|violation| violation["pointer"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_service_is_defined_changed_found_and_removed() {
    let (_service, client) = start(Launch::without_plugins());
    let made = define(&client, &extraction("http://127.0.0.1:9")).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!((&made["status"], &made["version"], &made["metadata"]["provider"]["team"]), (&json!("ACTIVE"), &json!(1), &json!("Berry")));
    assert_eq!((&made["actions"][0]["effect"], &made["actions"][0]["idempotent"]), (&json!("read"), &json!(false)));
    for path in [format!("/api/services/{id}"), "/api/services/text-extraction".to_owned()] {
        assert_eq!(ok(&client.get(&path).await.unwrap()), made);
    }
    assert_problem(&client.post("/api/services", &extraction("http://a")).await.unwrap(), 409, "service.name-taken");

    let put = json!({ "name": "text-extraction-v2", "description": "Improved", "endpoint": "http://127.0.0.1:9/v2", "status": "INACTIVE" });
    let changed = ok(&send(&client, Method::PUT, &format!("/api/services/{id}"), &put).await);
    assert_eq!((&changed["version"], &changed["actions"], &changed["name"]), (&json!(2), &made["actions"], &put["name"]));
    let stale = json!({ "description": "x", "version": 1 });
    assert_problem(&send(&client, Method::PATCH, &format!("/api/services/{id}"), &stale).await, 409, "service.conflict");
    let patched = ok(&send(&client, Method::PATCH, "/api/services/text-extraction-v2", &json!({ "status": "ACTIVE", "version": 2 })).await);
    assert_eq!((&patched["version"], &patched["description"]), (&json!(3), &json!("Improved")));

    let gone = ok(&client.send(client.request(Method::DELETE, &format!("/api/services/{id}"))).await.unwrap());
    assert_eq!(gone, json!({ "id": id, "deleted": true }));
    let unknown = client.get(&format!("/api/services/{id}")).await.unwrap();
    assert_problem(&unknown, 404, "service.unknown");
    assert_eq!(unknown.json().unwrap()["details"], json!({ "resource_type": "service", "resource_id": id }));
}

#[tokio::test]
async fn a_key_is_one_service_and_one_workflow() {
    let (_service, client) = start(Launch::without_plugins());
    let steps = json!([{ "id": "nap", "type": "timer", "wait_ms": 1, "next": null }]);
    let workflow = json!({ "name": "text", "steps": steps });
    for (path, code, body) in
        [("/api/services", "service.name-taken", extraction("http://127.0.0.1:9")), ("/api/workflows", "workflow.name-taken", workflow)]
    {
        let create = async |key: &str, body: &Value| {
            client.send(client.request(Method::POST, path).header("idempotency-key", key).json(body)).await.unwrap()
        };
        let (first, again) = (create("k", &body).await, create("k", &body).await);
        assert_eq!((first.status, again.status), (201, 201), "{}", again.beginning());
        assert_eq!(first.json().unwrap(), again.json().unwrap(), "whoever was not answered may ask again");
        assert_eq!(first.header("location"), again.header("location"));
        assert_problem(&create("other", &body).await, 409, code);
        let mut changed = body.clone();
        changed["description"] = json!("Another");
        assert_problem(&create("k", &changed).await, 409, code);
        assert_problem(&client.post(path, &body).await.unwrap(), 409, code);
        assert_problem(&create(&"k".repeat(256), &body).await, 400, "request.header-invalid");
    }
}

#[tokio::test]
async fn services_are_listed_a_page_at_a_time_and_by_status() {
    let (_service, client) = start(Launch::without_plugins());
    for index in 0..5 {
        let status = if index % 2 == 0 { "ACTIVE" } else { "ARCHIVED" };
        define(&client, &json!({ "name": format!("s{index}"), "endpoint": "http://127.0.0.1:9", "status": status })).await;
    }
    let names = async |query: &str| {
        let page = ok(&client.get(&format!("/api/services?{query}")).await.unwrap());
        let names: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), page["total"].as_u64().unwrap())
    };
    assert_eq!(names("per_page=2").await, ("s0 s1".into(), 5), "the oldest first");
    assert_eq!(names("page=3&per_page=2").await, ("s4".into(), 5));
    assert_eq!(names("page=4&per_page=2").await, (String::new(), 5), "empty past the end");
    assert_eq!(names("status=ARCHIVED").await, ("s1 s3".into(), 2));
    assert_problem(&client.get("/api/services?status=archived").await.unwrap(), 400, "request.field-invalid");
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_definition_is_told_at_once() {
    let (_service, client) = start(Launch::without_plugins());
    let wrong = json!({
        "name": "Text Extraction",
        "endpoint": "localhost:8000",
        "actions": [
            { "name": "extract/it", "input_schema": { "properties": { "x": { "type": "strnig" } } } },
            { "name": "b", "output_schema": { "pattern": "(" }, "timeout_ms": 0 },
            { "name": "b", "input_schema": { "$ref": "#/$defs/nowhere" } },
        ],
    });
    let answer = client.post("/api/services", &wrong).await.unwrap();
    assert_problem(&answer, 400, "service.invalid");
    let found = pointers(&answer);
    for pointer in [
        "/name",
        "/endpoint",
        "/actions/0/name",
        "/actions/0/input_schema/properties/x/type",
        "/actions/1/output_schema/pattern",
        "/actions/1/timeout_ms",
        "/actions/2/name",
        "/actions/2/input_schema/$ref",
    ] {
        assert!(found.iter().any(|found| found == pointer), "{pointer} in {found:?}");
    }
    let typo = json!({ "name": "a", "endpoint": "http://a", "acitons": [] });
    assert_problem(&client.post("/api/services", &typo).await.unwrap(), 400, "request.unknown-field");
    let nothing = client.post("/api/services", &json!({})).await.unwrap();
    assert_problem(&nothing, 400, "request.field-invalid");
    assert_eq!((&nothing.json().unwrap()["detail"], pointers(&nothing)), (&json!("missing field `name`"), vec![String::new()]));
}

#[tokio::test]
async fn schemas_that_are_bombs_are_refused_and_the_service_goes_on() {
    let (_service, client) = start(Launch::without_plugins());
    let with = |schema: Value| json!({ "name": "bomb", "endpoint": "http://a", "actions": [{ "name": "a", "input_schema": schema }] });
    let link = |index: usize, factor: usize| vec![json!({ "$ref": format!("#/$defs/a{}", index + 1) }); factor];
    let defs = |count: usize, factor: usize| -> Value {
        let all: serde_json::Map<_, _> = (0..count)
            .map(|index| (format!("a{index}"), json!({ "allOf": link(index, factor) })))
            .chain([(format!("a{count}"), json!({}))])
            .collect();
        json!({ "$defs": all, "$ref": "#/$defs/a0" })
    };
    for schema in [defs(1000, 1), defs(25, 2), json!({ "enum": (0..5000).collect::<Vec<_>>() }), json!({ "pattern": "(\\w{999}){999}" })] {
        let answer = client.post("/api/services", &with(schema)).await.unwrap();
        assert_problem(&answer, 400, "service.invalid");
        assert!(pointers(&answer)[0].starts_with("/actions/0/input_schema"), "{}", answer.beginning());
    }
    let large = json!({ "description": "x".repeat(300_000) });
    assert_problem(&client.post("/api/services", &with(large)).await.unwrap(), 422, "service.too-large");
    assert_problem(
        &client.post("/api/services", &with(json!({ "title": "x".repeat(1 << 20) }))).await.unwrap(),
        413,
        "http.body-too-large",
    );
    let deep = format!(r#"{{"name":"a","endpoint":"http://a","metadata":{}1{}}}"#, r#"{"a":"#.repeat(5000), "}".repeat(5000));
    let deep = client.request(Method::POST, "/api/services").header("content-type", "application/json").body(deep);
    assert_problem(&client.send(deep).await.unwrap(), 400, "request.json-invalid");
    assert_eq!(client.get("/healthz").await.unwrap().status, 200);
}

#[tokio::test]
async fn an_action_is_called_and_is_an_operation_like_any_other() {
    let Some(remote) = text_service(&[]) else { return };
    let (_service, client) = start(Launch::without_plugins());
    let id = define(&client, &extraction(remote.base())).await["id"].as_str().unwrap().to_owned();
    let context = json!({ "project_id": 789, "request_id": "req-123" });
    let answer = execute(&client, &id, "extract", &json!({ "input_data": { "document_url": DOCUMENT }, "context": context })).await;
    let output = ok(&answer);
    assert_eq!(output["text"], "This document is about great news.");
    assert_eq!(output["metadata"]["url"], DOCUMENT);
    assert_eq!(answer.header("x-breakwater-served-by"), "service:text-extraction");
    assert_eq!((answer.header("x-breakwater-degraded"), answer.header("x-breakwater-upstream-attempts")), ("false", "1"));
    let call = effects(&remote).await["calls"][0].clone();
    assert_eq!((&call["x-project-id"], &call["x-request-id"]), (&json!("789"), &json!("req-123")));
    assert_eq!((&call["content-type"], &call["x-correlation-id"]), (&json!("application/json"), &json!(answer.header("x-correlation-id"))));

    let listed = ok(&client.get("/v1/operations/text-extraction.extract").await.unwrap());
    assert_eq!((&listed["effect"], &listed["available"]), (&json!("read"), &json!(true)));
    assert_eq!(listed["providers"], json!([{ "name": "service:text-extraction", "available": true }]));
    let called = ok(&client.call("text-extraction.extract", &json!({ "document_url": DOCUMENT })).await.unwrap());
    assert_eq!((&called["output"], &called["served_by"]), (&output, &json!("service:text-extraction")));

    let wrong = execute(&client, "text-extraction", "extract", &json!({ "input_data": { "document_url": "no url" } })).await;
    assert_problem(&wrong, 400, "operation.input-invalid");
    assert_eq!(pointers(&wrong), ["/document_url"]);
    let unknown = execute(&client, "text-extraction", "shred", &json!({})).await;
    assert_problem(&unknown, 404, "service.action-unknown");
    assert_eq!(unknown.json().unwrap()["details"]["resource_type"], "action");
    assert_problem(&execute(&client, "nobody", "extract", &json!({})).await, 404, "service.unknown");
    let nested = execute(&client, &id, "extract", &json!({ "context": { "a": [1] } })).await;
    assert_problem(&nested, 400, "request.field-invalid");
}

#[tokio::test]
async fn what_an_action_does_and_its_key_decide_how_often_it_is_asked() {
    let Some(remote) = text_service(&[]) else { return };
    let (_service, client) = start(Launch::without_plugins());
    define(&client, &sentiment(remote.base(), &json!({ "name": "analyze" }))).await;
    let path = "/api/services/sentiment-analysis/actions/analyze/execute";
    let input = json!({ "input_data": { "text": "what a wonderful day" } });

    switch(&remote, &json!({ "status": 503, "only": "analyze" })).await;
    let answer = client.post(path, &input).await.unwrap();
    assert_problem(&answer, 502, "call.outcome-unknown");
    assert_eq!(answer.json().unwrap()["details"]["service_name"], "sentiment-analysis");
    let asked = ok(&Client::new(remote.base()).get("/_control").await.unwrap());
    assert_eq!(asked["counts"]["/analyze"], 1, "what may have been done is not done twice");

    switch(&remote, &json!({ "status": 503, "only": "analyze", "next": 2 })).await;
    let keyed = client.request(Method::POST, path).header("idempotency-key", "order-1").json(&input);
    assert_eq!(ok(&client.send(keyed).await.unwrap()), json!({ "sentiment": "positive", "score": 1.0 }));
    let done = effects(&remote).await;
    assert_eq!(done["keys"], json!({ "order-1": 3 }), "each time the key as it was given");
    let keyed = done["calls"].as_array().unwrap().iter().filter(|call| call["idempotency-key"] == "order-1");
    assert_eq!(keyed.count(), 1);
    let asked = ok(&Client::new(remote.base()).get("/_control").await.unwrap());
    assert_eq!(asked["counts"]["/analyze"], 4);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_told_by_its_places() {
    let Some(remote) = text_service(&[]) else { return };
    let (_service, client) = start(Launch::without_plugins());
    let output = json!({ "type": "object", "properties": { "score": { "type": "string" } }, "required": ["summary"] });
    define(&client, &sentiment(remote.base(), &json!({ "name": "analyze", "output_schema": output }))).await;
    let input = json!({ "input_data": { "text": "bad" } });
    let answer = execute(&client, "sentiment-analysis", "analyze", &input).await;
    assert_problem(&answer, 502, "service.output-invalid");
    assert_eq!(answer.json().unwrap()["details"]["service_name"], "sentiment-analysis");
    let mut found = pointers(&answer);
    found.sort();
    assert_eq!(found, ["", "/score"]);
    for mode in ["html", "invalid-json", "invalid-utf8"] {
        switch(&remote, &json!({ "mode": mode, "only": "analyze" })).await;
        assert_problem(&execute(&client, "sentiment-analysis", "analyze", &input).await, 502, "service.answer-invalid");
    }
    switch(&remote, &json!({})).await;
    let refused = execute(&client, "sentiment-analysis", "analyze", &json!({ "input_data": { "text": 1 } })).await;
    assert_problem(&refused, 400, "upstream.status");
}

#[tokio::test]
async fn a_service_that_is_away_is_told_and_left_alone_until_it_is_back() {
    let Some(remote) = text_service(&[]) else { return };
    let (_service, client) = start(Launch::without_plugins());
    define(&client, &extraction(remote.base())).await;
    let input = json!({ "input_data": { "document_url": DOCUMENT } });
    ok(&execute(&client, "text-extraction", "extract", &input).await);
    let health = ok(&client.get("/api/services/text-extraction/health").await.unwrap());
    assert_eq!((&health["status"], &health["breaker"]), (&json!("healthy"), &json!("closed")), "{health}");
    assert!(health["response_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(ok(&client.get("/api/health").await.unwrap())["status"], "healthy");

    let port = remote.port().to_owned();
    remote.kill();
    let away = execute(&client, "text-extraction", "extract", &input).await;
    assert_eq!((away.status, &away.json().unwrap()["details"]["service_name"]), (503, &json!("text-extraction")), "{}", away.beginning());
    let health = ok(&client.get("/api/services/text-extraction/health").await.unwrap());
    assert_eq!(health["status"], "unhealthy", "{health}");
    assert!(health["error"].as_str().is_some() && health["last_error"]["code"].as_str().is_some(), "{health}");
    eventually("the whole is not well", || async {
        // A second look is what makes it certain.
        ok(&client.get("/api/services/text-extraction/health").await.unwrap());
        let whole = ok(&client.get("/api/health").await.unwrap());
        (whole["status"] == "unhealthy" && whole["services"]["unhealthy"] == 1).then_some(())
    })
    .await;

    let _remote = text_service(&["--port", &port]).unwrap();
    eventually("it is called again", || async {
        client.post("/v1/upstreams/text-extraction/reset", &json!({})).await.unwrap();
        (execute(&client, "text-extraction", "extract", &input).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn too_many_failures_open_the_breaker_of_a_service() {
    let Some(remote) = text_service(&[]) else { return };
    let (_service, client) = start(Launch::without_plugins());
    define(&client, &sentiment(remote.base(), &json!({ "name": "analyze" }))).await;
    switch(&remote, &json!({ "mode": "reset", "only": "analyze" })).await;
    eventually("the breaker opens", || async {
        let answer = execute(&client, "sentiment-analysis", "analyze", &json!({})).await;
        (answer.code() == "upstream.circuit-open").then(|| assert_problem(&answer, 503, "upstream.circuit-open"))
    })
    .await;
    let health = ok(&client.get("/api/services/sentiment-analysis/health").await.unwrap());
    assert_eq!((&health["status"], &health["breaker"]), (&json!("unhealthy"), &json!("open")), "{health}");
    // Somewhere else, it begins anew.
    let Some(other) = text_service(&[]) else { return };
    ok(&send(&client, Method::PATCH, "/api/services/sentiment-analysis", &json!({ "endpoint": other.base() })).await);
    ok(&execute(&client, "sentiment-analysis", "analyze", &json!({ "input_data": { "text": "sad" } })).await);
}

#[tokio::test]
async fn a_service_that_is_not_active_is_kept_and_not_called() {
    let Some(remote) = text_service(&[]) else { return };
    let (_service, client) = start(Launch::without_plugins());
    define(&client, &extraction(remote.base())).await;
    let input = json!({ "input_data": { "document_url": DOCUMENT } });
    for status in ["INACTIVE", "ARCHIVED"] {
        ok(&send(&client, Method::PATCH, "/api/services/text-extraction", &json!({ "status": status })).await);
        assert_problem(&execute(&client, "text-extraction", "extract", &input).await, 409, "service.inactive");
        let called = client.call("text-extraction.extract", &input["input_data"]).await.unwrap();
        assert_problem(&called, 409, "service.inactive");
        assert_eq!(ok(&client.get("/v1/operations/text-extraction.extract").await.unwrap())["available"], false);
        assert_eq!(ok(&client.get("/api/services/text-extraction/health").await.unwrap())["status"], "unknown");
    }
    assert_eq!(effects(&remote).await["calls"], json!([]));
    ok(&send(&client, Method::PATCH, "/api/services/text-extraction", &json!({ "status": "ACTIVE" })).await);
    ok(&execute(&client, "text-extraction", "extract", &input).await);
}

#[tokio::test]
async fn services_survive_a_restart() {
    let Some(remote) = text_service(&[]) else { return };
    let home = tempfile::tempdir().unwrap();
    let (service, client) = start(Launch::without_plugins().at(home.path()));
    let made = define(&client, &extraction(remote.base())).await;
    service.stop(std::time::Duration::from_secs(20)).unwrap();
    let (_service, client) = start(Launch::without_plugins().at(home.path()));
    assert_eq!(ok(&client.get("/api/services/text-extraction").await.unwrap()), made);
    ok(&execute(&client, "text-extraction", "extract", &json!({ "input_data": { "document_url": DOCUMENT } })).await);
}

#[tokio::test]
async fn answers_of_a_read_are_kept_where_the_configuration_says_so() {
    let Some(remote) = text_service(&[]) else { return };
    let config = "[chains.\"text-extraction.extract\"]\ncache_ttl = \"1h\"\nstale_if_error = \"1h\"\n";
    let (_service, client) = start(Launch::without_plugins().config(config));
    define(&client, &extraction(remote.base())).await;
    let input = json!({ "input_data": { "document_url": DOCUMENT } });
    ok(&execute(&client, "text-extraction", "extract", &input).await);
    let kept = execute(&client, "text-extraction", "extract", &input).await;
    assert_eq!((kept.status, kept.header("x-breakwater-served-by")), (200, "cache:service:text-extraction"), "{}", kept.beginning());
    assert_eq!(effects(&remote).await["calls"].as_array().unwrap().len(), 1);
    // Another version may answer otherwise.
    ok(&send(&client, Method::PATCH, "/api/services/text-extraction", &json!({ "description": "other" })).await);
    let fresh = execute(&client, "text-extraction", "extract", &input).await;
    assert_eq!(fresh.header("x-breakwater-served-by"), "service:text-extraction");
}
