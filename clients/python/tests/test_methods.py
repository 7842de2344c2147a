"""Every method asks what Breakwater's HTTP API has."""

from __future__ import annotations

import inspect
import uuid
from typing import Any

from breakwater_client import ExecutionNotFinishedError, ExecutionResult, ServiceIntegrationError, ValidationError
from fake_breakwater import Answer, Asked
from support import ClientTestCase, paused_time

STEPS: list[dict[str, Any]] = [
    {"id": "extract-text", "service": "text-extraction", "action": "extract", "next": "analyze-sentiment"},
    {"id": "analyze-sentiment", "service": "sentiment-analysis", "action": "analyze", "next": None},
]
ACTIONS: list[dict[str, Any]] = [{"name": "extract", "input_schema": {"type": "object", "required": ["document_url"]}}]

# Name, arguments, then what is asked: method, path below the base, query, body.
Case = tuple[str, dict[str, Any], str, str, dict[str, str], Any]

WRITES: list[Case] = [
    (
        "create_workflow",
        {"name": "documents", "description": "Reads", "steps": STEPS, "metadata": {"version": "1.0.0"}},
        "POST",
        "/workflows",
        {},
        {"name": "documents", "description": "Reads", "steps": STEPS, "metadata": {"version": "1.0.0"}},
    ),
    (
        "create_workflow",
        {"name": "documents", "strict": True, "input_schema": {}, "output": "steps.a", "timeout_ms": 9},
        "POST",
        "/workflows",
        {"strict": "true"},
        {"name": "documents", "steps": [], "input_schema": {}, "output": "steps.a", "timeout_ms": 9},
    ),
    (
        "update_workflow",
        {"workflow_id": "123", "name": "v2", "description": "", "steps": STEPS, "status": "ACTIVE"},
        "PUT",
        "/workflows/123",
        {},
        {"name": "v2", "description": "", "steps": STEPS, "status": "ACTIVE"},
    ),
    ("update_workflow", {"workflow_id": "123", "metadata": {}}, "PUT", "/workflows/123", {}, {"metadata": {}}),
    ("delete_workflow", {"workflow_id": "a/b ?"}, "DELETE", "/workflows/a%2Fb%20%3F", {}, None),
    (
        "execute_workflow",
        {"workflow_id": "123", "input_data": {"language": "en"}, "context": {"project_id": "456"}},
        "POST",
        "/workflows/123/execute",
        {},
        {"input_data": {"language": "en"}, "context": {"project_id": "456"}, "wait": True, "wait_timeout_ms": 9750},
    ),
    ("execute_workflow", {"workflow_id": "123", "wait": False}, "POST", "/workflows/123/execute", {}, {"wait": False}),
    (
        "execute_workflow",
        {"workflow_id": "123", "input_data": [], "wait_timeout": 90},
        "POST",
        "/workflows/123/execute",
        {},
        {"input_data": [], "wait": True, "wait_timeout_ms": 9750},
    ),
    ("cancel_workflow_execution", {"execution_id": "789"}, "POST", "/executions/789/cancel", {}, {}),
    ("pause_workflow_execution", {"execution_id": "789"}, "POST", "/executions/789/pause", {}, {}),
    ("resume_workflow_execution", {"execution_id": "789"}, "POST", "/executions/789/resume", {}, {}),
    ("retry_workflow_execution", {"execution_id": "789"}, "POST", "/executions/789/retry", {}, {}),
    (
        "signal_workflow_execution",
        {"execution_id": "789", "name": "approved", "data": [True]},
        "POST",
        "/executions/789/signals/approved",
        {},
        [True],
    ),
    (
        "register_service",
        {"name": "text", "description": "Texts", "endpoint": "http://text/api", "actions": ACTIONS, "metadata": {"provider": "us"}},
        "POST",
        "/services",
        {},
        {"name": "text", "description": "Texts", "endpoint": "http://text/api", "actions": ACTIONS, "metadata": {"provider": "us"}},
    ),
    (
        "update_service",
        {"service_id": "456", "name": "v2", "description": "Better", "endpoint": "http://v2/api", "status": "ACTIVE"},
        "PUT",
        "/services/456",
        {},
        {"name": "v2", "description": "Better", "endpoint": "http://v2/api", "status": "ACTIVE"},
    ),
    ("update_service", {"service_id": "456", "actions": ACTIONS}, "PUT", "/services/456", {}, {"actions": ACTIONS}),
    ("deregister_service", {"service_id": "456"}, "DELETE", "/services/456", {}, None),
    (
        "execute_service_action",
        {"service_id": "456", "action": "extract", "input_data": {"a": 1}, "context": {"request_id": "req-123"}},
        "POST",
        "/services/456/actions/extract/execute",
        {},
        {"input_data": {"a": 1}, "context": {"request_id": "req-123"}},
    ),
]

READS: list[tuple[str, dict[str, Any], str, dict[str, str]]] = [
    ("get_workflow", {"workflow_id": "123"}, "/workflows/123", {}),
    ("get_workflow", {"workflow_id": "123", "version": 2}, "/workflows/123", {"version": "2"}),
    ("get_workflows", {}, "/workflows", {"page": "1"}),
    ("get_workflows", {"status": "ACTIVE"}, "/workflows", {"status": "ACTIVE", "page": "1"}),
    ("get_workflows", {"page": 2, "per_page": 10}, "/workflows", {"page": "2", "per_page": "10"}),
    ("get_workflow_execution_status", {"execution_id": "789"}, "/executions/789", {}),
    ("get_workflow_execution_result", {"execution_id": "789"}, "/executions/789/result", {}),
    ("get_workflow_execution_history", {"execution_id": "789", "per_page": 5}, "/executions/789/history", {"page": "1", "per_page": "5"}),
    (
        "get_workflow_executions",
        {"workflow_id": "123", "status": "COMPLETED"},
        "/workflows/123/executions",
        {"status": "COMPLETED", "page": "1"},
    ),
    ("get_workflow_executions", {"page": 2, "per_page": 10}, "/executions", {"page": "2", "per_page": "10"}),
    ("get_service", {"service_id": "456"}, "/services/456", {}),
    ("get_services", {"status": "ACTIVE", "page": 2, "per_page": 10}, "/services", {"status": "ACTIVE", "page": "2", "per_page": "10"}),
    ("get_integration_health", {}, "/health", {}),
    ("get_service_health", {"service_id": "456"}, "/services/456/health", {}),
]


class Methods(ClientTestCase):
    async def test_what_changes_something_is_awaited_and_sends_its_fields_under_a_key(self) -> None:
        for name, arguments, method, path, query, body in WRITES:
            with self.subTest(name, **arguments):
                self.fake.tell(Answer(200, {"id": "7"}))
                call = getattr(self.client, name)(**arguments)
                self.assertTrue(inspect.iscoroutine(call))
                self.assertEqual(await call, None if name.startswith("signal") else {"id": "7"})
                (asked,) = self.fake.asked
                self.assertEqual((asked.method, asked.path, asked.query), (method, f"/api{path}", query))
                self.assertEqual(asked.body, body)
                self.assertEqual(uuid.UUID(asked.headers["idempotency-key"]).version, 4)

    def test_what_reads_is_not(self) -> None:
        for name, arguments, path, query in READS:
            with self.subTest(name, **arguments):
                self.fake.tell(Answer(200, {"items": []}))
                self.assertEqual(getattr(self.client, name)(**arguments), {"items": []})
                (asked,) = self.fake.asked
                self.assertEqual((asked.method, asked.path, asked.query, asked.body), ("GET", f"/api{path}", query, None))
                self.assertNotIn("idempotency-key", asked.headers)

    def test_every_method_is_asked_for_here(self) -> None:
        tried = {name for name, *_ in WRITES} | {name for name, *_ in READS} | {"aclose", "close"}
        methods = {name for name, _ in inspect.getmembers(type(self.client), inspect.isfunction) if not name.startswith("_")}
        self.assertEqual(methods, tried)

    async def test_a_signal_without_data_is_null(self) -> None:
        await self.client.signal_workflow_execution("789", "go")
        self.assertEqual((self.fake.asked[0].body, self.fake.asked[0].headers["content-length"]), (None, "4"))

    async def test_an_id_cannot_lead_to_another_route(self) -> None:
        for wrong in ("", ".", ".."):
            with self.assertRaises(ValidationError) as caught:
                await self.client.delete_workflow(wrong)
            self.assertEqual(caught.exception.code, "client.id-invalid")
        self.assertEqual(self.fake.asked, [])


class Executions(ClientTestCase):
    async def test_the_output_is_a_plain_mapping_that_knows_its_execution(self) -> None:
        self.fake.tell(Answer(200, {"sentiment": "positive", "score": 0.5}, {"X-Execution-Id": "e-1"}))
        result = await self.client.execute_workflow("123", {})
        self.assertEqual((result["sentiment"], result["score"], result.execution_id), ("positive", 0.5, "e-1"))
        self.assertEqual(result, {"sentiment": "positive", "score": 0.5})
        self.assertIsInstance(result, dict)

    async def test_an_output_that_is_no_object_is_kept(self) -> None:
        for output in ([1, 2], "text", 4, None):
            self.fake.tell(Answer(200, output))
            result = await self.client.execute_service_action("456", "extract", {})
            self.assertEqual((result, result.output, result.execution_id), ({}, output, None))

    async def test_an_execution_that_runs_on_is_named(self) -> None:
        self.fake.tell(Answer(202, {"id": "e-2", "status": "RUNNING"}))
        with self.assertRaises(ExecutionNotFinishedError) as caught:
            await self.client.execute_workflow("123", {}, wait_timeout=0.05)
        self.assertEqual((caught.exception.execution_id, caught.exception.status_code), ("e-2", 202))
        self.assertEqual(self.fake.asked[0].body["wait_timeout_ms"], 50)

    async def test_one_that_takes_longer_than_a_request_is_waited_for_under_one_key(self) -> None:
        running = Answer(202, {"id": "e-2", "status": "RUNNING"})
        self.fake.tell(running, running, Answer(200, {"a": 1}, {"x-execution-id": "e-2"}))
        with paused_time() as pauses:
            result = await self.client.execute_workflow("123", {}, wait_timeout=60)
        self.assertEqual((result, result.execution_id, pauses), ({"a": 1}, "e-2", [0.1, 0.1]))
        self.assertEqual([asked.body["wait_timeout_ms"] for asked in self.fake.asked], [9750, 9750, 9750])
        self.assertEqual(len({asked.headers["idempotency-key"] for asked in self.fake.asked}), 1)

    async def test_one_that_is_only_started_is_given(self) -> None:
        self.fake.tell(Answer(202, {"id": "e-3", "status": "PENDING"}))
        execution = await self.client.execute_workflow("123", wait=False)
        self.assertEqual(execution, {"id": "e-3", "status": "PENDING"})
        self.assertNotIsInstance(execution, ExecutionResult)


class Headers(ClientTestCase):
    async def sent(self, context: dict[str, Any] | None = None, **more: Any) -> Asked:
        self.fake.tell(Answer(200, {}))
        await self.client.execute_workflow("123", {}, context, **more)
        return self.fake.asked[0]

    async def test_the_request_that_the_context_names_is_the_calls_name_too(self) -> None:
        self.assertEqual((await self.sent({"request_id": "req-123"})).headers["x-correlation-id"], "req-123")
        for unusable in ("with space", "ä", "a\nb", "", "x" * 129, 7):
            name = (await self.sent({"request_id": unusable})).headers["x-correlation-id"]
            self.assertRegex(name, r"^req-[0-9a-f-]{36}$")

    async def test_a_key_of_ones_own_is_sent_and_one_that_cannot_be_is_refused(self) -> None:
        self.assertEqual((await self.sent(idempotency_key="order 7")).headers["idempotency-key"], "order 7")
        for wrong in ("", "ä", "a\n", " a", "x" * 256):
            with self.assertRaises(ValidationError) as caught:
                await self.sent(idempotency_key=wrong)
            self.assertEqual(caught.exception.validation_errors[0]["pointer"], "/idempotency_key")

    async def test_an_answer_of_somebody_else_is_no_answer(self) -> None:
        for body in (b"<html>", b"[]", b"\xff"):
            self.fake.tell(Answer(200, body))
            with self.assertRaises(ServiceIntegrationError) as caught:
                await self.client.create_workflow("a")
            self.assertEqual(caught.exception.code, "client.answer-invalid")
