"""Builds a Keras network from what `keras_layers.py` wrote, and exports it by tf2onnx. Needs TensorFlow, not edgetl.

    python keras_network.py FOLDER MODEL.onnx [APPLICATION]

APPLICATION is a function of `keras.applications`, whose network then takes the arrays, in their order.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers

OPSET = 17
CLASSES = 1000

Arrays = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("application", nargs="?", metavar="APPLICATION")
    arguments = parser.parse_args()
    described = json.loads((arguments.folder / "layers.json").read_text(encoding="utf-8"))
    arrays = dict(np.load(arguments.folder / "arrays.npz"))
    name = arguments.application
    network = of_application(name, described, arrays) if name else built(described["steps"], described, arrays)
    signature = (tf.TensorSpec(network.inputs[0].shape, tf.float32, name="image"),)
    tf2onnx.convert.from_keras(network, input_signature=signature, opset=OPSET, output_path=str(arguments.model))


def of_application(name: str, described: dict[str, Any], arrays: Arrays) -> keras.Model:
    side = described["size"]
    network = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=CLASSES)
    takers = [layer for layer in network.layers if layer.weights]
    givers = [step for step in described["steps"] if step["kind"] in ("conv", "depthwise", "norm", "linear")]
    for layer, step in zip(takers, givers, strict=True):
        values = weights_of(step, arrays)
        if step["kind"] == "norm":  # the same function with the layer's own epsilon
            values[0] = values[0] * np.sqrt((values[3] + layer.epsilon) / (values[3] + step["epsilon"]))
        layer.set_weights([value.reshape(now.shape) for value, now in zip(values, layer.get_weights(), strict=True)])
    return network


def built(steps: list[dict[str, Any]], described: dict[str, Any], arrays: Arrays) -> keras.Model:
    image = keras.Input((described["size"], described["size"], 3), name="image")
    values, name = {"image": image}, "image"
    for step in steps:
        name = step["name"]
        values[name] = applied(step, [values[each] for each in step["inputs"]], weights_of(step, arrays))
    return keras.Model(image, layers.Softmax(name="chances")(values[name]))


def weights_of(step: dict[str, Any], arrays: Arrays) -> list[np.ndarray]:
    """In Keras' order of axes, float32."""
    named = {key.rpartition("/")[2]: value for key, value in arrays.items() if key.rpartition("/")[0] == step["name"]}
    values = [named[key].astype(np.float32) for key in ("weight", "bias", "mean", "variance") if key in named]
    axes = {"conv": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1), "linear": (1, 0)}.get(step["kind"])
    return [values[0].transpose(axes), *values[1:]] if axes else values


def applied(step: dict[str, Any], given: list[Any], weights: list[np.ndarray]) -> Any:
    kind, x = step["kind"], given[0]
    if kind in ("add", "multiply"):
        return (layers.Add if kind == "add" else layers.Multiply)()(given)
    if kind == "concatenate":
        return layers.Concatenate()(given)
    if kind == "mean":
        return layers.GlobalAveragePooling2D(keepdims=True)(x)
    if kind == "flatten":
        return layers.Flatten()(x)
    if kind == "thin":
        return x[:, ::2, ::2, :]
    if kind == "widen":
        return keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), tuple(step["channels"])))
    if kind == "activation":
        function = step["function"]
        return layers.ReLU(6.0)(x) if function == "relu6" else layers.Activation(function)(x)
    if kind == "max_pool":
        return layers.MaxPooling2D(step["size"], step["stride"])(padded(x, step["pad"]))
    layer = with_weights(step, weights)
    if kind in ("conv", "depthwise") and step["pad"] != "same":
        x = padded(x, step["pad"])
    if kind == "linear" and len(x.shape) > 2:
        x = layers.Flatten()(x)
    result = layer(x)
    layer.set_weights(weights)
    return result


def padded(x: Any, pad: int) -> Any:
    return layers.ZeroPadding2D(pad)(x) if pad else x


def with_weights(step: dict[str, Any], weights: list[np.ndarray]) -> Any:
    kind, bias = step["kind"], len(weights) > 1
    if kind == "norm":
        return layers.BatchNormalization(epsilon=step["epsilon"])
    if kind == "linear":
        return layers.Dense(weights[0].shape[1], use_bias=bias)
    how = {
        "strides": step["stride"],
        "padding": "same" if step["pad"] == "same" else "valid",
        "use_bias": bias,
    }
    side = weights[0].shape[:2]
    if kind == "depthwise":
        return layers.DepthwiseConv2D(side, **how)
    return layers.Conv2D(weights[0].shape[3], side, **how)


if __name__ == "__main__":
    main()
