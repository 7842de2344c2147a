"""The same three steps on Temporal: a workflow of three activities, each one request to the sink."""

import asyncio
import sys
from datetime import timedelta

import httpx
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "bench"
sink = None


@activity.defn
async def commit(given: dict) -> dict:
    answer = await sink.post("/commit", json=given, headers={"idempotency-key": activity.info().activity_id})
    answer.raise_for_status()
    return answer.json()


@workflow.defn
class Three:
    @workflow.run
    async def run(self, given: dict) -> dict:
        for _ in range(3):
            given = await workflow.execute_activity(commit, given, start_to_close_timeout=timedelta(seconds=30))
        return given


async def main():
    global sink
    address, sink_url = sys.argv[1:]
    sink = httpx.AsyncClient(base_url=sink_url, limits=httpx.Limits(max_connections=64))
    client = await Client.connect(address)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Three],
        activities=[commit],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=64,
        max_concurrent_workflow_tasks=64,
    )
    print("ready", flush=True)
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
