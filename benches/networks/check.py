"""Holds the ONNX models against inputs and outputs that are known, so that no peer is measured on another network than ours."""

import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

from onnx_models import NETWORKS
from onnx_models.graph import INPUT, Network

ROOT = Path(__file__).resolve().parent.parent.parent
#: Largest difference of any output that rounding explains.
TOLERANCE = 1e-3


def golden(name: str) -> Path:
    assets = Path(os.environ.get("BREAKWATER_ASSETS", ROOT.parent / "shared/assets"))
    found = [*ROOT.glob(f"host/*/tests/golden/{name}"), *assets.glob(f"golden/{name}")]
    if not found:
        sys.exit(f"{name} is in no folder `golden`")
    return found[0]


def images(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """Pictures of bytes, in whatever way the file holds them, as (images, channels, rows, columns)."""
    (pictures,) = (tensor for tensor in tensors.values() if tensor.dtype == np.uint8)
    return (pictures if pictures.ndim == 4 else pictures[None]).transpose(0, 3, 1, 2)


def difference(network: Network, models: Path) -> float:
    """The largest of any output of any picture."""
    tensors = load_file(golden(network.golden))
    session = onnxruntime.InferenceSession(network.build(models), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    largest = 0.0
    for number, pixels in enumerate(images(tensors)):
        for name, found in zip(names, session.run(names, {INPUT: network.planes(pixels)})):
            largest = max(largest, float(np.abs(found.ravel() - tensors[name][number].ravel()).max()))
    return largest


def check(models: Path):
    """Prints a line per network and ends the program when one is not what it should be."""
    for network in NETWORKS:
        largest = difference(network, models)
        print(f"{network.name}: largest difference from the known outputs {largest:.1e}", file=sys.stderr)
        if not largest <= TOLERANCE:
            sys.exit(f"the ONNX model of {network.name} is not the network that it should be")
