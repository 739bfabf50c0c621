"""What the hardware did while runs were timed: throttling, energy, clocks and heat, as far as Linux reports it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from edgetl.bench.machine import Machine

HOT_C = 90.0
_LEAST_CLOCK = 0.9  # of the clock before the runs


@dataclass(frozen=True)
class Hardware:
    """During the timed runs of all bundles.

    seconds    between the two readings
    throttled  events of thermal throttling that the CPU's cores and packages counted
    energy_j   of all CPU packages (RAPL), everything else that ran included
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    seconds: float
    throttled: int | None
    energy_j: float | None


@dataclass(frozen=True)
class Counters:
    """At one moment. energy_uj, range_uj  by package: the counter and where it starts again from 0"""

    clock_s: float
    throttled: int | None
    energy_uj: Mapping[str, int]
    range_uj: Mapping[str, int]


def counters(root: Path = Path("/")) -> Counters:
    """The counters now. `root` contains `sys`."""
    counts = [_whole(path) for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_count")]
    known = [count for count in counts if count is not None]
    # packages only: intel-rapl:0, not its parts intel-rapl:0:0
    zones = [zone for zone in (root / "sys/class/powercap").glob("intel-rapl:*") if zone.name.count(":") == 1]
    energy = {zone.name: _whole(zone / "energy_uj") for zone in zones}
    most = {zone.name: _whole(zone / "max_energy_range_uj") for zone in zones}
    return Counters(
        clock_s=time.monotonic(),
        throttled=sum(known) if known else None,
        energy_uj={name: value for name, value in energy.items() if value is not None},
        range_uj={name: value for name, value in most.items() if value is not None},
    )


def between(before: Counters, after: Counters) -> Hardware:
    """What happened between two moments."""
    throttled = None
    if before.throttled is not None and after.throttled is not None:
        throttled = max(0, after.throttled - before.throttled)
    used = [_used(name, before, after) for name in before.energy_uj if name in after.energy_uj]
    return Hardware(after.clock_s - before.clock_s, throttled, sum(used) / 1e6 if used else None)


def doubts(
    machine: Machine, clock_mhz: tuple[float | None, float | None], temperature_c: float | None, found: Hardware
) -> tuple[str, ...]:
    """Reasons to doubt the times, one line each. clock_mhz  before and after the runs; temperature_c  after them"""
    lines: list[str] = []
    if machine.governor is not None and machine.governor != "performance":
        lines.append(f"governor {machine.governor}: clocks follow the load; set `performance` for repeatable times")
    if found.throttled:
        lines.append(f"throttled: the CPU counted {found.throttled} events of thermal throttling during the timed runs")
    before, after = clock_mhz
    if before is not None and after is not None and after < _LEAST_CLOCK * before:
        lines.append(f"the clock fell from {before:.0f} to {after:.0f} MHz during the timed runs")
    if temperature_c is not None and temperature_c >= HOT_C:
        lines.append(f"hot: {temperature_c:.0f} °C after the timed runs; clocks may fall")
    return tuple(lines)


def _used(name: str, before: Counters, after: Counters) -> int:
    used = after.energy_uj[name] - before.energy_uj[name]
    return used if used >= 0 else used + before.range_uj.get(name, 0)


def _whole(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # energy is for root only
        return None
