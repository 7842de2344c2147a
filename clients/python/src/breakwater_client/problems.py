"""From an answer of status 400 or more, or none at all, to an exception: the one place that knows which is which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from .errors import (
    SERVICE_NAME,
    ConflictError,
    ExecutionNotFinishedError,
    MaxRetriesExceededError,
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
_GIVEN_UP = "workflow.max-retries-exceeded"
_WAITED_IN_VAIN = frozenset({"workflow.signal-timeout", "workflow.timeout", "execution.timeout"})
"""Codes of what did not come within the time that a workflow gives it: nobody is away."""
_OF_A_SERVICE = "workflow.budget-exhausted"
"""The code of what is never Breakwater's own being away, also where the answer does not name the service."""
_ELSEWHERE = ("upstream.", "plugin.")
"""How the codes begin of what a service or a plugin did, whose status says nothing about what Breakwater was sent or has."""
_SENT = frozenset({"upstream.request-invalid", "upstream.url-invalid"})
"""Codes among them that are about what was sent all the same."""


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
    details = _mapping(problem.get("details"))
    violations = problem.get("violations")
    code = problem.get("code")
    message = problem.get("detail") or problem.get("title") or f"the service answered {status} {response.reason_phrase}".rstrip()
    wait = problem.get("retry_after_ms")
    retryable = problem.get("retryable")
    return _error(
        str(message),
        resource,
        {
            "code": code if isinstance(code, str) else f"http.{status}",
            "status_code": status,
            "correlation_id": problem.get("correlation_id") or correlation_id_of(response),
            "retryable": retryable if isinstance(retryable, bool) else status in _AWAY | _PASSING and status != 500,
            "retry_after": wait / 1000 if isinstance(wait, int | float) else _retry_after(response),
            "details": {**details, "violations": violations} if violations else details,
            "execution_id": response.headers.get(EXECUTION_HEADER) or details.get("execution_id"),
        },
    )


def correlation_id_of(response: httpx.Response) -> str | None:
    """What names the call in Breakwater's logs, also when somebody before it answered."""
    of_answer: str | None = response.headers.get("x-correlation-id")
    return of_answer or response.request.headers.get("x-correlation-id")


def _error(message: str, resource: Resource | None, known: dict[str, Any]) -> ServiceIntegrationError:
    code, status, details = known["code"], known["status_code"], known["details"]
    known = {**known, "service_name": _service_of(details)}
    if code == _GIVEN_UP:
        attempts = details.get("attempts")
        return MaxRetriesExceededError(attempts if isinstance(attempts, int) else 1, _last_of(message, known), message=message, **known)
    is_away = status in _AWAY or (status in _PASSING and known["retryable"])
    away = known["service_name"] or (None if code == _OF_A_SERVICE else SERVICE_NAME)
    if is_away and away and code not in _WAITED_IN_VAIN:
        return ServiceUnavailableError(message, **{**known, "service_name": away})
    if code.startswith(_ELSEWHERE) and code not in _SENT:
        return ServiceIntegrationError(message, **known)
    if status in _INVALID:
        return ValidationError(message, validation_errors=_violations(details), **known)
    # Another 404, such as a path without any route, is a wrong `base_url` or of somebody else, not a resource that is missing.
    missing = _missing(code, details, resource) if status == 404 else None
    if missing is not None:
        return ResourceNotFoundError(message, resource_type=missing.type, resource_id=missing.id, **known)
    if code == "execution.not-finished":
        known["execution_id"] = known["execution_id"] or (resource and resource.id)
        return ExecutionNotFinishedError(message, **known)
    if status == 409:
        return ConflictError(message, **known)
    return ServiceIntegrationError(message, **known)


def _last_of(message: str, known: Mapping[str, Any]) -> ServiceIntegrationError:
    """Why the last attempt at a step failed: the answer to all of them has its status, code, message and details."""
    details = known["details"]
    code = str(details.get("last_code") or "workflow.step-failed")
    # Only what may pass is repeated, and what nobody knows the outcome of.
    retryable = code != "call.outcome-unknown"
    last = {**known, "code": code, "retryable": retryable, "retry_after": None, "details": _mapping(details.get("last_detail"))}
    return _error(str(details.get("last_error") or message), None, last)


def _object_of(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _violations(details: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = details.get("violations")
    return [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []


def _service_of(details: Mapping[str, Any]) -> str | None:
    """The registered service that it is about: what says so may be the detail of another failure within."""
    within = [details]
    for fields in within:
        name = fields.get("service_name")
        if isinstance(name, str) and name:
            return name
        within += [field for field in fields.values() if isinstance(field, Mapping)]
    return None


def _missing(code: str, details: Mapping[str, Any], resource: Resource | None) -> Resource | None:
    resource_type, resource_id = details.get("resource_type"), details.get("resource_id")
    if resource_type and resource_id:
        return Resource(str(resource_type), str(resource_id))
    return resource if resource is not None and code == f"{resource.type}.unknown" else None


def _retry_after(response: httpx.Response) -> float | None:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None
