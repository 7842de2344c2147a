"""Measures proxies side by side in one run: processor time per request of each (with its children, from /proc) and latency, with wrk."""

import argparse
import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
ANSWER_BYTES = 1024
BODY = '{"input": {"image_path": "/uploads/image-{n}.jpg", "detection_types": ["face", "person"], "confidence_threshold": 0.7}}'


def answer() -> str:
    """1 KB as the image service of tests/services answers `detect`."""
    detections = []
    for index in range(1, 7):
        box = {"x": 10.5 * index, "y": 7.25 * index, "width": 96.0, "height": 128.5}
        detections.append({"kind": "person", "label": "person", "confidence": round(0.99 - index / 50, 2), "box": box, "landmarks": []})
    value = {"detections": detections, "image": {"width": 1920, "height": 1280}, "model": ""}
    value["model"] = "m" * (ANSWER_BYTES - len(json.dumps(value)))
    text = json.dumps(value)
    assert len(text) == ANSWER_BYTES and not set("'$\\") & set(text)
    return text


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, open_ends = [], [pid]
    while open_ends:
        found.append(open_ends.pop())
        open_ends += children.get(found[-1], [])
    return found


def cpu_ms(pid: int) -> float:
    """User and system milliseconds of a process, its descendants, and those of them that ended."""
    total = 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total * 1000 / TICKS


def requests_of(upstream_port: int) -> int:
    """How many requests the upstream has had."""
    connection = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=10)
    connection.request("GET", "/requests")
    return int(connection.getresponse().read().split(b"\n")[2].split()[2])


@dataclass
class Round:
    """One measurement."""

    cpu_ms: float
    p50_ms: float
    p99_ms: float
    rate: float


@dataclass
class Proxy:
    """Something that forwards."""

    name: str
    command: list[str]
    url: str
    body: str = BODY
    environment: dict[str, str] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    process: subprocess.Popen | None = None

    def start(self, log: Path) -> None:
        """Waits until it answers a call, or ends the run."""
        self.process = subprocess.Popen(self.command, env=os.environ | self.environment, stdout=log.open("wb"), stderr=subprocess.STDOUT)
        last: object = "no answer"
        for _ in range(1200):
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended at once: {log.read_text()[-2000:]}")
            try:
                status, text = self.call()
                if status == 200:
                    json.loads(text)
                    return
                last = f"{status} {text[:500]!r}"
            except (OSError, http.client.HTTPException) as error:
                last = error
            time.sleep(0.1)
        sys.exit(f"{self.name} does not answer with 200: {last}")

    def call(self) -> tuple[int, bytes]:
        url = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        connection.request("POST", url.path, self.body.replace("{n}", "0"), {"content-type": "application/json", "accept": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()

    def measure(self, connections: int, seconds: float, upstream_port: int) -> Round:
        """Fails when calls fail, or when they are answered without asking the upstream."""
        before, asked = cpu_ms(self.process.pid), requests_of(upstream_port)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(HERE / "post.lua"), self.url]
        output = subprocess.run(command, env=os.environ | {"BENCH_BODY": self.body, "BENCH_FIRST": str(time.time_ns() // 1_000_000 * 1000)}, capture_output=True, text=True, check=True).stdout
        spent = cpu_ms(self.process.pid) - before
        result = json.loads(next(line for line in output.splitlines() if line.startswith("BENCH "))[6:])
        if result["errors"]:
            sys.exit(f"{self.name}: {result['errors']} of {result['requests']} calls failed")
        asked = requests_of(upstream_port) - asked
        # wrk drops the calls that are under way when its time is over.
        if abs(asked - result["requests"]) > 2 * connections + result["requests"] / 100:
            sys.exit(f"{self.name}: {result['requests']} calls became {asked} of the upstream")
        return Round(spent / result["requests"], result["p50_ms"], result["p99_ms"], result["requests"] / result["seconds"])

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()


def filled(name: str, folder: Path, values: dict[str, object]) -> Path:
    """A configuration with its values in."""
    text = (HERE / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    path = folder / name
    path.write_text(text)
    return path


def nginx(config: Path, folder: Path) -> list[str]:
    return [shutil.which("nginx") or "nginx", "-p", str(folder), "-c", str(config)]


def proxies(options: argparse.Namespace, folder: Path, upstream_port: int) -> list[Proxy]:
    """All that are to be measured. Node's scripts lie beside the packages that they import."""
    upstream, route = f"http://127.0.0.1:{upstream_port}", "/v1/operations/detect-objects"
    found = []
    for name, script in [("Express + axios + opossum", "express.mjs"), ("Fastify + undici", "fastify.mjs")]:
        port = free_port()
        copy = Path(shutil.copy(HERE / script, Path(options.npm) / script))
        found.append(Proxy(name, ["node", str(copy), str(port), upstream], f"http://127.0.0.1:{port}{route}", environment={"NODE_ENV": "production"}))
    port = free_port()
    config = filled("envoy.yaml", folder, {"PORT": port, "UPSTREAM_PORT": upstream_port})
    command = [options.envoy, "--config-path", str(config), "--concurrency", str(os.cpu_count()), "--log-level", "error", "--use-dynamic-base-id"]
    found.append(Proxy("Envoy, retries and outlier detection", command, f"http://127.0.0.1:{port}{route}"))
    port = free_port()
    config = filled("nginx.conf", folder, {"PORT": port, "UPSTREAM_PORT": upstream_port, "FOLDER": folder})
    found.append(Proxy("nginx proxy_pass", nginx(config, folder), f"http://127.0.0.1:{port}{route}"))
    if options.breakwater:
        places = {"port": str(free_port()), "upstream": upstream, "upstream_port": str(upstream_port)}

        def place(text: str) -> str:
            for key, value in places.items():
                text = text.replace("{" + key + "}", value)
            return text

        found.insert(0, Proxy("Breakwater", shlex.split(place(options.breakwater)), place(options.url), options.body))
    return [proxy for proxy in found if not options.only or any(word.lower() in proxy.name.lower() for word in options.only)]


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(measured: list[Proxy]) -> str:
    """Markdown. Ratios are of medians, to the first row."""
    first = statistics.median(one.cpu_ms for one in measured[0].rounds)
    lines = [
        f"| proxy | CPU ms a request | CPU, times {measured[0].name} | p50 ms | p99 ms | requests/s |",
        "|---|---|---|---|---|---|",
    ]
    for proxy in measured:
        cpu = [one.cpu_ms for one in proxy.rounds]
        columns = [
            proxy.name,
            spread(cpu, 4),
            f"{statistics.median(cpu) / first:.2f}",
            spread([one.p50_ms for one in proxy.rounds], 2),
            spread([one.p99_ms for one in proxy.rounds], 2),
            spread([one.rate for one in proxy.rounds], 0),
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--npm", required=True, help="folder with the packages of package-lock.json")
    arguments.add_argument("--envoy", required=True, help="the program envoy")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=5, help="of each measurement; whole seconds")
    arguments.add_argument("--connections", type=int, default=8)
    arguments.add_argument("--only", nargs="*", help="parts of names")
    arguments.add_argument("--upstream-port", type=int, default=0, help="0 for a free one")
    arguments.add_argument("--breakwater", help="command that starts Breakwater")
    arguments.add_argument("--url", help="what to post to")
    arguments.add_argument("--body", default=BODY, help="what to post; {n} becomes a number of its own for each call")
    options = arguments.parse_args()
    if bool(options.breakwater) != bool(options.url):
        arguments.error("--breakwater and --url need each other")

    with tempfile.TemporaryDirectory(prefix="breakwater-proxy-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        port = options.upstream_port or free_port()
        config = filled("upstream.conf", folder, {"PORT": port, "FOLDER": folder, "ANSWER": answer()})
        upstream = Proxy("upstream", nginx(config, folder), f"http://127.0.0.1:{port}/detect")
        running = [upstream]
        try:
            upstream.start(folder / "upstream.log")
            measured = proxies(options, folder, port)
            for number, proxy in enumerate(measured):
                running.append(proxy)
                proxy.start(folder / f"{number}.log")
                proxy.measure(options.connections, 2, port)
            load = [os.getloadavg()[0]]
            for number in range(options.rounds):
                # Each round begins with another, so that nobody always follows the same neighbour.
                for proxy in measured[number % len(measured) :] + measured[: number % len(measured)]:
                    proxy.rounds.append(proxy.measure(options.connections, options.seconds, port))
                load.append(os.getloadavg()[0])
                print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            direct = upstream.measure(options.connections, options.seconds, port)
        finally:
            for proxy in reversed(running):
                proxy.stop()
    print(table(measured))
    print(
        f"\n{options.rounds} rounds of {options.seconds:g} s with {options.connections} connections, {os.cpu_count()} processors, "
        f"load {min(load):.1f} to {max(load):.1f} (the measurement itself included). "
        f"The upstream itself: {direct.cpu_ms:.4f} ms, p99 {direct.p99_ms:.2f} ms, {direct.rate:.0f} requests/s."
    )


if __name__ == "__main__":
    main()
