"""What the tests against the real Breakwater share.

It must listen at BREAKWATER_URL, tests/services/text_service.py at TEXT_SERVICE_URL, and nothing at DEAD_URL, where a Breakwater listened
until it ended. What has no address is not run, and says so.
"""

from __future__ import annotations

import asyncio
import os
import time
import unittest
from contextlib import suppress
from typing import Any

from breakwater_client import ResourceNotFoundError, ServiceIntegrationClient

BREAKWATER_URL = os.environ.get("BREAKWATER_URL", "")
TEXT_SERVICE_URL = os.environ.get("TEXT_SERVICE_URL", "")
DEAD_URL = os.environ.get("DEAD_URL", "")

API = f"{BREAKWATER_URL}/api"
TEXT_ACTIONS: list[dict[str, Any]] = [
    {
        "name": "extract",
        "input_schema": {
            "type": "object",
            "properties": {"document_url": {"type": "string", "format": "uri"}},
            "required": ["document_url"],
        },
        "output_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
    {
        "name": "analyze",
        "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        "output_schema": {
            "type": "object",
            "properties": {"sentiment": {"type": "string"}, "score": {"type": "number"}},
            "required": ["sentiment", "score"],
        },
    },
]
DOCUMENT = {"document_url": "https://example.com/document.pdf"}


@unittest.skipUnless(BREAKWATER_URL and TEXT_SERVICE_URL, "NOT RUN: BREAKWATER_URL and TEXT_SERVICE_URL are not set")
class LiveTestCase(unittest.IsolatedAsyncioTestCase):
    """A client of the real Breakwater; what a test registers and creates is taken away again."""

    def setUp(self) -> None:
        self.client = ServiceIntegrationClient(base_url=API)
        self.addAsyncCleanup(self.client.aclose)

    async def service(self, name: str, endpoint: str = TEXT_SERVICE_URL, **more: Any) -> dict[str, Any]:
        service = await self.client.register_service(name=name, endpoint=endpoint, actions=TEXT_ACTIONS, **more)
        self.addAsyncCleanup(self._gone, self.client.deregister_service, service["id"])
        return service

    async def workflow(self, name: str, steps: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        workflow = await self.client.create_workflow(name=name, steps=steps, **more)
        self.addAsyncCleanup(self._gone, self.client.delete_workflow, workflow["id"])
        return workflow

    async def until(self, execution_id: str, status: str) -> dict[str, Any]:
        """Waits until an execution is so."""
        deadline = time.monotonic() + 30
        while (execution := self.client.get_workflow_execution_status(execution_id))["status"] != status:
            self.assertLess(time.monotonic(), deadline, execution)
            await asyncio.sleep(0.02)
        return execution

    @staticmethod
    async def _gone(delete: Any, resource_id: str) -> None:
        with suppress(ResourceNotFoundError):
            await delete(resource_id)
