"""Runs an ONNX network with onnxruntime, by one caller on some threads or by several callers with one thread each.

`onnxruntime_peer.py MODEL.onnx INPUT HEIGHT WIDTH THREADS CALLERS SECONDS` prints one line of JSON like the other programs of this bench. The
measurement is that of `benches/src/laps.rs`.
"""

import json
import math
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

LAP, WARM_UP_RUNS = 0.1, 3


class PeakMemory:
    """How far the resident memory of this process rises above what it was at the start."""

    def __init__(self):
        Path("/proc/self/clear_refs").write_text("5")
        self.before = self.highest()

    @staticmethod
    def highest() -> int:
        """KiB."""
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1])

    def growth(self) -> float:
        """MiB."""
        return (self.highest() - self.before) / 1024


def repeat(run: Callable[[], object], seconds: float, least: int) -> float:
    """Runs for so long and so often, whichever takes longer, and says how long a run took."""
    started, runs = time.perf_counter(), 0
    while runs < least or time.perf_counter() - started < seconds:
        run()
        runs += 1
    return (time.perf_counter() - started) / runs


def measure(run: Callable[[], object], callers: int, seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds of processor time per image, and those that a caller waited for one, of each lap."""
    cpu, wall = [], []

    def lap(runs: int, images: int, barrier: threading.Barrier | None):
        started, spent = time.perf_counter(), time.process_time()
        for _ in range(runs):
            run()
        if barrier:
            barrier.wait()
        spent, elapsed = time.process_time() - spent, time.perf_counter() - started
        cpu.append(spent * 1e3 / images)
        wall.append(elapsed * 1e3 / runs)

    if callers == 1:
        repeat(run, seconds / 4, WARM_UP_RUNS)
        end = time.perf_counter() + seconds
        while not cpu or time.perf_counter() < end:
            lap(1, 1, None)
        return cpu, wall

    longest, barrier, over = [], threading.Barrier(callers), threading.Event()

    def caller(place: int):
        longest.append(repeat(run, seconds / 4, WARM_UP_RUNS))
        barrier.wait()
        runs, end = math.ceil(LAP / max(longest)), time.perf_counter() + seconds
        while not over.is_set():
            barrier.wait()
            if place == 0:
                lap(runs, runs * callers, barrier)
                if time.perf_counter() >= end:
                    over.set()
            else:
                for _ in range(runs):
                    run()
                barrier.wait()
            barrier.wait()

    threads = [threading.Thread(target=caller, args=(place,)) for place in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return cpu, wall


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = lambda part: round(ordered[round(part * (len(ordered) - 1))], 3)
    return {"median": at(0.5), "p10": at(0.1), "p90": at(0.9), "min": at(0)}


def main():
    model, source = sys.argv[1:3]
    height, width, threads, callers = (int(word) for word in sys.argv[3:7])
    seconds = float(sys.argv[7])
    image = np.fromfile(source, "<f4").reshape(-1, 3, height, width)
    memory = PeakMemory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait must not count as work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names, feed = [output.name for output in session.get_outputs()], {session.get_inputs()[0].name: image}
    outputs = session.run(names, feed)
    cpu, wall = measure(lambda: session.run(names, feed), callers, seconds)
    magnitude = sum(float(np.abs(output).sum(dtype=np.float64)) for output in outputs)
    report = {
        "laps": len(cpu),
        "cpu_ms": spread(cpu),
        "wall_ms": spread(wall),
        "images_per_second": callers * 1e3 / spread(wall)["median"],
        "peak_mib": memory.growth(),
        "outputs": {"values": sum(output.size for output in outputs), "magnitude": magnitude},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
