"""Make `tests/unit/imported/keras.onnx`: a small trained Keras network as tf2onnx writes it.

    pip install tensorflow-cpu==2.19.1 tf2onnx==1.17.0        # in an environment of their own
    PYTHONPATH=tests python scripts/make_keras_network.py tests/unit/imported/keras.onnx

TensorFlow is too large for the tests' own environment, so the file is kept. The network has what networks of
`keras.applications` have: pixels from 0 to 255, scaled in the graph; zeros added below and to the right before a stride
of 2; batch norms; ReLU6; a squeeze-and-excite block with hard swish; a sum, a pool, a concatenation; a softmax.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers
from tiny_pictures import LABELS, SIZE, pictures

OPSET = 17
EPOCHS = 12


def main() -> None:
    keras.utils.set_random_seed(0)
    network = trained()
    path = Path(sys.argv[1])
    signature = (tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32, name="image"),)
    tf2onnx.convert.from_keras(network, input_signature=signature, opset=OPSET, output_path=str(path))
    images, labels = pictures(400, seed=9)
    right = network.predict(images.astype(np.float32), verbose=0).argmax(1) == labels
    print(f"{path}: {path.stat().st_size} bytes, {100 * right.mean():.1f} % right")
    print(f"tensorflow {tf.__version__}, keras {keras.__version__}, tf2onnx {tf2onnx.__version__}")


def trained() -> keras.Model:
    network = small_network()
    network.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    images, labels = pictures(2000, seed=1)
    network.fit(images.astype(np.float32), labels, batch_size=64, epochs=EPOCHS, verbose=0)
    return network


def small_network() -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
    x = inverted(x, 16)
    x = layers.Add()([x, inverted(x, 16)])
    x = layers.Activation("hard_silu")(layers.BatchNormalization(momentum=0.9)(layers.Conv2D(16, 1)(x)))
    x = squeezed(x)
    x = layers.Concatenate()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2, padding="same")(x)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(len(LABELS), activation="softmax", name="chances")(x))


def inverted(x: tf.Tensor, channels: int) -> tf.Tensor:
    x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(layers.Conv2D(24, 1, use_bias=False)(x)))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
    return layers.BatchNormalization(momentum=0.9)(layers.Conv2D(channels, 1, use_bias=False)(x))


def squeezed(x: tf.Tensor) -> tf.Tensor:
    gate = layers.Reshape((1, 1, 16))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(8, 1, activation="relu")(gate)
    gate = layers.Conv2D(16, 1, activation="hard_sigmoid")(gate)
    return layers.Multiply()([x, gate])


if __name__ == "__main__":
    main()
