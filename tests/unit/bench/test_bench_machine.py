from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from edgetl.bench import machine
from edgetl.bench.machine import (
    cgroup_cores,
    clock_mhz,
    cpu_parts,
    describe,
    gpu_of,
    instruction_sets,
    other_cpu,
    saturates,
    temperature_c,
)
from edgetl.recipes.targets import load_target, target_names
from edgetl.types import InstructionSet, Operator, Placement

X86 = """processor\t: 0
model name\t: Example(R) CPU 9000
cpu MHz\t\t: 2400.5
flags\t\t: fpu sse avx avx2 avx512f avx512_vnni avx_vnni avx512_bf16 amx_tile
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


A76 = "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd0b\n\nprocessor\t: 1\nCPU part\t: 0xd0b\n"
A76_AND_A55 = A76 + "\nprocessor\t: 2\nCPU part\t: 0xd05\n"
WITHOUT_VNNI = X86.replace("avx512_vnni", "").replace("avx_vnni", "")


def test_this_machine_is_described_without_error() -> None:
    machine = describe()
    assert machine.architecture
    assert machine.logical_cores is None or machine.logical_cores >= 1
    assert machine.usable_cores is None or machine.usable_cores > 0


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    machine = describe(tmp_path)
    assert machine.cpu is None
    assert machine.instruction_sets == ()
    assert (machine.governor, machine.clock_mhz, machine.load_average, machine.memory_bytes) == (None,) * 4


def test_cpu_clocks_governor_memory_and_load_are_read(tmp_path: Path) -> None:
    put(tmp_path, "proc/cpuinfo", X86)
    put(tmp_path, "proc/loadavg", "0.50 0.20 0.10 1/100 42\n")
    put(tmp_path, "proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n")
    put(tmp_path, "etc/os-release", 'NAME=x\nPRETTY_NAME="Example Linux 1"\n')
    scaling = "sys/devices/system/cpu/cpu0/cpufreq"
    put(tmp_path, f"{scaling}/scaling_governor", "performance\n")
    put(tmp_path, f"{scaling}/cpuinfo_max_freq", "3500000\n")
    machine = describe(tmp_path)
    assert machine.cpu == "Example(R) CPU 9000"
    assert machine.clock_mhz == 2400.5
    assert machine.clock_max_mhz == 3500.0
    assert machine.clock_min_mhz is None
    assert machine.governor == "performance"
    assert machine.memory_bytes == 2048 * 1024
    assert machine.load_average == 0.5
    assert machine.system.startswith("Example Linux 1")


def test_a_board_without_a_model_name_is_known_by_its_device_tree(tmp_path: Path) -> None:
    put(tmp_path, "proc/cpuinfo", ARM)
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B\0")
    assert describe(tmp_path).cpu == "Raspberry Pi 5 Model B"


def test_the_instruction_sets_that_matter_are_found() -> None:
    assert instruction_sets(X86) == ("avx2", "avx512", "vnni", "avx_vnni", "bf16", "amx")
    assert instruction_sets(ARM) == ("neon", "dotprod", "i8mm")
    assert instruction_sets("flags : fpu sse") == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"sys/fs/cgroup/box/cpu.max": "400000 100000\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        ({"sys/fs/cgroup/box/inner/cpu.max": "200000 100000\n", "sys/fs/cgroup/box/cpu.max": "max 100000\n"}, 2.0),
        ({"sys/fs/cgroup/cpu.max": "junk\n"}, None),
    ],
)
def test_the_tightest_cgroup_quota_on_the_way_up_counts(
    tmp_path: Path, files: dict[str, str], expected: float | None
) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/box/inner\n")
    for name, text in files.items():
        put(tmp_path, name, text)
    assert cgroup_cores(tmp_path) == expected


def test_a_cgroup_of_version_1_is_read(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "4:cpu,cpuacct:/box\n")
    put(tmp_path, "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "250000\n")
    put(tmp_path, "sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n")
    assert cgroup_cores(tmp_path) == 2.5


def test_a_cgroup_of_version_1_without_a_limit_is_unlimited(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "4:cpu,cpuacct:/\n")
    put(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    put(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert cgroup_cores(tmp_path) is None


def test_the_hottest_thermal_zone_is_told_and_those_that_are_off_are_not(tmp_path: Path) -> None:
    assert temperature_c(tmp_path) is None
    for zone, thousandths in (("thermal_zone0", "41500"), ("thermal_zone1", "62000"), ("thermal_zone2", "-274000")):
        put(tmp_path, f"sys/class/thermal/{zone}/temp", thousandths + "\n")
    assert temperature_c(tmp_path) == 62.0
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "no number")
    assert temperature_c(tmp_path) == 41.5


def test_the_clock_is_the_governors_before_the_one_of_cpuinfo(tmp_path: Path) -> None:
    assert clock_mhz(tmp_path) is None
    put(tmp_path, "proc/cpuinfo", X86)
    assert clock_mhz(tmp_path) == 2400.5
    put(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1800000\n")
    assert clock_mhz(tmp_path) == 1800.0


@pytest.mark.parametrize(
    ("target", "cpu", "reason"),
    [
        ("x86-avx2", X86, "x86-avx2 is a CPU without vnni or avx_vnni; Example(R) CPU 9000 has vnni and avx_vnni"),
        ("x86-avx2", WITHOUT_VNNI, ""),
        ("x86-cpu", X86, ""),
        ("x86-cpu", X86.replace("avx512_vnni", ""), ""),
        ("x86-cpu", WITHOUT_VNNI, "x86-cpu is a CPU with vnni or avx_vnni; Example(R) CPU 9000 has none"),
        ("intel-cpu", WITHOUT_VNNI, "intel-cpu is a CPU with vnni or avx_vnni; Example(R) CPU 9000 has none"),
        ("raspberry-pi-5", A76, ""),
        ("raspberry-pi-5", A76_AND_A55, "those of BOARD: 0xd05, 0xd0b"),
        ("raspberry-pi-5", ARM + "CPU part\t: 0xd0c\n", "those of BOARD: 0xd0c"),
        ("raspberry-pi-5", ARM, "those of BOARD: unknown"),
        ("arm64-cpu", ARM, ""),
    ],
)
def test_a_cpu_that_is_not_of_the_target_s_kind_is_told(tmp_path: Path, target: str, cpu: str, reason: str) -> None:
    put(tmp_path, "proc/cpuinfo", cpu)
    put(tmp_path, "proc/device-tree/model", "BOARD\0")
    found = other_cpu(load_target(target), tmp_path)
    assert found.endswith(reason) if reason else not found


@pytest.mark.parametrize(
    ("target", "cpu", "expected"),
    [("x86-cpu", WITHOUT_VNNI, True), ("x86-cpu", X86, False), ("x86-avx2", WITHOUT_VNNI, False)],
)
def test_a_cpu_without_vnni_saturates_what_is_for_one_with_it(
    tmp_path: Path, target: str, cpu: str, expected: bool
) -> None:
    put(tmp_path, "proc/cpuinfo", cpu)
    assert saturates(load_target(target), tmp_path) == expected


def test_targets_name_instruction_sets_that_are_looked_for() -> None:
    assert set(get_args(InstructionSet)) == set(machine._INSTRUCTION_SETS)
    told = [name for name in target_names() if (found := load_target(name)).cpu_with or found.cpu_without]
    assert told == ["intel-avx2", "intel-cpu", "x86-avx2", "x86-cpu"]


def test_the_parts_of_all_cores_are_read() -> None:
    assert cpu_parts(A76_AND_A55) == {"0xd0b", "0xd05"}
    assert cpu_parts(X86) == set()


def test_a_gpu_is_what_the_runtime_of_a_gpu_target_says_it_runs_on() -> None:
    placement = Placement((Operator("noop", "layout", "", "int8"), Operator("conv", "convolution", "Orin", "int8")))
    assert gpu_of(load_target("jetson-orin-nano"), placement) == "Orin"
    assert gpu_of(load_target("x86-cpu"), placement) is None
    assert gpu_of(load_target("nvidia-gpu"), Placement(())) is None


def test_what_was_measured_on_names_the_gpu_first() -> None:
    here = describe()
    assert replace(here, cpu="Xeon", gpu="RTX 6000").processors == "RTX 6000, Xeon"
    assert replace(here, cpu=None, gpu=None).processors == here.architecture
