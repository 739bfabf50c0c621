"""Where pretrained weights come from. Torch-free, so that a stage's key can be computed without loading anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from edgetl.errors import UsageError, WeightsError
from edgetl.recipe import Backbone
from edgetl.resources import resource_dir
from edgetl.types import WeightSource

TORCHVISION_PREFIX = "tv_"
CONFIG_FILE = "config.json"
MODEL_FILES = ("model.safetensors", "pytorch_model.bin")  # timm's own names, in its own order of preference

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_FORMS = "a timm name, `tv_NAME` for torchvision, `local-dir:PATH` or `edgetl:NAME`"


def locate(backbone: Backbone, base: Path, weights_dirs: Sequence[Path]) -> WeightSource:
    """Find the weights that `backbone` names; relative paths start at `base`, the recipe's folder.

    A plain name is looked up as `<weights_dir>/<name>/` before the hub. `digest` is the SHA-256 of a lone file, or
    of the digests of config and weights of a folder. Raises UsageError (contradictory or malformed request) and
    WeightsError (nothing usable where it should be).
    """
    if backbone.weights is not None and not backbone.pretrained:
        raise UsageError("backbone: `weights` and `pretrained: false` contradict each other; leave one of them out")
    kind, colon, rest = backbone.name.partition(":")
    if colon:
        return _folder(kind, rest, backbone, base)
    if not _PLAIN_NAME.fullmatch(backbone.name):
        raise UsageError(f"backbone.name: `{backbone.name}` is no network's name; expected {_FORMS}")
    if backbone.weights is not None:
        return _file(base / backbone.weights)
    if not backbone.pretrained:
        return WeightSource("none")
    return _look_up(backbone.name, weights_dirs) or WeightSource("hub")


def model_file(folder: Path) -> Path:
    """The weights inside a timm folder. Raises WeightsError when there are none."""
    for name in MODEL_FILES:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"{folder}: expected the weights as {' or '.join(MODEL_FILES)}; found neither")


def _folder(kind: str, rest: str, backbone: Backbone, base: Path) -> WeightSource:
    if kind == "hf-hub" or kind == "hf_hub":
        raise UsageError(
            f"backbone.name: `{backbone.name}`: download the folder once and name it with `local-dir:PATH`, "
            "so that the build can be repeated without the hub"
        )
    if kind not in ("local-dir", "edgetl") or not rest:
        raise UsageError(f"backbone.name: `{backbone.name}`: unknown prefix or empty name; expected {_FORMS}")
    if backbone.weights is not None:
        raise UsageError(f"backbone.weights: `{backbone.name}` brings its own weights; leave `weights` out")
    if kind == "local-dir":
        return _timm_folder((base / Path(rest).expanduser()).resolve())
    shipped = resource_dir("backbones")
    if not _PLAIN_NAME.fullmatch(rest) or not (shipped / rest).is_dir():
        names = sorted(path.name for path in shipped.glob("*") if path.is_dir())
        raise UsageError(f"backbone.name: no backbone `{rest}` in the package; it has: {', '.join(names) or 'none'}")
    return _timm_folder((shipped / rest).resolve())


def _timm_folder(folder: Path) -> WeightSource:
    config = folder / CONFIG_FILE
    if not config.is_file():
        raise WeightsError(f"{folder}: expected a timm folder ({CONFIG_FILE} and {MODEL_FILES[0]}); no {CONFIG_FILE}")
    digests = f"{_sha256(config)} {_sha256(model_file(folder))}"
    return WeightSource("local-dir", str(folder), hashlib.sha256(digests.encode()).hexdigest())


def _file(path: Path) -> WeightSource:
    path = path.expanduser().resolve()
    if path.is_dir():
        raise WeightsError(f"{path}: expected a checkpoint file; found a folder: name it as `local-dir:{path}` instead")
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; `backbone.weights` is relative to the recipe's folder")
    return WeightSource("file", str(path), _sha256(path))


def _look_up(name: str, weights_dirs: Sequence[Path]) -> WeightSource | None:
    for directory in weights_dirs:
        if not directory.is_dir():
            raise UsageError(f"{directory}: no such folder of weights (--weights-dir or EDGETL_WEIGHTS_DIR)")
        for folder in _candidates(directory.resolve(), name):
            if not any((folder / file).is_file() for file in MODEL_FILES):
                continue
            if not name.startswith(TORCHVISION_PREFIX) and (folder / CONFIG_FILE).is_file():
                return _timm_folder(folder)
            return _file(model_file(folder))
    return None


def _candidates(directory: Path, name: str) -> list[Path]:
    folders = [directory / name]
    if name.startswith(TORCHVISION_PREFIX):
        folders.append(directory / name.removeprefix(TORCHVISION_PREFIX))
    return folders


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot read: {error.strerror}") from error
