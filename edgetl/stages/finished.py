"""What the stages before the report left, as the report reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgetl.store.results import StageResult


@dataclass(frozen=True)
class Networks:
    """One network in all forms that builds are made of: float, INT8 by number scheme, and exported."""

    adapted: StageResult
    quantized: Mapping[str, StageResult]
    pivot: StageResult


@dataclass(frozen=True)
class Built:
    """One target's builds and the bench of all of them.

    repair   where INT8 missed an accuracy gate; surgery  of the network that one more build was made of
    """

    builds: tuple[StageResult, ...]
    bench: StageResult
    repair: StageResult | None = None
    surgery: StageResult | None = None


@dataclass(frozen=True)
class Finished:
    """All of it. targets  by name, in the recipe's order"""

    checked: StageResult
    networks: Networks
    targets: Mapping[str, Built]
