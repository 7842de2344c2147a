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
    request_id_scope,
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

    def test_another_404_is_not_a_missing_resource(self) -> None:
        wrong_address = [Answer.problem(404, "http.no-such-route"), Answer(404, b"<html>a proxy</html>")]
        for answer in [*wrong_address, Answer.problem(404, "upstream.unknown"), Answer.problem(404, "operation.unknown")]:
            self.assertIs(type(self.failure(answer)), ServiceIntegrationError, answer)

    async def test_what_a_service_answered_is_not_what_breakwater_has_or_was_sent(self) -> None:
        for status, answered in ((404, 404), (400, 422), (502, 401)):
            details = {"service_name": "text-extraction", "status": answered, "error_code": "NO_TEXT"}
            self.fake.tell(Answer.problem(status, "upstream.status", "it refused", details=details))
            with self.assertRaises(ServiceIntegrationError) as caught:
                await self.client.execute_service_action("456", "extract", {})
            error = caught.exception
            self.assertIs(type(error), ServiceIntegrationError)
            self.assertEqual((error.code, error.status_code, error.service_name), ("upstream.status", status, "text-extraction"))
            self.assertEqual((error.details, error.correlation_id), (details, "c-1"))
        self.assertIs(type(self.failure(Answer.problem(422, "upstream.response-too-large"))), ServiceIntegrationError)
        self.assertIs(type(self.failure(Answer.problem(422, "plugin.memory"))), ServiceIntegrationError)
        self.assertIs(type(self.failure(Answer.problem(400, "upstream.request-invalid"))), ValidationError)

    def test_places_are_kept_whatever_the_kind(self) -> None:
        violations = [{"pointer": "/steps/0/service", "message": "it is not there"}]
        for status, code in ((409, "workflow.not-executable"), (502, "service.output-invalid")):
            error = self.failure(Answer.problem(status, code, violations=violations, details={"a": 1}))
            self.assertEqual(error.details, {"a": 1, "violations": violations})

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

    async def failed_step(self, status: int, retryable: bool, **details: Any) -> MaxRetriesExceededError:
        details |= {"execution_id": "e-1", "step": "extract-text"}
        answer = Answer.problem(status, "workflow.max-retries-exceeded", "it failed 4 times", retryable=retryable, details=details)
        self.fake.tell(answer)
        with self.assertRaises(MaxRetriesExceededError) as caught:
            await self.client.execute_workflow("123", {})
        error = caught.exception
        self.assertEqual((error.code, error.status_code, error.message), ("workflow.max-retries-exceeded", status, "it failed 4 times"))
        self.assertEqual((error.correlation_id, error.execution_id, error.details["step"]), ("c-1", "e-1", "extract-text"))
        self.assertEqual((error.attempts, error.service_name), (4, "text-extraction"))
        self.assertEqual((error.last_error.correlation_id, error.last_error.execution_id), ("c-1", "e-1"))
        self.assertEqual((len(self.fake.asked), self.client.circuit_breaker.failures), (1, 0))
        return error

    async def test_a_step_that_breakwater_repeated_in_vain_says_how_often_and_why(self) -> None:
        named = {"service_name": "text-extraction"}
        away = await self.failed_step(
            503, True, attempts=4, last_code="upstream.no-endpoint", last_error="nobody is there", last_detail=named
        )
        self.assertIs(type(away.last_error), ServiceUnavailableError)
        self.assertEqual((str(away.last_error), away.last_error.code), ("nobody is there", "upstream.no-endpoint"))
        self.assertEqual((away.last_error.service_name, away.last_error.details), ("text-extraction", named))

        answered = {**named, "status": 503}
        busy = await self.failed_step(502, False, attempts=4, last_code="upstream.status", last_error="503", last_detail=answered)
        self.assertIs(type(busy.last_error), ServiceUnavailableError)
        self.assertEqual((busy.last_error.service_name, busy.last_error.details["status"]), ("text-extraction", 503))

        doubtful = {**named, "last_code": "upstream.timeout"}
        doubt = await self.failed_step(
            500, False, attempts=4, last_code="call.outcome-unknown", last_error="who knows", last_detail=doubtful
        )
        self.assertIs(type(doubt.last_error), ServiceIntegrationError)
        self.assertEqual((doubt.last_error.code, doubt.last_error.service_name), ("call.outcome-unknown", "text-extraction"))

        inner = {"attempts": 2, "last_code": "upstream.timeout", "last_error": "too late", "last_detail": named}
        outer = await self.failed_step(504, True, attempts=4, last_code="workflow.max-retries-exceeded", last_error="2", last_detail=inner)
        assert isinstance(outer.last_error, MaxRetriesExceededError)
        self.assertEqual((outer.last_error.attempts, outer.last_error.last_error.code), (2, "upstream.timeout"))

    def test_a_service_without_a_name_is_not_taken_for_breakwater(self) -> None:
        details = {"execution_id": "e-1", "attempts": 4, "last_code": "workflow.budget-exhausted", "last_error": "used up"}
        last = self.failure(Answer.problem(503, "workflow.max-retries-exceeded", details=details)).last_error
        self.assertEqual((type(last), last.code, last.service_name), (ServiceIntegrationError, "workflow.budget-exhausted", None))

    def test_one_that_says_nothing_more_is_told_all_the_same(self) -> None:
        for details in ({}, {"attempts": [], "last_code": None, "last_detail": "x"}, [1]):
            error = self.failure(Answer.problem(500, "workflow.max-retries-exceeded", details=details))
            self.assertIs(type(error), MaxRetriesExceededError)
            self.assertEqual((error.attempts, str(error.last_error), error.service_name), (1, "no", None))

    def test_what_did_not_come_in_time_within_a_workflow_is_nobody_who_is_away(self) -> None:
        for code in ("workflow.signal-timeout", "workflow.timeout", "execution.timeout"):
            error = self.failure(Answer.problem(504, code, details={"execution_id": "e-1", "step": "approval"}))
            self.assertIs(type(error), ServiceIntegrationError)
            self.assertEqual((error.service_name, error.details["step"], error.execution_id), (None, "approval", "e-1"))

    def test_the_call_is_named_also_where_somebody_else_answered(self) -> None:
        with request_id_scope("req-7"):
            for answer in (Answer(500, b"a proxy"), Answer(200, b"<html>"), Answer(503, b"")):
                self.assertEqual(self.failure(answer).correlation_id, "req-7", answer)

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
