"""Outputs of an ONNX model on stored images. Runs alone, with numpy and onnxruntime only, inside an emulated Python.

    python onnx_outputs.py MODEL.onnx IMAGES.npy FOLDER THREADS NAME...

IMAGES is (N, H, W, 3) uint8; FOLDER/NAME.npy become (N, ...) float32. Images run one by one, as on the device.
Ends with status 3 if onnxruntime rejects the model; any other failure is not the model's fault.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime

_REFUSED = 3


def main(model: str, images_path: str, folder: str, threads: str, *names: str) -> None:
    images = np.load(images_path, allow_pickle=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the bindings raise a dozen unrelated types
        print(error, file=sys.stderr)
        sys.exit(_REFUSED)
    rows = [session.run(list(names), {"image": image[None]}) for image in images]
    for place, name in enumerate(names):
        values = np.concatenate([row[place] for row in rows]).astype(np.float32)
        np.save(f"{folder}/{name}.npy", values, allow_pickle=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
