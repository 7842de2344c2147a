"""What can go wrong."""

from breakwater_client import (
    ConflictError,
    ExecutionNotFinishedError,
    MaxRetriesExceededError,
    ResourceNotFoundError,
    ServiceIntegrationError,
    ServiceUnavailableError,
    ValidationError,
)

__all__ = [
    "ConflictError",
    "ExecutionNotFinishedError",
    "MaxRetriesExceededError",
    "ResourceNotFoundError",
    "ServiceIntegrationError",
    "ServiceUnavailableError",
    "ValidationError",
]
