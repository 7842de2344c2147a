use serde_json::{Value, json};

use super::{Host, definition, is_clean, places};
use crate::validate::validate;

fn sentiment() -> Value {
    json!({
        "name": "document-sentiment",
        "description": "Extract text from a document and analyze sentiment",
        "steps": [
            {"id": "extract-text", "service": "text-extraction", "action": "extract", "next": "analyze-sentiment"},
            {"id": "analyze-sentiment", "service": "sentiment-analysis", "action": "analyze", "next": null}
        ]
    })
}

fn host() -> Host {
    let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    Host::default()
        .with(
            "text-extraction",
            "extract",
            object(json!({"document_url": {"type": "string", "format": "uri", "description": "URL"}}), json!(["document_url"])),
            object(json!({"text": {"type": "string", "description": "Extracted text"}}), json!(["text"])),
        )
        .with(
            "sentiment-analysis",
            "analyze",
            object(json!({"text": {"type": "string", "description": "Text to analyze"}}), json!(["text"])),
            object(json!({"sentiment": {"type": "string"}, "score": {"type": "number"}}), json!(["sentiment", "score"])),
        )
}

#[test]
fn a_chain_of_registered_services_is_clean() {
    assert!(is_clean(&host().report(sentiment())));
    assert!(is_clean(&validate(&definition(sentiment()), &host(), true)));
}

#[test]
fn a_chain_of_services_that_are_not_registered_has_warnings_only_unless_it_is_strict() {
    let document = json!({
        "name": "document-processing",
        "description": "Process documents through multiple services",
        "steps": [
            {"id": "extract-text", "service": "text-extraction", "action": "extract", "next": "analyze-sentiment"},
            {"id": "analyze-sentiment", "service": "sentiment-analysis", "action": "analyze", "next": "generate-summary"},
            {"id": "generate-summary", "service": "text-summarization", "action": "summarize", "next": null}
        ],
        "metadata": {"version": "1.0.0", "author": "Berry's Agents Team"}
    });
    let expected = ["/steps/0/service", "/steps/1/service", "/steps/2/service"].map(|at| (at, "service.not-registered"));
    let report = Host::default().report(document.clone());
    assert_eq!(places(&report.warnings), expected);
    assert_eq!(report.errors, []);
    let strict = validate(&definition(document), &Host::default(), true);
    assert_eq!(places(&strict.errors), expected);
    assert_eq!(strict.warnings, []);
}
