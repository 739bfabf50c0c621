"""The recipe: every key, its default and its bounds; defaults suit a few shots per class.

Field descriptions feed the JSON schema and the generated reference page.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from edgetl.recipes.data import Data
from edgetl.recipes.fronts import Audio, Series, Text
from edgetl.recipes.gates import Gates
from edgetl.recipes.heads import refuse_for_heads
from edgetl.recipes.input_size import InputSize
from edgetl.recipes.network import Network, with_backbone_of_network
from edgetl.recipes.section import Section
from edgetl.types import FrontName

Task = Literal["classification", "detection"]


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _patterns(value: Any) -> Any:
    return value if value == "auto" else _as_list(value)


OneOrMore = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A list of names; a single name is a list of one."""


class Check(Section):
    """Checks of the images before training."""

    allow_leak: bool = False
    """Continue although an image or a group is on both sides of the split; the report names it."""
    features: bool = True
    """Run the pretrained backbone over the images: near neighbors, improbable labels, drift."""
    max_images: int = Field(default=1000, ge=10, le=2000)
    """Limit of images per side for these checks: the first of the draw, stratified. Copies are searched in all
    images."""


class Backbone(Section):
    """The pretrained network to adapt."""

    name: str
    """A timm name, `local-dir:PATH`, `tv_NAME` for torchvision, or `edgetl:NAME` for the one in the package. For
    `front: audio`: `speech_embedding`, `kws_ds_cnn_l`, `kws_lstm_m`, `kws_gru_m`, or `bc_resnet_1` to `_3`. For
    `front: text`: a folder in Hugging Face layout (config.json, safetensors and the tokenizer's files), `text_lstm`,
    `text_gru`, `char_lstm`, or `stories260k`. For `front: series`, without weights: `minirocket`, `resnet_1d`, `gru`,
    or `lstm`. `module:FILE.py:FUNCTION` for a torch network of your own (`module: FILE.py:FUNCTION` is the same)."""
    weights: str | None = None
    """Checkpoint to load: a safetensors file (or a torch file, opened with weights_only), or a folder of
    `edgetl pretrain`. Relative to the recipe."""
    pretrained: bool = True
    """False starts from random weights."""
    weights_dir: OneOrMore = ()
    """Folder of pretrained weights (`<folder>/<name>/`), or a list of them. Searched before the hub; relative to the
    recipe."""
    input_size: InputSize | None = None
    """Side of the square input in pixels, or `[height, width]`. Omitted: the backbone's own."""

    @model_validator(mode="before")
    @classmethod
    def _named_by_module(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("module"), str):
            return values
        if "name" in values:
            raise ValueError("module and name exclude each other; keep one of them")
        return {"name": f"module:{values['module']}", **{key: each for key, each in values.items() if key != "module"}}

    def identity(self) -> dict[str, Any]:
        """The values that a result depends on, as JSON; without the folders of weights, which count by their
        content."""
        return self.model_dump(mode="json", exclude={"weights_dir"})

    def height_and_width(self) -> tuple[int, int] | None:
        """Sides of the input in pixels; None for the backbone's own."""
        size = self.input_size
        return (size, size) if isinstance(size, int) else size


class Detector(Section):
    """The detector on the backbone, for `task: detection`. Not for a backbone that is a whole detector already:
    `yolox_nano`, `ssd_mobilenet_v1`, `tv_ssdlite320_mobilenet_v3_large`, ..."""

    family: Literal["auto", "anchor-free", "ssd", "faster-rcnn"] = "auto"
    """anchor-free: feature pyramid and one prediction per position. ssd: several default boxes per position, cheapest.
    faster-rcnn: two stages, slowest, needs the fewest images. auto: anchor-free, or what the backbone is."""
    width: Annotated[int, Field(ge=16, le=512)] = 96
    """Channels of the feature pyramid and of the layers that predict."""


class Adapt(Section):
    """Fine-tuning on the few shots."""

    strategy: Literal["auto", "probe", "finetune"] = "auto"
    """probe: only a new head; in a detector all layers after the backbone. finetune: head, then backbone. auto: the
    best on held-out shots."""
    head: Literal["auto", "ncm", "cosine", "ridge", "firm", "logistic", "views"] = "auto"
    """How the new head is fitted on frozen features. firm: logistic regression under a strong penalty. views: on all
    augmented views. auto: the best of ncm, cosine and logistic on held-out shots; for texts of firm, for sounds of
    views too."""
    freeze: Annotated[Literal["auto"] | tuple[str, ...], BeforeValidator(_patterns)] = "auto"
    """Parameters to keep unchanged, by prefix (`blocks.0`) or wildcard (`*.conv_dw.*`). auto: tries several depths."""
    train_last: Annotated[int, Field(ge=1)] | None = None
    """Fine-tune only this many of the last parts, instead of `freeze`."""
    epochs: int = Field(default=30, ge=1, le=1000)
    """Epochs of fine-tuning. For detection 30 means: every image 30 times, but at least 960 and at most 1920 views in
    all. Omitted for pretrained networks of texts: 640 texts in all, each 4 to 20 times."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Images per step. Omitted for texts: 16."""
    learning_rate: Literal["auto"] | Annotated[float, Field(gt=0, le=1)] = "auto"
    """Peak learning rate of AdamW. auto: tries several."""
    unfreeze_epochs: int = Field(default=0, ge=0)
    """Gradual unfreezing: train the head first, then one more part after each such number of epochs. 0: all at once."""
    batch_norm: Literal["frozen", "reestimated", "trained"] = "frozen"
    """Batch-norm statistics: pretrained, computed once on the shots, or updated during training."""
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    """AdamW weight decay."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Label smoothing of the cross entropy."""
    views: int = Field(default=8, ge=0, le=100)
    """Augmented views per image with cached frozen activations. For detection 8 means: up to 24, fewer with many
    images."""
    folds: Literal["auto"] | Annotated[int, Field(ge=2, le=20)] = "auto"
    """Folds of the cross-validation. auto: 5, or 3 from 60 shots on; 3 for detection."""
    budget_minutes: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    """Budget of the search on two CPU cores, estimated from the network (not timed, so equal runs stay equal). auto: 3
    minutes for 100 shots, in proportion to the shots, 1.5 to 20; at least 5 for detection and texts."""
    patience: int = Field(default=8, ge=1)
    """Stop a trial after this many epochs without a better held-out loss in the second half of its schedule."""
    sanity: Literal["refuse", "warn"] = "refuse"
    """What to do if the pretrained weights are no better than random ones."""
    seed: int = Field(default=0, ge=0)
    """Seed of folds, order and augmentation."""

    @model_validator(mode="after")
    def _one_way_to_freeze(self) -> Adapt:
        if self.train_last is not None and self.freeze != "auto":
            raise ValueError("freeze and train_last exclude each other; keep one of them")
        return self

    @model_validator(mode="after")
    def _statistics_of_several(self) -> Adapt:
        if self.batch_norm == "trained" and self.batch_size == 1:
            raise ValueError("batch_norm: trained needs more than one example per batch; raise batch_size to 2 or more")
        return self


class Quantize(Section):
    """Quantization to the target's number format."""

    method: Literal["auto", "qat", "ptq", "none"] = "auto"
    """ptq: only observe ranges. qat: quantization-aware training. auto: ptq if it loses at most half of what the gates
    allow on the validation images, else the better of both. none: float builds only."""
    epochs: int = Field(default=6, ge=1, le=1000)
    """Epochs of quantization-aware training."""
    batch_size: int = Field(default=32, ge=1, le=4096)
    """Images per step."""
    learning_rate: float = Field(default=1e-5, gt=0, le=1)
    """Peak rate of AdamW."""
    temperature: float = Field(default=2.0, gt=0)
    """Softmax temperature of the distillation from the float network (Hinton et al. 2015, arXiv:1503.02531)."""
    bias_correction: bool = True
    """Compensate the mean rounding error of each layer's output in its bias, after calibration."""
    ranges: str | None = None
    """Observed ranges of an earlier run (its `ranges.safetensors`) instead of calibration; refused unless they belong
    to this network, scheme and profile. Relative to the recipe."""
    seed: int = Field(default=0, ge=0)
    """Seed of order and augmentation."""


class Surgery(Section):
    """A network without the parts that INT8 runtimes compute in float, as one more candidate."""

    when: Literal["auto", "off"] = "auto"
    """auto: if INT8 is measured as slower than a float build and the network has such parts. It ships only if it passes
    the gates, which compare it with the original network, and is the fastest."""
    activations: Literal["relu", "relu6", "keep"] = "relu"
    """Replacement of hard-swish, SiLU, GELU and similar activations."""
    gates: Literal["constant", "keep"] = "constant"
    """constant: squeeze-and-excitation gates become constants, which are merged into adjacent layers."""
    epochs: int = Field(default=40, ge=0, le=1000)
    """Epochs of distillation from the original network, each with one augmented view per shot."""
    batch_size: int = Field(default=16, ge=1, le=4096)
    """Images per step."""
    learning_rate: float = Field(default=3e-4, gt=0, le=1)
    """Peak rate of AdamW."""
    temperature: float = Field(default=2.0, gt=0)
    """Softmax temperature of the distillation (Hinton et al. 2015, arXiv:1503.02531)."""
    seed: int = Field(default=0, ge=0)
    """Seed of order and augmentation."""


class Bench(Section):
    """How latency is measured."""

    runs: int = Field(default=300, ge=300, le=1_000_000)
    """Timed runs per build. An upper confidence bound for p99 needs at least 299."""
    warmup: int = Field(default=30, ge=1)
    """Untimed runs before them."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Threads per inference."""
    cold_starts: int = Field(default=3, ge=1, le=100)
    """Fresh processes per build that open it and infer once; their median is the cold start."""
    emulate: bool = True
    """Check accuracy under an emulator if the target's CPU is absent and the emulator is installed."""
    emulated_images: int = Field(default=64, ge=1)
    """Validation images used under emulation (which is about a hundred times slower)."""


NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
NAME_WORDS = "up to 64 letters, digits, `_`, `.`, `-`, starting with a letter or digit"


def _plain_name(value: str) -> str:
    if not re.fullmatch(NAME, value):
        raise ValueError(f"expected {NAME_WORDS}")
    return value


class Recipe(Section):
    """The settings of one build."""

    name: Annotated[str, AfterValidator(_plain_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME}$"})]
    """Name of the bundles: letters, digits, `_`, `.`, `-`."""
    task: Task = "classification"
    """classification: one class for each image. detection: the classes and boxes of the objects in it."""
    front: FrontName = "image"
    """What the examples are: images, clips of sound (WAV; FLAC and OGG with the extra `audio`), texts (UTF-8), or
    windows of sensor channels (NPZ, CSV, Parquet)."""
    data: Data
    check: Check = Check()
    audio: Audio = Audio()
    text: Text = Text()
    series: Series = Series()
    backbone: Backbone
    network: Network | None = None
    """A trained ONNX classifier of your own, instead of `backbone`."""
    detector: Detector = Detector()
    adapt: Adapt = Adapt()
    quantize: Quantize = Quantize()
    surgery: Surgery = Surgery()
    calibration: str = "default"
    """Name of a calibration profile (`edgetl targets --calibration` lists them)."""
    targets: OneOrMore
    """Names of the targets to build for (`edgetl targets` lists them)."""
    gates: Gates = Gates()
    bench: Bench = Bench()
    choose: Literal["fastest", "int8", "float32"] = "fastest"
    """Which passing build ships. fastest: by measured latency, if the hardware is present."""
    repair: Literal["auto", "off"] = "auto"
    """auto: if INT8 misses an accuracy gate on its runtime, make a mixed-precision build with the costliest layers in
    float."""
    out: str | None = None
    """Output folder, relative to the recipe. Omitted: `<name>-build`."""

    @model_validator(mode="before")
    @classmethod
    def _network_instead_of_backbone(cls, values: Any) -> Any:
        return with_backbone_of_network(values)

    @model_serializer(mode="wrap")
    def _without_a_missing_network(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys of builds without it stay as they are."""
        written: dict[str, Any] = values(self)
        return {name: value for name, value in written.items() if name != "network" or value is not None}

    @field_validator("targets")
    @classmethod
    def _unique(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("expected the name of at least one target")
        repeated = sorted({name for name in value if value.count(name) > 1})
        if repeated:
            raise ValueError(f"listed twice: {', '.join(repeated)}")
        return value

    @model_validator(mode="after")
    def _keys_of_a_network(self) -> Recipe:
        of_images = (self.task, self.front) == ("classification", "image")
        if self.backbone.name.startswith(("onnx:", "module:")) and not of_images:
            raise ValueError("network and backbone.module are for front: image and task: classification")
        if self.network is None:
            return self
        if self.quantize.method == "qat":
            raise ValueError("quantize.method: qat trains, and an imported network is only calibrated; use ptq")
        if self.quantize.ranges is not None:
            raise ValueError("quantize.ranges is for networks that edgetl adapted; leave it out")
        return self

    @model_validator(mode="after")
    def _gates_of_the_task(self) -> Recipe:
        if self.task == "classification":
            return self
        for key in ("min_top1", "min_recall", "max_recall_drop_points"):
            if getattr(self.gates, key) is not None:
                instead = "; use gates.min_score" if key == "min_top1" else ""
                raise ValueError(f"gates.{key} is for classification, not for task: {self.task}{instead}")
        return self

    @model_validator(mode="after")
    def _training_of_the_task(self) -> Recipe:
        usual = Adapt()
        for key in ("head", "train_last", "unfreeze_epochs", "batch_norm", "label_smoothing", "patience", "sanity"):
            if self.task == "detection" and getattr(self.adapt, key) != getattr(usual, key):
                raise ValueError(f"adapt.{key} is for classification, not for task: {self.task}; leave it out")
        return self

    @model_validator(mode="after")
    def _keys_of_the_front(self) -> Recipe:
        _refuse_for_front(self)
        refuse_for_heads(self)
        return self

    @model_validator(mode="after")
    def _all_shots_need_val(self) -> Recipe:
        if self.data.shots == "all" and self.data.val is None:
            raise ValueError("data.shots: all leaves nothing for validation; set data.val or give a number")
        return self


_VIEWS = {
    "image": ("auto", "none", "light", "text", "natural", "overhead"),
    "audio": ("auto", "none", "light", "speech", "sounds"),
    "text": ("auto", "none", "light"),
    "series": ("auto", "none", "light"),
}
_MEL = ("bands", "frame_ms", "hop_ms", "low_hz", "high_hz", "coefficients")
_SECTIONS = {"audio": Audio(), "text": Text(), "series": Series()}


def _refuse_for_front(recipe: Recipe) -> None:
    """Raise ValueError for a value that only another front takes."""
    front = recipe.front
    if front != "image" and recipe.task == "detection":
        raise ValueError(f"front: {front} is for task: classification, not for task: detection")
    if recipe.data.augment not in _VIEWS[front]:
        allowed = ", ".join(_VIEWS[front])
        raise ValueError(f"data.augment: {recipe.data.augment} is not for front: {front}; use one of {allowed}")
    for section, default in _SECTIONS.items():
        if section != front and getattr(recipe, section) != default:
            raise ValueError(
                f"{section} is for front: {section}, not for front: {front}; set front: {section} or leave it out"
            )
    _refuse_columns(recipe)
    if front == "image":
        return
    for key, value, usual in (
        ("data.resize", recipe.data.resize, "auto"),
        ("backbone.input_size", recipe.backbone.input_size, None),
    ):
        if value != usual:
            raise ValueError(f"{key} is for front: image, not for front: {front}; leave it out")
    for key in _MEL:
        if front == "audio" and recipe.backbone.pretrained and getattr(recipe.audio, key) != getattr(Audio(), key):
            raise ValueError(f"audio.{key} is for backbone.pretrained: false; leave it out")


def _refuse_columns(recipe: Recipe) -> None:
    columns = recipe.data.columns
    if columns is None:
        return
    if recipe.front != "text":
        if columns.text is not None:
            raise ValueError(f"data.columns.text is for front: text, not for front: {recipe.front}; leave it out")
        if columns.path is None:
            raise ValueError("data.columns.path is missing")
    elif (columns.path is None) == (columns.text is None):
        raise ValueError("data.columns: expected text, for texts in the table itself, or path, for texts in files")


def recipe_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a recipe file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(),
        "title": "edgetl recipe",
    }
