"""The adapt stage: shots and a backbone in, an adapted network and the record of how it came to be out."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgetl.adapt.features import extract
from edgetl.adapt.finetune import Setting, Shots
from edgetl.adapt.freeze import choose_prefixes, is_under
from edgetl.adapt.images import Images
from edgetl.adapt.reproducible import choose_device, deterministic
from edgetl.adapt.strategy import Outcome, Task, adapt
from edgetl.backbones.audit import Audit
from edgetl.backbones.augment import Augment
from edgetl.backbones.checkpoint import write_checkpoint
from edgetl.backbones.head import features, get_head
from edgetl.backbones.inputs import normalise
from edgetl.backbones.load import build
from edgetl.backbones.spec import write_spec
from edgetl.errors import DataError, UsageError
from edgetl.recipe import Adapt, Backbone
from edgetl.types import NetworkSpec, Progress, Split, WeightSource

SCHEMA = 1
STATE_FILE, SPEC_FILE, RECORD_FILE = "network.safetensors", "network.json", "adapt.json"

_VIEWS = 4  # augmented views per shot that the probe sees besides the plain one
_MAX_FEATURE_ROWS = 2000  # beyond, plain views are plenty and the fit would become slow


def run(
    split: Split,
    backbone: Backbone,
    source: WeightSource,
    config: Adapt,
    augment: str,
    out: Path,
    progress: Progress,
) -> None:
    """Adapt `backbone` to `split.shots`; write network.safetensors, network.json and adapt.json into the folder `out`.

    `augment` is a policy of `Augment`. The same arguments on the same machine with the same number of
    threads give the same bytes in network.safetensors. Raises UsageError, WeightsError, DataError.
    """
    start = time.monotonic()
    _require_shots(split)
    device = choose_device()
    with deterministic(config.seed, device):
        network, spec, audit = build(backbone, source, len(split.classes), split.resize)
        head = spec.classifier
        prefixes = choose_prefixes(
            network, config.freeze, head=head, shots_per_class=len(split.shots) / len(split.classes)
        )
        preprocessing = spec.preprocessing
        view = Augment(augment, preprocessing.height, preprocessing.width)
        setting = Setting(config, preprocessing, view, head, prefixes, device)
        images = Images(split.shots, preprocessing)
        shots = Shots(images, torch.tensor([sample.label for sample in split.shots]))
        network.to(device)
        views = extract(
            network,
            head,
            images,
            preprocessing,
            view,
            views=_views(augment, len(images)),
            batch_size=config.batch_size,
            seed=config.seed,
            device=device,
            progress=progress,
        )
        task = Task(network, shots, views, len(split.classes), setting)
        outcome = adapt(task, progress)
        _require_linear(task)
    write_checkpoint(network.state_dict(), out / STATE_FILE)
    write_spec(spec, out / SPEC_FILE)
    record = _record(network, spec, audit, outcome, setting, augment, source, time.monotonic() - start)
    text = json.dumps(_jsonable(record), indent=2, sort_keys=True, allow_nan=False)
    (out / RECORD_FILE).write_text(text + "\n", encoding="utf-8")
    progress.note(outcome.reason)


def _require_shots(split: Split) -> None:
    counts = np.bincount([sample.label for sample in split.shots], minlength=len(split.classes))
    absent = [name for name, count in zip(split.classes, counts, strict=True) if count == 0]
    if len(split.classes) < 2 or absent:
        raise DataError(
            f"adapt: expected at least two classes, each with a shot; found {len(split.classes)} classes"
            + (f", none of {', '.join(absent[:10])}" if absent else "")
        )


def _views(policy: str, images: int) -> int:
    return _VIEWS if policy != "none" and images * (1 + _VIEWS) <= _MAX_FEATURE_ROWS else 0


@torch.no_grad()
def _require_linear(task: Task) -> None:
    """The probe was written into the classifier as a linear function of its features: prove that it is one."""
    setting = task.setting
    few = task.shots.images[range(min(4, len(task.shots.images)))]
    pooled, logits = features(task.network, setting.head, normalise(few.to(setting.device), setting.preprocessing))
    layer = get_head(task.network, setting.head)
    expected = pooled @ layer.weight.flatten(1).T
    if layer.bias is not None:
        expected = expected + layer.bias
    if not torch.allclose(expected, logits, rtol=1e-3, atol=1e-3 * float(logits.abs().max()) + 1e-6):
        raise UsageError(
            f"{type(task.network).__name__}: something not linear follows its classifier `{setting.head}`; "
            "choose another backbone"
        )


def _record(
    network: nn.Module,
    spec: NetworkSpec,
    audit: Audit,
    outcome: Outcome,
    setting: Setting,
    policy: str,
    source: WeightSource,
    seconds: float,
) -> dict[str, Any]:
    tuned = outcome.strategy == "finetune"
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    frozen = [
        name for name in sizes if is_under(name, setting.frozen) or not (tuned or is_under(name, [spec.classifier]))
    ]
    frozen_count = sum(sizes[name] for name in frozen)
    return {
        "schema": SCHEMA,
        "strategy": outcome.strategy,
        "reason": outcome.reason,
        "candidates": [asdict(candidate) for candidate in outcome.candidates],
        "held_out_images": outcome.held_out_images,
        "history": {
            "trials": [[asdict(epoch) for epoch in trial] for trial in outcome.trials],
            "final": [asdict(epoch) for epoch in outcome.final],
        },
        "epochs": outcome.epochs,
        "probe_strength": outcome.probe_strength,
        "augment": policy,
        "audit": asdict(audit),
        "source": f"{spec.library} {spec.architecture}",
        "licence": _licence(source),
        "frozen_prefixes": list(setting.frozen) if tuned else None,
        "frozen_parameters": frozen_count,
        "trained_parameters": sum(sizes.values()) - frozen_count,
        "device": _device_name(setting.device),
        "threads": torch.get_num_threads(),
        "seconds": seconds,
    }


def _licence(source: WeightSource) -> str:
    """What a timm folder says of its weights; empty where nothing is stated."""
    if source.kind != "local-dir":
        return ""
    config = json.loads((Path(source.path) / "config.json").read_text(encoding="utf-8"))
    return str(config.get("pretrained_cfg", {}).get("license") or "")


def _device_name(device: torch.device) -> str:
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else "cpu"


def _jsonable(value: Any) -> Any:
    """Numbers that JSON cannot hold (a diverged loss) become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _jsonable(inner) for key, inner in value.items()}
    return [_jsonable(inner) for inner in value] if isinstance(value, (list, tuple)) else value
