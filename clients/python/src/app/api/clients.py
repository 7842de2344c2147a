"""Clients as the environment configures them."""

from breakwater_client import get_service_integration_client

__all__ = ["get_service_integration_client"]
