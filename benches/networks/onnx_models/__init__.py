"""The networks of this project as ONNX graphs, made of the weights in `models/`: peers run the very same arithmetic."""

from . import efficientnet_lite0, nanodet, yunet

NETWORKS = (yunet.NETWORK, nanodet.NETWORK, efficientnet_lite0.NETWORK)
