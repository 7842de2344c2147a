"""Each answer has its exception."""

from __future__ import annotations

import socket
from typing import Any

from breakwater_client import (
    CircuitBreaker,
    ConflictError,
    ExecutionNotFinishedError,
    MaxRetriesExceededError,
    ResourceNotFoundError,
    ServiceIntegrationClient,
    ServiceIntegrationError,
    ServiceUnavailableError,
    ValidationError,
)
from fake_breakwater import Answer
from support import ClientTestCase, paused_time

Failed = type[ServiceIntegrationError]


class Errors(ClientTestCase):
    def failure(self, answer: Answer) -> Any:
        self.fake.tell(answer)
        with paused_time(), self.assertRaises(ServiceIntegrationError) as caught:
            self.client.get_service("456")
        return caught.exception

    def test_everything_a_problem_says_is_kept(self) -> None:
        error = self.failure(Answer.problem(403, "http.management-denied", "from here only", details={"from": "loopback"}))
        self.assertIs(type(error), ServiceIntegrationError)
        self.assertEqual((str(error), error.message, error.code), ("from here only", "from here only", "http.management-denied"))
        self.assertEqual((error.status_code, error.correlation_id, error.retryable), (403, "c-1", False))
        self.assertEqual((error.details, error.execution_id, error.retry_after), ({"from": "loopback"}, None, None))

    def test_mistakes_are_listed(self) -> None:
        violations = [{"pointer": "/steps/1/next", "message": "there is no step of this id"}]
        error = self.failure(Answer.problem(400, "workflow.invalid", "1 mistake", violations=violations))
        self.assertIs(type(error), ValidationError)
        self.assertEqual((error.validation_errors, error.code), (violations, "workflow.invalid"))
        for status, code in ((400, "request.json-invalid"), (413, "http.body-too-large"), (422, "registry.full")):
            error = self.failure(Answer.problem(status, code, "too much"))
            self.assertIs(type(error), ValidationError)
            self.assertEqual(error.validation_errors, [{"pointer": "", "message": "too much"}])

    def test_what_is_missing_is_named_by_the_answer_or_else_by_what_was_asked(self) -> None:
        details = {"resource_type": "action", "resource_id": "extract"}
        error = self.failure(Answer.problem(404, "service.action-unknown", details=details))
        self.assertIs(type(error), ResourceNotFoundError)
        self.assertEqual((error.resource_type, error.resource_id), ("action", "extract"))
        error = self.failure(Answer.problem(404, "service.unknown"))
        self.assertEqual((error.resource_type, error.resource_id, error.code), ("service", "456", "service.unknown"))

    def test_a_wrong_base_url_is_not_a_missing_resource(self) -> None:
        error = self.failure(Answer.problem(404, "http.no-such-route"))
        self.assertIs(type(error), ServiceIntegrationError)

    def test_conflicts_are_told_apart(self) -> None:
        self.assertIs(type(self.failure(Answer.problem(409, "service.name-taken"))), ConflictError)
        self.fake.tell(Answer.problem(409, "execution.not-finished", details={"status": "RUNNING"}))
        with self.assertRaises(ExecutionNotFinishedError) as caught:
            self.client.get_workflow_execution_result("e-1")
        self.assertEqual(caught.exception.execution_id, "e-1")

    def test_what_may_pass_is_repeated_and_what_may_not_is_not(self) -> None:
        repeated = [
            Answer.problem(503, "http.overloaded"),
            Answer.problem(504, "call.deadline"),
            Answer.problem(408, "http.body-timeout", retryable=True),
            Answer.problem(502, "upstream.connection", retryable=True),
            Answer(502, b"<html>a proxy</html>"),
            Answer(429, b""),
        ]
        for answer in repeated:
            error = self.failure(answer)
            self.assertIs(type(error), MaxRetriesExceededError, answer)
            self.assertEqual((error.attempts, len(self.fake.asked)), (3, 3), answer)
            self.assertIs(type(error.last_error), ServiceUnavailableError)
            self.assertEqual(error.last_error.service_name, "service-integration")
        once: list[tuple[Answer, Failed]] = [
            (Answer.problem(503, "operation.disabled", retryable=False), ServiceUnavailableError),
            (Answer.problem(502, "call.outcome-unknown", retryable=False), ServiceIntegrationError),
            (Answer.problem(500, "internal", retryable=False), ServiceIntegrationError),
            (Answer(500, b"broken"), ServiceIntegrationError),
            (Answer(302, b"", {"location": "/elsewhere"}), ServiceIntegrationError),
        ]
        for answer, kind in once:
            self.assertIs(type(self.failure(answer)), kind, answer)
            self.assertEqual(len(self.fake.asked), 1, answer)

    def test_the_service_that_is_away_is_named(self) -> None:
        error = self.failure(Answer.problem(503, "upstream.connection", details={"service_name": "text-extraction"}))
        self.assertEqual(error.last_error.service_name, "text-extraction")
        self.assertEqual(str(error), "failed after 3 attempts: no")

    async def test_a_step_that_failed_is_not_executed_again_from_here(self) -> None:
        details = {"execution_id": "e-1", "step": "extract-text"}
        self.fake.tell(Answer.problem(503, "upstream.connection", details=details, headers={"X-Execution-Id": "e-1"}))
        with self.assertRaises(ServiceUnavailableError) as caught:
            await self.client.execute_workflow("123", {})
        self.assertEqual((caught.exception.execution_id, caught.exception.details["step"]), ("e-1", "extract-text"))
        self.assertEqual((len(self.fake.asked), self.client.circuit_breaker.failures), (1, 0))

    def test_nobody_there_and_a_connection_that_breaks_are_unavailable(self) -> None:
        with socket.socket() as held, paused_time() as pauses:
            held.bind(("127.0.0.1", 0))
            client = ServiceIntegrationClient(f"http://127.0.0.1:{held.getsockname()[1]}/api", circuit_breaker=CircuitBreaker(1000))
            with client, self.assertRaises(MaxRetriesExceededError) as caught:
                client.get_services()
        self.assertEqual((caught.exception.attempts, pauses), (3, [0.5, 1.0]))
        self.assertEqual(caught.exception.last_error.code, "client.connection")
        self.assertIsNotNone(caught.exception.last_error.__cause__)
        error = self.failure(Answer(0))
        self.assertEqual((error.last_error.code, len(self.fake.asked)), ("client.connection", 3))

    def test_a_service_that_says_nothing_is_given_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, paused_time():
            client = ServiceIntegrationClient(f"http://127.0.0.1:{silent.getsockname()[1]}/api", timeout=0.05)
            with client, self.assertRaises(MaxRetriesExceededError) as caught:
                client.get_services()
        self.assertEqual(caught.exception.last_error.code, "client.timeout")
        self.assertIn("did not answer in time", str(caught.exception.last_error))

    def test_no_kind_of_error_hides_another(self) -> None:
        kinds = [ServiceUnavailableError, ResourceNotFoundError, ValidationError, MaxRetriesExceededError, ConflictError]
        for kind in kinds:
            self.assertEqual([other for other in kinds if issubclass(kind, other)], [kind])
