"""What can go wrong, as exceptions.

`ServiceUnavailableError`, `ResourceNotFoundError`, `ValidationError` and `MaxRetriesExceededError` are what an application tells apart.
None of them is a kind of another, so that `except` clauses may come in any order; all are `ServiceIntegrationError`s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SERVICE_NAME = "service-integration"
"""How Breakwater itself is named where a `service_name` is wanted."""


class ServiceIntegrationError(Exception):
    """Every failure of a call. Raised itself where none of its kinds fits, such as a denied change or a defect."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "client.failed",
        status_code: int | None = None,
        correlation_id: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
        execution_id: str | None = None,
        service_name: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        """What was wrong and what to do."""
        self.code = code
        """Stable, such as `service.unknown`; docs/errors.md of Breakwater lists all. Those of the client begin with `client.`."""
        self.status_code = status_code
        """The HTTP status; nothing when there was no answer."""
        self.correlation_id = correlation_id
        """Names the call in Breakwater's logs."""
        self.retryable = retryable
        """Whether the same call may succeed later."""
        self.retry_after = retry_after
        """Seconds to wait before that, when known."""
        self.details: dict[str, Any] = dict(details or {})
        """What else the answer says, for programs; where a service answered, `status` is what it answered with."""
        self.execution_id = execution_id
        """The execution that failed or has not ended, when there is one."""
        self.service_name = service_name
        """The registered service that it is about; `service-integration` where Breakwater itself is away; nothing otherwise."""


class ServiceUnavailableError(ServiceIntegrationError):
    """Breakwater, or the service that it would have asked, does not answer or has too much to do."""

    def __init__(self, message: str, *, service_name: str = SERVICE_NAME, **known: Any) -> None:
        super().__init__(message, service_name=service_name, **known)
        self.service_name: str = service_name
        """`service-integration` for Breakwater itself, otherwise the name of the registered service."""


class ResourceNotFoundError(ServiceIntegrationError):
    """There is no such service, action, workflow or execution."""

    def __init__(self, message: str, *, resource_type: str, resource_id: str, **known: Any) -> None:
        super().__init__(message, **known)
        self.resource_type = resource_type
        """`service`, `action`, `workflow`, `execution`."""
        self.resource_id = resource_id
        """The id or name that was asked for."""


class ValidationError(ServiceIntegrationError):
    """What was sent cannot be meant: a definition with mistakes, an input that does not fit its schema, a page 0."""

    def __init__(self, message: str, *, validation_errors: Sequence[Mapping[str, Any]] = (), **known: Any) -> None:
        super().__init__(message, **known)
        self.validation_errors: list[dict[str, Any]] = [dict(error) for error in validation_errors] or [{"pointer": "", "message": message}]
        """Each with `pointer` (a JSON Pointer into what was sent; empty for the whole) and `message`. At least one."""


class ConflictError(ServiceIntegrationError):
    """It does not fit what is there: a name that is taken, an execution that cannot be paused any more."""


class ExecutionNotFinishedError(ServiceIntegrationError):
    """The execution runs on and was not finished in the time that was waited; `execution_id` names it."""


class MaxRetriesExceededError(ServiceIntegrationError):
    """The call, or by Breakwater a step of an execution, was repeated as often as it may and failed each time."""

    def __init__(self, attempts: int, last_error: ServiceIntegrationError, *, message: str | None = None, **known: Any) -> None:
        of_last: dict[str, Any] = {
            "code": "client.max-retries-exceeded",
            "status_code": last_error.status_code,
            "correlation_id": last_error.correlation_id,
            "retryable": True,
            "retry_after": last_error.retry_after,
            "details": last_error.details,
            "execution_id": last_error.execution_id,
            "service_name": last_error.service_name,
        }
        super().__init__(message or f"failed after {attempts} attempts: {last_error}", **{**of_last, **known})
        self.attempts = attempts
        """How often it was tried, the first time included."""
        self.last_error = last_error
        """Why the last attempt failed; mostly a `ServiceUnavailableError`."""
