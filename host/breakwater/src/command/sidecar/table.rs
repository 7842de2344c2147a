//! Sidecars for people to read.

use serde_json::Value;

use super::explanation;
use crate::columns::aligned;
use crate::fields::{list, number, text};
use crate::times::{ago, clock, duration};

/// How much of what happened lately is shown.
const HISTORY: usize = 12;

/// All sidecars of a service, a line an instance.
pub(super) fn all(answer: &Value, now_ms: u64) -> String {
    let sidecars: Vec<_> = list(answer, "sidecars").collect();
    if sidecars.is_empty() { "no sidecars".to_owned() } else { instances(sidecars.into_iter(), now_ms) }
}

/// The instances of sidecars, a line each.
pub(super) fn instances<'a>(sidecars: impl Iterator<Item = &'a Value>, now_ms: u64) -> String {
    let head = ["instance", "state", "pid", "up", "restarts", "memory", "url", "last error"].map(str::to_owned);
    let mut rows = vec![head];
    for sidecar in sidecars {
        rows.extend(list(sidecar, "instances").map(|instance| row(sidecar, instance, now_ms)));
    }
    aligned(&rows)
}

fn row(sidecar: &Value, instance: &Value, now_ms: u64) -> [String; 8] {
    let known = |field: &str| instance.get(field).and_then(Value::as_u64);
    let or_dash = |shown: Option<String>| shown.unwrap_or_else(|| "-".to_owned());
    let attempts = number(instance, "restart_attempts");
    let restarts = match attempts {
        0 => number(instance, "restarts").to_string(),
        // How many more there will be decides whether it is worth waiting.
        _ => format!("{} ({attempts}/{})", number(instance, "restarts"), number(sidecar, "max_restart_attempts")),
    };
    let is_external = sidecar.get("external").and_then(Value::as_bool) == Some(true);
    let error = instance.get("last_error").map(|error| format!("{} {}", text(error, "type"), ago(now_ms, number(error, "at_ms"))));
    [
        text(instance, "endpoint").to_owned(),
        text(instance, "state").to_owned(),
        known("pid").map_or_else(|| if is_external { "external" } else { "-" }.to_owned(), |pid| pid.to_string()),
        or_dash(known("uptime_ms").map(|up| duration(up / 1000))),
        restarts,
        or_dash(known("memory_bytes").map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6))),
        text(instance, "url").to_owned(),
        or_dash(error),
    ]
}

/// Whether it can be used.
pub(super) fn is_ready(status: &Value) -> bool {
    status.get("ready").and_then(Value::as_bool) == Some(true)
}

/// Everything about one sidecar.
pub(super) fn one(status: &Value, now_ms: u64) -> String {
    let mut parts = vec![title(status, now_ms), instances(std::iter::once(status), now_ms)];
    if let Some(error) = status.get("last_error") {
        parts.push(explanation::text(error, Some(now_ms)));
    }
    let history: Vec<_> = list(status, "history").collect();
    if !history.is_empty() {
        let mut lines = vec!["Lately (UTC):".to_owned()];
        lines.extend(history.iter().skip(history.len().saturating_sub(HISTORY)).map(|entry| happened(entry)));
        parts.push(lines.join("\n"));
    }
    parts.join("\n\n")
}

/// The sidecar in one line.
fn title(status: &Value, now_ms: u64) -> String {
    let name = format!("{} ({})", text(status, "name"), text(status, "runtime"));
    let is_restarting = status.get("restarting").and_then(Value::as_bool) == Some(true);
    let tries = format!("({} of {})", number(status, "restart_attempts"), number(status, "max_restart_attempts"));
    let state = match (is_ready(status), is_restarting) {
        (true, false) => "is ready".to_owned(),
        (true, true) => format!("is ready, an instance is being restarted {tries}"),
        (false, true) => format!("is being restarted {tries}"),
        (false, false) => "is not ready".to_owned(),
    };
    let mark = if is_ready(status) { '✓' } else { '✗' };
    let checked = status.get("last_health_check_ms").and_then(Value::as_u64);
    let checked = checked.map(|at| format!("; found well {}", ago(now_ms, at))).unwrap_or_default();
    format!("{mark} {name} {state}; its upstream is {}{checked}", text(status, "upstream"))
}

fn happened(entry: &Value) -> String {
    let detail = text(entry, "detail");
    let first = detail.lines().next().unwrap_or_default();
    format!("  {}  {}  {:<10}  {first}", clock(number(entry, "at_ms")), number(entry, "instance"), text(entry, "state"))
}

/// A line that a sidecar wrote, from the JSON that it comes in. What is something else is shown as it is.
pub(super) fn log_line(line: &str) -> String {
    let Ok(line_of) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    if line_of.get("line").is_none() {
        return line.to_owned();
    }
    // Lines that came too fast to be read are missing of no instance in particular.
    let instance = line_of.get("instance").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), |instance| instance.to_string());
    let stream = text(&line_of, "stream");
    format!("{} {instance} {stream:<6} {}", clock(number(&line_of, "at_ms")), text(&line_of, "line"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn flask() -> Value {
        let error = json!({ "type": "PROCESS_CRASH", "message": "it ended with 1", "troubleshooting": ["Look at it"], "at_ms": 70_000 });
        json!({
            "name": "flask", "upstream": "flask", "runtime": "python", "external": false, "ready": true, "restarting": true,
            "restart_attempts": 2, "max_restart_attempts": 3, "last_error": error, "last_health_check_ms": 77_500,
            "instances": [
                { "instance": 0, "endpoint": "flask/0", "state": "ready", "url": "http://127.0.0.1:5001", "pid": 4711,
                  "restart_attempts": 0, "restarts": 0, "uptime_ms": 62_000, "memory_bytes": 41_200_000 },
                { "instance": 1, "endpoint": "flask/1", "state": "restarting", "restart_attempts": 2, "restarts": 5, "last_error": error },
            ],
            "history": [{ "at_ms": 70_000, "instance": 1, "state": "failed", "detail": "PROCESS_CRASH: it ended\nwith 1" }],
        })
    }

    fn squeezed(text: &str) -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn every_instance_has_a_line() {
        let shown = all(&json!({ "sidecars": [flask()] }), 80_000);
        assert_eq!(
            squeezed(&shown),
            [
                "instance state pid up restarts memory url last error",
                "flask/0 ready 4711 1 min 2 s 0 41.2 MB http://127.0.0.1:5001 -",
                "flask/1 restarting - - 5 (2/3) - - PROCESS_CRASH 10 s ago",
            ]
        );
        let columns: Vec<_> = shown.lines().map(|line| line.find("ready").or(line.find("restarting")).or(line.find("state"))).collect();
        assert!(columns.iter().all(|column| column == &columns[0]), "{shown}");
        assert_eq!(all(&json!({ "sidecars": [] }), 0), "no sidecars");
    }

    #[test]
    fn one_is_shown_with_its_error_and_what_happened() {
        let shown = one(&flask(), 80_000);
        assert!(
            shown.starts_with(
                "✓ flask (python) is ready, an instance is being restarted (2 of 3); its upstream is flask; found well 2 s ago\n"
            ),
            "{shown}"
        );
        assert!(shown.contains("✗ it ended with 1\nError type: PROCESS_CRASH (10 s ago)\nTroubleshooting:\n  1. Look at it"), "{shown}");
        assert!(shown.ends_with("  00:01:10.000  1  failed      PROCESS_CRASH: it ended"), "{shown}");
        assert!(is_ready(&flask()));
        let stopped = json!({ "name": "a", "ready": false, "instances": [] });
        assert!(one(&stopped, 0).starts_with("✗ a (-) is not ready") && !is_ready(&stopped));
    }

    #[test]
    fn a_line_has_its_time_instance_and_stream() {
        let line = json!({ "at_ms": 3_723_004, "instance": 1, "stream": "stderr", "line": "No module" }).to_string();
        assert_eq!(log_line(&line), "01:02:03.004 1 stderr No module");
        let missed = json!({ "at_ms": 0, "stream": "host", "line": "4 lines are missing here", "missed": 4 }).to_string();
        assert_eq!(log_line(&missed), "00:00:00.000 - host   4 lines are missing here");
        assert_eq!(log_line("not JSON"), "not JSON");
        assert_eq!(log_line(r#"{"other": 4}"#), r#"{"other": 4}"#);
    }
}
