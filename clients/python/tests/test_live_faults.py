"""What is away, against the real Breakwater."""

from __future__ import annotations

import socket
import time
import unittest
from collections.abc import Awaitable, Callable
from typing import Any

from breakwater_client import (
    CircuitBreaker,
    MaxRetriesExceededError,
    ServiceIntegrationClient,
    ServiceIntegrationError,
    ServiceUnavailableError,
)
from live import DEAD_URL, DOCUMENT, TEXT_SERVICE_URL, LiveTestCase


def nobody() -> str:
    """An address that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


class Services(LiveTestCase):
    async def test_a_service_that_is_away_is_named(self) -> None:
        service = await self.service("py-away", endpoint=nobody())
        with self.assertRaises((ServiceUnavailableError, MaxRetriesExceededError)) as caught:
            await self.client.execute_service_action(service["id"], "extract", DOCUMENT)
        error = caught.exception.last_error if isinstance(caught.exception, MaxRetriesExceededError) else caught.exception
        assert isinstance(error, ServiceUnavailableError)
        self.assertEqual(error.service_name, "py-away")
        self.assertEqual(self.client.circuit_breaker.failures, 0)

    async def test_a_step_that_is_not_repeated_names_its_service_too(self) -> None:
        await self.service("py-once-away", endpoint=nobody())
        step = {"id": "a", "service": "py-once-away", "action": "extract", "retry": {"max_retries": 0}, "next": None}
        workflow = await self.workflow("py-once-away", [step])
        with self.assertRaises(ServiceUnavailableError) as caught:
            await self.client.execute_workflow(workflow["id"], DOCUMENT)
        self.assertEqual((caught.exception.service_name, self.client.circuit_breaker.failures), ("py-once-away", 0))

    async def test_what_a_service_does_not_have_is_no_resource_of_breakwater(self) -> None:
        service = await self.service("py-elsewhere")
        await self.client.update_service(service["id"], actions=[{"name": "translate"}])
        steps = [{"id": "a", "service": "py-elsewhere", "action": "translate", "next": None}]
        workflow = await self.workflow("py-elsewhere", steps)
        for call in (
            self.client.execute_service_action(service["id"], "translate", DOCUMENT),
            self.client.execute_workflow(workflow["id"], DOCUMENT),
        ):
            with self.assertRaises(ServiceIntegrationError) as caught:
                await call
            error = caught.exception
            self.assertEqual((type(error), error.code), (ServiceIntegrationError, "upstream.status"))
            self.assertEqual((error.service_name, error.details["status"]), ("py-elsewhere", 404))

    async def test_a_step_that_failed_is_done_again_once_its_service_is_back(self) -> None:
        service = await self.service("py-returns", endpoint=nobody())
        steps = [{"id": "extract-text", "service": "py-returns", "action": "extract", "next": None}]
        workflow = await self.workflow("py-returns", steps)
        with self.assertRaises(MaxRetriesExceededError) as caught:
            await self.client.execute_workflow(workflow["id"], DOCUMENT)
        last, execution_id = caught.exception.last_error, caught.exception.execution_id
        assert execution_id is not None
        self.assertEqual((caught.exception.attempts, caught.exception.details["step"]), (4, "extract-text"))
        self.assertEqual((type(last), last.service_name), (ServiceUnavailableError, "py-returns"))
        failed = self.client.get_workflow_execution_status(execution_id)
        self.assertEqual((failed["status"], failed["error"]["step"]), ("FAILED", "extract-text"))
        await self.client.update_service(service["id"], endpoint=TEXT_SERVICE_URL)
        await self.client.retry_workflow_execution(execution_id)
        completed = await self.until(execution_id, "COMPLETED")
        self.assertIn("text", completed["output"])


@unittest.skipUnless(DEAD_URL, "NOT RUN: DEAD_URL is not set")
class Breakwater(unittest.IsolatedAsyncioTestCase):
    async def test_one_that_ended_is_asked_as_often_as_the_kind_of_operation_allows(self) -> None:
        client = ServiceIntegrationClient(f"{DEAD_URL}/api", circuit_breaker=CircuitBreaker(1000))
        kinds: list[tuple[Callable[[], Awaitable[Any]], int, float]] = [
            (lambda: client.create_workflow("a"), 4, 3.5),
            (lambda: client.update_service("a", name="b"), 4, 3.5),
            (lambda: client.delete_workflow("a"), 3, 3.0),
        ]
        for call, attempts, seconds in kinds:
            started = time.monotonic()
            with self.assertRaises(MaxRetriesExceededError) as caught:
                await call()
            self.assert_took(started, seconds)
            self.assertEqual(caught.exception.attempts, attempts)
            self.assertEqual(caught.exception.last_error.service_name, "service-integration")
        started = time.monotonic()
        with self.assertRaises(MaxRetriesExceededError) as read:
            client.get_workflows()
        self.assert_took(started, 1.5)
        self.assertEqual(read.exception.attempts, 3)
        await client.aclose()

    def assert_took(self, started: float, pauses: float) -> None:
        """At least as long as its pauses; how much longer is the machine's business."""
        self.assertGreaterEqual(time.monotonic() - started, pauses)

    async def test_its_circuit_opens(self) -> None:
        client = ServiceIntegrationClient(f"{DEAD_URL}/api", circuit_breaker=CircuitBreaker(2, 60.0))
        with self.assertRaises(ServiceUnavailableError) as caught:
            client.get_workflows()
        self.assertEqual(caught.exception.code, "client.circuit-open")
        started = time.monotonic()
        with self.assertRaises(ServiceUnavailableError):
            await client.create_workflow("a")
        self.assertLess(time.monotonic() - started, 0.4, "nothing is sent, and nothing waited for")
        await client.aclose()
