"""The small functions that all backends share."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetl.backends import requirements
from edgetl.backends.failures import LONGEST, joined, one_line
from edgetl.backends.toolchain import Needs, Toolchain, integer, words
from edgetl.errors import BackendError, UsageError
from edgetl.types import Compiled, Missing, Scheme, Target


def target(**options: str | int | float | bool) -> Target:
    return Target("t", "", "null", "any", "none", (), Scheme("uint8", False), options)


@given(st.text(max_size=900))
def test_every_message_becomes_one_short_line(text: str) -> None:
    line = one_line(RuntimeError(text))
    assert line
    assert len(line) <= LONGEST
    assert len(line.splitlines()) == 1


def test_source_positions_are_left_out() -> None:
    text = "Exception from src/core.cpp:90:\nCheck 'x < y' failed at src/y.cpp:7:\nthe weights are too short\n\n"
    assert one_line(text) == "the weights are too short"


def test_messages_are_joined_once_each() -> None:
    assert joined(["a\n", "b", "a", " "], "nothing") == "a; b"
    assert joined([], "nothing") == "nothing"


def test_words_take_lists_and_lone_numbers() -> None:
    assert words(target(capabilities="8.6, 8.9 12.0"), "capabilities") == ("8.6", "8.9", "12.0")
    assert words(target(capabilities=8.6), "capabilities") == ("8.6",)
    assert words(target(), "capabilities") == ()
    with pytest.raises(UsageError, match="found True"):
        words(target(capabilities=True), "capabilities")


@given(st.integers() | st.booleans() | st.floats() | st.text(max_size=3))
def test_an_integer_option_is_in_range_or_refused(value: int | bool | float | str) -> None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 8:
        assert integer(target(n=value), "n", 4, low=1, high=8) == value
    else:
        with pytest.raises(UsageError, match="from 1 to 8"):
            integer(target(n=value), "n", 4, low=1, high=8)


def test_cpu_flags_are_those_of_the_first_cpu(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n", "utf-8")
    assert requirements.cpu_flags(info) == {"fpu", "avx512_bf16"}
    info.write_text("processor : 0\nFeatures : fp asimddp\n", "utf-8")
    assert requirements.cpu_flags(info) == {"fp", "asimddp"}
    assert requirements.cpu_flags(tmp_path / "absent") == frozenset()


def test_a_cpu_without_bfloat16_is_told_what_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags : fpu avx2\n", "utf-8")
    monkeypatch.setattr(requirements, "CPU_INFO", info)
    found = requirements.no_cpu_bfloat16()
    assert found is not None
    assert "float32" in found.remedy
    info.write_text("flags : fpu amx_bf16\n", "utf-8")
    assert requirements.no_cpu_bfloat16() is None


def test_a_missing_driver_is_found_without_loading_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> NoReturn:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    found = requirements.no_cuda_driver()
    assert found is not None
    assert "libcuda.so.1" in found.reason


def test_this_machine_and_any_machine_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert requirements.wrong_machine(target()) is None
    arm = Target("t", "", "null", "aarch64", "none", (), Scheme("uint8", False))
    intel = Target("t", "", "null", "x86_64", "none", (), Scheme("uint8", False))
    assert requirements.wrong_machine(arm) is None
    found = requirements.wrong_machine(intel)
    assert found is not None
    assert "x86_64" in found.reason


def test_the_first_obstacle_is_the_one_that_is_told() -> None:
    requirements.require("t", None, None)
    with pytest.raises(BackendError, match=r"^t: first; mend it$"):
        requirements.require("t", None, Missing("first", "mend it"), Missing("second", ""))


class Made(Toolchain):
    name = "made"

    def __init__(self, **needs: Any) -> None:
        self.needs = Needs(formats=("int8", "bfloat16"), remedy="buy it", **needs)


def test_a_toolchain_without_a_package_works_everywhere() -> None:
    made = Made()
    assert made.missing() is None
    assert made.cannot_run(target(), "int8") is None


def test_a_missing_package_forbids_compiling_and_running() -> None:
    made = Made(module="no_such_thing")
    for found in (made.missing(), made.cannot_run(target(), "int8")):
        assert found == Missing("the Python package no_such_thing is not installed", "buy it")


def test_a_package_for_the_last_step_is_not_missed_before() -> None:
    made = Made(module="no_such_thing", to_compile=False)
    made.require_to_compile(target(), "int8")
    with pytest.raises(BackendError, match=r"^folder: the Python package no_such_thing is not installed; buy it$"):
        made.require_to_run(Path("folder"), Compiled("made", "1", "int8", "model", ("model",)), target())


def test_another_precision_is_refused_before_anything_else() -> None:
    made = Made(module="no_such_thing", gpu=True)
    found = made.cannot_run(target(), "float32")
    assert found == Missing("made does not run float32", "build for int8 or mixed or simplified or bfloat16")


def test_only_a_cpu_needs_bfloat16_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "no_cpu_bfloat16", lambda: Missing("no bfloat16", ""))
    monkeypatch.setattr(requirements, "no_cuda_driver", lambda: None)
    assert Made().cannot_run(target(), "bfloat16") == Missing("no bfloat16", "")
    assert Made().cannot_run(target(), "int8") is None
    assert Made(gpu=True).cannot_run(target(), "bfloat16") is None


def test_versions_come_from_the_first_distribution_that_is_there() -> None:
    assert requirements.distribution_version("no-such-thing", "pytest") == pytest.__version__
    assert requirements.distribution_version("no-such-thing") == ""
