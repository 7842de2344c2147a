//! Errors of sidecars for people to read: what happened, what to do, what was looked at, what the process wrote last.

use serde_json::Value;

use crate::fields::{list, number, text as field};
use crate::times::ago;

/// How much of the process's standard error is shown; the service keeps more, and `sidecar logs` shows it all.
const STDERR_LINES: usize = 15;

/// An error, in the order in which people need it. With `now_ms`, in milliseconds since 1970, it says how long ago that was.
pub(super) fn text(error: &Value, now_ms: Option<u64>) -> String {
    let when = now_ms.map(|now| format!(" ({})", ago(now, number(error, "at_ms")))).unwrap_or_default();
    let mut lines = vec![format!("✗ {}", field(error, "message")), format!("Error type: {}{when}", field(error, "type"))];
    let steps: Vec<_> = list(error, "troubleshooting").filter_map(Value::as_str).collect();
    if !steps.is_empty() {
        lines.push("Troubleshooting:".to_owned());
        let mut number = 0;
        for step in steps.iter().flat_map(|step| step.lines()) {
            // An indented line belongs to the step before.
            if step.starts_with(' ') {
                lines.push(format!("     {}", step.trim_start()));
            } else {
                number += 1;
                lines.push(format!("  {number}. {step}"));
            }
        }
    }
    let probes: Vec<_> = list(error, "probes").collect();
    if !probes.is_empty() {
        lines.push("What was looked at:".to_owned());
        lines.extend(probes.into_iter().map(probe));
    }
    let stderr: Vec<_> = list(error, "stderr").filter_map(Value::as_str).collect();
    if !stderr.is_empty() {
        let hidden = stderr.len().saturating_sub(STDERR_LINES);
        lines.push("Recent errors:".to_owned());
        lines.extend((hidden > 0).then(|| format!("  … {hidden} lines before")));
        lines.extend(stderr.into_iter().skip(hidden).map(|line| format!("  {line}")));
    }
    lines.join("\n")
}

/// One thing that was looked at.
pub(super) fn probe(probe: &Value) -> String {
    let mark = if probe.get("ok").and_then(Value::as_bool) == Some(true) { '✓' } else { '✗' };
    format!("  {mark} {}: {}", field(probe, "what"), field(probe, "found").replace('\n', "\n      "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_says_what_happened_then_what_to_do_then_the_evidence() {
        let error = json!({
            "type": "DEPENDENCY_ERROR",
            "message": "Python dependencies not installed",
            "troubleshooting": ["Install Python dependencies:", "   cd python && pip install -r requirements.txt", "Use the virtual environment"],
            "probes": [{ "what": "Python", "ok": true, "found": "3.11.2" }, { "what": "import flask", "ok": false, "found": "missing" }],
            "stderr": ["ModuleNotFoundError: No module named 'flask'"],
            "at_ms": 1000,
        });
        assert_eq!(
            text(&error, Some(66_000)),
            "✗ Python dependencies not installed\n\
             Error type: DEPENDENCY_ERROR (1 min 5 s ago)\n\
             Troubleshooting:\n  \
               1. Install Python dependencies:\n     \
                  cd python && pip install -r requirements.txt\n  \
               2. Use the virtual environment\n\
             What was looked at:\n  \
               ✓ Python: 3.11.2\n  \
               ✗ import flask: missing\n\
             Recent errors:\n  \
               ModuleNotFoundError: No module named 'flask'"
        );
    }

    #[test]
    fn the_last_lines_are_shown_and_the_others_counted() {
        let stderr: Vec<_> = (0..50).map(|line| format!("line {line}")).collect();
        let shown = text(&json!({ "type": "PROCESS_CRASH", "message": "it ended", "stderr": stderr }), None);
        assert!(shown.contains("… 35 lines before\n  line 35\n") && shown.ends_with("line 49"), "{shown}");
        assert!(!shown.contains("Troubleshooting") && !shown.contains("looked at") && !shown.contains("ago"), "{shown}");
    }
}
