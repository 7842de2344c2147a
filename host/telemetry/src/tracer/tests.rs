use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use breakwater_core::{BoxFuture, Failure, FailureKind, Principal};
use bytes::Bytes;
use opentelemetry::Value;
use opentelemetry::trace::{SpanId, SpanKind as OtelKind, Status, TraceId};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;

use super::*;
use crate::Event;

/// Keeps what is exported.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Memory {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Memory {
    fn tracer(&self) -> Arc<Tracer> {
        Tracer::exporting(&OtlpConfig::new("http://unused"), self.clone(), export::LastError::default())
    }

    fn spans(&self) -> Vec<SpanData> {
        self.0.lock().unwrap().clone()
    }
}

/// Exports when it is told to.
#[derive(Debug)]
struct Blocked(Mutex<Receiver<()>>);

impl Blocked {
    fn new() -> (Sender<()>, Self) {
        let (release, blocked) = channel();
        (release, Self(Mutex::new(blocked)))
    }
}

impl SpanExporter for Blocked {
    async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
        // Released, or the test is over.
        let _ = self.0.lock().unwrap().recv();
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(30);

fn attribute<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|attribute| &attribute.value)
}

#[tokio::test]
async fn without_an_endpoint_a_span_is_nothing_but_ids_exist() {
    let tracer = Tracer::disabled();
    let root = tracer.root(None);
    assert!(!root.is_sampled() && root.trace_id() != 0);
    let mut span = tracer.span("operation", SpanKind::Server, None, TraceContext::generate(true));
    span.set("key", "value");
    span.event(&Event::samples()[0]);
    assert!(!span.is_recording());
    assert_eq!(size_of::<Span>(), size_of::<usize>());
    drop(span);
    assert_eq!(tracer.sample(), SpanSample::default());
    tracer.shutdown(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_span_has_the_ids_of_its_context_and_what_was_set() {
    let memory = Memory::default();
    let tracer = memory.tracer();
    let caller: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let root = tracer.root(Some(caller));
    let context = CallContext { trace: root, ..CallContext::root(Principal::Anonymous, SECOND) };
    let outer = tracer.span("request", SpanKind::Server, caller, root);
    let (nested, mut inner) = tracer.child(&context, "upstream attempt", SpanKind::Client);
    assert_eq!((nested.trace.trace_id(), nested.depth), (root.trace_id(), context.depth));
    inner.set("upstream", "image-service");
    inner.set("http.response.status_code", 503_u16);
    inner.set("hedge", false);
    inner.set("wait", Duration::from_millis(1500));
    inner.fail(&Failure::new(FailureKind::Unavailable, "upstream.connection", "secret detail").from_origin("upstream:image-service"));
    inner.event(&Event::RetryBudgetExhausted { upstream: "image-service".into() });
    drop(inner);
    drop(outer);
    tracer.shutdown(LONG).await.unwrap();

    let spans = memory.spans();
    let [inner, outer] = spans.as_slice() else { panic!("{spans:?}") };
    let trace = TraceId::from(caller.trace_id());
    assert_eq!((outer.span_context.trace_id(), outer.span_context.span_id()), (trace, SpanId::from(root.span_id())));
    assert_eq!((outer.parent_span_id, outer.parent_span_is_remote), (SpanId::from(caller.span_id()), true));
    assert_eq!((&*outer.name, &outer.span_kind, &outer.status), ("request", &OtelKind::Server, &Status::Unset));
    assert_eq!((inner.span_context.trace_id(), inner.span_context.span_id()), (trace, SpanId::from(nested.trace.span_id())));
    assert_eq!((inner.parent_span_id, inner.parent_span_is_remote), (SpanId::from(root.span_id()), false));
    assert_eq!(attribute(inner, "upstream"), Some(&Value::from("image-service")));
    assert_eq!(attribute(inner, "http.response.status_code"), Some(&Value::from(503_i64)));
    assert_eq!(attribute(inner, "hedge"), Some(&Value::from(false)));
    assert_eq!(attribute(inner, "wait"), Some(&Value::from(1.5)));
    assert_eq!(attribute(inner, "error.type"), Some(&Value::from("unavailable")));
    assert_eq!(attribute(inner, "breakwater.code"), Some(&Value::from("upstream.connection")));
    assert_eq!(inner.status, Status::error("upstream.connection"));
    assert!(!format!("{inner:?}").contains("secret"), "a message may hold what a caller sent");
    assert_eq!(inner.events.events[0].name, "retry-budget-exhausted");
    let length = |span: &SpanData| span.end_time.duration_since(span.start_time).unwrap();
    assert!(length(inner) <= length(outer), "one span is within the other");
    assert_eq!(tracer.sample(), SpanSample { exported: 2, failed: 0, dropped: 0 });
}

#[tokio::test]
async fn every_event_is_a_span_event_under_its_name_with_its_fields() {
    let memory = Memory::default();
    let tracer = memory.tracer();
    let metrics = crate::Metrics::new("0");
    let mut span = tracer.span("operation", SpanKind::Internal, None, TraceContext::generate(true));
    for event in Event::samples() {
        metrics.emit_in(&event, &mut span);
    }
    drop(span);
    tracer.shutdown(LONG).await.unwrap();
    let events = memory.spans().remove(0).events;
    for (event, shown) in Event::samples().iter().zip(&events.events) {
        let shown_fields: Vec<_> =
            shown.attributes.iter().map(|attribute| (attribute.key.to_string(), attribute.value.to_string())).collect();
        let fields: Vec<_> = event.fields().into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
        assert_eq!((&*shown.name, shown_fields), (event.name(), fields));
    }
    assert_eq!(events.events.len(), Event::samples().len());
}

#[test]
fn new_traces_are_sampled_by_the_ratio_and_others_as_their_caller_does() {
    let tracer = |sample_ratio| {
        let config = OtlpConfig { sample_ratio, ..OtlpConfig::new("http://unused") };
        Tracer::exporting(&config, Memory::default(), export::LastError::default())
    };
    let (none, all, half) = (tracer(0.0), tracer(1.0), tracer(0.5));
    let sampled = |tracer: &Tracer| (0..1000).filter(|_| tracer.root(None).is_sampled()).count();
    assert_eq!((sampled(&none), sampled(&all)), (0, 1000));
    assert!((350..650).contains(&sampled(&half)));
    for caller in [TraceContext::generate(true), TraceContext::generate(false)] {
        assert_eq!(none.root(Some(caller)).is_sampled(), caller.is_sampled());
        assert_eq!(all.span("x", SpanKind::Internal, None, all.root(Some(caller))).is_recording(), caller.is_sampled());
    }
}

#[tokio::test]
async fn what_one_span_holds_is_bounded() {
    let memory = Memory::default();
    let tracer = memory.tracer();
    let mut span = tracer.span("operation", SpanKind::Internal, None, TraceContext::generate(true));
    span.set("long", &"é".repeat(2000));
    for _ in 0..MAX_ATTRIBUTES + 1 {
        span.set("key", 1);
    }
    for _ in 0..MAX_EVENTS + 3 {
        span.event(&Event::samples()[0]);
    }
    drop(span);
    tracer.shutdown(LONG).await.unwrap();
    let span = memory.spans().remove(0);
    assert_eq!((span.attributes.len(), span.dropped_attributes_count), (MAX_ATTRIBUTES, 2));
    assert_eq!((span.events.events.len(), span.events.dropped_count), (MAX_EVENTS, 3));
    assert_eq!(attribute(&span, "long").unwrap().to_string().len(), 1024);
}

#[tokio::test]
async fn spans_that_the_queue_cannot_hold_are_dropped_and_counted() {
    let (release, blocked) = Blocked::new();
    let config = OtlpConfig { max_queue: 4, max_batch: 2, interval: LONG, ..OtlpConfig::new("http://unused") };
    let tracer = Tracer::exporting(&config, blocked, export::LastError::default());
    for _ in 0..7 {
        drop(tracer.span("operation", SpanKind::Internal, None, TraceContext::generate(true)));
    }
    assert_eq!(tracer.sample(), SpanSample { exported: 0, failed: 0, dropped: 3 });
    drop(release);
    tracer.shutdown(LONG).await.unwrap();
    assert_eq!(tracer.sample(), SpanSample { exported: 4, failed: 0, dropped: 3 });
    drop(tracer.span("operation", SpanKind::Internal, None, TraceContext::generate(true)));
    assert_eq!(tracer.sample().dropped, 4, "after the shutdown there is no export");
    tracer.shutdown(LONG).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_in_time_and_says_how_many_spans_it_left() {
    let (release, blocked) = Blocked::new();
    let tracer = Tracer::exporting(&OtlpConfig::new("http://unused"), blocked, export::LastError::default());
    for _ in 0..3 {
        drop(tracer.span("operation", SpanKind::Internal, None, TraceContext::generate(true)));
    }
    let error = tracer.shutdown(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(error.to_string(), "3 spans were not exported in time");
    drop(release);
}

/// What a transport was asked to send.
type Sent = (String, Vec<(String, String)>, Bytes);

struct Collector {
    sent: Mutex<Vec<Sent>>,
    answer: Result<u16, String>,
}

impl Collector {
    fn new(answer: Result<u16, String>) -> Arc<Self> {
        Arc::new(Self { sent: Mutex::default(), answer })
    }
}

impl OtlpTransport for Collector {
    fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> BoxFuture<'_, Result<u16, String>> {
        self.sent.lock().unwrap().push((url.to_owned(), headers, body));
        let answer = self.answer.clone();
        Box::pin(async move {
            // The transport needs a runtime; the exporter's thread has none.
            tokio::time::sleep(Duration::from_millis(1)).await;
            answer
        })
    }
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn spans_reach_the_collector_as_protobuf_through_the_transport() {
    let collector = Collector::new(Ok(200));
    let config = OtlpConfig {
        service_name: "breakwater-test".into(),
        service_version: "1.2.3".into(),
        ..OtlpConfig::new("http://collector.example:4318/")
    };
    let tracer = Tracer::start(&config, collector.clone(), Handle::current()).unwrap();
    let own = TraceContext::generate(true);
    drop(tracer.span("plan a crop", SpanKind::Internal, None, own));
    tracer.shutdown(LONG).await.unwrap();
    let sent = collector.sent.lock().unwrap();
    let [(url, headers, body)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(url, "http://collector.example:4318/v1/traces");
    assert!(headers.contains(&("content-type".to_owned(), "application/x-protobuf".to_owned())), "{headers:?}");
    for part in [b"plan a crop".as_slice(), b"breakwater-test", b"1.2.3", &own.trace_id().to_be_bytes(), &own.span_id().to_be_bytes()] {
        assert!(holds(body, part), "{part:?} is not in {body:?}");
    }
    assert_eq!(tracer.sample(), SpanSample { exported: 1, failed: 0, dropped: 0 });
}

#[tokio::test]
async fn spans_that_the_collector_does_not_take_are_counted() {
    for answer in [Ok(400), Err("connection refused".to_owned())] {
        let collector = Collector::new(answer);
        let config = OtlpConfig { timeout: Duration::from_millis(100), ..OtlpConfig::new("http://collector.example/v1/traces") };
        let tracer = Tracer::start(&config, collector.clone(), Handle::current()).unwrap();
        drop(tracer.span("operation", SpanKind::Internal, None, TraceContext::generate(true)));
        tracer.shutdown(LONG).await.unwrap();
        assert_eq!(tracer.sample(), SpanSample { exported: 0, failed: 1, dropped: 0 });
        assert_eq!(collector.sent.lock().unwrap()[0].0, "http://collector.example/v1/traces");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_refused() {
    let error = Tracer::start(&OtlpConfig::new("not a url"), Collector::new(Ok(200)), Handle::current()).unwrap_err();
    assert!(matches!(error, TelemetryError::Exporter(_)), "{error}");
}

#[test]
fn a_failing_collector_is_mentioned_once_a_minute() {
    #[derive(Debug)]
    struct Failing;
    impl SpanExporter for Failing {
        async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
            Err(OTelSdkError::InternalFailure("HTTP export failed".into()))
        }
    }
    let reason = export::LastError::default();
    *reason.lock().unwrap() = Some("connection refused".to_owned());
    let exporter = export::Counting::new(Failing, Arc::default(), reason);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lines = crate::capture::captured(|| {
        for _ in 0..3 {
            runtime.block_on(exporter.export(Vec::new())).unwrap_err();
        }
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].fields["reason"], "connection refused");
}
