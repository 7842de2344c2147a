"""The Service Integration Client."""

from breakwater_client import ServiceIntegrationClient

__all__ = ["ServiceIntegrationClient"]
