"""How often calls are repeated, after which pauses, and when nothing is sent at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from breakwater_client import CREATE, READ, CircuitBreaker, MaxRetriesExceededError, ServiceIntegrationClient, ServiceUnavailableError
from fake_breakwater import Answer
from support import UNAVAILABLE, ClientTestCase, paused_time

Call = Callable[[ServiceIntegrationClient], Awaitable[Any]]

SLOW = [0.5, 1.0, 2.0]
KINDS: list[tuple[str, Call, list[float]]] = [
    ("create", lambda client: client.create_workflow("a"), SLOW),
    ("create", lambda client: client.register_service("a"), SLOW),
    ("create", lambda client: client.execute_workflow("1", {}), SLOW),
    ("create", lambda client: client.execute_service_action("1", "a", {}), SLOW),
    ("create", lambda client: client.signal_workflow_execution("1", "a"), SLOW),
    ("update", lambda client: client.update_workflow("1", name="b"), SLOW),
    ("update", lambda client: client.update_service("1", name="b"), SLOW),
    ("update", lambda client: client.pause_workflow_execution("1"), SLOW),
    ("delete", lambda client: client.delete_workflow("1"), [1.0, 2.0]),
    ("delete", lambda client: client.deregister_service("1"), [1.0, 2.0]),
    ("read", lambda client: asyncio.to_thread(client.get_workflows), [0.5, 1.0]),
    ("read", lambda client: asyncio.to_thread(client.get_integration_health), [0.5, 1.0]),
]


class Retries(ClientTestCase):
    async def test_each_kind_of_operation_has_its_own_patience(self) -> None:
        for kind, call, expected in KINDS:
            with self.subTest(kind):
                self.fake.tell(UNAVAILABLE)
                with paused_time() as pauses, self.assertRaises(MaxRetriesExceededError) as caught:
                    await call(self.client)
                self.assertEqual(pauses, expected)
                self.assertEqual((caught.exception.attempts, len(self.fake.asked)), (len(expected) + 1, len(expected) + 1))
                self.assertIsInstance(caught.exception.last_error, ServiceUnavailableError)
                self.assertEqual(str(caught.exception.last_error), "too many calls are under way")

    async def test_all_attempts_of_a_call_carry_one_key_and_other_calls_others(self) -> None:
        self.fake.tell(UNAVAILABLE, Answer(0), Answer(201, {"id": "7"}), Answer(201, {"id": "8"}))
        with paused_time() as pauses:
            first = await self.client.create_workflow("a")
            second = await self.client.create_workflow("b")
        self.assertEqual((first["id"], second["id"], pauses), ("7", "8", [0.5, 1.0]))
        keys = [asked.headers["idempotency-key"] for asked in self.fake.asked]
        self.assertEqual((keys[0], len(set(keys[:3])), keys[3] in keys[:3]), (keys[2], 1, False))
        self.assertEqual(len({asked.headers["x-correlation-id"] for asked in self.fake.asked[:3]}), 1)

    def test_pauses_stay_within_their_bounds(self) -> None:
        self.assertEqual([CREATE.delay(retry) for retry in range(1, 7)], [0.5, 1.0, 2.0, 4.0, 4.0, 4.0])
        self.assertEqual([READ.delay(retry) for retry in range(1, 5)], [0.5, 1.0, 2.0, 2.0])
        self.assertEqual((CREATE.delay(1, 3.0), CREATE.delay(3, 0.1), CREATE.delay(1, 60.0)), (3.0, 2.0, 4.0))

    def test_the_service_may_ask_for_more_time(self) -> None:
        self.fake.tell(Answer.problem(503, "breaker.open", retry_after_ms=1500), Answer(503, b"", {"retry-after": "60"}), Answer())
        with paused_time() as pauses:
            self.client.get_workflows()
        self.assertEqual(pauses, [1.5, 2.0])


class Breaker(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        breaker = CircuitBreaker(failure_threshold=5, reset_timeout=30.0, clock=lambda: self.now)
        self.client = ServiceIntegrationClient(base_url=self.fake.base_url, circuit_breaker=breaker)
        self.addAsyncCleanup(self.client.aclose)

    def fails(self, kind: type[ServiceUnavailableError] | type[MaxRetriesExceededError]) -> Any:
        with paused_time(), self.assertRaises(kind) as caught:
            self.client.get_workflows()
        return caught.exception

    async def test_an_open_circuit_sends_nothing_until_a_trial_succeeds(self) -> None:
        self.fake.tell(UNAVAILABLE)
        self.fails(MaxRetriesExceededError)
        # The second call's second failure is the fifth in a row.
        error = self.fails(ServiceUnavailableError)
        self.assertEqual((error.code, error.service_name, error.retry_after), ("client.circuit-open", "service-integration", 30.0))
        assert isinstance(error.__cause__, ServiceUnavailableError)
        self.assertEqual((error.__cause__.code, error.correlation_id), ("http.overloaded", self.fake.asked[-1].headers["x-correlation-id"]))
        self.assertEqual((len(self.fake.asked), self.client.circuit_breaker.state), (5, "open"))
        with self.assertRaises(ServiceUnavailableError):
            await self.client.create_workflow("a")
        self.assertEqual(len(self.fake.asked), 5)

        self.now = 30.0
        self.assertEqual(self.client.circuit_breaker.state, "half-open")
        self.fails(ServiceUnavailableError)
        self.assertEqual((len(self.fake.asked), self.client.circuit_breaker.state), (6, "open"))
        self.now = 59.9
        self.fails(ServiceUnavailableError)
        self.assertEqual(len(self.fake.asked), 6)

        self.now = 60.0
        self.fake.tell(Answer())
        self.client.get_workflows()
        self.assertEqual((self.client.circuit_breaker.state, self.client.circuit_breaker.failures), ("closed", 0))

    def test_a_registered_service_that_is_away_and_mistakes_open_nothing(self) -> None:
        self.fake.tell(Answer.problem(503, "upstream.connection", details={"service_name": "text-extraction"}))
        for _ in range(4):
            self.assertEqual(self.fails(MaxRetriesExceededError).service_name, "text-extraction")
        self.assertEqual((self.client.circuit_breaker.state, self.client.circuit_breaker.failures), ("closed", 0))

    def test_one_trial_at_a_time_and_one_that_never_ends_is_forgotten(self) -> None:
        breaker = CircuitBreaker(1, 10.0, clock=lambda: self.now)
        breaker.record_failure()
        self.assertEqual(breaker.acquire(), 10.0)
        self.now = 10.0
        self.assertIsNone(breaker.acquire())
        self.assertEqual(breaker.acquire(), 10.0)
        self.now = 20.0
        self.assertIsNone(breaker.acquire())
        breaker.record_failure()
        self.assertEqual(breaker.acquire(), 10.0)
        breaker.reset()
        self.assertIsNone(breaker.acquire())

    def test_limits_that_cannot_be_are_refused(self) -> None:
        for threshold, timeout in ((0, 30.0), (-1, 30.0), (5, -1.0), (5, float("nan"))):
            with self.assertRaises(ValueError):
                CircuitBreaker(threshold, timeout)
        with self.assertRaises(ValueError):
            ServiceIntegrationClient(self.fake.base_url, timeout=0)
        for address in ("", "localhost:8005/api", "ftp://a/api", "http://"):
            with self.assertRaises(ValueError, msg=address):
                ServiceIntegrationClient(address)
