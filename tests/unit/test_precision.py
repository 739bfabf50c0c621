"""One table says what a build's name means."""

from __future__ import annotations

from typing import get_args

from edgetl.bundle.write import TOLERANCES
from edgetl.recipes.targets import load_target, target_names
from edgetl.report.plots import SERIES
from edgetl.types import PRECISIONS, NumberFormat, Precision


def test_every_precision_is_a_row_named_by_its_variant_or_its_format() -> None:
    assert set(PRECISIONS) == set(get_args(Precision))
    for name, kind in PRECISIONS.items():
        assert name == (kind.format if kind.variant == "plain" else kind.variant)


def test_every_number_format_has_a_tolerance_and_every_precision_a_color() -> None:
    assert set(TOLERANCES) == {kind.format for kind in PRECISIONS.values()} == set(get_args(NumberFormat))
    assert set(SERIES) == set(PRECISIONS)


def test_targets_ask_for_plain_networks_only() -> None:
    asked = {precision for name in target_names() for precision in load_target(name).precisions}
    assert asked == {name for name, kind in PRECISIONS.items() if not kind.made}


def test_only_int8_has_pairs_of_which_a_mixed_build_asks_for_some_in_float() -> None:
    assert [name for name, kind in PRECISIONS.items() if kind.integers] == ["int8", "mixed", "simplified"]
    assert [name for name, kind in PRECISIONS.items() if kind.all_integer] == ["int8", "simplified"]
