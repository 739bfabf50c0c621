"""Which ONNX files take weights from other files: as the C++ runtime says, on the files that it is fuzzed from."""

from __future__ import annotations

from pathlib import Path

import pytest
from backend_pivots import pivot

from edgetl.pivot.outside_data import NotOnnx, has_outside_data

CORPUS = Path(__file__).resolve().parents[3] / "runtime" / "fuzz" / "corpus" / "onnx_file"


def test_a_network_that_holds_its_weights_takes_none_from_outside(tmp_path: Path) -> None:
    for flavour in ("float32", "u8s8"):
        (tmp_path / flavour).write_bytes(pivot(flavour).SerializeToString())
        assert not has_outside_data(tmp_path / flavour)


@pytest.mark.parametrize(
    ("name", "outside"),
    [("inside", False), ("loop", False), ("outside", True), ("outside_in_a_branch", True), ("long_key", True)],
)
def test_cpp_external_data_is_found_wherever_a_tensor_can_be(name: str, outside: bool) -> None:
    assert has_outside_data(CORPUS / name) == outside


@pytest.mark.parametrize("name", ["cut", "deep", "group", "key_of_six_bytes", "ort_format", "size_behind_the_end"])
def test_what_is_no_model_is_told_apart(name: str) -> None:
    with pytest.raises(NotOnnx):
        has_outside_data(CORPUS / name)


def test_no_beginning_of_a_model_without_outside_data_has_some(tmp_path: Path) -> None:
    whole = (CORPUS / "inside").read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "cut").write_bytes(whole[:size])
        try:
            found = has_outside_data(tmp_path / "cut")
        except NotOnnx:
            found = False
        assert not found
