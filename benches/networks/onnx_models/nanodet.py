"""NanoDet-g: people and objects. BGR, normalised; outputs `cls_STRIDE` and `reg_STRIDE`."""

import numpy as np

from .graph import Graph, Network

STRIDES = (8, 16, 32)
CLASSES, DISTANCES = 80, 44


def leaky(graph: Graph, x: str, number: int, stride: int = 1) -> str:
    return graph.node("LeakyRelu", [graph.convolution(x, f"conv{number:02}", stride)], alpha=0.1)


def stage(graph: Graph, x: str, first: int, pairs: int, stride: int) -> str:
    """A cross-stage-partial stage whose convolutions are numbered from `first` on."""
    x = entry = leaky(graph, x, first, stride)
    for number in range(first + 1, first + 1 + 2 * pairs, 2):
        left = leaky(graph, x, number)
        x = graph.node("Concat", [leaky(graph, left, number + 1), left], axis=1)
    return graph.node("Concat", [leaky(graph, x, first + 1 + 2 * pairs), entry], axis=1)


def merged(graph: Graph, into: str, other: str, factor: float) -> str:
    return graph.node("Add", [into, graph.scaled(other, factor, mode="linear", coordinate_transformation_mode="half_pixel")])


def layers(graph: Graph, x: str):
    x = graph.node("MaxPool", [leaky(graph, x, 0, stride=2)], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = stage(graph, x, 1, 1, 1)
    fine = stage(graph, x, 5, 2, 2)
    middle = stage(graph, fine, 11, 2, 2)
    coarse = stage(graph, middle, 17, 3, 2)
    fine, middle, coarse = (graph.convolution(x, f"conv{number}") for x, number in ((fine, 25), (middle, 26), (coarse, 27)))
    middle = merged(graph, middle, coarse, 2)
    fine = merged(graph, fine, middle, 2)
    middle = merged(graph, middle, fine, 0.5)
    coarse = merged(graph, coarse, middle, 0.5)
    parts = graph.constant("parts", np.array([CLASSES, DISTANCES], np.int64))
    for stride, features, number in zip(STRIDES, (fine, middle, coarse), (28, 30, 32)):
        both = graph.convolution(leaky(graph, features, number), f"conv{number + 1}")
        scores, distances = graph.node("Split", [both, parts], outputs=2, axis=1)
        graph.output("Sigmoid", scores, f"cls_{stride}", CLASSES)
        graph.output("Identity", distances, f"reg_{stride}", DISTANCES)


MEAN, DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
NETWORK = Network("nanodet", "nanodet_g_416.f16.safetensors", "nanodet_astronaut416.safetensors", MEAN, DEVIATION, layers)
