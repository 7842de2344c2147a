//! Services for people to read.

use serde_json::Value;

use crate::columns::aligned;
use crate::fields::{list, number, text};
use crate::times::{ago, duration};

/// All services, a line each.
pub(super) fn all(answer: &Value, now_ms: u64) -> String {
    let mut rows = vec![["service", "status", "version", "changed", "endpoint", "actions"].map(str::to_owned)];
    rows.extend(list(answer, "items").map(|service| {
        let actions: Vec<_> = list(service, "actions").map(|action| text(action, "name")).collect();
        [
            text(service, "name").to_owned(),
            text(service, "status").to_owned(),
            number(service, "version").to_string(),
            ago(now_ms, number(service, "updated_at_ms")),
            text(service, "endpoint").to_owned(),
            actions.join(", "),
        ]
    }));
    if rows.len() == 1 { "no services".to_owned() } else { aligned(&rows) }
}

/// Everything about one service.
pub(super) fn one(service: &Value, now_ms: u64) -> String {
    let health = service.get("health").unwrap_or(&Value::Null);
    let mut parts = vec![format!(
        "{} {} ({}) is {}, version {}, changed {}",
        if text(health, "status") == "healthy" { '✓' } else { '·' },
        text(service, "name"),
        text(service, "id"),
        text(service, "status"),
        number(service, "version"),
        ago(now_ms, number(service, "updated_at_ms")),
    )];
    let why = health.get("error").and_then(Value::as_str).map(|error| format!(", {error}")).unwrap_or_default();
    let said = health.get("last_error").filter(|error| error.is_object()).map(last_error).unwrap_or_default();
    let breaker = health.get("breaker").and_then(Value::as_str).map(|state| format!(", breaker {state}")).unwrap_or_default();
    parts.push(format!("at {}: {}{why}{breaker}{said}", text(service, "endpoint"), text(health, "status")));
    parts.extend(service.get("description").and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned));
    let mut rows = vec![["action", "effect", "idempotent", "takes", "gives", "description"].map(str::to_owned)];
    rows.extend(list(service, "actions").map(action));
    parts.push(if rows.len() == 1 { "no actions".to_owned() } else { aligned(&rows) });
    parts.join("\n\n")
}

fn last_error(error: &Value) -> String {
    let ago = duration(number(error, "ago_ms") / 1000);
    format!(", last error {ago} ago: {} ({})", text(error, "message"), text(error, "code"))
}

fn action(action: &Value) -> [String; 6] {
    let is_idempotent = action.get("idempotent").and_then(Value::as_bool) == Some(true) || text(action, "effect") == "read";
    [
        text(action, "name").to_owned(),
        text(action, "effect").to_owned(),
        if is_idempotent { "yes" } else { "no" }.to_owned(),
        properties(action, "input_schema"),
        properties(action, "output_schema"),
        text(action, "description").to_owned(),
    ]
}

/// What a schema asks for, as far as it says so at its top.
fn properties(action: &Value, field: &str) -> String {
    let Some(schema) = action.get(field).filter(|schema| !schema.is_null()) else { return "anything".to_owned() };
    let required: Vec<_> = list(schema, "required").filter_map(Value::as_str).collect();
    let all = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|fields| fields.keys());
    let named: Vec<_> = all.map(|name| if required.contains(&name.as_str()) { name.clone() } else { format!("{name}?") }).collect();
    if named.is_empty() { text(schema, "type").to_owned() } else { named.join(", ") }
}

/// What applying a file did.
pub(super) fn applied(what: &str, service: &Value) -> String {
    format!("{what} {} ({}), version {}", text(service, "name"), text(service, "id"), number(service, "version"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service() -> Value {
        let schema = json!({ "type": "object", "properties": { "document_url": {}, "language": {} }, "required": ["document_url"] });
        json!({
            "id": "1", "name": "text", "status": "ACTIVE", "version": 2, "updated_at_ms": 70_000, "endpoint": "http://text/api",
            "description": "Texts",
            "actions": [
                { "name": "extract", "effect": "create", "idempotent": false, "input_schema": schema, "description": "Extracts" },
                { "name": "find", "effect": "read", "idempotent": false, "output_schema": { "type": "array" }, "description": "" },
            ],
            "health": {
                "status": "unhealthy", "breaker": "open", "error": "no answer (upstream.timeout)",
                "last_error": { "code": "upstream.connection", "message": "it cannot be reached", "ago_ms": 12_345 },
            },
        })
    }

    fn squeezed(text: &str) -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn every_service_has_a_line() {
        let shown = squeezed(&all(&json!({ "items": [service()] }), 80_000));
        let expected =
            ["service status version changed endpoint actions", "text ACTIVE 2 10 s ago http://text/api extract, find"].map(str::to_owned);
        assert_eq!(shown, expected);
        assert_eq!(all(&json!({ "items": [] }), 0), "no services");
    }

    #[test]
    fn one_is_shown_with_its_actions_and_how_it_is() {
        let shown = squeezed(&one(&service(), 80_000));
        let expected = [
            "· text (1) is ACTIVE, version 2, changed 10 s ago",
            "",
            "at http://text/api: unhealthy, no answer (upstream.timeout), breaker open, last error 12 s ago: it cannot be reached (upstream.connection)",
            "",
            "Texts",
            "",
            "action effect idempotent takes gives description",
            "extract create no document_url, language? anything Extracts",
            "find read yes anything array",
        ];
        assert_eq!(shown, expected.map(str::to_owned));
        assert!(one(&json!({ "name": "a", "health": { "status": "healthy" } }), 0).starts_with("✓ a (-)"));
        assert_eq!(applied("created", &service()), "created text (1), version 2");
    }
}
