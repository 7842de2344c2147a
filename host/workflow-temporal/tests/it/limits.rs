//! What is too large for a cluster.

use breakwater_core::FailureKind;
use breakwater_workflow::ExecutionStatus;
use breakwater_workflow_temporal::TemporalConfig;
use serde_json::json;

use super::conformance::{call, start};
use super::server::{bed, shared};

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_is_too_large_is_refused() {
    let Some(server) = shared() else { return };
    let (bed, _) = bed(server, TemporalConfig::default()).await;
    bed.steps(json!([{ "id": "one", "operation": "echo", "input": "length(input)", "next": null }])).await;
    let failure = bed.executor.start(start(json!("x".repeat(2_000_000)))).await.unwrap_err();
    assert_eq!((failure.kind, &*failure.code), (FailureKind::Limit, "execution.input-too-large"), "{failure:?}");
    assert!(bed.of("w", None).await.is_empty());
    let id = bed.start(json!("x".repeat(1_800_000))).await;
    assert_eq!(bed.ends(&id).await.output, Some(json!(1_800_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_steps_beside_each_other_are_not_sent_in_one_piece() {
    let Some(server) = shared() else { return };
    let (bed, _) = bed(server, TemporalConfig::default()).await;
    let steps = json!([call("a", "large", Some("each")),
        { "id": "each", "type": "map", "items": "[`1`, `2`, `3`, `4`, `5`, `6`]", "concurrency": 6,
          "steps": [{ "id": "i", "operation": "add", "input": "steps.a", "next": null }], "next": null }]);
    let execution = bed.run(steps, json!(1_200_000)).await;
    assert_eq!(execution.output, Some(json!([1, 1, 1, 1, 1, 1])), "{:?}", execution.error);
    assert_eq!(bed.sink.of("add").len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_output_is_too_large_fails() {
    let Some(server) = shared() else { return };
    let (bed, _) = bed(server, TemporalConfig::default()).await;
    let execution = bed.run(json!([call("one", "large", None)]), json!(2_000_000)).await;
    let error = execution.error.unwrap();
    assert_eq!(
        (execution.status, error.code.as_str(), error.step.as_deref()),
        (ExecutionStatus::Failed, "workflow.output-too-large", Some("one"))
    );
    assert_eq!(bed.sink.operations(), ["large"], "it is not tried again");
    let execution = bed.run(json!([call("one", "large", None)]), json!(1_000_000)).await;
    assert_eq!(execution.output, Some(json!("x".repeat(1_000_000))));
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_are_too_large_together_end_the_execution_wherever_they_go() {
    let Some(server) = shared() else { return };
    let (bed, _) = bed(server, TemporalConfig::default()).await;
    bed.put(json!({ "name": "inner", "steps": [call("i", "echo", None)] })).await;
    let both = json!([call("a", "large", Some("b")), { "id": "b", "operation": "large", "input": "input", "next": "both" },
        { "id": "both", "operation": "echo", "input": "[steps.a, steps.b]", "next": null }]);
    let mut within = both.clone();
    within[2] = json!({ "id": "both", "type": "workflow", "workflow": "inner", "input": "[steps.a, steps.b]", "next": null });
    let collected = json!([{ "id": "each", "type": "map", "items": "[input, input]", "concurrency": 1, "steps": [call("a", "large", None)], "next": null }]);
    for (steps, code, step) in [
        (both, "execution.input-too-large", Some("both")),
        (within, "execution.input-too-large", Some("both")),
        (collected, "workflow.output-too-large", None),
    ] {
        let execution = bed.run(steps, json!(1_000_000)).await;
        let error = execution.error.unwrap();
        assert_eq!((execution.status, error.code.as_str(), error.step.as_deref()), (ExecutionStatus::Failed, code, step));
    }
    assert!(bed.sink.of("echo").is_empty());
    // What fits goes into a workflow and out of it again.
    let through = json!([call("a", "large", Some("k")), { "id": "k", "type": "workflow", "workflow": "inner", "next": null }]);
    assert_eq!(bed.output(through, json!(1_200_000)).await, json!("x".repeat(1_200_000)));
}
