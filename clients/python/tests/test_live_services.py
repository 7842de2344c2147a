"""Services and their actions, against the real Breakwater."""

from __future__ import annotations

from breakwater_client import ConflictError, ResourceNotFoundError, ServiceIntegrationError, ValidationError
from live import DOCUMENT, TEXT_SERVICE_URL, LiveTestCase


class Services(LiveTestCase):
    async def test_a_service_is_registered_found_changed_and_taken_away(self) -> None:
        service = await self.service("py-text", description="Texts", metadata={"version": "1.0.0", "provider": "us"})
        self.assertEqual((service["name"], service["description"], service["endpoint"]), ("py-text", "Texts", TEXT_SERVICE_URL))
        self.assertEqual((service["status"], service["metadata"]), ("ACTIVE", {"version": "1.0.0", "provider": "us"}))
        self.assertEqual([action["name"] for action in service["actions"]], ["extract", "analyze"])
        self.assertEqual(self.client.get_service(service_id=service["id"]), service)
        self.assertEqual(self.client.get_service("py-text")["id"], service["id"])

        changed = await self.client.update_service(service["id"], name="py-text-2", description="Better", status="INACTIVE")
        self.assertEqual((changed["name"], changed["description"], changed["status"]), ("py-text-2", "Better", "INACTIVE"))
        self.assertEqual((changed["actions"], changed["metadata"]), (service["actions"], service["metadata"]))
        self.assertGreater(changed["version"], service["version"])
        ids = {status: [found["id"] for found in self.client.get_services(status=status)["items"]] for status in ("ACTIVE", "INACTIVE")}
        self.assertNotIn(service["id"], ids["ACTIVE"])
        self.assertIn(service["id"], ids["INACTIVE"])
        with self.assertRaises(ServiceIntegrationError) as caught:
            await self.client.execute_service_action(service["id"], "extract", DOCUMENT)
        self.assertEqual(caught.exception.code, "service.inactive")

        self.assertEqual(await self.client.deregister_service(service_id=service["id"]), {"id": service["id"], "deleted": True})
        with self.assertRaises(ResourceNotFoundError) as missing:
            self.client.get_service(service["id"])
        self.assertEqual((missing.exception.resource_type, missing.exception.resource_id), ("service", service["id"]))

    async def test_lists_end_with_an_empty_page(self) -> None:
        for number in range(3):
            await self.service(f"py-listed-{number}")
        names: list[str] = []
        page = 1
        while True:
            services = self.client.get_services(page=page, per_page=2)
            self.assertEqual((services["page"], services["per_page"]), (page, 2))
            if not services["items"]:
                break
            names += [service["name"] for service in services["items"]]
            page += 1
        self.assertEqual(len(names), services["total"])
        self.assertLessEqual({"py-listed-0", "py-listed-1", "py-listed-2"}, set(names))

    async def test_an_action_is_executed_and_its_output_is_at_the_top(self) -> None:
        service = await self.service("py-direct")
        context = {"project_id": "789", "request_id": "req-123"}
        result = await self.client.execute_service_action(service["id"], action="extract", input_data=DOCUMENT, context=context)
        self.assertIsInstance(result["text"], str)
        self.assertEqual(result, await self.client.execute_service_action("py-direct", "extract", DOCUMENT))

    async def test_what_cannot_be_meant_is_said_with_its_place(self) -> None:
        with self.assertRaises(ValidationError) as caught:
            await self.client.register_service(name="", endpoint="nowhere", actions=[{"name": "a", "input_schema": {"type": 7}}])
        pointers = {violation["pointer"] for violation in caught.exception.validation_errors}
        self.assertEqual(caught.exception.code, "service.invalid")
        self.assertLessEqual({"/name", "/endpoint"}, pointers)
        self.assertTrue(any(pointer.startswith("/actions/0/input_schema") for pointer in pointers), pointers)
        with self.assertRaises(ValidationError):
            self.client.get_services(page=0)

        service = await self.service("py-checked")
        for wrong in ({}, {"document_url": 7}, {"document_url": "no address"}):
            with self.assertRaises(ValidationError, msg=wrong) as refused:
                await self.client.execute_service_action(service["id"], "extract", wrong)
            self.assertTrue(refused.exception.validation_errors[0]["message"])

    async def test_names_are_taken_once_and_actions_must_exist(self) -> None:
        service = await self.service("py-taken")
        with self.assertRaises(ConflictError) as taken:
            await self.client.register_service(name="py-taken", endpoint=TEXT_SERVICE_URL, actions=[{"name": "extract"}])
        self.assertEqual(taken.exception.code, "service.name-taken")
        with self.assertRaises(ResourceNotFoundError) as missing:
            await self.client.execute_service_action(service["id"], "translate", {})
        self.assertEqual(missing.exception.resource_type, "action")

    async def test_health_is_told_of_one_and_of_all(self) -> None:
        service = await self.service("py-well")
        await self.client.execute_service_action(service["id"], "extract", DOCUMENT)
        health = self.client.get_service_health(service_id=service["id"])
        self.assertEqual((health["service_id"], health["service_name"], health["status"]), (service["id"], "py-well", "healthy"))
        whole = self.client.get_integration_health()
        self.assertIn(whole["status"], {"healthy", "degraded"})
        self.assertGreaterEqual(whole["services"]["total"], 1)
