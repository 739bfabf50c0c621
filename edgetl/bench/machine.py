"""The machine of a measurement. Details are read on Linux only; values that cannot be read are None."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetl.types import Placement, Target

# our name -> flags of /proc/cpuinfo, any of which implies it
_INSTRUCTION_SETS: Mapping[str, frozenset[str]] = {
    "avx2": frozenset({"avx2"}),
    "avx512": frozenset({"avx512f"}),
    "vnni": frozenset({"avx512_vnni"}),
    "avx_vnni": frozenset({"avx_vnni"}),
    "bf16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "amx": frozenset({"amx_tile", "amx_int8"}),
    "neon": frozenset({"asimd", "neon"}),
    "dotprod": frozenset({"asimddp"}),
    "i8mm": frozenset({"i8mm"}),
    "sve": frozenset({"sve"}),
}
_VNNI = {"vnni", "avx_vnni"}


@dataclass(frozen=True)
class Machine:
    """CPU, clocks and load when the measurement began. `python` is None if another program measured.

    usable_cores  what this process may use: the affinity mask, and the cgroup's quota (may be a fraction)
    load_average  over one minute
    gpu           the GPU that was measured, as its driver names it; None if none was
    """

    cpu: str | None
    architecture: str
    instruction_sets: tuple[str, ...]
    logical_cores: int | None
    usable_cores: float | None
    governor: str | None
    clock_mhz: float | None
    clock_min_mhz: float | None
    clock_max_mhz: float | None
    load_average: float | None
    memory_bytes: int | None
    system: str
    python: str | None
    gpu: str | None = None

    @property
    def processors(self) -> str:
        """The processors: the GPU, if there is one, and the CPU."""
        return ", ".join(name for name in (self.gpu, self.cpu or self.architecture) if name)


def describe(root: Path = Path("/")) -> Machine:
    """This machine. `root` contains `proc`, `sys` and `etc`."""
    info = _read(root / "proc/cpuinfo")
    scaling = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return Machine(
        cpu=_cpu_name(info, root),
        architecture=platform.machine(),
        instruction_sets=instruction_sets(info),
        logical_cores=os.cpu_count(),
        usable_cores=_usable_cores(root),
        governor=_read(scaling / "scaling_governor").strip() or None,
        clock_mhz=clock_mhz(root),
        clock_min_mhz=_mhz(scaling / "cpuinfo_min_freq"),
        clock_max_mhz=_mhz(scaling / "cpuinfo_max_freq"),
        load_average=_number(_read(root / "proc/loadavg").partition(" ")[0]),
        memory_bytes=_memory_bytes(_read(root / "proc/meminfo")),
        system=_system(_read(root / "etc/os-release")),
        python=platform.python_version(),
    )


def gpu_of(target: Target, placement: Placement) -> str | None:
    """The GPU on which an opened build of `target` runs, as its runtime reports it."""
    if target.accelerator != "cuda":
        return None
    return next((operator.device for operator in placement.operators if operator.device), None)


def other_cpu(target: Target, root: Path = Path("/")) -> str:
    """Why latency here is not that of the target's CPU; "" if this CPU is of the target's kind.

    A target without CPU requirements accepts any CPU of its architecture.
    """
    info = _read(root / "proc/cpuinfo")
    has = set(instruction_sets(info))
    here = _cpu_name(info, root) or platform.machine()
    if banned := [name for name in target.cpu_without if name in has]:
        return f"{target.name} is a CPU without {' or '.join(banned)}; {here} has {' and '.join(banned)}"
    if target.cpu_with and not has & set(target.cpu_with):
        return f"{target.name} is a CPU with {' or '.join(target.cpu_with)}; {here} has none"
    parts = cpu_parts(info)
    if target.cpu_part and parts != {target.cpu_part}:
        found = ", ".join(sorted(parts)) or "unknown"
        return f"{target.name} has cores of part {target.cpu_part}; those of {here}: {found}"
    return ""


def saturates(target: Target, root: Path = Path("/")) -> bool:
    """Whether INT8 saturates on this x86 CPU, which lacks VNNI, but not on the CPUs of `target`, which have it."""
    if platform.machine() != target.machine or not _VNNI & set(target.cpu_with):
        return False
    return not _VNNI & set(instruction_sets(_read(root / "proc/cpuinfo")))


def cpu_parts(cpuinfo: str) -> set[str]:
    """The part numbers of all ARM cores in the text of /proc/cpuinfo: {"0xd0b"} means only Cortex-A76."""
    fields = (line.partition(":") for line in cpuinfo.splitlines())
    return {value.strip() for key, _, value in fields if key.strip() == "CPU part"}


def clock_mhz(root: Path = Path("/")) -> float | None:
    """Clock of the first core at this moment."""
    scaling = root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
    return _mhz(scaling) or _number(_field(_read(root / "proc/cpuinfo"), "cpu MHz"))


def temperature_c(root: Path = Path("/")) -> float | None:
    """The hottest thermal zone at this moment, in degrees Celsius."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    thousandths = [value for value in (_number(_read(zone)) for zone in zones) if value is not None]
    # disabled zones report values like -274 degrees
    return max((value / 1000 for value in thousandths if -100_000 < value < 200_000), default=None)


def instruction_sets(cpuinfo: str) -> tuple[str, ...]:
    """The vector and integer instruction sets that determine a network's speed, from the text of /proc/cpuinfo."""
    flags = set((_field(cpuinfo, "flags") or _field(cpuinfo, "Features")).split())
    return tuple(name for name, signs in _INSTRUCTION_SETS.items() if signs & flags)


def cgroup_cores(root: Path) -> float | None:
    """CPU quota of this process's control group in cores, the smallest of all parents; None if unlimited."""
    quotas: list[float] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            quotas += _quotas(root / "sys/fs/cgroup", group, _quota_v2)
        elif "cpu" in controllers.split(","):
            quotas += _quotas(root / "sys/fs/cgroup/cpu", group, _quota_v1)
    return min(quotas, default=None)


def _quotas(mount: Path, group: str, read: Callable[[Path], float | None]) -> list[float]:
    # inside a container the path may name a folder of the host's that is not mounted here; the mount itself is
    folder = mount / group.lstrip("/")
    chain = [folder, *folder.parents]
    found = [read(step) for step in chain if step == mount or mount in step.parents]
    return [quota for quota in found if quota is not None]


def _quota_v2(folder: Path) -> float | None:
    parts = _read(folder / "cpu.max").split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts) or int(parts[1]) == 0:
        return None
    return int(parts[0]) / int(parts[1])


def _quota_v1(folder: Path) -> float | None:
    quota, period = (_number(_read(folder / name)) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    return quota / period if quota and period and quota > 0 else None


def _usable_cores(root: Path) -> float | None:
    allowed = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None
    limits = [limit for limit in (allowed, cgroup_cores(root)) if limit is not None]
    return min(limits, default=None)


def _cpu_name(cpuinfo: str, root: Path) -> str | None:
    # ARM kernels give no model name; a board's device tree does
    return _field(cpuinfo, "model name") or _read(root / "proc/device-tree/model").strip("\0 \n") or None


def _system(release: str) -> str:
    for line in release.splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return f"{value.strip().strip(chr(34))}, {platform.system()} {platform.release()}"
    return f"{platform.system()} {platform.release()}"


def _memory_bytes(meminfo: str) -> int | None:
    kib = _number(_field(meminfo, "MemTotal").removesuffix("kB"))
    return None if kib is None else int(kib) * 1024


def _field(text: str, name: str) -> str:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return ""


def _mhz(path: Path) -> float | None:
    khz = _number(_read(path))
    return None if khz is None else khz / 1000


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
