from __future__ import annotations

import io

import pytest
from rich.console import Console
from small_reports import bundle, report

from edgetl.report.model import Bundle, Caution, Recall, Surgery
from edgetl.report.terminal import show_report

MEASURED = bundle(
    "jetson-orin-nano",
    backend="tensorrt_rtx",
    precision="simplified",
    images=300,
    top1=0.97,
    top1_low=0.944,
    top1_high=0.984,
    drop_points=-10.25,
    drop_points_low=-12.5,
    drop_points_high=-0.5,
    p50_ms=12.34,
    p99_ms=123.4,
    speedup=10.5,
    speedup_low=10.1,
    speedup_high=11.2,
    size_bytes=125_000_000,
    not_integer=("conv",),
    verdict="fail",
    reason="drop too large",
    why="[bold]most[/bold] accurate",
    surgery=Surgery(activations=19, gates=9, epochs=40, agreement=1.0, sentence="Without 28 parts it is fast."),
)
ABSENT = bundle(
    "nvidia-rtx",
    backend="tensorrt_rtx",
    measured=False,
    size_bytes=1000,
    verdict="not measured",
    reason="not measured here: no GPU",
    not_measured_reason="no GPU. Buy\none.",
)
EMULATED = bundle("arm64-cpu", measured=False, emulated=True, top1=0.9, reason="fine")
OTHER = bundle("x86-avx2", top1=0.9, reason="fine", other_cpu="this one has vnni")


def shown(
    width: int = 80,
    terminal: bool = False,
    bundles: tuple[Bundle, ...] = (MEASURED, ABSENT, EMULATED, OTHER),
    cautions: tuple[Caution, ...] = (),
) -> str:
    stream = io.StringIO()
    show_report(report(*bundles, cautions=cautions), Console(file=stream, width=width, force_terminal=terminal))
    return stream.getvalue()


def test_the_widest_names_and_numbers_fit_80_columns_uncut() -> None:
    text = shown(80)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    for word in ("jetson-orin-nano", "tensorrt_rtx", "simplified*", "−12.5…−0.5", "94.4–98.4", "10.1–11.2", "125 MB"):
        assert word in text
    assert "…\n" not in text


def test_the_verdict_is_a_word_and_emulation_is_marked() -> None:
    lines = shown().splitlines()
    assert any(line.startswith("jetson-orin-nano") and "fail" in line for line in lines)
    assert any("nvidia-rtx" in line and "not measured" in line for line in lines)
    assert any("onnxruntime" in line and "emulated" in line for line in lines)
    assert any("onnxruntime" in line and "other CPU" in line for line in lines)


def test_absent_numbers_are_dashes() -> None:
    row = next(line for line in shown().splitlines() if line.startswith("nvidia-rtx"))
    assert row.count("–") == 4


def test_what_is_not_as_hoped_has_its_reason_in_words() -> None:
    text = shown(200)
    assert "arm64-cpu: pass" not in text
    assert "x86-avx2: pass; fine; latency of another CPU: this one has vnni" in text
    assert "jetson-orin-nano: fail; drop too large; [bold]most[/bold] accurate; Without 28 parts it is fast." in text
    assert "nvidia-rtx: not measured here: no GPU. Buy one\n" in text


def test_color_is_used_on_a_terminal_only_and_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" not in shown(terminal=False)
    assert "\x1b[32m" in shown(terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in shown(terminal=True)


def test_measured_targets_come_first_and_are_counted() -> None:
    lines = shown(bundles=(ABSENT, EMULATED, OTHER)).splitlines()
    assert lines[1] == "2 of 2 measured targets pass (1 of them emulated); 1 not measured here"
    rows = [line.split()[0] for line in lines if line.startswith(("x86-avx2 ", "arm64-cpu ", "nvidia-rtx "))]
    assert rows == ["x86-avx2", "arm64-cpu", "nvidia-rtx"]


def test_targets_that_share_a_reason_share_one_line_of_80_columns() -> None:
    long = ABSENT.model_copy(update={"not_measured_reason": "no driver; " + "install it by hand " * 10})
    names = ("jetson-orin-nano", "nvidia-gpu", "nvidia-rtx")
    text = shown(bundles=(OTHER, *(long.model_copy(update={"target": name}) for name in names)))
    told = [line for line in text.splitlines() if "no driver" in line]
    assert len(told) == 1
    assert told[0].startswith("jetson-orin-nano, nvidia-gpu, nvidia-rtx: not measured here: no driver")
    assert len(told[0]) == 80
    assert told[0].endswith("…")


def test_a_busy_machine_is_told_above_the_table_beside_the_verdict_and_below() -> None:
    sign = "busy machine: the timed runs waited 38 % of the time for a core"
    busy = OTHER.model_copy(update={"other_cpu": "", "cautions": (sign,)})
    caution = Caution(kind="busy machine", targets=("x86-avx2",), sentence="Timed on a busy machine: x86-avx2.")
    lines = shown(120, bundles=(busy,), cautions=(caution,)).splitlines()
    assert lines[2] == "busy machine: Timed on a busy machine: x86-avx2."
    assert any(line.startswith("onnxruntime") and line.rstrip().endswith("busy") for line in lines)
    assert f"x86-avx2: pass; fine; {sign}" in lines
    judged = busy.model_copy(update={"reason": "p99 4 ms, within the allowed 5 ms; busy machine: waited 31%"})
    assert shown(200, bundles=(judged,)).count("busy machine") == 1, "a gate on latency says it already"


def test_a_p99_without_an_interval_is_called_an_indication() -> None:
    look = OTHER.model_copy(update={"p50_ms": 1.0, "p99_ms": 2.0, "runs": 300})
    assert "p99 of 300 runs: an indication; an interval needs 6000 steady ones" in shown(bundles=(look, MEASURED))
    sure = look.model_copy(update={"p99_ms_low": 1.9, "p99_ms_high": 2.2})
    assert "indication" not in shown(bundles=(sure,))


def test_case_minority_class_the_lowest_recall_is_told_beside_that_of_the_float_network() -> None:
    recalls = (
        Recall(label="good", images=950, recall=1.0, float_recall=1.0),
        Recall(label="defect", images=50, recall=0.8, recall_low=0.67, recall_high=0.888, float_recall=1.0),
    )
    text = shown(120, bundles=(OTHER.model_copy(update={"recalls": recalls}), EMULATED))
    assert "lowest recall: defect 80.0 % (67.0–88.8) of 50 images on x86-avx2, float network 100.0 %" in text
    assert "lowest recall" not in shown(bundles=(EMULATED,))
