"""Outputs of an ONNX model on stored examples. Runs alone, with numpy and onnxruntime only, inside an emulated Python.

    python onnx_outputs.py MODEL.onnx EXAMPLES.npy FOLDER THREADS NAME...

EXAMPLES are what the model's input takes, (N, ...); FOLDER/NAME.npy become (N, ...) float32. They run one by one, as on
the device.
Ends with status 3 if onnxruntime rejects the model; any other failure is not the model's fault.
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime

_REFUSED = 3


def main(model: str, examples_path: str, folder: str, threads: str, *names: str) -> None:
    examples = np.load(examples_path, allow_pickle=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the bindings raise a dozen unrelated types
        print(error, file=sys.stderr)
        sys.exit(_REFUSED)
    (given,) = session.get_inputs()
    rows = [session.run(list(names), {given.name: example[None]}) for example in examples]
    for place, name in enumerate(names):
        values = np.concatenate([row[place] for row in rows]).astype(np.float32)
        np.save(f"{folder}/{name}.npy", values, allow_pickle=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
