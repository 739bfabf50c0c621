"""The key of observed ranges, and what is said about a part of it that moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_calibration import PROFILE, SCHEME, P, calibration_images, parts_of, tiny

from edgetl.files.digest import value_digest
from edgetl.quant.ranges import binding, describe_changes
from edgetl.stages.keys import TRAINING_TOOLS
from edgetl.types import CalibrationProfile, Sample

SAMPLES = tuple(Sample(f"{number}.png", 0, f"{number:064x}") for number in range(40))
MIN_MAX = replace(PROFILE, observer="min-max")


def _parts(samples: tuple[Sample, ...] = SAMPLES, **changed: Any) -> dict[str, Any]:
    return parts_of(tiny(), calibration_images(samples), **changed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"weights": "0"}, "weights changed"),
        ({"network": {"architecture": "large"}}, "network changed (architecture tiny -> large)"),
        ({"p": replace(P, height=24, width=24)}, "preprocessing changed (height 16 -> 24, width 16 -> 24)"),
        ({"profile": replace(PROFILE, observer="mse")}, "profile changed from entropy to mse"),
        ({"profile": replace(PROFILE, views=3)}, "profile changed (views 2 -> 3)"),
        ({"policy": "light"}, "augmentation changed from natural to light"),
        ({"scheme": replace(SCHEME, operators=("conv", "add"))}, None),
    ],
)
def test_a_part_that_moved_changes_the_key_and_is_named(changed: dict[str, Any], said: str | None) -> None:
    before, now = _parts(), _parts(**changed)
    assert value_digest(before) != value_digest(now)
    phrases = describe_changes(before, now)
    assert phrases == [said] if said else phrases[0].startswith("scheme changed (operators ")


def test_images_that_changed_are_counted() -> None:
    new = (*SAMPLES[:37], *(replace(sample, sha256="f" * 63 + str(n)) for n, sample in enumerate(SAMPLES[37:])))
    assert describe_changes(_parts(), _parts(new)) == ["images changed (3 of 40)"]
    assert describe_changes(_parts(), _parts(SAMPLES[:30])) == ["images changed (0 new of 30, before 40)"]


def test_another_order_of_the_images_is_another_key_because_their_views_differ() -> None:
    assert describe_changes(_parts(), _parts(SAMPLES[::-1])) == ["images changed their order"]


def test_another_version_of_a_tool_is_named_with_both() -> None:
    before = _parts()
    before["tools"] = {**before["tools"], "torch": "2.14.0"}
    now = _parts()
    assert describe_changes(before, now) == [f"torch 2.14.0 -> {now['tools']['torch']}"]


def test_names_of_profiles_and_what_is_not_used_leave_the_key_alone() -> None:
    renamed = replace(PROFILE, name="other", summary="other", percentile=90.0)
    assert describe_changes(_parts(), _parts(profile=renamed)) == []
    plain = CalibrationProfile("plain", "", 8, "min-max")
    assert _parts(profile=plain, policy="natural") == _parts(profile=plain, policy="light")


def test_schemes_that_annotate_alike_share_what_was_observed() -> None:
    symmetric = replace(SCHEME, activation_dtype="int8", activation_symmetric=True, weight_pairs_in_int16=True)
    assert _parts(scheme=symmetric) == _parts()


def test_every_tool_that_ranges_depend_on_is_counted_by_the_stages_that_train() -> None:
    assert set(_parts()["tools"]) <= set(TRAINING_TOOLS)


def test_a_percentile_is_part_of_the_key_where_it_counts() -> None:
    profiles = [replace(PROFILE, observer="percentile", percentile=value) for value in (99.0, 99.9)]
    assert describe_changes(*(_parts(profile=profile) for profile in profiles)) == [
        "profile changed (percentile 99.0 -> 99.9)"
    ]


def test_shipped_ranges_are_bound_to_the_network_and_not_to_the_images(tmp_path: Path) -> None:
    other = _parts(SAMPLES[:5], policy="light")
    assert describe_changes(binding(_parts()), binding(other)) == []
    assert describe_changes(binding(_parts()), binding(_parts(weights="0"))) == ["weights changed"]
