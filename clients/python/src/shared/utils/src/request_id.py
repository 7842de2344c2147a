"""The name of a request."""

from breakwater_client import get_request_id, request_id_scope

__all__ = ["get_request_id", "request_id_scope"]
