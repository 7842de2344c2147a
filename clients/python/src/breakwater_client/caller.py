"""Sends requests to Breakwater: blocking for what is read, asynchronously for what is changed."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

import httpx

from .attempts import Attempts
from .circuit_breaker import CircuitBreaker
from .errors import ServiceIntegrationError, ValidationError
from .problems import Resource, correlation_id_of
from .request_id import get_request_id
from .retry import READ, RetryPolicy

_PRINTABLE = re.compile(r"[!-~]{1,128}")
_KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
_NOWHERE = frozenset({"", ".", ".."})


@dataclass(frozen=True)
class Write:
    """One change, however often it is sent."""

    method: str
    path: tuple[str, ...]
    policy: RetryPolicy
    body: Any = None
    resource: Resource | None = None
    idempotency_key: str | None = None
    params: Mapping[str, str] | None = None
    timeout: float | None = None
    """Seconds, where an answer takes longer than others."""


class Caller:
    """Holds the connections. Safe to use from many threads and event loops."""

    def __init__(self, base_url: str, timeout: float, headers: Mapping[str, str], breaker: CircuitBreaker) -> None:
        url = httpx.URL(base_url)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError(f"base_url is such as http://localhost:8005/api, not {base_url!r}")
        if not timeout > 0:
            raise ValueError(f"timeout is more than 0 seconds, not {timeout}")
        self.timeout = timeout
        self._base = base_url.rstrip("/")
        self._headers = {"accept": "application/json", **headers}
        self._breaker = breaker
        # Reading the certificates takes longer than many a call.
        self._tls = httpx.create_ssl_context()
        self._blocking = httpx.Client(timeout=timeout, verify=self._tls)
        self._lock = threading.Lock()
        # Connections belong to the event loop that opened them.
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    def read(self, *path: str, resource: Resource | None = None, params: Mapping[str, Any] | None = None) -> httpx.Response:
        """`GET` of a path; parameters that are None are left out."""
        given = {name: str(value) for name, value in (params or {}).items() if value is not None}
        headers = {**self._headers, "x-correlation-id": _correlation_id(None)}
        url = self._url(path)
        attempts = Attempts(READ, self._breaker, resource, headers["x-correlation-id"])
        while True:
            attempts.begin()
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = self._blocking.get(url, params=given, headers=headers)
            except httpx.RequestError as error:
                outcome = error
            judged = attempts.judge(outcome)
            if isinstance(judged, httpx.Response):
                return judged
            time.sleep(judged)

    async def write(self, write: Write) -> httpx.Response:
        """A change. All its attempts carry one key, so that it is made once."""
        content = None if write.method == "DELETE" else json.dumps(write.body, allow_nan=False).encode()
        context = write.body.get("context") if isinstance(write.body, Mapping) else None
        headers = {
            **self._headers,
            "x-correlation-id": _correlation_id(context),
            "idempotency-key": _key(write.idempotency_key),
        }
        if content is not None:
            headers["content-type"] = "application/json"
        url = self._url(write.path)
        attempts = Attempts(write.policy, self._breaker, write.resource, headers["x-correlation-id"])
        while True:
            attempts.begin()
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = await self._asynchronous().request(
                    write.method, url, params=write.params, content=content, headers=headers, timeout=write.timeout or self.timeout
                )
            except httpx.RequestError as error:
                outcome = error
            judged = attempts.judge(outcome)
            if isinstance(judged, httpx.Response):
                return judged
            await asyncio.sleep(judged)

    def close(self) -> None:
        """Ends the connections of blocking calls."""
        self._blocking.close()

    async def aclose(self) -> None:
        """Ends the connections of blocking calls and of this event loop."""
        self.close()
        with self._lock:
            client = self._by_loop.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _url(self, path: tuple[str, ...]) -> str:
        # Each part is escaped, so that an id cannot lead to another route; these would all the same.
        if not _NOWHERE.isdisjoint(path):
            message = "an id, a name or an action is not empty, not `.` and not `..`"
            raise ValidationError(message, code="client.id-invalid")
        return "/".join([self._base, *(quote(part, safe="") for part in path)])

    def _asynchronous(self) -> httpx.AsyncClient:
        with self._lock:
            loop = asyncio.get_running_loop()
            client = self._by_loop.get(loop)
            if client is None:
                client = self._by_loop[loop] = httpx.AsyncClient(timeout=self.timeout, verify=self._tls)
            return client


def json_of(response: httpx.Response) -> Any:
    """The body.

    Raises:
        ServiceIntegrationError: When it is no JSON: somebody else than Breakwater answered.
    """
    try:
        return response.json()
    except ValueError as error:
        raise _foreign(response, "is not JSON") from error


def record_of(response: httpx.Response) -> dict[str, Any]:
    """The body, which is an object.

    Raises:
        ServiceIntegrationError: When it is none: somebody else than Breakwater answered.
    """
    record = json_of(response)
    if not isinstance(record, dict):
        raise _foreign(response, "is no JSON object")
    return record


def _foreign(response: httpx.Response, what: str) -> ServiceIntegrationError:
    message = f"the answer {what}; is this a Breakwater service, and does base_url end in /api?"
    return ServiceIntegrationError(
        message, code="client.answer-invalid", status_code=response.status_code, correlation_id=correlation_id_of(response)
    )


def _correlation_id(context: Any) -> str:
    """The request that the caller names, when it can stand in a header."""
    given = context.get("request_id") if isinstance(context, Mapping) else None
    for candidate in (given, get_request_id()):
        if isinstance(candidate, str) and _PRINTABLE.fullmatch(candidate):
            return candidate
    return str(uuid.uuid4())


def _key(given: str | None) -> str:
    if given is None:
        return str(uuid.uuid4())
    if not _KEY.fullmatch(given):
        rule = "has 1 to 255 printable ASCII characters and no space around them"
        violation = {"pointer": "/idempotency_key", "message": rule}
        raise ValidationError(f"an idempotency key {rule}", code="client.idempotency-key-invalid", validation_errors=[violation])
    return given
