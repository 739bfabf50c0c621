"""Digests depend on content alone: not on the order of keys, of files, or on where a folder lies."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.files.digest import file_digest, folder_digests, value_digest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES, max_size=6))
def test_a_value_digest_is_independent_of_the_order_of_keys(value: dict[str, object]) -> None:
    assert value_digest(value) == value_digest(dict(reversed(value.items())))


@given(VALUES, VALUES)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    if repr(one) != repr(other) and one != other:
        assert value_digest(one) != value_digest(other)


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        value_digest({"loss": math.nan})


def test_a_file_digest_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"bytes")
    assert file_digest(tmp_path / "file") == hashlib.sha256(b"bytes").hexdigest()


def test_folder_digests_name_files_relative_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.txt").write_text("c")
    (tmp_path / "a.txt").write_text("a")
    assert list(folder_digests(tmp_path)) == ["a.txt", "b/c.txt"]
