"""Locates pretrained weights. Torch-free, so that a stage's key can be computed without loading anything."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from edgetl.backbones.series.native import NAMES as NAMES_OF_SERIES
from edgetl.errors import UsageError, WeightsError
from edgetl.files.file_kind import ONNX_REFUSAL
from edgetl.files.text import escaped
from edgetl.recipes.recipe import Backbone
from edgetl.recipes.resources import resource_dir
from edgetl.types import WeightSource

TORCHVISION_PREFIX = "tv_"
MODULE = "module"
"""Before the name of the user's own network: `module:FILE.py:FUNCTION`."""
CONFIG_FILE = "config.json"
PRETRAINED_FILE = "pretrained.json"
"""Describes the weights in a folder of `edgetl pretrain`."""
MODEL_FILES = ("model.safetensors", "pytorch_model.bin")  # timm's own names, in its own order of preference

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# of a network for texts: its tokens, and how they are pooled
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt",
    "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "1_Pooling/config.json",
)  # fmt: skip
_MAX_CONFIG_BYTES = 1_000_000
_NAMED = 8
_FORMS = "a timm name, `tv_NAME` for torchvision, `local-dir:PATH` or `edgetl:NAME`"


def locate(backbone: Backbone, base: Path, weights_dirs: Sequence[Path]) -> WeightSource:
    """Find the weights that `backbone` names; relative paths start at `base`, the recipe's folder.

    A plain name is looked up as `<weights_dir>/<name>/` before the hub, with and without timm's tag. `digest` is the
    SHA-256 of a single file, or of the digests of config, weights and tokenizer of a folder. Raises UsageError
    (contradictory or malformed request) and WeightsError (nothing usable in the expected place).
    """
    if backbone.weights is not None and not backbone.pretrained:
        raise UsageError("backbone: `weights` and `pretrained: false` contradict each other; leave one of them out")
    kind, colon, rest = backbone.name.partition(":")
    if kind == "onnx" or backbone.name.lower().endswith(".onnx"):
        raise UsageError(f"backbone.name: {ONNX_REFUSAL}")
    if kind == MODULE and colon:
        return _module(rest, backbone, base)
    if colon:
        return _folder(kind, rest, backbone, base)
    if not _PLAIN_NAME.fullmatch(backbone.name):
        raise UsageError(f"backbone.name: `{backbone.name}` is not a network name; expected {_FORMS}")
    if backbone.weights is not None:
        return _weights(base / backbone.weights, backbone.name)
    if not backbone.pretrained or backbone.name in NAMES_OF_SERIES:
        return WeightSource("none")
    return _look_up(backbone.name, weights_dirs) or WeightSource("hub", held=holdings(weights_dirs))


def _module(rest: str, backbone: Backbone, base: Path) -> WeightSource:
    """The user's own network: the digest covers its file and its weights."""
    file, colon, function = rest.rpartition(":")
    if not colon or not file.endswith(".py") or not function.isidentifier():
        raise UsageError(f"backbone.module: expected FILE.py:FUNCTION, as in net.py:make; found `{rest}`")
    path = (base / Path(file).expanduser()).resolve()
    if not path.is_file():
        raise UsageError(f"{path}: no such file (backbone.module); it is relative to the recipe's folder")
    own = _sha256(path)
    if backbone.weights is None:
        if backbone.pretrained:
            raise UsageError("backbone.module: name its weights (backbone.weights), or set pretrained: false")
        return WeightSource("none", digest=own, module=str(path))
    weights = _file(base / backbone.weights)
    digest = hashlib.sha256(f"{own} {weights.digest}".encode()).hexdigest()
    return WeightSource("file", weights.path, digest, module=str(path))


def model_file(folder: Path) -> Path:
    """The weights inside a timm folder. Raises WeightsError if there are none."""
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
        raise UsageError(f"backbone.weights: `{backbone.name}` has its own weights; leave `weights` out")
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
        expected = f"a folder of timm or transformers ({CONFIG_FILE} and {MODEL_FILES[0]})"
        raise WeightsError(f"{folder}: expected {expected}; no {CONFIG_FILE}")
    words = [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]
    digests = " ".join(_sha256(path) for path in (config, model_file(folder), *words))
    return WeightSource("local-dir", str(folder), hashlib.sha256(digests.encode()).hexdigest())


def _weights(path: Path, name: str) -> WeightSource:
    folder = path.expanduser().resolve()
    return _pretrained(folder, name) if (folder / PRETRAINED_FILE).is_file() else _file(path)


def _pretrained(folder: Path, name: str) -> WeightSource:
    """The weights in a folder of `edgetl pretrain`, whose description names all files with their digests."""
    description = folder / PRETRAINED_FILE
    content = config_of(description)
    files, trained = content.get("files"), content.get("backbone")
    if content.get("schema") != 1 or not isinstance(files, dict) or MODEL_FILES[0] not in files:
        raise WeightsError(f"{description}: not a description of pretrained weights; run `edgetl pretrain` again")
    if trained != name:
        raise WeightsError(f"{description}: weights of `{escaped(str(trained))}`; backbone.name is `{name}`")
    for file, digest in sorted(files.items()):
        if not _PLAIN_NAME.fullmatch(file) or _sha256(folder / file) != digest:
            raise WeightsError(f"{folder / file}: not the file of {PRETRAINED_FILE}; run `edgetl pretrain` again")
    digests = " ".join(f"{file} {digest}" for file, digest in sorted(files.items()))
    return WeightSource("file", str(folder / MODEL_FILES[0]), hashlib.sha256(digests.encode()).hexdigest())


def _file(path: Path) -> WeightSource:
    path = path.expanduser().resolve()
    if path.is_dir():
        raise WeightsError(f"{path}: expected a checkpoint file; found a folder: name it as `local-dir:{path}` instead")
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; `backbone.weights` is relative to the recipe's folder")
    return WeightSource("file", str(path), _sha256(path))


def _look_up(name: str, weights_dirs: Sequence[Path]) -> WeightSource | None:
    directories = [directory.resolve() for directory in weights_dirs]
    for directory in directories:
        if not directory.is_dir():
            raise UsageError(f"{directory}: no such folder of weights (--weights-dir or EDGETL_WEIGHTS_DIR)")
    find = _torchvision_folder if name.startswith(TORCHVISION_PREFIX) else _timm_folder_of
    for directory in directories:
        folder = find(directory, name)
        if folder is None:
            continue
        if find is _timm_folder_of and (folder / CONFIG_FILE).is_file():
            return _timm_folder(folder)
        return _file(model_file(folder))
    _refuse_other_tags(name, directories)
    return None


def _torchvision_folder(directory: Path, name: str) -> Path | None:
    folders = (directory / name, directory / name.removeprefix(TORCHVISION_PREFIX))
    return next((folder for folder in folders if _has_weights(folder)), None)


def _timm_folder_of(directory: Path, name: str) -> Path | None:
    """The folder of the network called `name`, with or without timm's tag. Raises WeightsError if there are several and
    none has exactly this name."""
    _, _, tag = _comparable(name).partition(".")
    folders = _of_architecture(directory, name)
    fitting = [folder for folder in folders if not tag or tag_of(folder) in ("", tag)]
    exact = [folder for folder in fitting if _comparable(folder.name) == _comparable(name)]
    if len(exact or fitting) > 1:
        names = ", ".join(folder.name for folder in fitting)
        raise WeightsError(
            f"{directory} contains several folders for `{name}`: {names}; name one of them in `backbone.name`"
        )
    return next(iter(exact or fitting), None)


def _of_architecture(directory: Path, name: str) -> list[Path]:
    wanted = _comparable(name).partition(".")[0]
    folders = sorted(folder for folder in directory.iterdir() if _comparable(folder.name).partition(".")[0] == wanted)
    return [folder for folder in folders if _has_weights(folder)]


def _refuse_other_tags(name: str, directories: Sequence[Path]) -> None:
    for directory in directories:
        others = [f"{folder.name} (tag {tag_of(folder)})" for folder in _of_architecture(directory, name)]
        if others:
            raise WeightsError(f"{directory} contains {', '.join(others)}, not `{name}`; name that, or another folder")


def holdings(weights_dirs: Sequence[Path]) -> str:
    """`/w contains resnet18, resnet50`, for each folder of weights; "" without any."""
    said = []
    for directory in weights_dirs:
        names = sorted(folder.name for folder in directory.iterdir() if _has_weights(folder))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        said.append(f"{directory} contains {', '.join(map(escaped, names[:_NAMED])) or 'no folder of weights'}{more}")
    return "; ".join(said)


def tag_of(folder: Path) -> str:
    """timm's tag of the weights in a folder, comparable: from its config.json, otherwise its name; "" for none."""
    config = config_of(folder / CONFIG_FILE)
    inner = config.get("pretrained_cfg")
    tag = (inner if isinstance(inner, dict) else config).get("tag")
    architecture = config.get("architecture")
    for name in (f".{tag}" if isinstance(tag, str) else "", architecture, folder.name):
        tag = _comparable(name).partition(".")[2] if isinstance(name, str) else ""
        if tag:
            return tag
    return ""


def config_of(path: Path) -> dict[str, object]:
    """The content of a config.json or card.json; empty if unreadable, which is reported when the network is built."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_CONFIG_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _has_weights(folder: Path) -> bool:
    return any((folder / file).is_file() for file in MODEL_FILES)


def _comparable(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot read: {error.strerror}") from error
