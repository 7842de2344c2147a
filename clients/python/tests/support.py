"""What the tests share."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from breakwater_client import CircuitBreaker, ServiceIntegrationClient
from fake_breakwater import Answer, FakeBreakwater


class ClientTestCase(unittest.IsolatedAsyncioTestCase):
    """A client of a fake Breakwater."""

    def setUp(self) -> None:
        self.fake = FakeBreakwater().__enter__()
        self.addCleanup(self.fake.__exit__, None, None, None)
        # One that opens late, so that tests of repetitions meet an open circuit only where they are about it.
        self.client = ServiceIntegrationClient(base_url=self.fake.base_url, timeout=10, circuit_breaker=CircuitBreaker(1000))
        self.addAsyncCleanup(self.client.aclose)


UNAVAILABLE = Answer.problem(503, "http.overloaded", "too many calls are under way")


@contextmanager
def paused_time() -> Iterator[list[float]]:
    """Lets pauses of the client pass at once, and gives them."""
    pauses: list[float] = []

    async def asleep(seconds: float) -> None:
        pauses.append(seconds)

    with mock.patch("breakwater_client.caller.time.sleep", pauses.append), mock.patch("breakwater_client.caller.asyncio.sleep", asleep):
        yield pauses
