"""Clients of services."""

from .service_integration import ServiceIntegrationClient

__all__ = ["ServiceIntegrationClient"]
