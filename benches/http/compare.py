"""Measures both services in one run: processor milliseconds per request from /proc, and latency, one request at a time and four."""

import argparse
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
BOUNDARY = "breakwater-bench"


def picture() -> bytes:
    """A JPEG of 1920x1280 with two faces, made of photographs that ship with the project."""
    canvas = np.full((1280, 1920, 3), 225, np.uint8)
    for name, left, top, edge in [("astronaut.png", 60, 120, 1000), ("camera.png", 1100, 60, 760), ("coffee.png", 1100, 840, 600)]:
        photograph = cv2.imread(str(ROOT / "tests/images" / name))
        scale = edge / photograph.shape[1]
        photograph = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        rows = min(photograph.shape[0], 1280 - top)
        canvas[top : top + rows, left : left + photograph.shape[1]] = photograph[:rows]
    return cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def numbered(jpeg: bytes, number: int) -> bytes:
    """The same picture as different bytes, through a comment, so that nothing remembered by content can answer."""
    comment = f"request {number:08}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def body(jpeg: bytes, fields: dict[str, str]) -> bytes:
    parts = [f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\ncontent-type: image/jpeg\r\n\r\n'.encode()
    return b"".join(parts) + head + jpeg + f"\r\n--{BOUNDARY}--\r\n".encode()


class Service:
    """A process that answers /v1/crop."""

    def __init__(self, name: str, command: list[str], port: int, ready: str, fields: dict[str, str], environment: dict[str, str], log: Path):
        self.name, self.port, self.fields = name, port, fields
        self.timings: list[str] = []
        self.log = log.open("wb")
        self.process = subprocess.Popen(command, env=os.environ | environment, stdout=self.log, stderr=self.log, cwd=HERE)
        for _ in range(1200):
            if self.process.poll() is not None:
                sys.exit(f"{name} ended at once; see {log}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                connection.request("GET", ready)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        sys.exit(f"{name} did not start; see {log}")

    def cpu(self) -> float:
        """User and system milliseconds of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / TICKS

    def resident(self) -> float:
        """MiB."""
        line = next(line for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def call(self, connection: http.client.HTTPConnection, jpeg: bytes) -> tuple[float, bytes]:
        data = body(jpeg, self.fields)
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", "accept": "image/jpeg"}
        started = time.perf_counter()
        connection.request("POST", "/v1/crop", data, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200 or response.headers["content-type"] != "image/jpeg" or response.headers.get("x-breakwater-degraded") == "true":
            sys.exit(f"{self.name} answered {response.status}: {answer[:300]!r} {response.headers}")
        self.timings.extend(response.headers.get_all("server-timing", []))
        return (time.perf_counter() - started) * 1000, answer

    def measure(self, jpeg: bytes, requests: int, clients: int, first: int) -> dict[str, float]:
        """Runs the requests and returns milliseconds."""

        def client(place: int) -> list[float]:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            return [self.call(connection, numbered(jpeg, first + number))[0] for number in range(place, requests, clients)]

        self.timings.clear()
        cpu, started = self.cpu(), time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            times = sorted(sum(pool.map(client, range(clients)), []))
        elapsed = time.perf_counter() - started
        quantiles = statistics.quantiles(times, n=100)
        return {"cpu": (self.cpu() - cpu) / requests, "p50": quantiles[49], "p95": quantiles[94], "rate": requests / elapsed} | stages(self.timings)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


def stages(timings: list[str]) -> dict[str, float]:
    """Medians of what `Server-Timing` headers say, in milliseconds; nothing for a service that sends none."""
    found: dict[str, list[float]] = {}
    for timing in timings:
        for entry in timing.split(","):
            name, _, milliseconds = entry.strip().partition(";dur=")
            found.setdefault(f"stage {name}", []).append(float(milliseconds))
    return {name: statistics.median(values) for name, values in found.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--plugins", required=True)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    jpeg, folder = picture(), Path(tempfile.mkdtemp(prefix="breakwater-bench-"))
    ports = free_port(), free_port()
    ours = {"target_aspect_ratio": "4:6", "crop_strategy": "center_faces", "output_format": "jpeg", "quality": "85"}
    serve = [arguments.binary, "serve", "--listen", f"127.0.0.1:{ports[0]}", "--plugins", arguments.plugins, "--data-dir", str(folder / "data")]
    peer = [sys.executable, "-m", "uvicorn", "peer:app", "--port", str(ports[1]), "--log-level", "warning", "--no-access-log"]
    environment = {"BREAKWATER__TELEMETRY__LOG_FILTER": "warn", "BREAKWATER__INFERENCE__DEVICE": "cpu"}
    services = [
        Service("breakwater", serve, ports[0], "/readyz", ours, environment, folder / "breakwater.log"),
        Service("FastAPI + onnxruntime + OpenCV", peer, ports[1], "/healthz", {"target_aspect_ratio": "4:6"}, {"MODELS": str(ROOT / "models"), "PYTHONPATH": str(HERE.parent / "networks")}, folder / "peer.log"),
    ]
    rows: dict[tuple[str, int], list[dict[str, float]]] = {}
    try:
        for service in services:
            service.measure(jpeg, 20, 1, first=0)
        first = 1000
        # Rounds alternate, so that whatever else the machine does meets both.
        for _ in range(arguments.rounds):
            for clients in (1, 4):
                for service in services:
                    rows.setdefault((service.name, clients), []).append(service.measure(jpeg, arguments.requests, clients, first))
                    first += arguments.requests
        memory = {service.name: service.resident() for service in services}
    finally:
        for service in services:
            service.stop()
    report(rows, memory, len(jpeg), arguments)


def report(rows: dict[tuple[str, int], list[dict[str, float]]], memory: dict[str, float], size: int, arguments: argparse.Namespace):
    print(f"JPEG 1920x1280, {size // 1024} KiB, 4:6 by faces, JPEG quality 85; {arguments.rounds} rounds of {arguments.requests} requests; median (least to most) over the rounds\n")
    print("| service | clients | CPU ms a request | p50 ms | p95 ms | requests/s | resident MiB |\n|---|---|---|---|---|---|---|")
    spread = lambda values: f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"
    for (name, clients), rounds in sorted(rows.items(), key=lambda row: row[0][1]):
        cells = [spread([measured[key] for measured in rounds]) for key in ("cpu", "p50", "p95", "rate")]
        print(f"| {name} | {clients} | {' | '.join(cells)} | {memory[name]:.0f} |")
    for clients in (1, 4):
        cpu = [statistics.median(measured["cpu"] for measured in rows[name, clients]) for name in memory]
        print(f"\nCPU per request with {clients} client{'s' * (clients > 1)}: breakwater needs {cpu[0] / cpu[1]:.2f} of the peer's.")
    print("\nStages of breakwater on the clock (`Server-Timing`), ms:\n\n| stage | 1 client | 4 clients |\n|---|---|---|")
    for key in [key for key in rows["breakwater", 1][0] if key.startswith("stage ")]:
        cells = [spread([measured[key] for measured in rows["breakwater", clients]]) for clients in (1, 4)]
        print(f"| {key.removeprefix('stage ')} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
