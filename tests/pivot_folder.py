"""A pivot folder as the export stage writes it, of the small networks of backend_pivots. Needs no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from backend_pivots import CLASSES, SIZE, Flavour, images, pivot, reference
from PIL import Image
from safetensors.numpy import save_file

from edgetl.files.digest import file_digest
from edgetl.fronts.image.resize import resize
from edgetl.pivot.pivot import Parity, Pivot, PivotModel, write_pivot
from edgetl.recipes.targets import load_target, scheme_id
from edgetl.types import ImagePreprocessing, Precision

LABELS = tuple(f"kind {index}" for index in range(CLASSES))
PREPROCESSING = ImagePreprocessing(SIZE, SIZE, "squash", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GOLDEN = 2


def make_pivot(folder: Path, *, golden: int = GOLDEN) -> Path:
    """Float and u8s8 models (those of x86-cpu, intel-cpu and null), with golden vectors, in the new `folder`."""
    (folder / "golden").mkdir(parents=True)
    models: list[PivotModel] = []
    logits: dict[str, np.ndarray] = {}
    vectors = _write_golden(folder / "golden", golden)
    scheme = scheme_id(load_target("x86-cpu").scheme)
    kinds: tuple[tuple[Flavour, Precision, str | None], ...] = (("float32", "float32", None), ("u8s8", "int8", scheme))
    for flavour, precision, identity in kinds:
        stem = precision if identity is None else f"{precision}-{identity}"
        onnx.save_model(pivot(flavour), folder / f"{stem}.onnx")
        if golden:
            logits[stem] = reference(pivot(flavour), vectors)
        digest = file_digest(folder / f"{stem}.onnx")
        parity = Parity(images=1, max_abs_diff=0, top1_agreement=1, tolerance=1)
        assert precision in ("int8", "float32")
        models.append(
            PivotModel(file=f"{stem}.onnx", precision=precision, scheme_id=identity, sha256=digest, parity=parity)
        )
    if golden:
        save_file(logits, folder / "golden" / "logits.safetensors")
    write_pivot(
        folder,
        Pivot(
            labels=LABELS,
            preprocessing=PREPROCESSING,
            models=tuple(models),
            golden_files=tuple(f"{index}.png" for index in range(golden)),
            source="a test",
            licence="CC0",
            digests={},
        ),
    )
    return folder


def _write_golden(folder: Path, count: int) -> np.ndarray:
    pictures = images(count) if count else np.zeros((0, SIZE, SIZE, 3), np.uint8)
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{index}.png")
        np.save(folder / f"{index}.rgb.npy", picture, allow_pickle=False)
        np.save(folder / f"{index}.input.npy", resize(picture, PREPROCESSING), allow_pickle=False)
    return pictures
