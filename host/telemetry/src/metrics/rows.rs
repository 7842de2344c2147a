//! Families of metrics whose number of rows has a limit.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::names::Metric;

/// Rows of one family of counters and gauges; beyond them, names that come from outside become [`OTHER`].
pub const MAX_ROWS: usize = 1000;

/// As [`MAX_ROWS`], for histograms, each of which is one series per bucket.
pub const MAX_HISTOGRAM_ROWS: usize = 200;

/// What a row that exceeds the limit is counted as.
pub const OTHER: &str = "other";

/// The label values of one row, beside the names of its metric.
pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// One family. Recording costs a read lock and an atomic once a row exists.
pub(super) struct Rows<M> {
    metric: Metric,
    family: Family<Labels, M, fn() -> M>,
    limit: usize,
    rows: Mutex<usize>,
}

impl<M> fmt::Debug for Rows<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("metric", &self.metric.name).field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<M> Rows<M>
where
    M: prometheus_client::encoding::EncodeMetric + TypedMetric + fmt::Debug + Send + Sync + 'static,
{
    pub(super) fn new(registry: &mut Registry, metric: Metric, make: fn() -> M) -> Self {
        let limit = if matches!(M::TYPE, MetricType::Histogram) { MAX_HISTOGRAM_ROWS } else { MAX_ROWS };
        let family = Family::new_with_constructor(make);
        registry.register(metric.name, metric.help, family.clone());
        Self { metric, family, limit, rows: Mutex::new(0) }
    }

    /// Records something in the row of `values`, which are in the order of the metric's labels.
    pub(super) fn with<const N: usize>(&self, values: [Cow<'static, str>; N], record: impl FnOnce(&M)) {
        self.with_values(values, record);
    }

    pub(super) fn with_values(&self, values: impl IntoIterator<Item = Cow<'static, str>>, record: impl FnOnce(&M)) {
        let labels: Labels = self.metric.labels.iter().copied().zip(values).collect();
        debug_assert_eq!(self.metric.labels.len(), labels.len(), "{}", self.metric.name);
        if let Some(row) = self.family.get(&labels) {
            return record(&row);
        }
        // One at a time, so that the limit is exact.
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = if *rows >= self.limit { beyond(labels) } else { labels };
        if self.family.get(&labels).is_none() {
            *rows += 1;
        }
        record(&self.family.get_or_create(&labels));
    }
}

fn beyond(labels: Labels) -> Labels {
    let other = |(name, value)| match value {
        Cow::Owned(_) => (name, Cow::Borrowed(OTHER)),
        closed => (name, closed),
    };
    labels.into_iter().map(other).collect()
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::Counter;

    use super::super::names;
    use super::*;

    #[test]
    fn a_family_with_too_many_rows_counts_new_names_as_other_and_keeps_closed_values() {
        let mut registry = Registry::default();
        let rows: Rows<Counter> = Rows::new(&mut registry, names::PLUGIN_CALLS, Counter::default);
        for index in 0..MAX_ROWS + 5 {
            rows.with([format!("p{index}").into(), "ok".into()], |row| {
                row.inc();
            });
        }
        rows.with(["p0".to_owned().into(), "ok".into()], |row| {
            row.inc();
        });
        rows.with(["late".to_owned().into(), "timeout".into()], |row| {
            row.inc();
        });
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let has = |line: &str| text.lines().any(|shown| shown == line);
        assert!(has(r#"breakwater_plugin_calls_total{plugin="p0",outcome="ok"} 2"#), "a row that exists goes on");
        assert!(has(r#"breakwater_plugin_calls_total{plugin="other",outcome="ok"} 5"#));
        assert!(has(r#"breakwater_plugin_calls_total{plugin="other",outcome="timeout"} 1"#));
        assert!(!text.contains("late"));
        assert_eq!(text.matches("_total{").count(), MAX_ROWS + 2);
    }
}
