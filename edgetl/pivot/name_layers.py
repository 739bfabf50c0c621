"""Gives convolutions and matrix products the torch name of their layer, so that all commands use the same names."""

from __future__ import annotations

import onnx

from edgetl.pivot.layer_view import View


def name_layers(model: onnx.ModelProto) -> None:
    """Rename, in place, every node that computes a layer: `layer3.0.conv2` instead of the exporter's `node_conv2d_7`.

    Runtimes keep the name through their fusions, so `forecast`, `bench` and the report show what `blame` shows.
    """
    view = View(model)
    for node in view.compute:
        node.name = view.name_of(node)
