"""From an answer of status 400 or more, or none at all, to an exception: the one place that knows which is which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from .errors import (
    SERVICE_NAME,
    ConflictError,
    ExecutionNotFinishedError,
    ResourceNotFoundError,
    ServiceIntegrationError,
    ServiceUnavailableError,
    ValidationError,
)

EXECUTION_HEADER = "x-execution-id"

_INVALID = frozenset({400, 413, 415, 422})
_AWAY = frozenset({503, 504})
_PASSING = frozenset({408, 429, 500, 502})
"""Statuses of what may pass. Whether it does, Breakwater says itself; where somebody else answers, all but 500 are taken for it."""


class Resource(NamedTuple):
    """What a request is about."""

    type: str
    id: str


def unreachable(error: httpx.RequestError) -> ServiceUnavailableError:
    """No answer: no connection, none in time, or one that broke off."""
    reason = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    code = "client.timeout" if isinstance(error, httpx.TimeoutException) else "client.connection"
    request = error.request
    said = f": {error}" if str(error) else ""
    return ServiceUnavailableError(
        f"Breakwater at {request.url.copy_with(path='/', query=None)} {reason}{said}",
        code=code,
        correlation_id=request.headers.get("x-correlation-id"),
        retryable=True,
    )


def error_of(response: httpx.Response, resource: Resource | None) -> ServiceIntegrationError:
    """The exception that an answer stands for."""
    problem = _object_of(response)
    status = response.status_code
    details = problem.get("details")
    details = details if isinstance(details, Mapping) else {}
    code = problem.get("code")
    message = problem.get("detail") or problem.get("title") or f"the service answered {status} {response.reason_phrase}".rstrip()
    wait = problem.get("retry_after_ms")
    retryable = problem.get("retryable")
    known: dict[str, Any] = {
        "code": code if isinstance(code, str) else f"http.{status}",
        "status_code": status,
        "correlation_id": problem.get("correlation_id") or response.headers.get("x-correlation-id"),
        "retryable": retryable if isinstance(retryable, bool) else status in _AWAY | _PASSING and status != 500,
        "retry_after": wait / 1000 if isinstance(wait, int | float) else _retry_after(response),
        "details": details,
        "execution_id": response.headers.get(EXECUTION_HEADER) or details.get("execution_id"),
    }
    if status in _AWAY or (status in _PASSING and known["retryable"]):
        return ServiceUnavailableError(str(message), service_name=str(details.get("service_name") or SERVICE_NAME), **known)
    if status in _INVALID:
        return ValidationError(str(message), validation_errors=_violations(problem), **known)
    # A path without any route is a wrong `base_url`, not a resource that is missing.
    if status == 404 and code != "http.no-such-route":
        found = _resource_of(details) or resource
        if found is not None:
            return ResourceNotFoundError(str(message), resource_type=found.type, resource_id=found.id, **known)
    if code == "execution.not-finished":
        known["execution_id"] = known["execution_id"] or (resource and resource.id)
        return ExecutionNotFinishedError(str(message), **known)
    if status == 409:
        return ConflictError(str(message), **known)
    return ServiceIntegrationError(str(message), **known)


def _object_of(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def _violations(problem: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = problem.get("violations")
    return [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []


def _resource_of(details: Mapping[str, Any]) -> Resource | None:
    resource_type, resource_id = details.get("resource_type"), details.get("resource_id")
    return Resource(str(resource_type), str(resource_id)) if resource_type and resource_id else None


def _retry_after(response: httpx.Response) -> float | None:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None
