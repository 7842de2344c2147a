"""Measures Breakwater's CPU engine beside others in one run and in turns: processor time and time on the clock per image, and peak memory."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from check import check
from onnx_models import NETWORKS
from onnx_models.graph import Network

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MODELS = ROOT / "models"
REFERENCE, OURS = "onnxruntime", "Breakwater"
#: Network, rows and columns; as `Subject::CASES` of the crate.
SIZES = [("yunet", 448, 640), ("yunet", 224, 320), ("nanodet", 416, 416), ("efficientnet-lite0", 224, 224)]


@dataclass(frozen=True)
class Case:
    """A network at a size, with the files that the peers read."""

    network: Network
    height: int
    width: int
    model: Path
    image: Path

    @property
    def title(self) -> str:
        return f"{self.network.name} {self.height}x{self.width}"


@dataclass(frozen=True)
class Way:
    """Threads that an image is spread over, and images at once."""

    threads: int
    images: int

    @property
    def title(self) -> str:
        if self.images > 1:
            return f"{self.images}, an image each"
        return f"{self.threads} on one image" if self.threads > 1 else "1"


@dataclass
class Row:
    """What an engine did in each round."""

    rounds: list[dict] = field(default_factory=list)

    def median(self, *path: str) -> float:
        return statistics.median(self.values(*path))

    def values(self, *path: str) -> list[float]:
        found = self.rounds
        for key in path:
            found = [one[key] for one in found]
        return found

    def spread(self, digits: int, *path: str) -> str:
        values = self.values(*path)
        median = f"{statistics.median(values):.{digits}f}"
        return median if len(values) == 1 else f"{median} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def prepare(options: argparse.Namespace, folder: Path) -> list[Case]:
    """ONNX models of fixed size, so that every engine can plan ahead, and inputs as `Subject::input` of the crate makes them."""
    networks, cases = {network.name: network for network in NETWORKS}, []
    for name, height, width in SIZES:
        if options.networks and not any(word in f"{name} {height}x{width}" for word in options.networks):
            continue
        network, stem = networks[name], folder / f"{name}_{height}x{width}"
        case = Case(network, height, width, stem.with_suffix(".onnx"), stem.with_suffix(".f32"))
        case.model.write_bytes(network.build(MODELS, height, width))
        index = np.arange(3 * height * width, dtype=np.uint64)
        pixels = ((index * np.uint64(2_654_435_761)) >> np.uint64(7)) & np.uint64(0xFF)
        network.planes(pixels.reshape(3, height, width)).astype("<f4").tofile(case.image)
        cases.append(case)
    return cases


def command(engine: str, options: argparse.Namespace, case: Case, way: Way, seconds: float) -> list[str]:
    """How a measurement of an engine is started. Ours makes its input itself and takes its weights as the product does."""
    if engine.startswith(OURS) or engine == "burn":
        flags = {"network": case.network.name, "height": case.height, "width": case.width, "threads": way.threads, "images": way.images}
        flags |= {"engine": "burn" if engine == "burn" else "convnet", "seconds": seconds}
        if ", " in engine:
            flags["isa"] = engine.split(", ")[1]
        return [options.ours, *(str(word) for name, value in flags.items() for word in (f"--{name}", value))]
    program = [sys.executable, HERE / "onnxruntime_peer.py"] if engine == REFERENCE else [options.peers, engine]
    return [str(word) for word in (*program, case.model, case.image, case.height, case.width, way.threads, way.images, seconds)]


def measure(engine: str, options: argparse.Namespace, case: Case, way: Way, seconds: float) -> dict:
    """One process from start to end."""
    started = command(engine, options, case, way, seconds)
    done = subprocess.run(started, capture_output=True, text=True, timeout=120 + 10 * seconds)
    if done.returncode != 0:
        sys.exit(f"{engine} failed at {case.title}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def verify(engines: list[str], options: argparse.Namespace, cases: list[Case]):
    """Every engine must compute the same; sums of magnitudes would differ by far if one left out a layer or took another input."""
    for case in cases:
        outputs = {engine: measure(engine, options, case, Way(1, 1), 0)["outputs"] for engine in engines}
        first = outputs[engines[0]]
        for engine, found in outputs.items():
            if found["values"] != first["values"] or not abs(found["magnitude"] - first["magnitude"]) <= 1e-4 * first["magnitude"]:
                sys.exit(f"{case.title}: {engine} computes something else than {engines[0]}: {found} instead of {first}")


def table(rows: dict[tuple[Case, Way, str], Row]) -> str:
    """Markdown. A dash is where there is nothing to compare with."""
    lines = [
        f"| network | threads | engine | CPU ms an image | CPU, times {REFERENCE} | wall ms | images/s | images/s, times one thread | peak MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (case, way, engine), row in rows.items():
        reference, alone = rows.get((case, way, REFERENCE)), rows.get((case, Way(1, 1), engine))
        times = lambda other, *path: f"{row.median(*path) / other.median(*path):.2f}" if other and other is not row else "–"
        cells = [
            *(case.title, way.title, engine),
            row.spread(2, "cpu_ms", "median"),
            times(reference, "cpu_ms", "median"),
            row.spread(2, "wall_ms", "median"),
            row.spread(1, "images_per_second"),
            times(alone, "images_per_second"),
            f"{row.median('peak_mib'):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def versions() -> str:
    locked = lambda path: {package["name"]: package["version"] for package in tomllib.loads(path.read_text())["package"]}
    peers, product = locked(HERE / "peers/Cargo.lock"), locked(ROOT / "Cargo.lock")
    found = {REFERENCE: version(REFERENCE), "tract": peers["tract-onnx"], "rten": peers["rten"], "burn": product["burn"]}
    return ", ".join(f"{name} {number}" for name, number in found.items())


def processor() -> str:
    names = (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return f"{next(names, 'unknown processor')}, {os.cpu_count()} processors"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ours", required=True, help="the program `networks` of the crate")
    arguments.add_argument("--peers", required=True, help="the program of the package `peers`")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=2, help="of each measurement, after a quarter of that to warm up")
    arguments.add_argument("--threads", type=int, default=2, help="besides one: threads on one image, and images at once")
    arguments.add_argument("--networks", nargs="*", help="parts of names and sizes, such as `yunet` or `416`")
    arguments.add_argument("--engines", nargs="*", help="some of onnxruntime, Breakwater, tract, rten, burn")
    arguments.add_argument("--isa", nargs="*", default=[], help="instruction sets that Breakwater is also measured with")
    arguments.add_argument("--quick", action="store_true", help="one round of a fifth of a second")
    arguments.add_argument("--check", action="store_true", help="only compare the ONNX models with known outputs")
    options = arguments.parse_args()
    check(MODELS)
    if options.check:
        return
    if options.quick:
        options.rounds, options.seconds = 1, 0.2
    engines = [REFERENCE, OURS, *(f"{OURS}, {isa}" for isa in options.isa), "tract", "rten", "burn"]
    engines = [engine for engine in engines if not options.engines or engine.split(",")[0] in options.engines]
    ways = [Way(1, 1)] + [Way(options.threads, 1), Way(1, options.threads)] * (options.threads > 1)

    with tempfile.TemporaryDirectory(prefix="breakwater-networks-") as name:
        cases = prepare(options, Path(name))
        if not cases or not engines:
            arguments.error("nothing of that name")
        verify(engines, options, cases)
        rows = {(case, way, engine): Row() for case in cases for way in ways for engine in engines}
        load = [os.getloadavg()[0]]
        for number in range(options.rounds):
            for case in cases:
                for way in ways:
                    # Each round begins with another, so that nobody always follows the same neighbour.
                    for engine in engines[number % len(engines) :] + engines[: number % len(engines)]:
                        rows[case, way, engine].rounds.append(measure(engine, options, case, way, options.seconds))
            load.append(os.getloadavg()[0])
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    print(table(rows))
    print(
        f"\nMedian (least to most) of {options.rounds} round{'s' * (options.rounds > 1)} of {options.seconds:g} s, a fresh process each. {processor()}, load {min(load):.1f} to "
        f"{max(load):.1f} (the measurement itself included). {versions()}."
    )


if __name__ == "__main__":
    main()
