"""The names, signatures and ways to be configured that applications rely on."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import unittest
import warnings
from unittest import mock

import app.api.clients
import breakwater_client
import shared.utils.src.circuit_breaker
import shared.utils.src.clients.service_integration
import shared.utils.src.exceptions
import shared.utils.src.request_id
from breakwater_client import ServiceIntegrationClient, get_request_id, get_service_integration_client, request_id_scope
from fake_breakwater import Answer, FakeBreakwater
from support import UNAVAILABLE

# In this order, so that they may be given without names too.
PARAMETERS = {
    "create_workflow": ["name", "description", "steps", "metadata"],
    "update_workflow": ["workflow_id", "name", "description", "steps", "metadata", "status"],
    "delete_workflow": ["workflow_id"],
    "get_workflow": ["workflow_id"],
    "get_workflows": ["status", "page", "per_page"],
    "execute_workflow": ["workflow_id", "input_data", "context"],
    "get_workflow_execution_status": ["execution_id"],
    "get_workflow_executions": ["workflow_id", "status", "page", "per_page"],
    "register_service": ["name", "description", "endpoint", "actions", "metadata"],
    "update_service": ["service_id", "name", "description", "endpoint", "actions", "metadata", "status"],
    "deregister_service": ["service_id"],
    "get_service": ["service_id"],
    "get_services": ["status", "page", "per_page"],
    "execute_service_action": ["service_id", "action", "input_data", "context"],
    "get_integration_health": [],
    "get_service_health": ["service_id"],
}


class Surface(unittest.TestCase):
    def test_the_names_that_applications_import_are_the_clients_own(self) -> None:
        self.assertIs(shared.utils.src.clients.ServiceIntegrationClient, ServiceIntegrationClient)
        self.assertIs(shared.utils.src.clients.service_integration.ServiceIntegrationClient, ServiceIntegrationClient)
        self.assertIs(shared.utils.src.request_id.get_request_id, get_request_id)
        self.assertIs(shared.utils.src.circuit_breaker.CircuitBreaker, breakwater_client.CircuitBreaker)
        self.assertIs(app.api.clients.get_service_integration_client, get_service_integration_client)
        for name in shared.utils.src.exceptions.__all__:
            self.assertIs(getattr(shared.utils.src.exceptions, name), getattr(breakwater_client, name))

    def test_every_method_takes_what_it_took(self) -> None:
        for name, parameters in PARAMETERS.items():
            _self, *found = inspect.signature(getattr(ServiceIntegrationClient, name)).parameters
            self.assertEqual(found[: len(parameters)], parameters, name)
        timeout = inspect.signature(ServiceIntegrationClient).parameters["timeout"]
        self.assertEqual((timeout.default, timeout.kind), (30, inspect.Parameter.POSITIONAL_OR_KEYWORD))

    def test_what_is_not_given_in_an_application_of_the_same_name_stays(self) -> None:
        # Without __init__.py a package of this name that an application has goes first.
        for package in (shared, shared.utils, app):
            self.assertIsNone(package.__file__)


class Configuration(unittest.TestCase):
    def test_the_address_comes_from_the_environment_and_the_client_is_one(self) -> None:
        with FakeBreakwater(Answer(200, {"items": [], "total": 0})) as fake:
            with mock.patch.dict(os.environ, {"SERVICE_INTEGRATION_URL": fake.base_url, "SERVICE_INTEGRATION_TIMEOUT": "2.5"}):
                client = get_service_integration_client()
                self.assertEqual(client.get_workflows()["total"], 0)
                self.assertIs(get_service_integration_client(), client)
            with mock.patch.dict(os.environ, {"SERVICE_INTEGRATION_URL": fake.base_url + "/"}):
                self.assertIsNot(get_service_integration_client(), client)
            client.close()

    def test_what_cannot_be_meant_is_named(self) -> None:
        for variable, value in (("URL", "nowhere"), ("TIMEOUT", "soon"), ("TIMEOUT", "-1"), ("TIMEOUT", "nan")):
            name = f"SERVICE_INTEGRATION_{variable}"
            with mock.patch.dict(os.environ, {name: value}), self.assertRaisesRegex(ValueError, name):
                get_service_integration_client()


class RequestIds(unittest.IsolatedAsyncioTestCase):
    async def test_an_id_is_new_unless_it_was_set_around(self) -> None:
        self.assertNotEqual(get_request_id(), get_request_id())
        with request_id_scope("req-123") as chosen:
            self.assertEqual((chosen, get_request_id()), ("req-123", "req-123"))
            self.assertEqual(await asyncio.create_task(asyncio.to_thread(get_request_id)), "req-123")
            with request_id_scope() as inner:
                self.assertEqual(get_request_id(), inner)
            self.assertEqual(get_request_id(), "req-123")
        self.assertNotEqual(get_request_id(), "req-123")

    async def test_it_names_calls(self) -> None:
        with FakeBreakwater() as fake:
            async with ServiceIntegrationClient(fake.base_url) as client:
                with request_id_scope("req-7"):
                    client.get_services()
                    await client.delete_workflow("1")
            self.assertEqual([asked.headers["x-correlation-id"] for asked in fake.asked], ["req-7", "req-7"])


class EventLoops(unittest.TestCase):
    def setUp(self) -> None:
        # What a loop leaves open when it ends is collected here: Python 3.11 may trip over its own warning about it during an import.
        ignoring = warnings.catch_warnings()
        ignoring.__enter__()
        self.addCleanup(ignoring.__exit__, None, None, None)
        warnings.simplefilter("ignore", ResourceWarning)
        self.addCleanup(gc.collect)

    def test_a_client_outlives_the_loop_that_it_was_used_in(self) -> None:
        with FakeBreakwater(Answer(201, {"id": "7"})) as fake, ServiceIntegrationClient(fake.base_url) as client:
            for _ in range(3):
                self.assertEqual(asyncio.run(client.create_workflow("a")), {"id": "7"})

    def test_a_call_that_is_cancelled_ends_at_once(self) -> None:
        async def cancelled() -> None:
            call = asyncio.create_task(client.create_workflow("a"))
            while not fake.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            call.cancel()
            await call

        with FakeBreakwater(UNAVAILABLE) as fake, ServiceIntegrationClient(fake.base_url) as client:
            with self.assertRaises(asyncio.CancelledError):
                asyncio.run(cancelled())
            self.assertEqual(len(fake.asked), 1)
