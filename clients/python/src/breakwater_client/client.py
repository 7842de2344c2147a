"""The Service Integration Client."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, overload

import httpx

from .caller import Caller, Write, record_of
from .circuit_breaker import CircuitBreaker
from .errors import ExecutionNotFinishedError
from .problems import EXECUTION_HEADER, Resource, correlation_id_of
from .results import ExecutionResult
from .retry import CREATE, DELETE, UPDATE

DEFAULT_TIMEOUT = 30.0
"""Seconds, the requirement's."""

_RESERVE = 0.25
"""Seconds kept of the time of a call for the way of its answer, so that Breakwater says by itself that something is not finished."""

_POLL = 0.1
"""Seconds between asking whether an execution is finished, where Breakwater waits less than it is asked to."""

Record = dict[str, Any]
"""A service, a workflow, an execution, a page of them, as Breakwater's HTTP API has it."""


class ServiceIntegrationClient:
    """Registers services, keeps workflows and executes both, at a running Breakwater.

    What changes something is awaited; what only reads (`get_…`) blocks and gives its answer at once. In a program with an event loop that
    must not stop meanwhile: `await asyncio.to_thread(client.get_workflow, workflow_id)`.

    All methods raise `ServiceIntegrationError`s: see `breakwater_client.errors`.
    """

    def __init__(
        self,
        base_url: str,
        timeout: float = DEFAULT_TIMEOUT,
        *,
        headers: Mapping[str, str] | None = None,
        circuit_breaker: CircuitBreaker | None = None,
    ) -> None:
        """For the service at an address such as `http://localhost:8005/api`. Nothing is sent yet.

        Args:
            base_url: Where Breakwater's routes `/api` are.
            timeout: Seconds that one attempt may wait for a connection and for each part of the answer.
            headers: Sent with every request, such as a key.
            circuit_breaker: To be shared with others; opens after 5 failures in a row for 30 seconds when absent.

        Raises:
            ValueError: When the address is none or the timeout is not positive.
        """
        self.circuit_breaker = circuit_breaker or CircuitBreaker()
        self._caller = Caller(base_url, timeout, headers or {}, self.circuit_breaker)

    # Workflows

    async def create_workflow(
        self,
        name: str,
        description: str | None = None,
        steps: Sequence[Mapping[str, Any]] = (),
        metadata: Mapping[str, Any] | None = None,
        *,
        input_schema: Mapping[str, Any] | None = None,
        output: Any = None,
        timeout_ms: int | None = None,
        strict: bool = False,
        idempotency_key: str | None = None,
    ) -> Record:
        """Creates a workflow. What is not registered yet is accepted with `warnings`, unless `strict`."""
        body = _given(
            name=name,
            description=description,
            steps=list(steps),
            metadata=metadata,
            input_schema=input_schema,
            output=output,
            timeout_ms=timeout_ms,
        )
        return await self._create("workflows", body=body, key=idempotency_key, params={"strict": "true"} if strict else None)

    async def update_workflow(
        self,
        workflow_id: str,
        name: str | None = None,
        description: str | None = None,
        steps: Sequence[Mapping[str, Any]] | None = None,
        metadata: Mapping[str, Any] | None = None,
        status: str | None = None,
        *,
        input_schema: Mapping[str, Any] | None = None,
        output: Any = None,
        timeout_ms: int | None = None,
        strict: bool = False,
        idempotency_key: str | None = None,
    ) -> Record:
        """Replaces what is given and keeps the rest: a new version. `status` is ACTIVE, INACTIVE or ARCHIVED."""
        body = _given(
            name=name,
            description=description,
            steps=None if steps is None else list(steps),
            metadata=metadata,
            status=status,
            input_schema=input_schema,
            output=output,
            timeout_ms=timeout_ms,
        )
        resource = Resource("workflow", workflow_id)
        write = Write("PUT", ("workflows", workflow_id), UPDATE, body, resource, idempotency_key, {"strict": "true"} if strict else None)
        return record_of(await self._caller.write(write))

    async def delete_workflow(self, workflow_id: str) -> Record:
        """Deletes a workflow: `{"id", "deleted"}`."""
        return await self._delete("workflows", Resource("workflow", workflow_id))

    def get_workflow(self, workflow_id: str, version: int | None = None) -> Record:
        """A workflow by id or name, as it is or as an earlier version."""
        return self._get("workflows", workflow_id, resource=Resource("workflow", workflow_id), params={"version": version})

    def get_workflows(self, status: str | None = None, page: int = 1, per_page: int | None = None) -> Record:
        """Workflows: `{"items", "total", "page", "per_page"}`; no items past the end."""
        return self._get("workflows", params={"status": status, "page": page, "per_page": per_page})

    # Executions

    @overload
    async def execute_workflow(
        self,
        workflow_id: str,
        input_data: Any = None,
        context: Mapping[str, Any] | None = None,
        *,
        wait: Literal[True] = True,
        wait_timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> ExecutionResult: ...

    @overload
    async def execute_workflow(
        self,
        workflow_id: str,
        input_data: Any = None,
        context: Mapping[str, Any] | None = None,
        *,
        wait: Literal[False],
        idempotency_key: str | None = None,
    ) -> Record: ...

    async def execute_workflow(
        self,
        workflow_id: str,
        input_data: Any = None,
        context: Mapping[str, Any] | None = None,
        *,
        wait: bool = True,
        wait_timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> ExecutionResult | Record:
        """Executes a workflow and gives its output; with `wait=False` the execution that was started.

        Args:
            workflow_id: Id or name.
            input_data: The input of the first step.
            context: Such as `project_id` and `request_id`; kept with the execution and passed on to every service.
            wait: Whether to wait for the output.
            wait_timeout: Seconds to wait; the client's timeout when absent.
            idempotency_key: Executions with the same key are one; made up when absent.

        Raises:
            ExecutionNotFinishedError: When it runs on after that time.
            MaxRetriesExceededError: When a step failed at all its attempts; `last_error` says why.
            ServiceIntegrationError: That of the step that failed, with `execution_id` and `details["step"]`, and others.
        """
        body = _given(input_data=input_data, context=context, wait=wait)
        path, resource = ("workflows", workflow_id, "execute"), Resource("workflow", workflow_id)
        # Known here, so that asking again is waiting for the same execution.
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        write = Write("POST", path, CREATE, body, resource, key)
        if not wait:
            return record_of(await self._caller.write(write))
        patience = self._caller.timeout if wait_timeout is None else wait_timeout
        # Breakwater waits less than a request may take, so that it says itself that something is not finished.
        longest = self._caller.timeout - min(_RESERVE, self._caller.timeout / 20)
        end = time.monotonic() + patience
        left = patience
        while True:
            body["wait_timeout_ms"] = max(1, round(min(left, longest) * 1000))
            response = await self._caller.write(write)
            if response.status_code != 202:
                return ExecutionResult.of(response)
            left = end - time.monotonic()
            if left <= _POLL:
                raise _not_finished(response, patience)
            await asyncio.sleep(_POLL)
            left -= _POLL

    def get_workflow_execution_status(self, execution_id: str) -> Record:
        """An execution: `status` is PENDING, RUNNING, COMPLETED, FAILED, CANCELLED or PAUSED."""
        return self._get("executions", execution_id, resource=Resource("execution", execution_id))

    def get_workflow_execution_result(self, execution_id: str) -> ExecutionResult:
        """The output of an execution.

        Raises:
            ExecutionNotFinishedError: When there is none yet.
            ServiceIntegrationError: Why it failed, when it did, and others.
        """
        return ExecutionResult.of(self._caller.read("executions", execution_id, "result", resource=Resource("execution", execution_id)))

    def get_workflow_execution_history(self, execution_id: str, page: int = 1, per_page: int | None = None) -> Record:
        """Everything that happened, every attempt of every step: `{"items", "total", "page", "per_page"}`."""
        params = {"page": page, "per_page": per_page}
        return self._get("executions", execution_id, "history", resource=Resource("execution", execution_id), params=params)

    def get_workflow_executions(
        self, workflow_id: str | None = None, status: str | None = None, page: int = 1, per_page: int | None = None
    ) -> Record:
        """Executions of a workflow, or of all: `{"items", "total", "page", "per_page"}`."""
        params = {"status": status, "page": page, "per_page": per_page}
        if workflow_id is None:
            return self._get("executions", params=params)
        return self._get("workflows", workflow_id, "executions", resource=Resource("workflow", workflow_id), params=params)

    async def cancel_workflow_execution(self, execution_id: str) -> Record:
        """Ends an execution."""
        return await self._steer(execution_id, "cancel")

    async def pause_workflow_execution(self, execution_id: str) -> Record:
        """Begins no further step until it is resumed."""
        return await self._steer(execution_id, "pause")

    async def resume_workflow_execution(self, execution_id: str) -> Record:
        """Goes on after a pause."""
        return await self._steer(execution_id, "resume")

    async def retry_workflow_execution(self, execution_id: str) -> Record:
        """Goes on from the step that failed."""
        return await self._steer(execution_id, "retry")

    async def signal_workflow_execution(
        self, execution_id: str, name: str, data: Any = None, *, idempotency_key: str | None = None
    ) -> None:
        """Sends a signal that a step waits for, or will."""
        path = ("executions", execution_id, "signals", name)
        write = Write("POST", path, CREATE, data, Resource("execution", execution_id), idempotency_key)
        await self._caller.write(write)

    # Services

    async def register_service(
        self,
        name: str,
        description: str | None = None,
        endpoint: str | None = None,
        actions: Sequence[Mapping[str, Any]] = (),
        metadata: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Record:
        """Registers a service: an action `extract` is `POST {endpoint}/extract`."""
        body = _given(name=name, description=description, endpoint=endpoint, actions=list(actions), metadata=metadata)
        return await self._create("services", body=body, key=idempotency_key)

    async def update_service(
        self,
        service_id: str,
        name: str | None = None,
        description: str | None = None,
        endpoint: str | None = None,
        actions: Sequence[Mapping[str, Any]] | None = None,
        metadata: Mapping[str, Any] | None = None,
        status: str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Record:
        """Replaces what is given and keeps the rest. `status` is ACTIVE, INACTIVE or ARCHIVED."""
        body = _given(
            name=name,
            description=description,
            endpoint=endpoint,
            actions=None if actions is None else list(actions),
            metadata=metadata,
            status=status,
        )
        write = Write("PUT", ("services", service_id), UPDATE, body, Resource("service", service_id), idempotency_key)
        return record_of(await self._caller.write(write))

    async def deregister_service(self, service_id: str) -> Record:
        """Removes a service: `{"id", "deleted"}`."""
        return await self._delete("services", Resource("service", service_id))

    def get_service(self, service_id: str) -> Record:
        """A service by id or name."""
        return self._get("services", service_id, resource=Resource("service", service_id))

    def get_services(self, status: str | None = None, page: int = 1, per_page: int | None = None) -> Record:
        """Services: `{"items", "total", "page", "per_page"}`; no items past the end."""
        return self._get("services", params={"status": status, "page": page, "per_page": per_page})

    async def execute_service_action(
        self,
        service_id: str,
        action: str,
        input_data: Any = None,
        context: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> ExecutionResult:
        """Executes one action of a service and gives its output."""
        body = _given(input_data=input_data, context=context)
        path = ("services", service_id, "actions", action, "execute")
        write = Write("POST", path, CREATE, body, Resource("service", service_id), idempotency_key)
        return ExecutionResult.of(await self._caller.write(write))

    # How everything is

    def get_integration_health(self) -> Record:
        """Breakwater's services and workflows as a whole: `status` is healthy, degraded or unhealthy."""
        return self._get("health")

    def get_service_health(self, service_id: str) -> Record:
        """One service: `status` is healthy, unhealthy or unknown."""
        return self._get("services", service_id, "health", resource=Resource("service", service_id))

    # Connections

    def close(self) -> None:
        """Ends the connections of blocking calls; `aclose` those of both."""
        self._caller.close()

    async def aclose(self) -> None:
        """Ends all connections of this event loop."""
        await self._caller.aclose()

    def __enter__(self) -> ServiceIntegrationClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> ServiceIntegrationClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    def _get(self, *path: str, resource: Resource | None = None, params: Mapping[str, Any] | None = None) -> Record:
        return record_of(self._caller.read(*path, resource=resource, params=params))

    async def _create(self, collection: str, *, body: Record, key: str | None, params: Mapping[str, str] | None = None) -> Record:
        write = Write("POST", (collection,), CREATE, body, idempotency_key=key, params=params)
        return record_of(await self._caller.write(write))

    async def _delete(self, collection: str, resource: Resource) -> Record:
        write = Write("DELETE", (collection, resource.id), DELETE, resource=resource)
        return record_of(await self._caller.write(write))

    async def _steer(self, execution_id: str, order: str) -> Record:
        write = Write("POST", ("executions", execution_id, order), UPDATE, {}, Resource("execution", execution_id))
        return record_of(await self._caller.write(write))


def _not_finished(response: httpx.Response, patience: float) -> ExecutionNotFinishedError:
    execution_id = response.headers.get(EXECUTION_HEADER) or record_of(response).get("id")
    return ExecutionNotFinishedError(
        f"the execution {execution_id} was not finished after {patience:g} s and runs on",
        code="client.execution-not-finished",
        status_code=202,
        correlation_id=correlation_id_of(response),
        execution_id=execution_id,
    )


def _given(**fields: Any) -> Record:
    """Without what is None."""
    return {name: value for name, value in fields.items() if value is not None}
