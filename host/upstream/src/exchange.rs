//! One attempt: a request on its way to one endpoint, and its answer.

use std::sync::Arc;

use breakwater_core::{Body, Deadline, OutboundResponse, TraceContext};
use breakwater_resilience::{AttemptFailure, FailureClass};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use crate::classify;
use crate::endpoint::Endpoint;
use crate::line::Line;
use crate::request::{Prepared, REQUEST_DEADLINE, TRACEPARENT, invalid};
use crate::response::{self, Flow, ReadError};

/// Answers up to this length that are only passed on are read whole before anything of them is: one that breaks off can still be asked for
/// again.
const MAX_PASSED_ON_WHOLE: u64 = 64 * 1024;

/// An attempt that did not succeed.
pub(crate) struct Ended {
    pub(crate) failure: AttemptFailure,
    /// The whole answer, when it was one and all are wanted.
    pub(crate) answer: Option<OutboundResponse>,
    /// Nothing was done, because the content was sent by an earlier attempt.
    pub(crate) is_spent: bool,
}

impl From<AttemptFailure> for Ended {
    fn from(failure: AttemptFailure) -> Self {
        Self { failure, answer: None, is_spent: false }
    }
}

pub(crate) struct Exchange<'a> {
    pub(crate) line: &'a Line,
    /// Where its place is taken.
    pub(crate) places: &'a Arc<Semaphore>,
    pub(crate) prepared: &'a Prepared,
    pub(crate) endpoint: &'a Endpoint,
    /// The span of the attempt.
    pub(crate) trace: TraceContext,
    /// Of the attempt.
    pub(crate) deadline: Deadline,
}

impl Exchange<'_> {
    /// Sends the request and reads its answer. `number` is that of the attempt.
    pub(crate) async fn run(&self, number: u32) -> Result<OutboundResponse, Ended> {
        let name = &self.line.name;
        let places = Arc::clone(self.places);
        // The bulkhead admitted the call; a place is missing only while streamed answers are still being read.
        let place = timeout_at(self.deadline.instant(), places.acquire_owned()).await;
        let place = place.ok().and_then(Result::ok).ok_or_else(|| classify::no_connection(name))?;
        let request = self.request().await?;
        let head_by = match self.line.first_byte_timeout {
            Some(first_byte) => self.deadline.tightened(first_byte),
            None => self.deadline,
        };
        let response = match timeout_at(head_by.instant(), self.line.client.execute(request)).await {
            Err(_) => return Err(classify::late(name, self.prepared.doubt()).into()),
            Ok(Err(error)) => return Err(classify::of_client(name, self.prepared.doubt(), error).into()),
            Ok(Ok(response)) => response,
        };
        let class = classify::class_of(response.status()).filter(|_| !self.prepared.answer_is_final);
        match (class, self.prepared.any_status) {
            (None, _) | (Some(FailureClass::Client), true) => Ok(self.accept(response, place, number).await?),
            (Some(class), false) => Err(self.refuse(response, class).await.into()),
            (Some(class), true) => Err(self.keep(response, class, number).await?),
        }
    }

    async fn request(&self) -> Result<reqwest::Request, Ended> {
        let url = self.endpoint.url(&self.prepared.path).map_err(|error| classify::of_caller(invalid(error.to_string())))?;
        let mut request = reqwest::Request::new(self.prepared.method.clone(), url);
        *request.headers_mut() = self.headers().await;
        let is_there = self.prepared.content.put_into(&self.line.client, &mut request).map_err(classify::of_caller)?;
        if !is_there {
            let failure = classify::of_caller(invalid("the content is a stream and was sent already"));
            return Err(Ended { is_spent: true, ..failure.into() });
        }
        Ok(request)
    }

    async fn headers(&self) -> HeaderMap {
        let mut headers = self.prepared.headers.clone();
        if let Ok(trace) = HeaderValue::from_str(&self.trace.to_string()) {
            headers.insert(TRACEPARENT, trace);
        }
        let left = u64::try_from(self.deadline.remaining().as_millis()).unwrap_or(u64::MAX);
        headers.insert(REQUEST_DEADLINE, HeaderValue::from(left));
        if let Some(credentials) = &self.line.credentials {
            let (name, value) = credentials.present().await;
            headers.insert(name, value);
        }
        headers
    }

    /// An answer that is one.
    async fn accept(
        &self,
        response: reqwest::Response,
        place: OwnedSemaphorePermit,
        number: u32,
    ) -> Result<OutboundResponse, AttemptFailure> {
        let name = &self.line.name;
        let limit = self.prepared.max_response_bytes;
        if response::is_announced_over(&response, limit) {
            return Err(classify::too_large(name, self.prepared.done(), limit));
        }
        let (status, headers) = (response.status().as_u16(), response::headers(response.headers()));
        let body = if self.prepared.stream_response && !self.is_passed_on_whole(&response) {
            let flow = Flow {
                upstream: name.clone(),
                response,
                limit,
                // The attempt's deadline is for its head; the content may take as long as the call.
                deadline: self.prepared.deadline,
                doubt: self.prepared.doubt(),
                done: self.prepared.done(),
                _place: place,
                _streaming: self.endpoint.begin_streaming(),
            };
            flow.into_body()
        } else {
            Body::Bytes(self.whole(response).await?)
        };
        Ok(OutboundResponse { status, headers, body, attempts: number })
    }

    fn is_passed_on_whole(&self, response: &reqwest::Response) -> bool {
        let is_short = response.content_length().is_some_and(|length| length <= MAX_PASSED_ON_WHOLE);
        // The length of an answer to HEAD is that of content that does not come.
        self.prepared.answer_is_final && is_short && self.prepared.method != http::Method::HEAD
    }

    /// All content of an answer, before the attempt's deadline.
    async fn whole(&self, mut response: reqwest::Response) -> Result<bytes::Bytes, AttemptFailure> {
        let name = &self.line.name;
        let limit = self.prepared.max_response_bytes;
        match timeout_at(self.deadline.instant(), response::read_whole(&mut response, limit)).await {
            Ok(Ok(content)) => Ok(content),
            Ok(Err(ReadError::TooLarge)) => Err(classify::too_large(name, self.prepared.done(), limit)),
            Ok(Err(ReadError::Broken(error))) => Err(classify::broken(name, self.prepared.doubt(), error.without_url())),
            Err(_) => Err(classify::late(name, self.prepared.doubt())),
        }
    }

    /// An answer that is a failure, with the beginning of what it says.
    async fn refuse(&self, mut response: reqwest::Response, class: FailureClass) -> AttemptFailure {
        let body = response::read_beginning(&mut response, classify::MAX_ERROR_BODY, self.deadline).await;
        self.failure(response.status(), response.headers(), class, body)
    }

    /// An answer that may be tried again but is wanted if it is the last.
    async fn keep(&self, response: reqwest::Response, class: FailureClass, number: u32) -> Result<Ended, AttemptFailure> {
        let (status, head) = (response.status(), response.headers().clone());
        let content = self.whole(response).await?;
        let beginning = content.get(..classify::MAX_ERROR_BODY).unwrap_or(&content);
        let failure = self.failure(status, &head, class, String::from_utf8_lossy(beginning).into_owned());
        let answer =
            OutboundResponse { status: status.as_u16(), headers: response::headers(&head), body: Body::Bytes(content), attempts: number };
        Ok(Ended { failure, answer: Some(answer), is_spent: false })
    }

    fn failure(&self, status: StatusCode, headers: &HeaderMap, class: FailureClass, body: String) -> AttemptFailure {
        let body = match &self.line.credentials {
            Some(credentials) => credentials.redact(body),
            None => body,
        };
        classify::of_status(&self.line.name, class, status, headers, &body, self.prepared.doubt())
    }
}
