"""Throttling, energy, clocks and heat: read where Linux reports them, and warned of in one line each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgetl.bench.hardware import Counters, Hardware, between, counters, doubts
from edgetl.bench.machine import describe

MACHINE = replace(describe(), governor=None)
NOTHING = Hardware(1.0, None, None)


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    found = counters(tmp_path)
    assert (found.throttled, found.energy_uj) == (None, {})
    assert (between(found, found).throttled, between(found, found).energy_j) == (None, None)
    assert counters().clock_s > 0, "this machine is read without error"


def test_throttling_of_all_cores_and_energy_of_all_packages_are_counted(tmp_path: Path) -> None:
    for core in (0, 1):
        put(tmp_path, f"sys/devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count", f"{core + 1}\n")
    for zone, energy in (("intel-rapl:0", 5_000_000), ("intel-rapl:1", 100), ("intel-rapl:0:0", 7)):
        put(tmp_path, f"sys/class/powercap/{zone}/energy_uj", f"{energy}\n")
        put(tmp_path, f"sys/class/powercap/{zone}/max_energy_range_uj", "10000000\n")
    before = counters(tmp_path)
    put(tmp_path, "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "12\n")
    put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", "1000000\n")  # it started again from 0
    put(tmp_path, "sys/class/powercap/intel-rapl:1/energy_uj", "2000100\n")
    found = between(before, counters(tmp_path))
    assert found.throttled == 10
    assert found.energy_j == pytest.approx(6 + 2)


def test_a_package_that_vanishes_is_not_counted() -> None:
    before = Counters(0.0, None, {"intel-rapl:0": 5}, {})
    assert between(before, Counters(1.0, None, {}, {})) == Hardware(1.0, None, None)


@pytest.mark.parametrize(
    ("governor", "clock", "heat", "found", "words"),
    [
        ("powersave", (3000, 3000), 50, NOTHING, "governor powersave: clocks follow the load"),
        ("performance", (3000, 3000), 50, Hardware(1, 3, None), "throttled: the CPU counted 3 events"),
        ("performance", (3000, 2600), 50, NOTHING, "the clock fell from 3000 to 2600 MHz"),
        ("performance", (3000, 3000), 95, NOTHING, "hot: 95 °C"),
    ],
)
def test_each_reason_to_doubt_times_is_one_line(
    governor: str, clock: tuple[float, float], heat: float, found: Hardware, words: str
) -> None:
    lines = doubts(replace(MACHINE, governor=governor), clock, heat, found)
    assert len(lines) == 1
    assert words in lines[0]


def test_a_machine_that_says_nothing_is_not_doubted() -> None:
    assert doubts(MACHINE, (None, None), None, NOTHING) == ()
    assert doubts(replace(MACHINE, governor="performance"), (3000, 2800), 60, Hardware(1, 0, 5.0)) == ()
