"""Kills a server again and again and measures how long it is away, under each supervisor in turn."""

import argparse
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    """A port with a free one behind it, below those that the kernel gives to connections."""
    while True:
        port = random.randrange(20000, 30000, 2)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                continue


def get(port, path, timeout=2.0):
    """Status and body, or nothing when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def until(look, within=60.0, every=0.001):
    end = time.monotonic() + within
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(every)
    raise TimeoutError("it did not come")


def worker(port):
    answer = get(port, "/health")
    return int(answer[1]) if answer and answer[0] == 200 else None


class Supervisor:
    """A process that keeps a server on `port` alive."""

    def __init__(self, options, folder, instances=1):
        self.options, self.folder, self.port = options, folder, free_port()
        self.command, self.environment = self.prepare(instances)
        self.log = open(folder / "log", "w")
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=self.log, stderr=self.log)
        until(lambda: worker(self.port))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


class Breakwater(Supervisor):
    name = "Breakwater"

    def prepare(self, instances):
        self.api = free_port()
        self.folder.joinpath("none").mkdir()
        self.folder.joinpath("breakwater.toml").write_text(f"""
[telemetry]
log_filter = "warn"
[sidecars.flask]
script = "{HERE}/server.py"
virtualenv = "{self.options.venv}"
imports = ["flask"]
port = {self.port}
instances = {instances}
route_prefix = "/api"
restart_delay = "0s"
max_restart_attempts = 1000
start_limit = 1000
crash_loop_limit = 0
stable_after = "10ms"
health_check_interval = "{self.options.interval}"
live_interval = "1s"
development = "off"
auto_restart = true
""")
        command = [self.options.breakwater, "serve", "--config", f"{self.folder}/breakwater.toml", "--listen", f"127.0.0.1:{self.api}",
                   "--data-dir", f"{self.folder}/data", "--plugins", f"{self.folder}/none"]
        return command, dict(os.environ)

    def status(self):
        answer = get(self.api, "/v1/sidecars/flask")
        return json.loads(answer[1]) if answer and answer[0] == 200 else None

    def post(self, what):
        connection = http.client.HTTPConnection("127.0.0.1", self.api, timeout=120)
        connection.request("POST", f"/v1/sidecars/flask/{what}")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body

    def all_ready(self):
        status = self.status()
        return status and all(instance["state"] == "ready" for instance in status["instances"])


class Supervisord(Supervisor):
    name = "supervisord"

    def prepare(self, _):
        self.folder.joinpath("supervisord.conf").write_text(f"""
[supervisord]
nodaemon=true
logfile={self.folder}/supervisord.log
pidfile={self.folder}/supervisord.pid
[program:work]
command={self.options.venv}/bin/python {HERE}/server.py
environment=PORT="{self.port}"
startsecs=0
autorestart=true
""")
        return [f"{self.options.venv}/bin/supervisord", "-c", f"{self.folder}/supervisord.conf"], dict(os.environ)


class Pm2(Supervisor):
    name = "pm2"

    def prepare(self, _):
        environment = dict(os.environ, PM2_HOME=f"{self.folder}/pm2", PORT=str(self.port))
        command = [self.options.pm2, "start", f"{HERE}/server.py", "--interpreter", f"{self.options.venv}/bin/python", "--no-daemon", "--name", "work"]
        return command, environment


def away(supervisor, rounds):
    """Milliseconds from the kill to the first answer of the next process."""
    found = []
    for _ in range(rounds):
        old = worker(supervisor.port)
        began = time.monotonic()
        os.kill(old, signal.SIGKILL)
        until(lambda: (worker(supervisor.port) or old) != old)
        found.append((time.monotonic() - began) * 1e3)
        if isinstance(supervisor, Breakwater):
            until(supervisor.all_ready)
        time.sleep(0.3)
    return found


def phases(options, rounds):
    """Detect, restart, ready, in milliseconds after the kill, as the service's own history says."""
    with tempfile.TemporaryDirectory() as folder, Breakwater(options, pathlib.Path(folder)) as service:
        until(service.all_ready)
        found = {"detected": [], "started again": [], "ready": []}
        for _ in range(rounds):
            pid = service.status()["instances"][0]["pid"]
            before = len(service.status()["history"])
            killed = time.time() * 1e3
            os.kill(pid, signal.SIGKILL)
            until(lambda: service.all_ready() and service.status()["instances"][0].get("pid", pid) != pid)
            after = service.status()["history"][before:] or service.status()["history"][-4:]
            at = {}
            for entry in after:
                at.setdefault(entry["state"], entry["at_ms"] - killed)
            found["detected"].append(at["restarting"])
            found["started again"].append(at["starting"])
            found["ready"].append(at["ready"])
            time.sleep(0.2)
        return found


def load(service, clients, stop, found):
    def call():
        while not stop.is_set():
            began = time.monotonic()
            answer = get(service.api, "/api/work", timeout=30)
            found.append((answer[0] if answer else 0, (time.monotonic() - began) * 1e3))

    threads = [threading.Thread(target=call) for _ in range(clients)]
    for thread in threads:
        thread.start()
    return threads


def pool(options, rounds):
    """What calls notice, with two instances: while one is killed, and while both are replaced one after the other."""
    with tempfile.TemporaryDirectory() as folder, Breakwater(options, pathlib.Path(folder), instances=2) as service:
        until(service.all_ready)
        results = {}
        for name in ["nothing", "kill -9 of one", "rolling restart"]:
            found, stop, took = [], threading.Event(), []
            threads = load(service, options.clients, stop, found)
            for _ in range(rounds):
                began = time.monotonic()
                if name == "nothing":
                    time.sleep(0.5)
                elif name == "rolling restart":
                    service.post("rolling-restart")
                else:
                    pid = service.status()["instances"][0]["pid"]
                    os.kill(pid, signal.SIGKILL)
                    until(lambda: service.all_ready() and service.status()["instances"][0].get("pid", pid) != pid)
                took.append((time.monotonic() - began) * 1e3)
            stop.set()
            for thread in threads:
                thread.join()
            failed = [status for status, _ in found if status != 200]
            times = sorted(milliseconds for _, milliseconds in found)
            results[name] = (len(found), len(failed), times[len(times) // 2], times[len(times) * 99 // 100], times[-1], statistics.median(took))
        return results


def spread(values):
    return f"{statistics.median(values):.0f} ({min(values):.0f}–{max(values):.0f})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--venv", required=True)
    parser.add_argument("--pm2", required=True)
    parser.add_argument("--breakwater", required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--interval", default="500ms")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {options.rounds} kills each\n")
    print("| supervisor | ms from kill -9 to the next answer |\n|---|---|")
    for kind in [Breakwater, Supervisord, Pm2]:
        with tempfile.TemporaryDirectory() as folder, kind(options, pathlib.Path(folder)) as supervisor:
            print(f"| {kind.name} | {spread(away(supervisor, options.rounds))} |", flush=True)
    print("\n| Breakwater, after the kill | ms |\n|---|---|")
    for phase, values in phases(options, options.rounds).items():
        print(f"| {phase} | {spread(values)} |", flush=True)
    print(f"\n| pool of two, {options.clients} clients | calls | failed | p50 ms | p99 ms | max ms | took ms |\n|---|---|---|---|---|---|---|")
    for name, (calls, failed, p50, p99, most, took) in pool(options, max(3, options.rounds // 3)).items():
        print(f"| {name} | {calls} | {failed} | {p50:.1f} | {p99:.1f} | {most:.0f} | {took:.0f} |", flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
