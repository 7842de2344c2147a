use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::capture::captured;
use crate::metrics::Metrics;

/// A value of a field, for one of each event.
pub(crate) trait Sample {
    fn sample(field: &'static str) -> Self;
}

impl Sample for String {
    fn sample(field: &'static str) -> Self {
        format!("some-{field}")
    }
}

impl Sample for u32 {
    fn sample(_field: &'static str) -> Self {
        3
    }
}

impl Sample for Figure {
    fn sample(_field: &'static str) -> Self {
        Self(Some(4))
    }
}

macro_rules! first_of {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            fn sample(_field: &'static str) -> Self {
                Self::ALL[0]
            }
        }
    )*};
}

first_of!(PluginChange, EndpointChange, Health, TierChange, CacheTier, FlagChange, RegistryChange, SidecarChange);

/// Every row of every metric with its value.
fn rows(metrics: &Metrics) -> BTreeMap<String, String> {
    let text = metrics.encode();
    let rows = text.lines().filter(|line| !line.starts_with('#') && line.starts_with("breakwater_"));
    rows.filter_map(|line| line.rsplit_once(' ')).map(|(row, value)| (row.to_owned(), value.to_owned())).collect()
}

/// `Event::samples` is made of the declaration, so that a new event is here, too.
#[test]
fn every_event_writes_one_line_and_counts_one_metric_under_its_name() {
    for event in Event::samples() {
        let metrics = Metrics::new("0");
        for round in 1..=2 {
            let before = rows(&metrics);
            let lines = captured(|| metrics.emit(&event));
            assert_eq!(lines.len(), 1, "{event:?}: {lines:?}");
            assert_eq!(lines[0].fields.get("event").map(String::as_str), Some(event.name()), "{event:?}: {lines:?}");
            for (field, value) in event.fields() {
                assert_eq!(lines[0].fields.get(field), Some(&value), "{event:?}: {lines:?}");
            }
            let after = rows(&metrics);
            let moved: Vec<_> = after.iter().filter(|(row, value)| before.get(*row) != Some(*value)).collect();
            assert_eq!(moved.len(), 1, "{event:?}: {moved:?}");
            let (metric, _) = event.counted();
            assert!(moved[0].0.starts_with(&format!("{}{{", metric.exposed())), "{event:?}: {moved:?}");
            assert_eq!(*moved[0].1, round.to_string(), "{event:?}: {moved:?}");
        }
    }
}

#[test]
fn events_have_names_of_their_own_and_messages_that_say_what_happened() {
    let events = Event::samples();
    let names: BTreeSet<_> = events.iter().map(Event::name).collect();
    assert_eq!(names.len(), events.len());
    for event in &events {
        let lines = captured(|| event.log());
        assert!(lines[0].fields["message"].contains("some-"), "{lines:?}");
    }
}

#[test]
fn what_needs_somebody_is_a_warning() {
    let level = |event: Event| captured(|| event.log())[0].level;
    let plugin = |change| Event::Plugin { plugin: "p".into(), change, detail: "why".into() };
    assert_eq!((level(plugin(PluginChange::Refused)), level(plugin(PluginChange::Deployed))), (Level::WARN, Level::INFO));
    let cache = |change| Event::Cache { tier: CacheTier::Redis, change, detail: "why".into() };
    assert_eq!((level(cache(TierChange::Lost)), level(cache(TierChange::Recovered))), (Level::WARN, Level::INFO));
    let health = |health| Event::UpstreamHealth { upstream: "u".into(), endpoint: "e".into(), health, detail: "503".into() };
    assert_eq!((level(health(Health::Unhealthy)), level(health(Health::Healthy))), (Level::WARN, Level::INFO));
    let endpoint = |change| Event::Endpoint { upstream: "u".into(), endpoint: "e".into(), change, detail: "30s".into() };
    assert_eq!((level(endpoint(EndpointChange::Ejected)), level(endpoint(EndpointChange::Returned))), (Level::WARN, Level::INFO));
    let sidecar = |change| {
        let (pid, uptime_ms) = (Figure(None), Figure(None));
        Event::Sidecar { sidecar: "s".into(), instance: 0, change, detail: "why".into(), pid, uptime_ms, restarts: 0 }
    };
    for change in SidecarChange::ALL {
        let expected = if ["failed", "restarting", "gave-up"].contains(&change.name()) { Level::WARN } else { Level::INFO };
        assert_eq!(level(sidecar(*change)), expected, "{change}");
    }
}

#[test]
fn what_is_not_known_of_a_process_is_not_written_as_nothing() {
    let (pid, uptime_ms) = (Figure(Some(4711)), Figure(None));
    let (sidecar, change, detail) = ("flask".into(), SidecarChange::Failed, "PORT_IN_USE: port 5001 is taken".into());
    let lines = captured(|| Event::Sidecar { sidecar, instance: 1, change, detail, pid, uptime_ms, restarts: 2 }.log());
    let fields = &lines[0].fields;
    assert_eq!([&*fields["pid"], &*fields["uptime_ms"], &*fields["restarts"]], ["4711", "-", "2"]);
    assert_eq!(fields["message"], "instance 1 of the sidecar flask failed: PORT_IN_USE: port 5001 is taken");
}
