"""YuNet: faces. BGR, 0..255, edges multiples of 32; outputs `KIND_STRIDE`."""

from .graph import Graph, Network

STRIDES = (8, 16, 32)
HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


def unit(graph: Graph, x: str, name: str, relu: bool = True) -> str:
    """A 1x1 convolution, then a depthwise one of 3x3."""
    x = graph.convolution(graph.convolution(x, f"{name}_pw"), f"{name}_dw")
    return graph.node("Relu", [x]) if relu else x


def stage(graph: Graph, x: str, number: int) -> str:
    return unit(graph, unit(graph, x, f"backbone.model{number}_dp1"), f"backbone.model{number}_dp2")


def halved(graph: Graph, x: str) -> str:
    return graph.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])


def merged(graph: Graph, fine: str, coarse: str) -> str:
    doubled = graph.scaled(coarse, 2, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    return graph.node("Add", [fine, doubled])


def layers(graph: Graph, x: str):
    x = graph.node("Relu", [graph.convolution(x, "backbone.model0_pw", stride=2)])
    x = halved(graph, unit(graph, x, "backbone.model0_dp"))
    x = halved(graph, stage(graph, stage(graph, x, 1), 2))
    fine = stage(graph, x, 3)
    middle = stage(graph, halved(graph, fine), 4)
    coarse = stage(graph, halved(graph, middle), 5)
    coarse = unit(graph, coarse, "neck.lateral_convs.2")
    middle = unit(graph, merged(graph, middle, coarse), "neck.lateral_convs.1")
    fine = unit(graph, merged(graph, fine, middle), "neck.lateral_convs.0")
    for kind, channels in HEADS.items():
        for level, features in enumerate((fine, middle, coarse)):
            x = unit(graph, features, f"bbox_head.multi_level_{kind}.{level}", relu=False)
            graph.output("Sigmoid" if kind in ("cls", "obj") else "Identity", x, f"{kind}_{STRIDES[level]}", channels)


NETWORK = Network("yunet", "yunet_n.safetensors", "yunet_astronaut512.safetensors", (0, 0, 0), (1, 1, 1), layers)
