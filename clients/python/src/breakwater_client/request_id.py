"""One name for everything that is done on behalf of one request."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CURRENT: ContextVar[str | None] = ContextVar("breakwater_request_id", default=None)


def get_request_id() -> str:
    """The id that `request_id_scope` set around this, also in tasks begun there; outside of any, a new one at each call."""
    return _CURRENT.get() or f"req-{uuid.uuid4()}"


@contextmanager
def request_id_scope(request_id: str | None = None) -> Iterator[str]:
    """Sets the id for what happens inside; makes one up without an argument. A web application has one around each request."""
    chosen = request_id or f"req-{uuid.uuid4()}"
    token = _CURRENT.set(chosen)
    try:
        yield chosen
    finally:
        _CURRENT.reset(token)
