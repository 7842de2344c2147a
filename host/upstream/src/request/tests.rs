use std::sync::Arc;
use std::time::Duration;

use breakwater_core::Principal;

use super::*;

const RULES: Rules<'static> =
    Rules { upstream: "images", own_credentials: false, credential_header: None, max_replay_bytes: 1024, max_response_bytes: 1000 };

fn context() -> CallContext {
    CallContext::root(Principal::Anonymous, Duration::from_secs(10))
}

fn with_headers(headers: &[(&str, &str)], rules: Rules<'_>) -> Result<Prepared, Failure> {
    let mut request = OutboundRequest::new(Method::Get, "/");
    request.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Prepared::new(&context(), request, rules)
}

fn names(prepared: &Prepared) -> Vec<&str> {
    let mut names: Vec<_> = prepared.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_belongs_to_the_host_or_the_connection_is_dropped() {
    let given = [
        ("Host", "evil.example"),
        ("content-length", "5"),
        ("Connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "1"),
        ("authorization", "Bearer x"),
        ("Cookie", "a=b"),
        ("x-api-key", "k"),
        ("x-correlation-id", "forged"),
        ("traceparent", "forged"),
        ("content-type", "application/json"),
    ];
    let prepared = with_headers(&given, RULES).unwrap();
    assert_eq!(names(&prepared), ["content-type", "x-correlation-id"]);
    assert_ne!(prepared.headers[CORRELATION_ID], "forged");
    let own = with_headers(&given, Rules { own_credentials: true, ..RULES }).unwrap();
    assert_eq!(names(&own), ["authorization", "content-type", "cookie", "x-api-key", "x-correlation-id"]);
    let special = HeaderName::from_static("x-tenant-secret");
    let rules = Rules { credential_header: Some(&special), ..RULES };
    assert_eq!(names(&with_headers(&[("X-Tenant-Secret", "guess")], rules).unwrap()), ["x-correlation-id"]);
}

#[test]
fn a_header_cannot_smuggle_another() {
    for (name, value) in [("a", "b\r\nx: y"), ("a\r\nx", "b"), ("a", "b\0"), ("a b", "c"), ("", "c")] {
        assert_eq!(with_headers(&[(name, value)], RULES).err().unwrap().code, "upstream.request-invalid", "{name:?}: {value:?}");
    }
}

#[test]
fn headers_end_at_their_limits() {
    let many = vec![("a", "b"); MAX_HEADERS];
    assert!(with_headers(&many, RULES).is_ok());
    assert!(with_headers(&[&many[..], &[("a", "b")]].concat(), RULES).is_err());
    let long = "x".repeat(MAX_HEADER_BYTES);
    assert!(with_headers(&[("a", &long[1..])], RULES).is_ok());
    assert!(with_headers(&[("a", &long)], RULES).is_err());
}

fn prepared(context: &CallContext, change: impl FnOnce(&mut OutboundRequest)) -> Prepared {
    let mut request = OutboundRequest::new(Method::Post, "/x");
    change(&mut request);
    Prepared::new(context, request, RULES).unwrap()
}

#[test]
fn only_what_does_no_more_when_sent_twice_is_repeatable() {
    let context = context();
    let repeatable = |change: fn(&mut OutboundRequest)| prepared(&context, change).repeatable;
    assert!(!repeatable(|_| {}));
    assert!(repeatable(|request| request.is_read = true));
    assert!(repeatable(|request| request.idempotency_key = Some("k".into())));
    assert!(repeatable(|request| request.method = Method::Put));
    assert!(!repeatable(|request| request.method = Method::Patch));
    assert!(!repeatable(|request| {
        request.method = Method::Put;
        request.body = Body::Stream(Box::pin(futures_util::stream::empty()));
    }));
    assert!(repeatable(|request| {
        request.method = Method::Put;
        request.body = Bytes::from(vec![0; 1024]).into();
    }));
    assert!(!repeatable(|request| {
        request.method = Method::Put;
        request.body = Bytes::from(vec![0; 1025]).into();
    }));
}

#[test]
fn a_keyed_call_keys_its_unsafe_requests_each_with_its_own_key() {
    let keyed = CallContext { idempotency_key: Some(Arc::from("call-1")), ..context() };
    let key = |context: &CallContext, rules: Rules<'_>, change: fn(&mut OutboundRequest)| {
        let mut request = OutboundRequest::new(Method::Post, "/x");
        change(&mut request);
        let prepared = Prepared::new(context, request, rules).unwrap();
        prepared.headers.get(IDEMPOTENCY_KEY).map(|key| key.to_str().unwrap().to_owned())
    };
    let derived = key(&keyed, RULES, |_| {}).unwrap();
    assert_eq!(key(&keyed, RULES, |_| {}), Some(derived.clone()), "every attempt has the same");
    assert_eq!(derived.len(), 64);
    assert!(!derived.contains("call-1"));
    let other = CallContext { idempotency_key: Some(Arc::from("call-2")), ..context() };
    let others = [
        key(&other, RULES, |_| {}),
        key(&keyed, Rules { upstream: "other", ..RULES }, |_| {}),
        key(&keyed, RULES, |request| request.path = "/y".into()),
        key(&keyed, RULES, |request| request.method = Method::Patch),
        key(&keyed, RULES, |request| request.body = Bytes::from_static(b"{}").into()),
    ];
    for other in others {
        assert_ne!(other.unwrap(), derived);
    }
    assert_eq!(key(&keyed, RULES, |request| request.is_read = true), None);
    assert_eq!(key(&keyed, RULES, |request| request.method = Method::Delete), None);
    assert_eq!(key(&context(), RULES, |_| {}), None);
    assert_eq!(key(&keyed, RULES, |request| request.idempotency_key = Some("given".into())).as_deref(), Some("given"));
    assert_eq!(key(&keyed, RULES, |request| request.headers.push(("Idempotency-Key".into(), "header".into()))).as_deref(), Some("header"));
}

#[test]
fn a_key_that_cannot_be_sent_is_refused() {
    for key in ["", "a b", "a\n", &"k".repeat(MAX_KEY + 1)] {
        let mut request = OutboundRequest::new(Method::Post, "/");
        request.idempotency_key = Some(key.to_owned());
        assert_eq!(Prepared::new(&context(), request, RULES).err().unwrap().code, "upstream.request-invalid", "{key:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wishes_tighten_and_never_loosen() {
    let context = context();
    let tight = prepared(&context, |request| {
        request.timeout = Some(Duration::from_secs(1));
        request.max_response_bytes = Some(10);
    });
    assert_eq!((tight.deadline.remaining(), tight.max_response_bytes), (Duration::from_secs(1), 10));
    let loose = prepared(&context, |request| {
        request.timeout = Some(Duration::from_secs(100));
        request.max_response_bytes = Some(10_000);
    });
    assert_eq!((loose.deadline, loose.max_response_bytes), (context.deadline, 1000));
}

#[test]
fn the_effect_follows_from_the_method_unless_the_request_only_reads() {
    let context = context();
    let effect = |method, is_read| {
        prepared(&context, |request| {
            request.method = method;
            request.is_read = is_read;
        })
        .effect
    };
    assert_eq!(effect(Method::Get, false), OperationEffect::Read);
    assert_eq!(effect(Method::Post, false), OperationEffect::Create);
    assert_eq!(effect(Method::Post, true), OperationEffect::Read);
    assert_eq!(effect(Method::Patch, false), OperationEffect::Update);
    assert_eq!(effect(Method::Put, false), OperationEffect::Update);
    assert_eq!(effect(Method::Delete, false), OperationEffect::Delete);
}
