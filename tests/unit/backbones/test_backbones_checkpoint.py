"""Reading checkpoints without running them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetl.backbones.checkpoint import listed, read_checkpoint, write_checkpoint
from edgetl.errors import WeightsError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}


class _Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def _same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_safetensors_come_back_as_they_were(tmp_path: Path) -> None:
    write_checkpoint(STATE, tmp_path / "a.safetensors")
    assert _same(read_checkpoint(tmp_path / "a.safetensors"), STATE)


def test_safetensors_are_known_by_content(tmp_path: Path) -> None:
    write_checkpoint(STATE, tmp_path / "a.bin")
    assert _same(read_checkpoint(tmp_path / "a.bin"), STATE)


def test_equal_tensors_are_equal_bytes_and_shared_memory_is_no_obstacle(tmp_path: Path) -> None:
    tied = torch.ones(3)
    write_checkpoint({"x": tied, "y": tied}, tmp_path / "a")
    write_checkpoint({"y": torch.ones(3), "x": torch.ones(3)}, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_written_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    write_checkpoint(STATE, tmp_path / "a.safetensors")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"epoch": 3, "state_dict": s}, lambda s: {"model": s}])
def test_torch_files_are_unwrapped(tmp_path: Path, wrap: Any) -> None:
    torch.save(wrap(STATE), tmp_path / "a.pt")
    assert _same(read_checkpoint(tmp_path / "a.pt"), STATE)


def test_a_pickled_object_is_refused_and_never_run(tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    torch.save({"state_dict": STATE, "hook": _Bomb(proof)}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="pickled Python objects") as caught:
        read_checkpoint(tmp_path / "a.pt")
    assert not proof.exists()
    assert "\n" not in str(caught.value)


def test_a_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="pickled Python objects"):
        read_checkpoint(tmp_path / "a.pt")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keep=st.floats(0, 0.999), suffix=st.sampled_from([".safetensors", ".pt"]))
def test_a_truncated_file_is_refused(tmp_path: Path, keep: float, suffix: str) -> None:
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    if suffix == ".pt":
        torch.save(STATE, whole)
    else:
        write_checkpoint(STATE, whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(WeightsError, match="cut"):
        read_checkpoint(cut)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_other_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "noise.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="noise"):
        read_checkpoint(path)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    write_checkpoint({"a": torch.tensor([1.0, float("nan")])}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="not finite in a"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_other_content_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="state dict"):
        read_checkpoint(tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="cannot read"):
        read_checkpoint(tmp_path / "absent.pt")


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(15)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 5 more"
