"""ONNX graphs, layer by layer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OPSET, IR_VERSION = 13, 8
INPUT = "image"


class Graph:
    """Nodes and constants; every method that adds a layer returns the name of its output."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = {name: value.astype(np.float32) for name, value in weights.items()}
        self.nodes, self.constants, self.outputs = [], {}, []

    def node(self, kind: str, inputs: list[str], outputs: int = 1, **attributes) -> str | list[str]:
        names = [f"{kind.lower()}{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def convolution(self, x: str, name: str, stride: int = 1, pads: tuple[int, int] | None = None) -> str:
        """Depthwise when a filter sees one channel. `pads` are rows above and below, and columns left and right; those that keep the
        size otherwise."""
        weight = self.weights[f"{name}.weight"]
        kernel = weight.shape[2]
        before, after = pads or (kernel // 2, kernel // 2)
        groups = weight.shape[0] if weight.shape[1] == 1 and kernel > 1 else 1
        inputs = [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", self.weights[f"{name}.bias"])]
        return self.node("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[before, before, after, after], group=groups)

    def scaled(self, x: str, factor: float, **attributes) -> str:
        scales = self.constant(f"scale_{factor:g}", np.array([1, 1, factor, factor], np.float32))
        return self.node("Resize", [x, "", scales], **attributes)

    def output(self, kind: str, x: str, name: str, channels: int):
        """The last layer before a result, which gets a name."""
        self.nodes.append(helper.make_node(kind, [x], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, None, None]))


@dataclass(frozen=True)
class Network:
    """A network with its weights, how bytes become its input, and what it is known to compute."""

    name: str
    #: File in `models/`.
    weights: str
    #: File of inputs and outputs, somewhere in a folder `golden` of the project or of the development assets.
    golden: str
    #: Means and deviations of the three channels, in the network's order.
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    #: Adds the layers to a graph, from its input.
    layers: Callable[[Graph, str], None]

    def build(self, models: Path, height: int | None = None, width: int | None = None) -> bytes:
        """The serialised model for one image, of any size unless one is given."""
        graph = Graph(load_file(models / self.weights))
        self.layers(graph, INPUT)
        image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, height or "height", width or "width"])
        whole = helper.make_graph(graph.nodes, self.name, [image], graph.outputs, list(graph.constants.values()))
        model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()

    def planes(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels of shape (3, height, width), 0..255 in the network's order of channels, as its input."""
        mean, deviation = (np.array(values, np.float32).reshape(3, 1, 1) for values in (self.mean, self.deviation))
        return ((pixels.astype(np.float32) - mean) / deviation)[None]
