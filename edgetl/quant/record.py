"""`quantize.json` records how a network was quantized. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgetl.files.documents import Number, read_document, write_document
from edgetl.tasks.accuracy_gates import OfHead
from edgetl.types import ClassRecall, Interval
from edgetl.types.findings import Replaceable

QUANTIZE_FILE = "quantize.json"

Method = Literal["ptq", "qat"]


@dataclass(frozen=True)
class Epoch:
    """The state after an epoch (0: calibrated, untrained), measured on the plain views of all shots.

    loss       distillation loss against the float network; NaN if training diverged
    agreement  share of shots with the float network's class
    trained    mean loss of the epoch's training steps; None for epoch 0
    """

    epoch: int
    loss: Number
    agreement: float
    trained: float | None = None


@dataclass(frozen=True)
class Judged:
    """A network with rounding on validation images.

    score        the task's metric, a fraction; drop_points  against the float network
    recalls      by class; heads  by name, of several: the key is missing otherwise
    """

    images: int
    score: float
    drop_points: Interval
    recalls: Mapping[str, ClassRecall] = field(default_factory=dict)
    heads: Mapping[str, OfHead] = field(default_factory=dict)

    @property
    def float_score(self) -> float:
        return self.score + self.drop_points.value / 100


@dataclass(frozen=True)
class Decision:
    """trained  the result of training; None if nothing was trained"""

    method: Method
    sentence: str
    calibrated: Judged
    trained: Judged | None

    @property
    def kept(self) -> Judged | None:
        """The network that is kept."""
        return self.trained if self.method == "qat" else self.calibrated


@dataclass(frozen=True)
class Correction:
    """The correction of one layer's bias. Root mean squares over its channels, in the units of its output.

    before, after  difference of the channels' mean outputs from the float network's, where its activation passes them
    """

    layer: str
    before: float
    after: float


@dataclass(frozen=True)
class QuantizeRecord:
    """One number scheme's network.

    decision            what the method was chosen by; None where the recipe names it
    operators           how many of each kind got Q/DQ
    ranges              of activations; ranges_sha256  of their scales and zero points
    history             epoch 0 first; empty where nothing was trained
    chosen_epoch        0: calibration alone
    calibration_images  that the ranges were observed on; ranges_given  in an earlier run
    replaceable         what surgery could replace
    reference_agreement share of the first shots with the float network's class
    """

    scheme: str
    profile: str
    method: Method
    decision: Decision | None
    operators: Mapping[str, int]
    ranges: int
    ranges_sha256: str
    batch_norms_folded: int
    batch_norms_left: int
    history: tuple[Epoch, ...]
    chosen_epoch: int
    calibration_images: int
    ranges_given: bool
    replaceable: Replaceable
    bias_corrections: tuple[Correction, ...]
    device: str
    reference_agreement: float
    schema: Literal[1] = 1

    @property
    def epochs(self) -> int:
        """Of training, taken back or not."""
        return max(0, len(self.history) - 1)


def write_quantize(record: QuantizeRecord, folder: Path) -> None:
    judged = record.decision.calibrated if record.decision else None
    of_one = {"decision": {"calibrated": {"heads"}, "trained": {"heads"}}}
    write_document(folder / QUANTIZE_FILE, record, leave_out=None if judged and judged.heads else of_one)


def read_quantize(folder: Path) -> QuantizeRecord:
    """From the folder of a quantize stage. Raises EdgetlError."""
    return read_document(folder / QUANTIZE_FILE, QuantizeRecord, "a record of quantization of schema 1")
