//! What begins, and what does not.

use breakwater_workflow::{ExecutionStatus, Start, WorkflowStatus};
use serde_json::{Value, json};

use super::bed::{Bed, call, start};

pub(crate) async fn starts_once_with_one_key(bed: &Bed) {
    bed.steps(json!([call("one", "gate.x", None)])).await;
    let keyed = |key: &str, input| Start { idempotency_key: Some(key.to_owned()), ..start(input) };
    let (first, second) = tokio::join!(bed.executor.start(keyed("k", json!(1))), bed.executor.start(keyed("k", json!(1))));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.execution.id, second.execution.id);
    assert_ne!(first.existing, second.existing);
    assert_eq!(first.execution.idempotency_key.as_deref(), Some("k"));
    let other = bed.executor.start(keyed("\u{fc} /'\"", json!(1))).await.unwrap();
    assert!(!other.existing && other.execution.id != first.execution.id);
    bed.sink.open("gate.x");
    bed.ends(&first.execution.id).await;
    bed.ends(&other.execution.id).await;
    assert_eq!(bed.sink.calls().len(), 2);
    let again = bed.executor.start(keyed("k", json!(1))).await.unwrap();
    assert_eq!((again.existing, again.execution.id.as_str()), (true, first.execution.id.as_str()), "also when it has ended");
    assert_eq!((again.execution.status, again.execution.output), (ExecutionStatus::Completed, Some(json!(1))));
    let reused = bed.executor.start(keyed("k", json!(2))).await.unwrap_err();
    assert_eq!((&*reused.code, &reused.detail.unwrap()["execution_id"]), ("execution.key-reused", &json!(first.execution.id)));
    for wrong in [String::new(), "k".repeat(256), "a\nb".to_owned()] {
        assert_eq!(bed.executor.start(keyed(&wrong, json!(1))).await.unwrap_err().code, "execution.key-invalid");
    }
    assert!(!bed.executor.start(keyed(&"k".repeat(255), json!(1))).await.unwrap().existing);
    bed.put(json!({ "name": "v", "steps": [call("one", "add", None)] })).await;
    let elsewhere = bed.executor.start(Start { workflow: "v".to_owned(), ..keyed("k", json!(5)) }).await.unwrap();
    assert!(!elsewhere.existing, "a key is of one workflow");
}

pub(crate) async fn refuses_what_cannot_be_started(bed: &Bed) {
    let refused = async |input: Value| bed.executor.start(start(input)).await.unwrap_err();
    let failure = refused(json!(1)).await;
    assert_eq!((&*failure.code, failure.detail.unwrap()), ("workflow.unknown", json!({ "resource_type": "workflow", "resource_id": "w" })));
    bed.steps(json!([{ "id": "s", "service": "missing", "action": "x", "next": null }])).await;
    let failure = refused(json!(1)).await;
    assert_eq!(&*failure.code, "workflow.not-executable");
    let violation = failure.detail.unwrap()["violations"][0].clone();
    assert_eq!(violation["pointer"], "/steps/0/service");
    assert_eq!(violation["message"], "the step `s` calls `missing.x`, which is not there; register the service first");
    bed.put(json!({ "name": "w", "steps": [call("s", "echo", None)], "input_schema": { "required": ["x"] } })).await;
    let failure = refused(json!({})).await;
    assert_eq!((&*failure.code, &failure.detail.unwrap()["violations"][0]["message"]), ("execution.input-invalid", &json!("x is missing")));
    for status in [WorkflowStatus::Inactive, WorkflowStatus::Archived] {
        bed.put_as(json!({ "name": "w", "steps": [call("s", "echo", None)] }), status).await;
        assert_eq!(refused(json!(1)).await.code, "workflow.inactive");
    }
    assert!(bed.of("w", None).await.is_empty() && bed.sink.calls().is_empty());
    bed.steps(json!([call("s", "echo", None)])).await;
    let by_id = bed.executor.start(Start { workflow: bed.id("w"), ..start(json!(9)) }).await.unwrap();
    assert_eq!(bed.ends(&by_id.execution.id).await.output, Some(json!(9)), "an id does as well as a name");
}

pub(crate) async fn keeps_the_version_it_runs(bed: &Bed) {
    bed.steps(json!([call("hold", "gate.x", Some("one")), call("one", "add", None)])).await;
    let id = bed.start(json!(1)).await;
    bed.sink.called("gate.x", 1).await;
    bed.steps(json!([call("one", "echo", None)])).await;
    let later = bed.start(json!(1)).await;
    bed.sink.open("gate.x");
    let (earlier, later) = (bed.ends(&id).await, bed.ends(&later).await);
    assert_eq!((earlier.workflow_version, earlier.output), (1, Some(json!(2))));
    assert_eq!((later.workflow_version, later.output), (2, Some(json!(1))));
}
