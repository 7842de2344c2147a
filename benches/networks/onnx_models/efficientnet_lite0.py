"""EfficientNet-Lite0 without its classifier: embeddings. RGB, normalised; the output is the mean of each of 1280 channels."""

import numpy as np

from .graph import Graph, Network

#: Of each stage: blocks, and the stride of the first of them.
STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
CHANNELS = 1280


def convolution(graph: Graph, x: str, name: str, stride: int = 1) -> str:
    """Padded as TensorFlow's `SAME` pads edges that are multiples of the stride: what is odd goes below and to the right."""
    total = graph.weights[f"{name}.weight"].shape[2] - stride
    return graph.convolution(x, name, stride, (total // 2, total - total // 2))


def clipped(graph: Graph, x: str) -> str:
    return graph.node("Clip", [x, graph.constant("zero", np.float32(0)), graph.constant("six", np.float32(6))])


def block(graph: Graph, x: str, name: str, stride: int, residual: bool) -> str:
    y = x
    if f"{name}.expand_conv.weight" in graph.weights:
        y = clipped(graph, convolution(graph, y, f"{name}.expand_conv"))
    y = clipped(graph, convolution(graph, y, f"{name}.depthwise_conv", stride))
    y = convolution(graph, y, f"{name}.project_conv")
    return graph.node("Add", [x, y]) if residual else y


def layers(graph: Graph, x: str):
    x = clipped(graph, convolution(graph, x, "conv_stem", 2))
    number = 0
    for blocks, stride in STAGES:
        for repeat in range(blocks):
            x = block(graph, x, f"blocks.{number}", stride if repeat == 0 else 1, residual=repeat > 0)
            number += 1
    x = clipped(graph, convolution(graph, x, "conv_head"))
    graph.output("GlobalAveragePool", x, "embedding", CHANNELS)


WEIGHTS, GOLDEN = "effnet_lite0.backbone.f16.safetensors", "efficientnet_lite0_3_photographs.safetensors"
NETWORK = Network("efficientnet-lite0", WEIGHTS, GOLDEN, (127,) * 3, (128,) * 3, layers)
