"""The space of a sweep: what a file may say, and what is refused in one line that names file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgetl.errors import UsageError
from edgetl.sweep.space import Range, Space, overrides, read_space, with_settings

RAW: dict[str, Any] = {
    "name": "digits",
    "data": {"train": "scans"},
    "backbone": {"name": "edgetl:printed_characters", "input_size": 32},
    "targets": ["x86-cpu"],
}


def read(folder: Path, text: str, **changes: Any) -> Space:
    path = folder / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return read_space(path, RAW | changes)


def test_a_list_is_combined_with_every_other_the_last_key_fastest(tmp_path: Path) -> None:
    space = read(tmp_path, "choose: [int8, float32]\nadapt.epochs: [1, 2]\n")
    assert space.size == 4
    assert [tuple(each.values()) for each in space.combinations()] == [
        ("int8", 1),
        ("int8", 2),
        ("float32", 1),
        ("float32", 2),
    ]


def test_a_range_of_whole_numbers_stays_whole_and_makes_the_space_infinite(tmp_path: Path) -> None:
    space = read(
        tmp_path, "adapt.epochs: {low: 1, high: 30}\nquantize.learning_rate: {low: 1e-6, high: 1e-3, log: true}"
    )
    epochs, rate = (axis.values for axis in space.axes)
    assert isinstance(epochs, Range)
    assert isinstance(rate, Range)
    assert (epochs.whole, rate.whole, rate.log) == (True, False, True)
    assert not space.is_finite


def test_a_bare_backbone_is_its_name_and_keeps_the_recipes_other_keys(tmp_path: Path) -> None:
    space = read(tmp_path, "backbone: [resnet18, mobilenetv2_100]")
    first = next(iter(space.combinations()))
    assert with_settings(RAW, first)["backbone"] == {"name": "resnet18", "input_size": 32}
    assert overrides(first) == ('backbone.name="resnet18"',)


def test_several_targets_of_the_recipe_become_alternatives(tmp_path: Path) -> None:
    space = read(tmp_path, "choose: [int8]", targets=["x86-cpu", "intel-cpu"])
    assert [axis.key for axis in space.axes] == ["choose", "targets"]
    assert with_settings(RAW, list(space.combinations())[1])["targets"] == "intel-cpu"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected recipe keys with lists of values"),
        ("adapt.epoch: [1]", "unknown key `adapt.epoch`; did you mean `epochs`?"),
        ("adapt.epochs: [1, many]", "`adapt.epochs`: expected a whole number"),
        ("adapt.epochs: {low: 0, high: 9}", "`adapt.epochs`: expected at least 1"),
        ("adapt.epochs: {low: 9, high: 1}", "expected low below high"),
        ("adapt.epochs: {low: 0, high: 9, log: true}", "log needs a low above 0"),
        ("adapt.epochs: {low: 1, high: 9, lag: true}", "unknown key `lag`"),
        ("adapt.epochs: 3", "expected a list of values or {low: 1, high: 10, log: true}"),
        ("adapt: {epochs: [1]}", "a key of a section is written with a dot: `adapt.epochs`"),
        ("adapt.epochs: []", "expected 1 to 1000 values; found 0"),
        ("adapt.epochs: [1, 1]", "1 is listed twice"),
        ("adapt.head.x: [1]", "`adapt.head`: expected"),
        ("name.x: [1]", "`name.x` is the same in all trials; set it in the recipe"),
        ("gates.min_top1: [0.5]", "`gates.min_top1` is the same in all trials"),
        ("data.shots: [5, 10]", "trials are compared on the same images"),
        ("targets: [[x86-cpu, intel-cpu]]", "a trial builds for one target"),
        ("targets: [x86-cp]", "`targets`: unknown target `x86-cp`; did you mean `x86-cpu`?"),
        ("input_size: [32]", "unknown key `input_size`; did you mean `backbone.input_size`?"),
        ("backbone: [resnet18]\nbackbone.name: [resnet18]", "`backbone.name` is set twice"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read(tmp_path, text)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/space.yaml: ")
    assert words in message
    assert "\n" not in message
