//! Whether an endpoint is well: what checks found in a row, and what its heartbeats say.

use std::time::Duration;

use breakwater_core::{CallContext, Method, OutboundRequest, Principal};
use tokio::time::Instant;

use crate::config::HealthConfig;
use crate::endpoint::Endpoint;
use crate::line::Line;
use crate::status::EndpointCheck;

/// Turns a row of checks into a verdict. A new endpoint counts as well until checks say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    is_well: bool,
    /// Checks in a row that say the opposite.
    against: u32,
}

impl Default for Verdict {
    fn default() -> Self {
        Self { is_well: true, against: 0 }
    }
}

impl Verdict {
    pub(crate) fn is_well(self) -> bool {
        self.is_well
    }

    pub(crate) fn observe(&mut self, ok: bool, config: &HealthConfig) {
        if ok == self.is_well {
            self.against = 0;
            return;
        }
        self.against += 1;
        let needed = if self.is_well { config.unhealthy_after } else { config.healthy_after };
        if self.against >= needed {
            *self = Self { is_well: ok, against: 0 };
        }
    }
}

/// Whether an answer is that of a service that is well. One that does not know the route is there all the same.
fn is_well(status: u16, any_refusal: bool) -> bool {
    status < 400 || matches!(status, 404 | 405 | 501) || (any_refusal && status < 500)
}

/// Asks an endpoint once. Also opens a connection to it, which stays for the calls to come.
pub(crate) async fn check(line: &Line, endpoint: &Endpoint, path: &str, within: Duration, any_refusal: bool) -> EndpointCheck {
    let context = CallContext::root(Principal::System, within);
    let mut request = OutboundRequest::new(Method::Get, path);
    request.any_status = true;
    let started = Instant::now();
    let answer = line.probe(&context, endpoint, request, within).await;
    let response_ms = started.elapsed().as_secs_f64() * 1e3;
    let id = endpoint.id.clone();
    match answer {
        Ok(answer) => EndpointCheck { id, ok: is_well(answer.status, any_refusal), status: Some(answer.status), response_ms, error: None },
        Err(failure) => EndpointCheck { id, ok: false, status: None, response_ms, error: Some(failure.to_string()) },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_verdict_turns_after_so_many_checks_in_a_row(
            checks in prop::collection::vec(any::<bool>(), 0..60),
            unhealthy_after in 1..4u32,
            healthy_after in 1..4u32,
        ) {
            let config = HealthConfig { unhealthy_after, healthy_after, ..HealthConfig::default() };
            let mut verdict = Verdict::default();
            // The model looks back over all checks each time.
            let mut expected = true;
            for (index, ok) in checks.iter().enumerate() {
                verdict.observe(*ok, &config);
                let needed = if expected { unhealthy_after } else { healthy_after } as usize;
                let seen = &checks[..=index];
                if seen.len() >= needed && seen[seen.len() - needed..].iter().all(|check| *check != expected) {
                    expected = !expected;
                }
                prop_assert_eq!(verdict.is_well(), expected);
            }
        }
    }

    #[test]
    fn a_service_without_the_route_is_there_all_the_same() {
        for (status, expected) in [(200, true), (204, true), (302, true), (404, true), (405, true), (501, true)] {
            assert_eq!(is_well(status, false), expected, "{status}");
        }
        for status in [400, 401, 403, 408, 429, 500, 502, 503, 504] {
            assert!(!is_well(status, false), "{status}");
            assert_eq!(is_well(status, true), status < 500, "{status}");
        }
    }
}
