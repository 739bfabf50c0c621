"""Transformers in Hugging Face layout: config.json and model.safetensors in a folder, built by `transformers`."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from edgetl.backbones.text.classifier import Pooling, TextClassifier
from edgetl.backbones.weights import CONFIG_FILE, config_of
from edgetl.errors import UsageError, WeightsError
from edgetl.files.text import quoted

# of a config.json, what says nothing about the function of the network
_IDLE = {
    "_name_or_path", "_attn_implementation", "architectures", "auto_map", "dtype", "torch_dtype",
    "transformers_version", "use_cache", "model_type", "gradient_checkpointing", "id2label", "label2id", "problem_type",
}  # fmt: skip
# positions of these count from behind the padding token
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "data2vec-text", "xmod"}
_MOST_POSITIONS = 1 << 16
_LICENCE = re.compile(r"^licen[sc]e:\s*[\"']?([^\s\"']+)", re.MULTILINE)
_MAX_CARD_BYTES = 1_000_000


def read_config(folder: Path) -> tuple[str, dict[str, Any]]:
    """The kind of network and the arguments of its configuration, as JSON. Raises WeightsError, UsageError."""
    where = folder / CONFIG_FILE
    config = config_of(where)
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise WeightsError(
            f"{where}: expected a network for texts in Hugging Face layout, with `model_type`; found "
            f"{', '.join(sorted(config)[:5]) or 'no JSON object'}"
        )
    if "quantization_config" in config:
        raise WeightsError(f"{where}: quantized weights; expected float ones, which edgetl quantizes itself")
    arguments = {name: value for name, value in config.items() if name not in _IDLE}
    _config(kind, arguments, str(where))
    return kind, arguments


def construct(architecture: str, model_args: Mapping[str, Any], num_classes: int) -> nn.Module:
    """TextClassifier over the encoder or decoder `architecture` with random weights, attention as plain products.

    model_args  `config`: of the network; `pad`: the token that fills up; `pooling`
    Raises UsageError if `transformers` is missing or cannot build it.
    """
    config = _config(architecture, model_args["config"], f"transformers `{architecture}`")
    config.use_cache = False
    encoder = _empty("AutoModel", architecture, config)
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # nothing reads it
    return TextClassifier(encoder, int(config.hidden_size), num_classes, model_args["pad"], model_args["pooling"])


def empty_decoder(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The language model `architecture` with its own head and random weights, attention as plain products."""
    config = _config(architecture, arguments, f"transformers `{architecture}`")
    network: nn.Module = _empty("AutoModelForCausalLM", architecture, config)
    return network


def _empty(kind: str, architecture: str, config: Any) -> Any:
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # libraries that it imports give advice
    try:
        network = getattr(_library(), kind).from_config(config, attn_implementation="eager")
    except Exception as error:  # whatever a configuration that contradicts itself runs into
        raise UsageError(f"transformers `{architecture}` cannot be built: {_first_line(error)}") from error
    finally:
        logging.disable(previous)
    for name, module in list(network.named_modules()):
        if type(module).__name__ == "Conv1D":  # GPT-2's linear layer, transposed
            _replace(network, name, nn.Linear(module.nx, module.nf))
    return network


def positions(architecture: str, arguments: Mapping[str, Any]) -> int:
    """How many tokens the network can read."""
    config = _config(architecture, arguments, f"transformers `{architecture}`")
    count = getattr(config, "max_position_embeddings", None) or _MOST_POSITIONS
    offset = (config.pad_token_id or 0) + 1 if architecture in _OFFSET_POSITIONS else 0
    return min(int(count) - offset, _MOST_POSITIONS)


def usual_pooling(folder: Path, architecture: str) -> Pooling:
    """What the folder says (sentence-transformers' `1_Pooling`); else the mean, and for a decoder the last token."""
    stated = config_of(folder / "1_Pooling" / CONFIG_FILE)
    known: dict[str, Pooling] = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "first",
        "pooling_mode_lasttoken": "last",
    }
    found = [pooling for key, pooling in known.items() if stated.get(key) is True]
    return found[0] if found else "last" if is_decoder(architecture) else "mean"


def is_decoder(architecture: str) -> bool:
    """Whether its states see only what comes before them: trained to continue a text, never to fill gaps."""
    names = _library().models.auto.modeling_auto
    return (
        architecture in names.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and architecture not in names.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )


def licence_of(folder: Path) -> str:
    """As the model card states it: `license:` at the beginning of README.md; empty if it does not."""
    card = folder / "README.md"
    try:
        text = card.read_text(encoding="utf-8") if card.stat().st_size <= _MAX_CARD_BYTES else ""
    except (OSError, UnicodeDecodeError):
        return ""
    head = text.split("---")[1] if text.startswith("---") and text.count("---") > 1 else ""
    found = _LICENCE.search(head)
    return found[1] if found else ""


def _config(kind: str, arguments: Mapping[str, Any], where: str) -> Any:
    library = _library()
    if kind not in library.CONFIG_MAPPING:
        raise UsageError(f"{where}: `transformers` {library.__version__} has no network {quoted(kind)}")
    try:
        config = library.AutoConfig.for_model(kind, **json.loads(json.dumps(dict(arguments))))
    except Exception as error:  # pydantic's, huggingface_hub's or a plain TypeError
        raise WeightsError(f"{where}: not a configuration of {quoted(kind)}: {_first_line(error)}") from error
    if getattr(config, "is_encoder_decoder", False):
        raise UsageError(f"{where}: {quoted(kind)} is an encoder with a decoder; expected one of both")
    if not isinstance(getattr(config, "hidden_size", None), int):
        raise UsageError(f"{where}: {quoted(kind)} is not a network for texts; it states no `hidden_size`")
    return config


def _library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UsageError(
            "backbone.name: a network for texts needs the package `transformers`; install edgetl with the extra `text`"
        ) from error
    return transformers


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    owner, _, last = name.rpartition(".")
    setattr(network.get_submodule(owner), last, module)
