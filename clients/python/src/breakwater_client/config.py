"""The client as the environment configures it."""

from __future__ import annotations

import os
import threading

from .client import DEFAULT_TIMEOUT, ServiceIntegrationClient

URL_VARIABLE = "SERVICE_INTEGRATION_URL"
TIMEOUT_VARIABLE = "SERVICE_INTEGRATION_TIMEOUT"
DEFAULT_URL = "http://localhost:8005/api"

_LOCK = threading.Lock()
_CLIENTS: dict[tuple[str, float], ServiceIntegrationClient] = {}


def get_service_integration_client() -> ServiceIntegrationClient:
    """One client for the process, for the address in `SERVICE_INTEGRATION_URL` and the seconds in `SERVICE_INTEGRATION_TIMEOUT`.

    Raises:
        ValueError: When one of them cannot be meant; the message names it.
    """
    url = os.environ.get(URL_VARIABLE) or DEFAULT_URL
    text = os.environ.get(TIMEOUT_VARIABLE)
    try:
        timeout = float(text) if text else DEFAULT_TIMEOUT
    except ValueError:
        raise ValueError(f"{TIMEOUT_VARIABLE} is a number of seconds, not {text!r}") from None
    with _LOCK:
        client = _CLIENTS.get((url, timeout))
        if client is None:
            try:
                client = _CLIENTS[url, timeout] = ServiceIntegrationClient(base_url=url, timeout=timeout)
            except ValueError as error:
                raise ValueError(f"{URL_VARIABLE} or {TIMEOUT_VARIABLE}: {error}") from error
        return client
