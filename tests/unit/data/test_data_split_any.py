"""What holds for any split of any folder."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from split_folders import fake_look, names

from edgetl.data.split import make_split
from edgetl.errors import DataError
from edgetl.recipes.data import Data


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(4, 9), st.integers(0, 3)), min_size=2, max_size=4),
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.none() | st.integers(4, 12),
    st.randoms(use_true_random=False),
)
def test_any_split_is_stratified_disjoint_and_stable(
    classes: list[tuple[int, int]], shots: int, seed: int, limit: int | None, order: random.Random
) -> None:
    config = Data(train=".", shots=shots, seed=seed, max_val_images=limit)
    files = [
        (f"class{k}/{'broken' if i < broken else 'good'}{i}.png", i < broken)
        for k, (good, broken) in enumerate(classes)
        for i in range(good + broken)
    ]
    splits = []
    for _ in range(2):
        order.shuffle(files)
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            for name, is_broken in files:
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(f"{'broken' if is_broken else 'good'} {name}")
            split = make_split(config, root, look=fake_look)
            splits.append((names(split, root), split.digest))
    assert splits[0] == splits[1]
    shot_names, val_names = splits[0][0]
    assert not set(shot_names) & set(val_names)
    assert len(set(shot_names)) == len(shot_names)
    assert len(set(val_names)) == len(val_names)
    assert not any("broken" in name for name in shot_names + val_names)
    assert set(Counter(name.split("/")[0] for name in shot_names).values()) == {shots}
    assert len(Counter(name.split("/")[0] for name in val_names)) == len(classes)
    left = sum(good - shots for good, _ in classes)
    assert len(val_names) == left if limit is None else len(val_names) <= min(limit, left)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 4), min_size=3, max_size=6), min_size=2, max_size=3),
    st.integers(1, 3),
    st.integers(0, 2**32),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_grouped_split_keeps_groups_apart_and_is_stable(
    classes: list[list[int]], shots: int, seed: int, shared: bool, order: random.Random
) -> None:
    config = Data(train=".", shots=shots, seed=seed, group_by=r"^(?:\w+/)?(?P<group>\w+)-")
    files = [
        f"class{k}/{'' if shared else f'own{k}'}g{group}-{i}.png"
        for k, sizes in enumerate(classes)
        for group, size in enumerate(sizes)
        for i in range(size)
    ]
    splits = []
    for _ in range(2):
        order.shuffle(files)
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            for name in files:
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(f"good {name}")
            try:
                splits.append(names(make_split(config, root, look=fake_look), root))
            except DataError:  # nothing left to measure on
                splits.append(([], []))
    assert splits[0] == splits[1]
    teach, measure = ({name.split("/")[1].split("-")[0] for name in part} for part in splits[0])
    assert not teach & measure
    if not shared and all(min(sizes) >= shots for sizes in classes):
        assert teach
    if teach:
        assert set(Counter(name.split("/")[0] for name in splits[0][0]).values()) == {shots}
        assert len(Counter(name.split("/")[0] for name in splits[0][1])) == len(classes)
