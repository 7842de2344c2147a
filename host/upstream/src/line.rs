//! The line to one upstream: client, places on it, credentials, mechanisms. Sends a request until it is answered or given up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use breakwater_core::{CallContext, Deadline, Failure, OutboundRequest, OutboundResponse};
use breakwater_resilience::{Attempt, AttemptFailure, FailureClass, Pipeline, Priority, Terms};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::classify;
use crate::credentials::Presenter;
use crate::endpoint::Endpoint;
use crate::exchange::Exchange;
use crate::observer::{AttemptEnd, AttemptStart, RequestEnd, UpstreamObserver};
use crate::request::{Prepared, Rules};

/// Everything that requests to one upstream share.
pub(crate) struct Line {
    /// The upstream's name, or a URL's scheme, host and port.
    pub(crate) name: String,
    pub(crate) is_url: bool,
    pub(crate) client: reqwest::Client,
    pub(crate) pipeline: Pipeline<Arc<Endpoint>>,
    /// Attempts that run and answers that are being read.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) first_byte_timeout: Option<Duration>,
    pub(crate) max_response_bytes: u64,
    pub(crate) max_replay_bytes: u64,
    pub(crate) credentials: Option<Presenter>,
    pub(crate) observer: Arc<dyn UpstreamObserver>,
}

/// What a request has met so far.
#[derive(Default)]
struct Met {
    /// The newest failure of an attempt.
    failure: Mutex<Option<AttemptFailure>>,
    /// The newest answer of status 408, 429 or 5xx, when such answers are wanted too.
    answer: Mutex<Option<OutboundResponse>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Only whole values are put in.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Sends a request until it is answered or given up.
    pub(crate) async fn send(&self, context: &CallContext, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        let started = Instant::now();
        let result = self.attempts(context, request).await;
        let failure = result.as_ref().err();
        self.observer.request_ended(&RequestEnd { upstream: &self.name, is_url: self.is_url, failure, elapsed: started.elapsed() });
        result
    }

    async fn attempts(&self, context: &CallContext, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        let rules = Rules {
            upstream: &self.name,
            own_credentials: self.is_url,
            credential_header: self.credentials.as_ref().map(Presenter::header),
            max_replay_bytes: self.max_replay_bytes,
            max_response_bytes: self.max_response_bytes,
        };
        let prepared = Prepared::new(context, request, rules).map_err(|failure| failure.from_origin(classify::origin(&self.name)))?;
        let terms = Terms {
            deadline: prepared.deadline,
            ledger: context.ledger.clone(),
            effect: prepared.effect,
            repeatable: prepared.repeatable,
            priority: Priority::Normal,
        };
        let met = Met::default();
        let completed = self.pipeline.call(&terms, |attempt| self.attempt(context, &prepared, &met, attempt)).await;
        match completed {
            Ok(completed) => Ok(OutboundResponse { attempts: completed.attempts, ..completed.value }),
            Err(failure) => {
                let failure = self.explained(failure, &met);
                match lock(&met.answer).take() {
                    Some(answer) if last_code(&failure) == classify::STATUS => Ok(answer),
                    _ => Err(failure),
                }
            }
        }
    }

    /// A failure of the pipeline in the words of upstreams, with what the last answer said.
    fn explained(&self, failure: Failure, met: &Met) -> Failure {
        let mut failure = classify::of_pipeline(&self.name, failure);
        if let (Some(serde_json::Value::Object(detail)), Some(last)) = (&mut failure.detail, lock(&met.failure).as_ref())
            && detail.contains_key("last_code")
            && let Some(serde_json::Value::Object(answer)) = &last.failure.detail
        {
            for (name, value) in answer {
                detail.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        failure
    }

    async fn attempt(
        &self,
        context: &CallContext,
        prepared: &Prepared,
        met: &Met,
        attempt: Attempt<Arc<Endpoint>>,
    ) -> Result<OutboundResponse, AttemptFailure> {
        let trace = context.trace.child();
        let watch = self.observer.attempt_started(&AttemptStart {
            context,
            trace,
            upstream: &self.name,
            is_url: self.is_url,
            endpoint_id: &attempt.endpoint.id,
            method: prepared.method.as_str(),
            number: attempt.number,
            is_hedge: attempt.is_hedge,
        });
        let started = Instant::now();
        let exchange =
            Exchange { line: self, places: &self.places, prepared, endpoint: &attempt.endpoint, trace, deadline: attempt.deadline };
        let result = match exchange.run(attempt.number).await {
            // A stream that is spent says nothing new: what counts is how its one attempt ended.
            Err(ended) if ended.is_spent => Err(match lock(&met.failure).take() {
                Some(first) => AttemptFailure { class: FailureClass::Client, ..first },
                None => ended.failure,
            }),
            Err(ended) => {
                *lock(&met.answer) = ended.answer;
                Err(ended.failure)
            }
            Ok(response) => Ok(response),
        };
        let elapsed = started.elapsed();
        let failure = result.as_ref().err();
        if let Some(statistics) = &attempt.endpoint.statistics {
            statistics.record(elapsed, failure.is_some_and(|failure| failure.class.blames_endpoint()));
        }
        if let Some(watch) = watch {
            let of_detail = |failure: &AttemptFailure| failure.failure.detail.as_ref()?.get("status")?.as_u64()?.try_into().ok();
            let status = result.as_ref().map_or_else(of_detail, |response| Some(response.status));
            watch.ended(&AttemptEnd { status, failure: failure.map(|failure| &failure.failure), elapsed });
        }
        if let Some(failure) = failure {
            *lock(&met.failure) = Some(failure.clone());
        }
        result
    }

    /// One attempt outside of traffic: no breaker, no queue, no retries, nothing counted.
    pub(crate) async fn probe(
        &self,
        context: &CallContext,
        endpoint: &Endpoint,
        request: OutboundRequest,
        within: Duration,
    ) -> Result<OutboundResponse, Failure> {
        let rules = Rules {
            upstream: &self.name,
            own_credentials: false,
            credential_header: None,
            max_replay_bytes: 0,
            max_response_bytes: self.max_response_bytes,
        };
        let prepared = Prepared::new(context, request, rules)?;
        let exchange = Exchange {
            line: self,
            // A place of its own: an upstream that is busy is not for that reason unwell.
            places: &Arc::new(Semaphore::new(1)),
            prepared: &prepared,
            endpoint,
            trace: context.trace.child(),
            deadline: Deadline::after(within),
        };
        match exchange.run(1).await {
            Ok(response) => Ok(response),
            Err(ended) => ended.answer.ok_or(ended.failure.failure),
        }
    }
}

/// The code of the attempt that a failure is about.
fn last_code(failure: &Failure) -> &str {
    let last = failure.detail.as_ref().and_then(|detail| detail.get("last_code")).and_then(serde_json::Value::as_str);
    last.unwrap_or(&failure.code)
}
