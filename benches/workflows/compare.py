"""Executions of three steps per second of processor time, on SQLite, on PostgreSQL and on Temporal's dev server, and how long a step takes.

Each engine runs as its users run it: Breakwater as one process, also as a worker of Temporal's dev server; Temporal as that server on a SQLite
file, with a worker in Python. The steps are requests to the same sink, whose processor time is not counted; that of the worker and of
PostgreSQL is."""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import httpx

HERE = pathlib.Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def processor_seconds(pids):
    """User and system time of processes and of all they have started."""
    total, wanted = 0, set(pids)
    stats = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            stats[int(entry.name)] = (int(fields[1]), int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14]))
    changed = True
    while changed:
        found = {pid for pid, (parent, _) in stats.items() if parent in wanted} - wanted
        wanted |= found
        changed = bool(found)
    return sum(stats[pid][1] for pid in wanted if pid in stats) / TICK


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(look, within=90):
    end = time.monotonic() + within
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError("it did not come")


async def measured(count, callers, alone, one, pids):
    """Runs `one` `alone` times by itself once it is warm, and then `count` times from so many callers at once. Executions per second and per
    second of processor time, and milliseconds of an execution, and of a step by itself."""
    for number in range(alone // 2):
        await one(number)
    alone_took = []
    for number in range(alone):
        began = time.monotonic()
        await one(number)
        alone_took.append((time.monotonic() - began) / 3)
    numbers, took = iter(range(count)), []

    async def caller():
        for number in numbers:
            began = time.monotonic()
            await one(number)
            took.append(time.monotonic() - began)

    used, began = processor_seconds(pids), time.monotonic()
    await asyncio.gather(*(caller() for _ in range(callers)))
    wall, used = time.monotonic() - began, processor_seconds(pids) - used
    took.sort()
    return {
        "executions": count,
        "per_second": count / wall,
        "per_cpu_second": count / used,
        "ms_median": 1000 * statistics.median(took),
        "ms_p99": 1000 * took[int(len(took) * 0.99) - 1],
        "ms_per_step_alone": 1000 * statistics.median(alone_took),
    }


async def breakwater(binary, count, callers, sink, config, database=()):
    home = pathlib.Path(tempfile.mkdtemp(prefix="breakwater-bench-"))
    (home / "breakwater.toml").write_text(config)
    (home / "plugins").mkdir()
    arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", home / "data", "--plugins", home / "plugins", "--config", home / "breakwater.toml"]
    process = subprocess.Popen([binary, *arguments], stdout=subprocess.PIPE, stderr=open(home / "log", "w"), text=True)
    try:
        base = process.stdout.readline().split()[-1]
        limits = httpx.Limits(max_connections=callers + 1)
        async with httpx.AsyncClient(base_url=base, limits=limits, timeout=120) as client:
            action = {"name": "commit", "input_schema": {"type": "object"}, "output_schema": {"type": "object"}}
            answer = await client.post("/api/services", json={"name": "sink", "endpoint": sink, "actions": [action]})
            answer.raise_for_status()
            steps = [{"id": f"s{i}", "service": "sink", "action": "commit", "next": f"s{i + 1}" if i < 2 else None} for i in range(3)]
            (await client.post("/api/workflows", json={"name": "three", "steps": steps})).raise_for_status()

            async def one(number):
                answer = await client.post("/api/workflows/three/execute", json={"input_data": {"n": number}})
                assert answer.status_code == 200, answer.text

            return await measured(count, callers, 100, one, [process.pid, *database])
    finally:
        stop(process)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.asynccontextmanager
async def temporal_server():
    """Temporal's dev server: its address and its process."""
    from temporalio.client import Client

    home = pathlib.Path(tempfile.mkdtemp(prefix="temporal-bench-"))
    port = free_port()
    temporal_binary = pathlib.Path(sys.executable).parent / "temporal"
    server = subprocess.Popen(
        [temporal_binary, "server", "start-dev", "--headless", "--port", str(port), "--db-filename", home / "db", "--log-level", "error"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"127.0.0.1:{port}"
    try:

        def is_up():
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                return True
            except OSError:
                return False

        wait_for(is_up)
        for _ in range(100):
            try:
                await Client.connect(address)
                break
            except RuntimeError:
                await asyncio.sleep(0.2)
        yield address, server
    finally:
        stop(server)
        shutil.rmtree(home, ignore_errors=True)


async def temporal(count, callers, sink):
    from temporalio.client import Client

    sys.path.insert(0, str(HERE))
    from temporal_worker import QUEUE, Three

    async with temporal_server() as (address, server):
        client = await Client.connect(address)
        worker = subprocess.Popen([sys.executable, HERE / "temporal_worker.py", address, sink], stdout=subprocess.PIPE, text=True)
        try:
            worker.stdout.readline()
            run = random.randrange(1 << 30)

            async def one(number):
                await client.execute_workflow(Three.run, {"n": number}, id=f"bench-{run}-{random.randrange(1 << 60)}", task_queue=QUEUE)

            return await measured(count, callers, 30, one, [server.pid, worker.pid])
        finally:
            stop(worker)


async def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("binary")
    arguments.add_argument("--executions", type=int, default=10_000)
    arguments.add_argument("--temporal-executions", type=int, default=2_000, help="fewer, since it takes minutes")
    arguments.add_argument("--callers", type=int, default=64)
    arguments.add_argument("--postgres-url", help="a database to use beside SQLite")
    arguments.add_argument("--postgres-pid", type=int, help="its first process")
    arguments = arguments.parse_args()
    port = free_port()
    sink_process = subprocess.Popen([sys.executable, HERE / "sink.py", str(port)])
    sink = f"http://127.0.0.1:{port}"
    results = {}
    try:
        time.sleep(0.5)
        results["sqlite"] = await breakwater(arguments.binary, arguments.executions, arguments.callers, sink, "")
        print("sqlite", json.dumps(results["sqlite"]), flush=True)
        if arguments.postgres_url:
            config = f'[workflow]\nrecords = "postgres"\npostgres_url = "{arguments.postgres_url}"\n'
            database = [arguments.postgres_pid] if arguments.postgres_pid else []
            results["postgres"] = await breakwater(arguments.binary, arguments.executions, arguments.callers, sink, config, database)
            print("postgres", json.dumps(results["postgres"]), flush=True)
        async with temporal_server() as (address, server):
            config = f'[workflow]\nexecutor = "temporal"\ntemporal_url = "http://{address}"\n'
            count = arguments.temporal_executions
            results["on temporal"] = await breakwater(arguments.binary, count, arguments.callers, sink, config, [server.pid])
        print("on temporal", json.dumps(results["on temporal"]), flush=True)
        results["temporal"] = await temporal(arguments.temporal_executions, arguments.callers, sink)
        print("temporal", json.dumps(results["temporal"]), flush=True)
    finally:
        stop(sink_process)
    for name in results:
        if name != "temporal":
            ratio = results[name]["per_cpu_second"] / results["temporal"]["per_cpu_second"]
            print(f"{name}: {ratio:.1f} times the executions per second of processor time of Temporal's dev server with a worker in Python")


asyncio.run(main())
