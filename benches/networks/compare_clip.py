"""Measures CLIP's image tower in Breakwater's CPU engine beside onnxruntime, with the same weights, in one run and in turns."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from compare import HERE, OURS, REFERENCE, ROOT, Row, processor

sys.path.insert(0, str(ROOT / "host/transformer/tests/fixtures"))
import make_clip  # noqa: E402

#: What is not said is ViT-B/32; the text tower, which nobody runs here, is small.
VIT_B_32 = {
    "model_type": "clip",
    "projection_dim": 512,
    "logit_scale_init_value": 2.6592,
    "vision_config": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
        "image_size": 224, "patch_size": 32, "num_channels": 3, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    },
    "text_config": {
        "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
        "vocab_size": 16, "max_position_embeddings": 8, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "eos_token_id": 2,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Images in a call, and threads that it is spread over."""

    batch: int
    threads: int


def prepare(folder: Path, batches: list[int]):
    """The model as both engines read it, and as many images as the largest batch has."""
    weights = make_clip.weights_of(VIT_B_32, 1)
    for name, precision in (("f32", np.float32), ("f16", np.float16)):
        make_clip.save(folder / name, weights, VIT_B_32, precision)
    random = np.random.default_rng(2)
    for batch in batches:
        pixels = random.standard_normal((batch, 3, 224, 224)).astype("<f4")
        pixels.tofile(folder / f"{batch}.f32")
        graph, output = make_clip.image_tower(weights, VIT_B_32, batch)
        (folder / f"{batch}.onnx").write_bytes(graph.model(output, pixels=pixels).SerializeToString())


def measure(engine: str, options: argparse.Namespace, folder: Path, case: Case, seconds: float) -> dict:
    """One process from start to end."""
    pixels = folder / f"{case.batch}.f32"
    if engine == REFERENCE:
        started = [sys.executable, HERE / "onnxruntime_peer.py", folder / f"{case.batch}.onnx", pixels, 224, 224, case.threads, 1, seconds]
    else:
        _, precision, *isa = engine.split(", ")
        started = [options.ours, "--model", folder / precision, "--input", pixels, "--threads", case.threads, "--seconds", seconds]
        started += ["--isa", *isa] if isa else []
    done = subprocess.run([str(word) for word in started], capture_output=True, text=True, timeout=300 + 20 * seconds)
    if done.returncode != 0:
        sys.exit(f"{engine} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def verify(engines: list[str], options: argparse.Namespace, folder: Path, cases: list[Case]):
    """Every engine must compute the same."""
    for case in cases:
        outputs = {engine: measure(engine, options, folder, case, 0)["outputs"] for engine in engines}
        expected = outputs[REFERENCE]
        for engine, found in outputs.items():
            if found["values"] != expected["values"] or not abs(found["magnitude"] - expected["magnitude"]) <= 1e-4 * expected["magnitude"]:
                sys.exit(f"{case}: {engine} computes something else than {REFERENCE}: {found} instead of {expected}")


def table(rows: dict[tuple[Case, str], Row]) -> str:
    """Markdown. A ratio above 1 is less time than the reference."""
    lines = [
        f"| images a call | threads | engine | CPU ms a call | least | {REFERENCE}'s least / its least | wall ms a call | images/s | peak MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (case, engine), row in rows.items():
        least, known = min(row.values("cpu_ms", "min")), min(rows[case, REFERENCE].values("cpu_ms", "min"))
        cells = [
            *(str(case.batch), str(case.threads), engine),
            row.spread(1, "cpu_ms", "median"),
            f"{least:.1f}",
            f"{known / least:.2f}" if engine != REFERENCE else "–",
            row.spread(1, "wall_ms", "median"),
            f"{case.batch * 1e3 / row.median('wall_ms', 'median'):.1f}",
            f"{row.median('peak_mib'):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ours", required=True, help="the program `clip` of the crate")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=5, help="of each measurement, after a quarter of that to warm up")
    arguments.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    arguments.add_argument("--batches", type=int, nargs="*", default=[1, 8])
    arguments.add_argument("--isa", nargs="*", default=[], help="instruction sets that Breakwater is also measured with")
    arguments.add_argument("--quick", action="store_true", help="one round of a second")
    options = arguments.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    engines = [REFERENCE, f"{OURS}, f32", f"{OURS}, f16", *(f"{OURS}, f32, {isa}" for isa in options.isa)]
    cases = [Case(batch, threads) for batch in options.batches for threads in options.threads]
    with tempfile.TemporaryDirectory(prefix="breakwater-clip-") as name:
        folder = Path(name)
        prepare(folder, options.batches)
        verify(engines, options, folder, cases)
        rows = {(case, engine): Row() for case in cases for engine in engines}
        load = [os.getloadavg()[0]]
        for number in range(options.rounds):
            for case in cases:
                # Each round begins with another, so that nobody always follows the same neighbour.
                for engine in engines[number % len(engines) :] + engines[: number % len(engines)]:
                    rows[case, engine].rounds.append(measure(engine, options, folder, case, options.seconds))
            load.append(os.getloadavg()[0])
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    print(table(rows))
    print(
        f"\nCLIP ViT-B/32, image tower, random weights. Median (least to most) of {options.rounds} rounds of {options.seconds:g} s, a fresh process each; "
        f"`least` is the least of all calls. {processor()}, load {min(load):.1f} to {max(load):.1f} (the measurement itself included). "
        f"{REFERENCE} {version(REFERENCE)}."
    )


if __name__ == "__main__":
    main()
