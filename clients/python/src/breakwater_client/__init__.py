"""Breakwater for Python: services with actions, workflows of them, and their executions."""

import logging

from .circuit_breaker import CircuitBreaker
from .client import ServiceIntegrationClient
from .config import get_service_integration_client
from .errors import (
    ConflictError,
    ExecutionNotFinishedError,
    MaxRetriesExceededError,
    ResourceNotFoundError,
    ServiceIntegrationError,
    ServiceUnavailableError,
    ValidationError,
)
from .request_id import get_request_id, request_id_scope
from .results import ExecutionResult
from .retry import CREATE, DELETE, READ, UPDATE, RetryPolicy

logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    "CREATE",
    "DELETE",
    "READ",
    "UPDATE",
    "CircuitBreaker",
    "ConflictError",
    "ExecutionNotFinishedError",
    "ExecutionResult",
    "MaxRetriesExceededError",
    "ResourceNotFoundError",
    "RetryPolicy",
    "ServiceIntegrationClient",
    "ServiceIntegrationError",
    "ServiceUnavailableError",
    "ValidationError",
    "get_request_id",
    "get_service_integration_client",
    "request_id_scope",
]
