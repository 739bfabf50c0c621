"""Every kind of damage that a bundle on a disk can take, made from a seed: both halves must refuse all of it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostile_bundles import MANIFEST, edit

SEED = 16
FIVE_GB = 5_000_000_000


@dataclass(frozen=True)
class Damage:
    """`name`: the file and what is done to it. `apply` changes the bundle in a folder."""

    name: str
    apply: Callable[[Path], object]


def damages(bundle: Path) -> Iterator[Damage]:
    """Some 190, of every file of the bundle and of every value of its manifest that a program relies on."""
    files = sorted(path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file())
    rng = random.Random(SEED)
    for file in files:
        for kind, change in _OF_FILES.items():
            seed = rng.random()
            yield Damage(f"{file}: {kind}", _on(file, change, seed))
    for kind, of_manifest in _OF_MANIFESTS.items():
        yield Damage(f"manifest: {kind}", _in_manifest(of_manifest))


def _on(file: str, change: Callable[[Path, random.Random], object], seed: float) -> Callable[[Path], object]:
    return lambda bundle: change(bundle / file, random.Random(seed))


def _in_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda bundle: edit(bundle / MANIFEST, change)


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content))
    # a digit or a quotation mark of the manifest becomes something that JSON does not have
    content[at] ^= 0x80
    path.write_bytes(content)


def _zeros(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content))
    content[at : at + 64] = bytes(len(content[at : at + 64]))
    path.write_bytes(content[:-1] + b"\x01")


def _cut(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(1, path.stat().st_size))


def _cut_at_the_end(path: Path, _rng: random.Random) -> None:
    os.truncate(path, path.stat().st_size - 2)


def _empty(path: Path, _rng: random.Random) -> None:
    path.write_bytes(b"")


def _grow(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(100))


def _huge(path: Path, _rng: random.Random) -> None:
    os.truncate(path, FIVE_GB)  # a hole in the file: it takes no room


def _remove(path: Path, _rng: random.Random) -> None:
    path.unlink()


def _rename(path: Path, _rng: random.Random) -> None:
    path.rename(path.with_name(path.name + ".bak"))


def _change_case(path: Path, _rng: random.Random) -> None:
    path.rename(path.with_name(path.name.swapcase()))


def _link(path: Path, _rng: random.Random) -> None:
    root = next(parent for parent in path.parents if parent.name == "bundle")
    path.symlink_to(path.rename(root.parent / "elsewhere"))


def _dangle(path: Path, _rng: random.Random) -> None:
    path.unlink()
    path.symlink_to("nothing")


def _loop(path: Path, _rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _pipe(path: Path, _rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path, _rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _device(path: Path, _rng: random.Random) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


_OF_FILES: Mapping[str, Callable[[Path, random.Random], object]] = {
    "a flipped bit": _flip,
    "zeros": _zeros,
    "cut": _cut,
    "cut at the end": _cut_at_the_end,
    "empty": _empty,
    "longer": _grow,
    "huge": _huge,
    "removed": _remove,
    "renamed": _rename,
    "another case": _change_case,
    "a link": _link,
    "a link to nothing": _dangle,
    "a link to itself": _loop,
    "a pipe": _pipe,
    "a folder": _folder,
    "a device": _device,
}


def _set(*place: str, to: Any) -> Callable[[dict[str, Any]], object]:
    def change(manifest: dict[str, Any]) -> None:
        inner = manifest
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = to

    return change


def _nested(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


_OF_MANIFESTS: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "schema 3": _set("schema", to=3),
    "schema 1 with keys of schema 2": _set("schema", to=1),
    "no task": lambda manifest: manifest.pop("task"),
    "another task": _set("task", to="segmentation"),
    "the task of a detector": _set("task", to="detection"),
    "another front": _set("front", to="audio"),
    "no signature": lambda manifest: manifest.pop("signature"),
    "a signature without outputs": _set("signature", "outputs", to=[]),
    "an input of another type": lambda manifest: manifest["signature"]["inputs"][0].update(dtype="float32"),
    "an output of no size": lambda manifest: manifest["signature"]["outputs"][0].update(shape=[None, 0]),
    "an output of unknown size": lambda manifest: manifest["signature"]["outputs"][0].update(shape=[None, None]),
    "an output too many": lambda manifest: manifest["signature"]["outputs"].append(manifest["signature"]["inputs"][0]),
    "a postprocess that a classifier has not": _set("postprocess", to={"kind": "detection"}),
    "unknown key": _set("script", to="rm"),
    "no labels": lambda manifest: manifest.pop("labels"),
    "one label": _set("labels", to=["a"]),
    "a label that is a number": _set("labels", to=["a", 3]),
    "a very long label": _set("labels", to=["a" * 501, "b"]),
    "labels in another order": lambda manifest: manifest["labels"].reverse(),
    "height 0": _set("preprocessing", "height", to=0),
    "height -1": _set("preprocessing", "height", to=-1),
    "height 30000": _set("preprocessing", "height", to=30_000),
    "width 2**64": _set("preprocessing", "width", to=2**64),
    "width 10**400": _set("preprocessing", "width", to=10**400),
    "crop 0": _set("preprocessing", "crop_pct", to=0),
    "fill 999": _set("preprocessing", "fill", to=[999, 0, 0]),
    "unknown resize": _set("preprocessing", "resize", to="stretch"),
    "unknown key inside": _set("preprocessing", "gamma", to=2.2),
    "unknown backend": _set("compiled", "backend", to="tflite"),
    "model in the parent": _set("compiled", "model", to="../model.onnx"),
    "model of another place": _set("compiled", "model", to="/etc/passwd"),
    "model that is not listed": _set("compiled", "model", to="other.onnx"),
    "no model files": _set("compiled", "files", to=["weights.bin"]),
    "golden count 0": _set("golden", "count", to=0),
    "golden count 3": _set("golden", "count", to=3),
    "golden picture in the parent": _set("golden", "files", to=["../0.png"]),
    "no golden arrays": lambda manifest: manifest["files"].pop("golden/0.rgb.npy"),
    "tolerance 0": _set("golden", "tolerance", "max_diff_of_range", to=0),
    "tolerance without end": _set("golden", "tolerance", "max_diff_of_range", to=2),
    "a file in the parent": _set("files", "../secret", to={"sha256": "0" * 64, "size_bytes": 1}),
    "a file anywhere": _set("files", "/etc/passwd", to={"sha256": "0" * 64, "size_bytes": 1}),
    "a file that is not there": _set("files", "more.bin", to={"sha256": "0" * 64, "size_bytes": 1}),
    "a size of terabytes": _set("files", "model.onnx", "size_bytes", to=10**13),
    "a negative size": _set("files", "model.onnx", "size_bytes", to=-1),
    "a short digest": _set("files", "model.onnx", "sha256", to="0" * 63),
    "another digest": _set("files", "model.onnx", "sha256", to="0" * 64),
    "no files": _set("files", to={}),
    "text for an object": _set("target", to="x86-cpu"),
    "nesting": _set("measured", to=_nested(90)),
    "null": _set("preprocessing", to=None),
}
