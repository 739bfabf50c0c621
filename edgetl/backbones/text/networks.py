"""Networks for texts by name or folder, and what each reads under a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from edgetl.backbones.plan import Plan
from edgetl.backbones.tensor_sets import TensorSet
from edgetl.backbones.text import char_lstm, recurrent, stories, transformer
from edgetl.backbones.text.native import TextSource, buckets, no_weights, room_for
from edgetl.backbones.text.tokenizer import describe_folder, place
from edgetl.backbones.text.weights import fill_encoder, require_safetensors
from edgetl.backbones.weights import CONFIG_FILE, config_of, model_file
from edgetl.errors import UsageError, WeightsError
from edgetl.files.text import nearest
from edgetl.fronts.text.description import Description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.recipes.recipe import Backbone
from edgetl.types import TextPreprocessing, WeightSource
from edgetl.types.findings import Audit

NETWORKS: Mapping[str, ModuleType] = {
    name: module for module in (recurrent, char_lstm, stories) for name in module.NAMES
}
_CARD = "card.json"


def plan_by_name(backbone: Backbone, source: WeightSource, texts: TextSource) -> Plan:
    """The network that `backbone` names, its tokens, and the licence that its folder states.

    Raises UsageError for a name that is not for texts, WeightsError for a folder that is not in Hugging Face layout.
    """
    if source.kind == "local-dir":
        return _of_folder(Path(source.path), texts)
    name = backbone.name
    if name not in NETWORKS:
        raise UsageError(
            f"backbone.name: no network for texts is called `{name}`; {nearest(name, NETWORKS)}, or a folder in "
            "Hugging Face layout: `local-dir:PATH`, or its name in a folder of weights (backbone.weights_dir)"
        )
    if source.kind == "hub":
        raise no_weights(name, to_pretrain=name in recurrent.NAMES)
    module = NETWORKS[name]
    folder = Path(source.path).parent if source.kind == "file" else None
    description, arguments = module.prepare(name, folder, texts)
    arguments |= {"pad": description.pad, "pooling": texts.pooling or module.POOLING}
    native = _preprocessing(description, module.POSITIONS, texts)
    return Plan("edgetl", name, native, arguments, licence=_licence(folder))


def construct(architecture: str, model_args: Mapping[str, object], num_classes: int) -> nn.Module:
    """One of edgetl's own networks, with random weights."""
    network: nn.Module = NETWORKS[architecture].construct(architecture, model_args, num_classes)
    return network


def fill(network: nn.Module, plan: Plan, sets: Sequence[TensorSet], head: str, where: str) -> Audit:
    """Fill everything except the classifier `head` from a checkpoint. Raises WeightsError."""
    if plan.library == "edgetl":
        renamed = NETWORKS[plan.architecture].renamed
        sets = [replace(each, tensors=renamed(each.tensors)) for each in sets]
    return fill_encoder(network, sets, head, where, plan.architecture)


def _of_folder(folder: Path, texts: TextSource) -> Plan:
    architecture, config = transformer.read_config(folder)
    require_safetensors(model_file(folder))
    description = describe_folder(folder)
    rows = config.get("vocab_size")
    if isinstance(rows, int) and description.size > rows:
        raise WeightsError(
            f"{folder / CONFIG_FILE}: a vocabulary of {rows}; the tokenizer beside it has {description.size} tokens: "
            "they belong to two networks"
        )
    pooling = texts.pooling or transformer.usual_pooling(folder, architecture)
    arguments: dict[str, Any] = {"config": config, "pad": description.pad, "pooling": pooling}
    native = _preprocessing(description, transformer.positions(architecture, config), texts)
    return Plan("transformers", architecture, native, arguments, licence=transformer.licence_of(folder))


def _preprocessing(description: Description, positions: int, texts: TextSource) -> TextPreprocessing:
    if texts.max_tokens is not None and texts.max_tokens > positions:
        raise UsageError(f"text.max_tokens: the network reads at most {positions} tokens; found {texts.max_tokens}")
    if texts.max_tokens is None:
        tokenizer = Tokenizer(description)
        longest = max((len(tokenizer.encode(text)) for text in texts.texts), default=1)
        lengths = buckets(room_for(longest), positions)
    else:
        lengths = buckets(texts.max_tokens, texts.max_tokens)
    digest, folder = place(description, texts.folder)
    return TextPreprocessing(digest, description.pad, lengths, str(folder))


def _licence(folder: Path | None) -> str:
    stated = config_of(folder / _CARD).get("licence") if folder else None
    return stated if isinstance(stated, str) else ""
