"""Logits of an ONNX model on stored images. Runs alone, with numpy and onnxruntime only, inside an emulated Python.

    python onnx_logits.py MODEL.onnx IMAGES.npy LOGITS.npy THREADS

IMAGES is (N, H, W, 3) uint8; LOGITS becomes (N, classes) float32. Images go in one by one, as on the device.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime


def main(model: str, images_path: str, logits_path: str, threads: str) -> None:
    images = np.load(images_path, allow_pickle=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = [session.run(["logits"], {"image": image[None]})[0] for image in images]
    np.save(logits_path, np.concatenate(rows).astype(np.float32), allow_pickle=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
