"""timm: names, folders (config.json + weights), construction, hub weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import timm
from torch import Tensor, nn

from edgetl.backbones.hub import cached_file, hub_url, require_reachable
from edgetl.backbones.own_ways import plain
from edgetl.backbones.plan import AUXILIARY, Native, Plan, unknown_name
from edgetl.backbones.weights import CONFIG_FILE
from edgetl.errors import UsageError, WeightsError
from edgetl.files.digest import open_plain
from edgetl.files.file_kind import describe_bytes
from edgetl.files.text import quoted

_MAX_CONFIG_BYTES = 1_000_000
_MAX_SIDE, _MAX_VALUE = 4096, 1e6  # a larger value is not a valid input and would only exhaust memory
_LISTING = '`python -c "import timm; print(timm.list_models())"`'
# Arguments of timm.create_model that a folder's config must not set: they load files or change what comes out.
_RESERVED = {
    "cache_dir", "checkpoint_path", "features_only", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay",
    "pretrained_model_args",
}  # fmt: skip
_OURS = {"num_classes", "in_chans"}  # timm may have saved them; here they follow from the classes and from RGB


def plan_by_name(name: str) -> Plan:
    """`architecture` or `architecture.tag`. Raises UsageError naming the nearest."""
    architecture = _architecture(name)
    return _plan(name, {}, _default_cfg(name, architecture), where=f"timm `{name}`")


def plan_by_folder(folder: Path) -> Plan:
    """A timm folder: architecture, model_args and input come from its config.json. Raises WeightsError, UsageError."""
    where = folder / CONFIG_FILE
    config = _read_config(where)
    name = config.get("architecture")
    if not isinstance(name, str):
        raise WeightsError(f"{where}: {_not_timm(config)}")
    architecture = _architecture(name)
    given = config.get("pretrained_cfg", config)  # old folders keep these values at the top level
    arguments = config.get("model_args") or {}
    if not isinstance(given, dict) or not isinstance(arguments, dict):
        raise WeightsError(f"{where}: `pretrained_cfg` and `model_args` must be mappings")
    reserved = sorted(_RESERVED & set(arguments))
    if reserved:
        raise WeightsError(f"{where}: `model_args` must not set {', '.join(reserved)}")
    cfg = {**_default_cfg(name, architecture), **given}
    channels = arguments.get("in_chans", 3)
    if channels == 3:
        channels = _size(cfg, str(where))[0]
    if channels == 1:
        cfg |= {key: _of_all_channels(cfg, key, str(where)) for key in ("mean", "std")}
    elif channels != 3:
        raise UsageError(f"{where}: made for {channels} channels; expected a network for RGB or gray images")
    plan = _plan(name, arguments, cfg, where=str(where))
    return replace(plan, gray=channels == 1, licence=str(given.get("license") or ""))


def construct(architecture: str, model_args: Mapping[str, object], num_classes: int) -> nn.Module:
    """The network with random weights and a head of `num_classes`. Raises UsageError if timm refuses."""
    try:
        network: nn.Module = timm.create_model(architecture, pretrained=False, num_classes=num_classes, **model_args)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise UsageError(f"timm `{architecture}` cannot be built with {dict(model_args)}: {error}") from error
    return plain(network, num_classes)


def hub_tensors(architecture: str, model_args: Mapping[str, object]) -> dict[str, Tensor]:
    """Pretrained tensors through timm's own download and cache, with the original classifier."""
    cfg = timm.get_pretrained_cfg(architecture)
    if cfg is None or not cfg.has_weights:
        raise WeightsError(
            f"timm has no pretrained weights for `{architecture}`; give `backbone.weights`, or `pretrained: false`"
        )
    arguments = {**model_args, "pretrained": True}
    if cfg.hf_hub_id and not cfg.custom_load:
        # a file of the cache is opened as it is: no question whether the hub has a newer one
        cached = cached_file(cfg.hf_hub_id, cfg.hf_hub_filename)
        arguments |= {"pretrained_cfg_overlay": {"file": str(cached)}} if cached else {}
        if not cached:
            require_reachable(hub_url(cfg.hf_hub_id, cfg.hf_hub_filename))
    network: nn.Module = timm.create_model(architecture, **arguments)
    return network.state_dict()


def renamed(architecture: str, network: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Tensors after timm's own conversion of foreign checkpoints; None if timm has no conversion for this
    architecture."""
    module = sys.modules[timm.models.model_entrypoint(_base(architecture)).__module__]
    convert = getattr(module, "checkpoint_filter_fn", None)
    if convert is None:
        return None
    try:
        converted = convert(dict(tensors), network)
    except Exception:  # made for one layout each: any failure means that this is another one
        return None
    return converted if isinstance(converted, dict) else None


def fit_input(network: nn.Module, architecture: str, height: int, width: int, native: tuple[int, int]) -> None:
    """Make a network of fixed input size accept (height, width), if timm can; position embeddings are resampled."""
    if (height, width) == native or not hasattr(network, "set_input_size"):
        return
    resize: Any = network.set_input_size
    try:
        resize(img_size=(height, width))
    except (AssertionError, ValueError, RuntimeError, TypeError) as error:
        raise UsageError(f"backbone.input_size: `{architecture}` cannot take {height}x{width}: {error}") from error


def native_size(architecture: str, model_args: Mapping[str, object]) -> tuple[int, int]:
    """(height, width) the constructor makes the network for."""
    given = model_args.get("img_size")
    if isinstance(given, (list, tuple)):
        return int(given[0]), int(given[1])
    if isinstance(given, int):
        return given, given
    return _size(_default_cfg(architecture, _base(architecture)), f"timm `{architecture}`")[1:]


def _plan(name: str, arguments: Mapping[str, object], cfg: Mapping[str, Any], where: str) -> Plan:
    _, height, width = _size(cfg, where)
    model_args = {key: value for key, value in arguments.items() if key not in _OURS}
    if cfg.get("fixed_input_size"):
        size = model_args.setdefault("img_size", [height, width])
        height, width = (size, size) if isinstance(size, int) else (height, width)
    if cfg.get("global_pool"):
        model_args.setdefault("global_pool", cfg["global_pool"])
    native = Native(
        height,
        width,
        _triple(cfg, "mean", where),
        _triple(cfg, "std", where),
        crop_pct=_crop_pct(cfg, where),
        interpolation=_interpolation(cfg),
    )
    return Plan("timm", name, native, model_args, AUXILIARY.get(_base(name), ()))


def _architecture(name: str) -> str:
    base = _base(name)
    if not timm.is_model(base):
        raise unknown_name(base, timm.list_models(), "timm", _LISTING)
    if "." in name and name not in timm.list_pretrained(f"{base}.*"):
        raise unknown_name(name, timm.list_pretrained(f"{base}.*"), "timm", _LISTING)
    return base


def _base(name: str) -> str:
    return name.partition(".")[0]


def _default_cfg(name: str, architecture: str) -> dict[str, Any]:
    cfg = timm.get_pretrained_cfg(name) or timm.get_pretrained_cfg(architecture)
    if cfg is None:
        raise UsageError(f"timm `{name}` has no input size, mean and std; use a `local-dir:` folder with a config")
    values: dict[str, Any] = cfg.to_dict()
    return values


def _read_config(path: Path) -> dict[str, Any]:
    try:
        with open_plain(path) as stream:
            data = stream.read(_MAX_CONFIG_BYTES + 1)
        if len(data) > _MAX_CONFIG_BYTES:
            raise WeightsError(f"{path}: larger than {_MAX_CONFIG_BYTES} bytes; this is not a timm config")
        config = json.loads(data)
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the timm config: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        kind = describe_bytes(data)
        found = kind.sentence if kind.kind not in ("json", "unknown") else ""
        raise WeightsError(f"{path}: cannot read the timm config: {found or 'it is not JSON'}") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path}: expected a mapping with `architecture`, `model_args`, `pretrained_cfg`")
    return config


def _not_timm(config: Mapping[str, Any]) -> str:
    """Why a config.json without `architecture` is not timm's."""
    if "model_type" not in config and "architectures" not in config:
        return f"expected `architecture`, a timm name; found {quoted(config.get('architecture'))}"
    classes = config.get("architectures")
    made = quoted(classes[0]) if isinstance(classes, list) and classes else quoted(config.get("model_type"))
    return (
        f"written by transformers ({made}), not by timm; expected timm's config.json: name the timm network of the "
        "same kind, or a folder that timm.models.save_for_hf or TimmWrapperForImageClassification wrote"
    )


def _size(cfg: Mapping[str, Any], where: str) -> tuple[int, int, int]:
    """Channels, height and width."""
    size = cfg.get("input_size")
    if not (
        isinstance(size, (list, tuple)) and len(size) == 3 and all(type(n) is int and 0 < n <= _MAX_SIDE for n in size)
    ):
        raise WeightsError(f"{where}: expected `input_size` as [3, height, width]; found {quoted(size)}")
    return size[0], size[1], size[2]


def _of_all_channels(cfg: Mapping[str, Any], key: str, where: str) -> list[float]:
    """`mean` or `std` of a network for gray images, three times. Raises UsageError if the channels differ."""
    values: Any = cfg.get(key)
    if isinstance(values, (list, tuple)) and len(values) in (1, 3) and list(values) == [values[0]] * len(values):
        return [values[0]] * 3
    raise UsageError(f"{where}: made for 1 channel; expected one `{key}` for all of them, found {quoted(values)}")


def _triple(cfg: Mapping[str, Any], key: str, where: str) -> tuple[float, float, float]:
    values: Any = cfg.get(key)
    three = isinstance(values, (list, tuple)) and len(values) == 3 and all(type(v) in (int, float) for v in values)
    if not (three and all(abs(value) < _MAX_VALUE for value in values)):
        raise WeightsError(f"{where}: expected `{key}` as three numbers; found {quoted(values)}")
    if key == "std" and min(values) <= 0:
        raise WeightsError(f"{where}: expected a positive `std`; found {quoted(values)}")
    return float(values[0]), float(values[1]), float(values[2])


def _crop_pct(cfg: Mapping[str, Any], where: str) -> float:
    value = cfg.get("crop_pct") or 0.875
    if not isinstance(value, (int, float)) or not 0.1 <= value <= 1:
        raise WeightsError(f"{where}: expected `crop_pct` between 0.1 and 1; found {quoted(value)}")
    return float(value)


def _interpolation(cfg: Mapping[str, Any]) -> Literal["bilinear", "bicubic"]:
    return "bilinear" if cfg.get("interpolation") == "bilinear" else "bicubic"  # timm's own default
