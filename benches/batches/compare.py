"""Runs `breakwater batch` and a script of sharp over the same photographs, by turns, and prints processor time and peak memory of both."""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def measured(command: list[str]) -> tuple[float, float, float]:
    """Seconds of processor time, seconds by the clock, and the most memory in MiB of a command with everything that it starts."""
    began = os.times().elapsed
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command[0]} failed")
    return usage.ru_utime + usage.ru_stime, os.times().elapsed - began, usage.ru_maxrss / 1024


def shown(name: str, images: int, runs: list[tuple[float, float, float]]) -> None:
    rates = sorted(images / cpu for cpu, _, _ in runs)
    clock = sorted(images / elapsed for _, elapsed, _ in runs)
    memory = max(peak for _, _, peak in runs)
    print(
        f"{name}: {statistics.median(rates):.1f} images per CPU second ({rates[0]:.1f} to {rates[-1]:.1f}), "
        f"{statistics.median(clock):.1f} per second, at most {memory:.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("plugins")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="breakwater-batches-") as work:
        photographs, out = f"{work}/photographs", f"{work}/out"
        subprocess.run(["node", str(HERE / "crops.mjs"), "--make", photographs, str(arguments.images)], check=True)
        for strategy in ("center", "center_faces"):
            for size in ([], ["--width", "600"]):
                ours, theirs = [], []
                options = ["--aspect", "4:6", "--strategy", strategy, "--format", "jpeg", "--quality", "80", *size]
                places = ["--data-dir", f"{work}/data", "--plugins", arguments.plugins]
                command = [arguments.binary, "batch", photographs, "--out", out, *options, *places]
                # Plugins are compiled once.
                for run in range(arguments.runs + 1):
                    shutil.rmtree(out, ignore_errors=True)
                    mine = measured(command)
                    sharp = measured(["node", str(HERE / "crops.mjs"), photographs, out])
                    if run > 0:
                        ours.append(mine)
                        theirs.append(sharp)
                print(f"{strategy}, {' '.join(size) or 'at its own size'}")
                shown("  breakwater batch", arguments.images, ours)
                shown("  sharp, the same crops", arguments.images, theirs)


if __name__ == "__main__":
    main()
