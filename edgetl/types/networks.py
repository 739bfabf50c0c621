"""A pretrained network: the source of its weights, and the values needed to rebuild it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgetl.types.inputs import ImagePreprocessing, Preprocessing, as_image


@dataclass(frozen=True)
class WeightSource:
    """The source of pretrained weights, found without torch so that it can be part of a stage's key.

    kind    "local-dir" (folder of timm or transformers: config.json + model.safetensors), "file" (a checkpoint),
            "hub" (timm's or torchvision's own download, cached by them), "none" (random weights, only when asked for)
    path    the folder or file, absolute; empty for "hub" and "none"
    digest  sha256 of the weights' bytes; empty for "hub" and "none"
    module  "FILE.py" of the user's own network, absolute; part of the digest
    held    for "hub": the contents of the searched folders, for the message of a failed download
    """

    kind: Literal["local-dir", "file", "hub", "none"]
    path: str = ""
    digest: str = ""
    module: str = ""
    held: str = field(default="", compare=False)


@dataclass(frozen=True)
class NetworkSpec:
    """The values needed to rebuild the adapted network and fill it from a state dict."""

    library: Literal["timm", "torchvision", "edgetl", "transformers", "module"]
    architecture: str
    model_args: Mapping[str, object]
    num_classes: int
    classifier: str  # name of the layer that gives the logits
    preprocessing: Preprocessing
    surgery: tuple[str, ...] = ()  # parts replaced after adaptation: names of `edgetl.backbones.replaceable`
    licence: str = ""  # of the pretrained weights, as they state it

    @property
    def image(self) -> ImagePreprocessing:
        """How an image becomes its input, for what is about images only."""
        return as_image(self.preprocessing)

    @property
    def source(self) -> str:
        """Where the pretrained weights came from, in words."""
        return f"{self.library} {self.architecture}"
