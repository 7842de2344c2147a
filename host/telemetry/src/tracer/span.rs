//! One span.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use breakwater_core::{Failure, TraceContext};
use opentelemetry::trace::{self, SpanContext, SpanId, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::export::Queue;
use crate::event::Event;

/// Attributes of one span at most; more are counted as dropped.
pub const MAX_ATTRIBUTES: usize = 32;

/// Events of one span at most; more are counted as dropped.
pub const MAX_EVENTS: usize = 32;

/// Bytes of a text attribute at most; longer ones are cut.
const MAX_TEXT: usize = 1024;

/// What a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SpanKind {
    /// Work inside the service.
    #[default]
    Internal,
    /// A request that somebody sent; its parent is remote.
    Server,
    /// A request that the service sends.
    Client,
}

/// The value of an attribute. Text is copied only when the span records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SpanValue<'a> {
    /// Text.
    Text(&'a str),
    /// A number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Yes or no.
    Truth(bool),
}

impl<'a> From<&'a str> for SpanValue<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for SpanValue<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for SpanValue<'_> {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for SpanValue<'_> {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

impl From<Duration> for SpanValue<'_> {
    /// In seconds.
    fn from(duration: Duration) -> Self {
        Self::Float(duration.as_secs_f64())
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl From<$type> for SpanValue<'_> {
            fn from(number: $type) -> Self {
                Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, usize, i32, i64);

impl From<SpanValue<'_>> for Value {
    fn from(value: SpanValue<'_>) -> Self {
        match value {
            SpanValue::Text(text) => Self::from(cut(text).to_owned()),
            SpanValue::Integer(number) => Self::from(number),
            SpanValue::Float(number) => Self::from(number),
            SpanValue::Truth(truth) => Self::from(truth),
        }
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or(text)
}

/// A span from its start until it is dropped. One that does not record holds nothing.
#[derive(Debug)]
#[must_use = "a span lasts until it is dropped"]
pub struct Span(Option<Box<Recording>>);

#[derive(Debug)]
struct Recording {
    queue: Arc<Queue>,
    // The wall clock may jump; a duration may not.
    started: Instant,
    data: SpanData,
}

impl Span {
    /// A span that records nothing.
    pub const fn none() -> Self {
        Self(None)
    }

    pub(super) fn start(
        queue: Arc<Queue>,
        scope: InstrumentationScope,
        name: &str,
        kind: SpanKind,
        parent: Option<TraceContext>,
        own: TraceContext,
    ) -> Self {
        let span_context =
            SpanContext::new(TraceId::from(own.trace_id()), SpanId::from(own.span_id()), TraceFlags::SAMPLED, false, TraceState::default());
        let start_time = SystemTime::now();
        let data = SpanData {
            span_context,
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from(parent.span_id())),
            parent_span_is_remote: parent.is_some() && kind == SpanKind::Server,
            span_kind: match kind {
                SpanKind::Internal => trace::SpanKind::Internal,
                SpanKind::Server => trace::SpanKind::Server,
                SpanKind::Client => trace::SpanKind::Client,
            },
            name: Cow::Owned(name.to_owned()),
            start_time,
            end_time: start_time,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: scope,
        };
        Self(Some(Box::new(Recording { queue, started: Instant::now(), data })))
    }

    /// Puts the start back to when it was.
    pub(super) fn began(&mut self, started: Instant) {
        if let Some(recording) = &mut self.0 {
            let earlier = recording.started.saturating_duration_since(started);
            recording.data.start_time = recording.data.start_time.checked_sub(earlier).unwrap_or(recording.data.start_time);
            recording.started = started;
        }
    }

    /// Whether anything is recorded: asked before an attribute is computed at a cost.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// Sets an attribute. Text beyond 1 KiB is cut, attributes beyond [`MAX_ATTRIBUTES`] are counted as dropped.
    pub fn set<'a>(&mut self, key: &'static str, value: impl Into<SpanValue<'a>>) {
        let Some(recording) = &mut self.0 else { return };
        let data = &mut recording.data;
        if data.attributes.len() < MAX_ATTRIBUTES {
            data.attributes.push(KeyValue::new(key, Value::from(value.into())));
        } else {
            data.dropped_attributes_count = data.dropped_attributes_count.saturating_add(1);
        }
    }

    /// Marks what it stands for as failed: kind and stable code, never the message, which may hold what a caller sent.
    pub fn fail(&mut self, failure: &Failure) {
        self.set("error.type", failure.kind.name());
        self.set("breakwater.code", &*failure.code);
        if let Some(origin) = failure.origin.as_deref() {
            self.set("breakwater.origin", origin);
        }
        if let Some(recording) = &mut self.0 {
            recording.data.status = Status::error(failure.code.clone());
        }
    }

    /// Notes that something happened. Events beyond [`MAX_EVENTS`] are counted as dropped.
    pub fn event(&mut self, event: &Event) {
        let Some(recording) = &mut self.0 else { return };
        let events = &mut recording.data.events;
        if events.events.len() < MAX_EVENTS {
            let attributes = event.fields().into_iter().map(|(key, text)| KeyValue::new(key, cut(&text).to_owned())).collect();
            events.events.push(trace::Event::new(event.name(), SystemTime::now(), attributes, 0));
        } else {
            events.dropped_count = events.dropped_count.saturating_add(1);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(recording) = self.0.take() {
            let Recording { queue, started, mut data } = *recording;
            data.end_time = data.start_time + started.elapsed();
            queue.offer(data);
        }
    }
}
