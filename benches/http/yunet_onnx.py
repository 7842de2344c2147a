"""YuNet as an ONNX graph, made of the weights that the service ships: the peer runs the very same network."""

import json
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)
HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a file; only f32 is needed here."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", f"{name} is {entry['dtype']}"
        start, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(body[start:end], np.float32).reshape(entry["shape"])
    return tensors


class Graph:
    """Nodes and constants, added layer by layer; every method returns the name of its output."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights, self.nodes, self.constants = weights, [], {}

    def node(self, kind: str, inputs: list[str], **attributes) -> str:
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def convolution(self, x: str, name: str, stride: int = 1) -> str:
        weight = self.weights[f"{name}.weight"]
        depthwise = weight.shape[1] == 1 and weight.shape[2] == 3
        inputs = [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", self.weights[f"{name}.bias"])]
        padding = weight.shape[2] // 2
        groups = weight.shape[0] if depthwise else 1
        return self.node("Conv", inputs, strides=[stride] * 2, pads=[padding] * 4, group=groups)

    def unit(self, x: str, name: str, relu: bool = True) -> str:
        """A 1x1 convolution, then a depthwise one of 3x3."""
        x = self.convolution(self.convolution(x, f"{name}_pw"), f"{name}_dw")
        return self.node("Relu", [x]) if relu else x

    def stage(self, x: str, name: str) -> str:
        return self.unit(self.unit(x, f"{name}_dp1"), f"{name}_dp2")

    def halved(self, x: str) -> str:
        return self.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])

    def doubled(self, x: str) -> str:
        scales = self.constant("scales", np.array([1, 1, 2, 2], np.float32))
        return self.node("Resize", [x, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def build(weights: Path) -> bytes:
    """The serialised model: input `image`, BGR 0..255, edges multiples of 32; outputs `KIND_STRIDE`."""
    graph = Graph(read_safetensors(weights))
    x = graph.node("Relu", [graph.convolution("image", "backbone.model0_pw", stride=2)])
    x = graph.halved(graph.unit(x, "backbone.model0_dp"))
    x = graph.halved(graph.stage(graph.stage(x, "backbone.model1"), "backbone.model2"))
    fine = graph.stage(x, "backbone.model3")
    middle = graph.stage(graph.halved(fine), "backbone.model4")
    coarse = graph.stage(graph.halved(middle), "backbone.model5")
    coarse = graph.unit(coarse, "neck.lateral_convs.2")
    middle = graph.unit(graph.node("Add", [middle, graph.doubled(coarse)]), "neck.lateral_convs.1")
    fine = graph.unit(graph.node("Add", [fine, graph.doubled(middle)]), "neck.lateral_convs.0")
    outputs = []
    for kind, channels in HEADS.items():
        for level, features in enumerate((fine, middle, coarse)):
            x = graph.unit(features, f"bbox_head.multi_level_{kind}.{level}", relu=False)
            name = f"{kind}_{STRIDES[level]}"
            graph.nodes.append(helper.make_node("Sigmoid" if kind in ("cls", "obj") else "Identity", [x], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, None, None]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    whole = helper.make_graph(graph.nodes, "yunet", [image], outputs, list(graph.constants.values()))
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()
