//! `breakwater status`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::local::block_on;
use crate::cli::ServerAddress;
use crate::fields::{list, number, text};
use crate::output;
use crate::server_client::Server;
use crate::times::duration;

pub(crate) fn run(server: ServerAddress) -> Result<ExitCode> {
    let status = block_on(async { Server::at(&server.server)?.status().await })?;
    let shown = if server.json { serde_json::to_string_pretty(&status)? } else { table(&status) };
    output::line(&shown);
    Ok(ExitCode::SUCCESS)
}

/// The service for people to read.
fn table(status: &Value) -> String {
    let ready = if status.get("ready").and_then(Value::as_bool) == Some(true) { "ready" } else { "not ready" };
    let device = status.get("device").unwrap_or(&Value::Null);
    let mut lines = vec![
        format!("breakwater {}, {ready}, up {}", text(status, "version"), duration(number(status, "uptime_seconds"))),
        format!("inference on {} ({})", text(device, "name"), text(device, "kind")),
        format!(
            "{} operations, {} flags, {} registered services",
            number(status, "operations"),
            number(status, "flags"),
            number(status, "services")
        ),
        String::new(),
    ];
    lines.extend(upstreams(status));
    lines.push(String::new());
    lines.extend(sidecars(status));
    lines.push(String::new());
    lines.extend(plugins(status));
    lines.push(String::new());
    lines.extend(cache(status.get("cache").unwrap_or(&Value::Null)));
    lines.join("\n")
}

fn upstreams(status: &Value) -> Vec<String> {
    let row = |upstream: &Value| {
        let p90 = upstream.get("p90_ms").and_then(Value::as_f64).map_or_else(|| "-".to_owned(), |time| format!("{time:.1}"));
        format!(
            "{:<20} {:<9} {:<13} {:>9} {:>7} {:>6} {:>8} {:>9}  {}",
            text(upstream, "name"),
            text(upstream, "state"),
            text(upstream, "breaker"),
            format!("{}/{}", number(upstream, "healthy_endpoints"), number(upstream, "endpoints")),
            number(upstream, "in_flight"),
            number(upstream, "queued"),
            number(upstream, "consecutive_failures"),
            p90,
            text(upstream, "last_error"),
        )
    };
    let head = format!(
        "{:<20} {:<9} {:<13} {:>9} {:>7} {:>6} {:>8} {:>9}  {}",
        "upstream", "state", "breaker", "healthy", "running", "queued", "failures", "p90 ms", "last error"
    );
    titled(head, list(status, "upstreams").map(row).collect(), "no upstreams")
}

fn sidecars(status: &Value) -> Vec<String> {
    let is = |sidecar: &Value, field: &str| sidecar.get(field).and_then(Value::as_bool) == Some(true);
    let row = |sidecar: &Value| {
        let state = match (is(sidecar, "ready"), is(sidecar, "restarting")) {
            (true, _) => "ready",
            (false, true) => "restarting",
            (false, false) => "not ready",
        };
        let up = sidecar.get("uptime_ms").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), |up| duration(up / 1000));
        format!(
            "{:<20} {:<9} {:<11} {:>7} {:>9} {:>14}  {}",
            text(sidecar, "name"),
            text(sidecar, "runtime"),
            state,
            format!("{}/{}", number(sidecar, "ready_instances"), number(sidecar, "instances")),
            number(sidecar, "restarts"),
            up,
            text(sidecar, "last_error"),
        )
    };
    let head =
        format!("{:<20} {:<9} {:<11} {:>7} {:>9} {:>14}  {}", "sidecar", "runtime", "state", "ready", "restarts", "up", "last error");
    titled(head, list(status, "sidecars").map(row).collect(), "no sidecars")
}

fn plugins(status: &Value) -> Vec<String> {
    let row = |plugin: &Value| {
        format!(
            "{:<24} {:<9} {:<12} {:<10} {:>8} {:>8}",
            text(plugin, "id"),
            text(plugin, "version"),
            text(plugin, "state"),
            text(plugin, "breaker"),
            number(plugin, "calls"),
            number(plugin, "failures"),
        )
    };
    let head = format!("{:<24} {:<9} {:<12} {:<10} {:>8} {:>8}", "plugin", "version", "state", "breaker", "calls", "failed");
    titled(head, list(status, "plugins").map(row).collect(), "no plugins")
}

/// Rows under their head, or that there are none.
fn titled(head: String, rows: Vec<String>, none: &str) -> Vec<String> {
    if rows.is_empty() { vec![none.to_owned()] } else { std::iter::once(head).chain(rows).collect() }
}

fn cache(cache: &Value) -> Vec<String> {
    let memory = cache.get("memory").unwrap_or(&Value::Null);
    let mut lines = vec![format!(
        "cache    {} hits, {} misses; memory {} entries, {} of {} bytes",
        number(cache, "hits"),
        number(cache, "misses"),
        number(memory, "entries"),
        number(memory, "bytes"),
        number(memory, "capacity_bytes"),
    )];
    if let Some(redis) = cache.get("redis") {
        let available = redis.get("available").and_then(Value::as_bool) == Some(true);
        let state = if available { "available".to_owned() } else { format!("away ({})", text(redis, "last_fault")) };
        lines.push(format!("redis    {state}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_part_of_the_service_has_its_rows() {
        let status = json!({
            "version": "0.1.0",
            "uptime_seconds": 3725,
            "ready": true,
            "device": { "kind": "cpu", "name": "flex", "reason": "no GPU" },
            "operations": 7,
            "flags": 2,
            "services": 1,
            "upstreams": [{
                "name": "image-service", "state": "degraded", "breaker": "half-open", "endpoints": 3, "healthy_endpoints": 2,
                "in_flight": 4, "queued": 5, "consecutive_failures": 6, "p90_ms": 12.34, "last_error": "upstream.timeout",
            }],
            "sidecars": [
                { "name": "flask", "runtime": "python", "ready": true, "restarting": true, "instances": 2, "ready_instances": 1,
                  "restarts": 4, "uptime_ms": 62_000, "last_error": "PROCESS_CRASH" },
                { "name": "node", "runtime": "node", "ready": false, "restarting": true, "instances": 1, "ready_instances": 0,
                  "restarts": 1, "uptime_ms": null, "last_error": null },
            ],
            "plugins": [
                { "id": "crop-people", "version": "0.2.0", "state": "active", "breaker": "closed", "calls": 9, "failures": 1 },
                { "id": "old", "version": null, "state": "unavailable", "breaker": null, "calls": 0, "failures": 0 },
            ],
            "cache": {
                "hits": 10, "misses": 20,
                "memory": { "entries": 3, "bytes": 400, "capacity_bytes": 1000 },
                "redis": { "available": false, "last_fault": "connection" },
            },
        });
        let lines: Vec<_> = table(&status).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "breakwater 0.1.0, ready, up 1 h 2 min",
                "inference on flex (cpu)",
                "7 operations, 2 flags, 1 registered services",
                "",
                "upstream state breaker healthy running queued failures p90 ms last error",
                "image-service degraded half-open 2/3 4 5 6 12.3 upstream.timeout",
                "",
                "sidecar runtime state ready restarts up last error",
                "flask python ready 1/2 4 1 min 2 s PROCESS_CRASH",
                "node node restarting 0/1 1 - -",
                "",
                "plugin version state breaker calls failed",
                "crop-people 0.2.0 active closed 9 1",
                "old - unavailable - 0 0",
                "",
                "cache 10 hits, 20 misses; memory 3 entries, 400 of 1000 bytes",
                "redis away (connection)",
            ]
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        let shown = table(&json!({ "upstreams": [], "plugins": [], "ready": false }));
        assert!(
            shown.contains("no upstreams") && shown.contains("no sidecars") && shown.contains("no plugins") && shown.contains("not ready"),
            "{shown}"
        );
        assert!(!shown.contains("redis"));
    }
}
