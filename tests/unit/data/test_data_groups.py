"""Groups are read from names by one pattern; a name without a group is an error, not a group of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_runs import small_run

from edgetl.data.groups import SharedGroup, SplitKeys, group_keys, order_by_group, shared_groups, split_keys, val_groups
from edgetl.data.scan import Listing
from edgetl.data.split import make_split
from edgetl.errors import UsageError
from edgetl.recipes.data import Data
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.types import Sample, Split


def listing(*names: str, root: str = "/data") -> Listing:
    return Listing(Path(root), None, ("a", "b"), tuple((f"{root}/{name}", 0) for name in names), ())


def keys(pattern: str, *names: str) -> list[str]:
    found = group_keys(pattern, listing(*names))
    return [found[f"/data/{name}"] for name in names]


def test_the_whole_match_is_the_key_without_a_capture_group() -> None:
    assert keys(r"video\d+", "a/video1_7.jpg", "b/video12_7.jpg") == ["video1", "video12"]


def test_the_first_capture_group_is_the_key() -> None:
    assert keys(r"(p\d+)_(\d+)", "a/p3_0.jpg", "a/p3_1.jpg") == ["p3", "p3"]


def test_the_group_of_that_name_is_the_key() -> None:
    assert keys(r"(\d+)-(?P<group>[a-z]+)", "a/1-north.jpg", "a/2-north.jpg") == ["north", "north"]


def test_the_pattern_sees_the_folders_below_the_root_only() -> None:
    assert keys(r"^[^/]+/([^/]+)/", "a/site1/0.jpg", "b/site2/0.jpg") == ["site1", "site2"]
    with pytest.raises(UsageError, match=r"matches no group in 1 of 1 names: `a/0\.jpg`"):
        keys("data", "a/0.jpg")


@pytest.mark.parametrize("pattern", [r"p\d+", r"x*", r"(p\d+)?\.jpg"])
def test_names_without_a_group_are_named_and_counted(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"in 4 of 4 names: `a/q1.jpg`, `a/q2.jpg`, `a/q3.jpg` and 1 more; expected"):
        keys(pattern, "a/q1.jpg", "a/q2.jpg", "a/q3.jpg", "b/q4.jpg")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(p", "`data.group_by`: expected a regular expression: missing ), unterminated subpattern"),
        ("", "`data.group_by`: expected at least 1 character; found"),
        ("x" * 201, "`data.group_by`: expected at most 200 characters; found"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused_with_the_recipe(pattern: str, problem: str) -> None:
    raw = {"name": "x", "data": {"train": "t", "group_by": pattern}, "backbone": {"name": "m"}, "targets": ["x86-cpu"]}
    with pytest.raises(UsageError) as caught:
        parse_recipe(raw, where="recipe.yaml")
    assert str(caught.value).startswith(f"recipe.yaml: {problem}")


def split_of(shots: list[str], val: list[str], root: str) -> Split:
    def samples(part: str, names: list[str]) -> tuple[Sample, ...]:
        return tuple(Sample(f"{root}/{part}/{name}", 0, "") for name in names)

    return Split(("a", "b"), samples("train", shots), samples("val", val), (), "squash", "", "")


def test_validation_pictures_of_groups_that_teach_are_found(tmp_path: Path) -> None:
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
    split = split_of(["a/v1_0.png", "a/v2_0.png", "b/v2_1.png"], ["a/v3_0.png", "b/v2_9.png"], str(tmp_path))
    data = {"train": "train", "val": "val"}
    keys = split_keys(small_run(split, tmp_path, data={**data, "group_by": r"v\d+"}))
    assert keys == SplitKeys(("v1", "v2", "v2"), ("v3", "v2"))
    assert shared_groups(keys) == (SharedGroup("v2", shot=1, val=1),)
    assert split_keys(small_run(split, tmp_path, data=data)) is None
    assert val_groups(small_run(split, tmp_path, data={**data, "group_by": r"v\d+"})) is None  # shares have none


@pytest.mark.parametrize("place", ["all.csv", "lists/all.csv"])
def test_groups_are_read_from_the_names_that_the_draw_used(tmp_path: Path, place: str) -> None:
    """A list beside its images, and one in a folder of its own, whose images are `../imgs/...`."""
    rows = [f"imgs/p{patient}{label}/{i}.png,{label}" for patient in range(4) for label in "ab" for i in range(3)]
    for number, row in enumerate(rows):
        path = tmp_path / row.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    at = tmp_path / place
    at.parent.mkdir(exist_ok=True)
    up = "../" * (len(at.relative_to(tmp_path).parts) - 1)
    at.write_text("\n".join(["path,label", *(up + row for row in rows)]) + "\n")
    pattern = r"^(?:imgs/)?([^/]+)/"
    config = Data(train=place, shots=2, group_by=pattern, augment="none")
    split = make_split(config, tmp_path)
    keys = split_keys(small_run(split, tmp_path, data=config))
    assert keys is not None
    assert set(keys.shots) | set(keys.val) == {f"p{patient}{label}" for patient in range(4) for label in "ab"}
    assert shared_groups(keys) == ()


def test_every_teaching_group_gives_one_before_any_gives_two() -> None:
    paths = [f"g{group}/{i}" for i in range(3) for group in range(4)]
    (drawn,) = order_by_group([paths], ["a"], {path: path[:2] for path in paths}, seed=0)
    first, second, last = ({path[:2] for path in drawn[at : at + 2]} for at in (0, 2, 4))
    assert first == second == last
    assert len(first) == 2


def test_the_class_with_the_fewest_groups_keeps_one_to_measure_on() -> None:
    keyed = {f"{label}{group}": f"g{group}" for label, count in (("a", 8), ("b", 2)) for group in range(count)}
    parts = [[path for path in keyed if path[0] == label] for label in "ab"]
    for seed in range(20):
        many, few = order_by_group(parts, ["a", "b"], keyed, seed)
        taught = {keyed[path] for path in (*many[:4], few[0])}
        assert len(taught) == 4
        assert {keyed[path] for path in few} - taught


@given(st.lists(st.lists(st.integers(0, 6), max_size=12), min_size=1, max_size=4), st.integers(0, 99))
def test_any_order_holds_every_path_once_and_is_repeated(classes: list[list[int]], seed: int) -> None:
    keyed = {f"{label}/{i}": str(group) for label, groups in enumerate(classes) for i, group in enumerate(groups)}
    parts = [[f"{label}/{i}" for i in range(len(groups))] for label, groups in enumerate(classes)]
    names = [str(label) for label in range(len(classes))]
    drawn = order_by_group(parts, names, keyed, seed)
    assert [sorted(part) for part in drawn] == [sorted(part) for part in parts]
    assert drawn == order_by_group(parts, names, keyed, seed)
