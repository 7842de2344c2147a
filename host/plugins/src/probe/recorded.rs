//! Recorded answers in place of services.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use breakwater_core::{Body, BoxFuture, CallContext, Failure, FailureKind, OutboundRequest, OutboundResponse};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::package::{Exchange, Target};
use crate::ports::{FlagReader, Outbound};

/// The most bytes of an answer's body that a failure's detail repeats.
const MAX_BODY: usize = 8 << 10;

/// Gives each recorded answer once.
pub(super) struct Recorded(Mutex<Tape>);

struct Tape {
    left: Vec<Exchange>,
    surprise: Option<String>,
}

impl Recorded {
    pub(super) fn of(exchanges: &[Exchange]) -> Self {
        Self(Mutex::new(Tape { left: exchanges.to_vec(), surprise: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Tape> {
        // A tape is changed by single removals and assignments.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request that was not recorded.
    pub(super) fn surprise(&self) -> Option<String> {
        self.lock().surprise.clone()
    }

    /// A recorded request that was not made.
    pub(super) fn missing(&self) -> Option<String> {
        self.lock().left.first().map(|exchange| format!("it did not send {} {}", exchange.method, named(&exchange.target)))
    }

    fn answer(&self, target: &Target, request: &OutboundRequest) -> Result<OutboundResponse, Failure> {
        let method = request.method.name();
        let body = match &request.body {
            Body::Bytes(bytes) => serde_json::from_slice::<Value>(bytes).ok(),
            Body::Stream(_) | Body::Form(_) => None,
        };
        let mut tape = self.lock();
        let fits = |exchange: &Exchange| {
            exchange.target == *target
                && exchange.method == method
                && exchange.body.as_ref().is_none_or(|wanted| body.as_ref() == Some(wanted))
        };
        let Some(at) = tape.left.iter().position(fits) else {
            let what = format!("it sent {method} {}, which is not recorded", named(target));
            tape.surprise.get_or_insert_with(|| what.clone());
            return Err(Failure::new(FailureKind::Denied, "probe.not-recorded", what));
        };
        let Exchange { status, answer, media_type, .. } = tape.left.remove(at);
        if status >= 400 && !request.any_status {
            return Err(rejection(status, &answer));
        }
        let headers = vec![("content-type".to_owned(), media_type)];
        Ok(OutboundResponse { status, headers, body: Body::Bytes(answer), attempts: 1 })
    }
}

/// As the host's client would say it.
fn rejection(status: u16, answer: &Bytes) -> Failure {
    let kind = match status {
        404 => FailureKind::NotFound,
        400 | 422 => FailureKind::InvalidRequest,
        _ => FailureKind::Rejected,
    };
    let body = String::from_utf8_lossy(answer.get(..MAX_BODY).unwrap_or(answer)).into_owned();
    Failure::new(kind, "upstream.status", format!("it answered with status {status}"))
        .with_detail(json!({ "status": status, "body": body }))
}

fn named(target: &Target) -> String {
    match target {
        Target::Upstream { name, path } => format!("{path} to `{name}`"),
        Target::Url(url) => url.clone(),
    }
}

impl Outbound for Recorded {
    fn send<'a>(
        &'a self,
        _context: &'a CallContext,
        upstream: &'a str,
        request: OutboundRequest,
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>> {
        let target = Target::Upstream { name: upstream.to_owned(), path: request.path.clone() };
        Box::pin(async move { self.answer(&target, &request) })
    }

    fn send_to_url<'a>(
        &'a self,
        _context: &'a CallContext,
        url: &'a str,
        request: OutboundRequest,
        _hosts: &'a [String],
    ) -> BoxFuture<'a, Result<OutboundResponse, Failure>> {
        Box::pin(async move { self.answer(&Target::Url(url.to_owned()), &request) })
    }
}

/// Flags that a fixture says are on.
pub(super) struct Flags(BTreeSet<String>);

impl Flags {
    pub(super) fn on(flags: &[String]) -> Self {
        Self(flags.iter().cloned().collect())
    }
}

impl FlagReader for Flags {
    fn enabled(&self, _context: &CallContext, flag: &str) -> bool {
        self.0.contains(flag)
    }
}

#[cfg(test)]
mod tests {
    use breakwater_core::{Method, Principal};

    use super::*;

    fn exchange(path: &str, body: Option<Value>, status: u16) -> Exchange {
        Exchange {
            target: Target::Upstream { name: "a".to_owned(), path: path.to_owned() },
            method: "POST".to_owned(),
            body,
            status,
            answer: Bytes::from(path.to_owned()),
            media_type: "text/plain".to_owned(),
        }
    }

    async fn send(recorded: &Recorded, path: &str, body: &str) -> Result<OutboundResponse, Failure> {
        let context = CallContext::root(Principal::System, std::time::Duration::from_secs(1));
        let request = OutboundRequest { body: Body::Bytes(body.to_owned().into()), ..OutboundRequest::new(Method::Post, path) };
        recorded.send(&context, "a", request).await
    }

    #[tokio::test]
    async fn each_answer_is_given_once_to_the_request_it_was_recorded_for() {
        let recorded = Recorded::of(&[exchange("/a", Some(json!({ "n": 1 })), 200), exchange("/b", None, 404)]);
        let answer = send(&recorded, "/a", " {\"n\": 1}").await.unwrap();
        assert!(matches!(answer.body, Body::Bytes(bytes) if bytes == "/a"));
        assert_eq!(recorded.missing().unwrap(), "it did not send POST /b to `a`");
        let failure = send(&recorded, "/b", "anything").await.unwrap_err();
        assert_eq!((failure.kind, &*failure.code), (FailureKind::NotFound, "upstream.status"));
        assert_eq!((recorded.missing(), recorded.surprise()), (None, None));
        assert_eq!(&*send(&recorded, "/a", "{\"n\":1}").await.unwrap_err().code, "probe.not-recorded");
        assert_eq!(recorded.surprise().unwrap(), "it sent POST /a to `a`, which is not recorded");
    }
}
