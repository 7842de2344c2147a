"""The attempts of one call: asks the breaker before each, judges each outcome, and says how long to wait for the next."""

from __future__ import annotations

import logging

import httpx

from .circuit_breaker import CircuitBreaker
from .errors import SERVICE_NAME, MaxRetriesExceededError, ServiceIntegrationError, ServiceUnavailableError
from .problems import Resource, error_of, unreachable
from .retry import RetryPolicy

_LOGGER = logging.getLogger("breakwater_client")


class Attempts:
    """Used by blocking and by asynchronous calls alike; it waits for nothing itself."""

    def __init__(self, policy: RetryPolicy, breaker: CircuitBreaker, resource: Resource | None, correlation_id: str) -> None:
        self._policy = policy
        self._breaker = breaker
        self._resource = resource
        self._correlation_id = correlation_id
        self._made = 0
        self._last: ServiceIntegrationError | None = None

    def begin(self) -> None:
        """Before an attempt.

        Raises:
            ServiceUnavailableError: When the circuit is open; nothing may be sent.
        """
        wait = self._breaker.acquire()
        if wait is not None:
            raise ServiceUnavailableError(
                f"Breakwater failed too often lately and is left alone for another {wait:.1f} s",
                code="client.circuit-open",
                correlation_id=self._correlation_id,
                retryable=True,
                retry_after=wait,
            ) from self._last
        self._made += 1

    def judge(self, outcome: httpx.Response | httpx.RequestError) -> httpx.Response | float:
        """After an attempt: the answer when it succeeded, otherwise the seconds before the next.

        Raises:
            MaxRetriesExceededError: When there is none.
            ServiceIntegrationError: When repeating cannot help.
        """
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            self._breaker.record_success()
            return outcome
        error = error_of(outcome, self._resource) if isinstance(outcome, httpx.Response) else unreachable(outcome)
        if _is_of_breakwater(error):
            self._breaker.record_failure()
        else:
            self._breaker.record_success()
        # An execution that failed is on record; the same key would only be told of it again.
        if not isinstance(error, ServiceUnavailableError) or not error.retryable or error.execution_id is not None:
            raise _from(error, outcome)
        if self._made > self._policy.retries:
            raise MaxRetriesExceededError(self._made, error) from _from(error, outcome)
        self._last = _from(error, outcome)
        pause = self._policy.delay(self._made, error.retry_after)
        _LOGGER.warning("attempt %d failed, the next is in %.1f s: %s (%s)", self._made, pause, error, error.code)
        return pause


def _is_of_breakwater(error: ServiceIntegrationError) -> bool:
    """Whether Breakwater itself is away; a registered service or a step that is, is another matter."""
    return isinstance(error, ServiceUnavailableError) and error.service_name == SERVICE_NAME and error.execution_id is None


def _from(error: ServiceIntegrationError, outcome: httpx.Response | httpx.RequestError) -> ServiceIntegrationError:
    """With the failure of the connection as its cause, if it was one."""
    if isinstance(outcome, httpx.RequestError):
        error.__cause__ = outcome
    return error
