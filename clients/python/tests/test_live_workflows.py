"""Workflows and their executions, against the real Breakwater."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from breakwater_client import ConflictError, ResourceNotFoundError, ServiceIntegrationError, ValidationError
from document_sentiment import create_and_execute_document_workflow
from live import API, DOCUMENT, TEXT_SERVICE_URL, LiveTestCase

WAITS: list[dict[str, Any]] = [{"id": "approval", "type": "signal", "signal": "approved", "next": None}]


def chain(service: str) -> list[dict[str, Any]]:
    return [
        {"id": "extract-text", "service": service, "action": "extract", "next": "analyze-sentiment"},
        {"id": "analyze-sentiment", "service": service, "action": "analyze", "next": None},
    ]


class CompleteExample(LiveTestCase):
    async def test_services_are_registered_and_a_workflow_of_them_is_executed(self) -> None:
        said = StringIO()
        with redirect_stdout(said):
            result = await create_and_execute_document_workflow(API, TEXT_SERVICE_URL, TEXT_SERVICE_URL)
        lines = said.getvalue().splitlines()
        self.assertIsNotNone(result, lines)
        assert result is not None
        self.addAsyncCleanup(self.client.deregister_service, "text-extraction")
        self.addAsyncCleanup(self.client.deregister_service, "sentiment-analysis")
        self.addAsyncCleanup(self.client.delete_workflow, "document-sentiment")
        self.assertEqual(set(result), {"sentiment", "score"})
        self.assertIn(result["sentiment"], {"positive", "negative", "neutral"})
        self.assertTrue(-1.0 <= result["score"] <= 1.0)
        expected = ["Workflow execution result:", f"Sentiment: {result['sentiment']}", f"Score: {result['score']}"]
        self.assertEqual(lines[3:], expected)
        # The same by hand: what the first action puts out is what the second takes.
        text = await self.client.execute_service_action("text-extraction", "extract", DOCUMENT)
        self.assertEqual(await self.client.execute_service_action("sentiment-analysis", "analyze", {"text": text["text"]}), result)


class Workflows(LiveTestCase):
    async def test_a_workflow_is_created_found_changed_and_deleted(self) -> None:
        await self.service("py-chained")
        steps = chain("py-chained")
        workflow = await self.workflow("py-kept", steps, description="Kept", metadata={"author": "us"})
        self.assertEqual((workflow["name"], workflow["description"], workflow["status"]), ("py-kept", "Kept", "ACTIVE"))
        self.assertEqual((workflow["steps"], workflow["metadata"], workflow["version"]), (steps, {"author": "us"}, 1))
        self.assertEqual(self.client.get_workflow("py-kept")["id"], workflow["id"])

        changed = await self.client.update_workflow(workflow_id=workflow["id"], name="py-kept-2", steps=[{**steps[0], "next": None}])
        self.assertEqual((changed["version"], changed["name"], changed["description"], len(changed["steps"])), (2, "py-kept-2", "Kept", 1))
        self.assertEqual(self.client.get_workflow(workflow["id"], version=1)["steps"], steps)
        archived = await self.client.update_workflow(workflow["id"], status="ARCHIVED")
        self.assertEqual(archived["status"], "ARCHIVED")
        self.assertNotIn(workflow["id"], [found["id"] for found in self.client.get_workflows(status="ACTIVE")["items"]])
        self.assertIn(workflow["id"], [found["id"] for found in self.client.get_workflows(status="ARCHIVED")["items"]])
        self.assertEqual(self.client.get_workflows(page=1000, per_page=10)["items"], [])

        self.assertEqual(await self.client.delete_workflow(workflow_id=workflow["id"]), {"id": workflow["id"], "deleted": True})
        with self.assertRaises(ResourceNotFoundError) as missing:
            self.client.get_workflow(workflow["id"])
        self.assertEqual((missing.exception.resource_type, missing.exception.resource_id), ("workflow", workflow["id"]))

    async def test_mistakes_are_listed_with_their_places(self) -> None:
        steps = [{"id": "a", "service": "py-any", "action": "extract", "next": "b"}, {"id": "a", "service": "py-any"}]
        with self.assertRaises(ValidationError) as caught:
            await self.client.create_workflow(name="py-wrong", steps=steps)
        self.assertEqual(caught.exception.code, "workflow.invalid")
        pointers = {violation["pointer"] for violation in caught.exception.validation_errors}
        self.assertIn("/steps/0/next", pointers)
        self.assertGreaterEqual(len(pointers), 2, pointers)

    async def test_services_may_be_registered_later_unless_it_is_strict(self) -> None:
        with self.assertRaises(ValidationError):
            await self.client.create_workflow(name="py-later", steps=chain("py-later"), strict=True)
        workflow = await self.workflow("py-later", chain("py-later"))
        self.assertTrue(workflow["warnings"])
        with self.assertRaises(ServiceIntegrationError):
            await self.client.execute_workflow(workflow["id"], DOCUMENT)
        await self.service("py-later")
        self.assertIn("sentiment", await self.client.execute_workflow(workflow["id"], DOCUMENT))


class Executions(LiveTestCase):
    async def test_an_execution_is_on_record_with_its_history(self) -> None:
        await self.service("py-recorded")
        workflow = await self.workflow("py-recorded", chain("py-recorded"))
        context = {"project_id": "456", "request_id": "req-123"}
        result = await self.client.execute_workflow(workflow_id=workflow["id"], input_data=DOCUMENT, context=context)
        assert result.execution_id is not None
        status = self.client.get_workflow_execution_status(execution_id=result.execution_id)
        self.assertEqual((status["status"], status["workflow_id"], status["workflow_version"]), ("COMPLETED", workflow["id"], 1))
        self.assertEqual((status["input"], status["output"], status["context"]), (DOCUMENT, result, context))
        self.assertEqual(self.client.get_workflow_execution_result(result.execution_id), result)
        history = self.client.get_workflow_execution_history(result.execution_id, per_page=200)
        self.assertEqual(history["total"], len(history["items"]))
        paths = {event["path"] for event in history["items"]}
        self.assertLessEqual({"extract-text", "analyze-sentiment"}, paths)
        listed = self.client.get_workflow_executions(workflow_id=workflow["id"], status="COMPLETED", page=1, per_page=10)
        self.assertEqual(([found["id"] for found in listed["items"]], listed["total"]), ([result.execution_id], 1))
        self.assertEqual(self.client.get_workflow_executions(workflow["id"], status="FAILED")["items"], [])
        self.assertIn(result.execution_id, [found["id"] for found in self.client.get_workflow_executions()["items"]])

    async def test_one_key_is_one_execution(self) -> None:
        await self.service("py-once")
        workflow = await self.workflow("py-once", chain("py-once"))
        first = await self.client.execute_workflow(workflow["id"], DOCUMENT, idempotency_key="py-order-7")
        second = await self.client.execute_workflow(workflow["id"], DOCUMENT, idempotency_key="py-order-7")
        self.assertEqual((second, second.execution_id), (first, first.execution_id))
        with self.assertRaises(ServiceIntegrationError) as caught:
            await self.client.execute_workflow(
                workflow["id"], {"document_url": "https://example.com/other.pdf"}, idempotency_key="py-order-7"
            )
        self.assertEqual(caught.exception.code, "execution.key-reused")

    async def test_an_execution_is_steered(self) -> None:
        workflow = await self.workflow("py-waits", WAITS)
        execution = await self.client.execute_workflow(workflow["id"], {"order": 7}, wait=False)
        await self.until(execution["id"], "RUNNING")
        with self.assertRaises(ServiceIntegrationError) as unfinished:
            self.client.get_workflow_execution_result(execution["id"])
        self.assertEqual(unfinished.exception.code, "execution.not-finished")
        await self.client.pause_workflow_execution(execution["id"])
        await self.until(execution["id"], "PAUSED")
        await self.client.resume_workflow_execution(execution["id"])
        await self.until(execution["id"], "RUNNING")
        await self.client.signal_workflow_execution(execution["id"], "approved", {"by": "ada"}, idempotency_key="approval-7")
        self.assertEqual((await self.until(execution["id"], "COMPLETED"))["output"], {"by": "ada"})
        await self.client.signal_workflow_execution(execution["id"], "approved", {"by": "ada"}, idempotency_key="approval-7")
        with self.assertRaises((ConflictError, ValidationError)) as ended:
            await self.client.cancel_workflow_execution(execution["id"])
        self.assertEqual(ended.exception.code, "execution.state")

        other = await self.client.execute_workflow(workflow["id"], wait=False)
        await self.client.cancel_workflow_execution(other["id"])
        await self.until(other["id"], "CANCELLED")
        with self.assertRaises(ResourceNotFoundError) as missing:
            self.client.get_workflow_execution_status("no-such-execution")
        self.assertEqual((missing.exception.resource_type, missing.exception.resource_id), ("execution", "no-such-execution"))

    async def test_one_that_runs_on_is_named(self) -> None:
        workflow = await self.workflow("py-slow", WAITS)
        with self.assertRaises(ServiceIntegrationError) as caught:
            await self.client.execute_workflow(workflow["id"], {}, wait_timeout=0.2)
        assert caught.exception.execution_id is not None
        self.assertEqual(caught.exception.code, "client.execution-not-finished")
        await self.client.signal_workflow_execution(caught.exception.execution_id, "approved", {"by": "ada"})
        await self.until(caught.exception.execution_id, "COMPLETED")
