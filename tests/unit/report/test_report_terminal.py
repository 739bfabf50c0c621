from __future__ import annotations

import io

import pytest
from rich.console import Console

from edgetl.report.model import Bundle, Data, Reference, Report, Surgery
from edgetl.report.terminal import show_report

MEASURED = Bundle(
    target="jetson-orin-nano",
    backend="tensorrt_rtx",
    precision="simplified",
    path="p",
    measured=True,
    emulated=False,
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
ABSENT = Bundle(
    target="nvidia-rtx",
    backend="tensorrt_rtx",
    precision="int8",
    path="p",
    measured=False,
    emulated=False,
    size_bytes=1000,
    verdict="not measured",
    reason="not measured here: no GPU",
)
EMULATED = Bundle(
    target="arm64-cpu",
    backend="onnxruntime",
    precision="int8",
    path="p",
    measured=False,
    emulated=True,
    top1=0.9,
    verdict="pass",
    reason="fine",
)


OTHER = EMULATED.model_copy(
    update={"target": "x86-avx2", "measured": True, "emulated": False, "other_cpu": "this one has vnni"}
)


def shown(width: int = 80, terminal: bool = False) -> str:
    report = Report(
        name="demo",
        verdict="fail",
        recipe={},
        classes=("a",),
        reference=Reference(
            top1=0.97, top1_low=0.95, top1_high=0.99, macro_f1=1, macro_f1_low=1, macro_f1_high=1, images=300
        ),
        bundles=(MEASURED, ABSENT, EMULATED, OTHER),
        data=Data(
            shots=1,
            val=1,
            shots_per_class=(1,),
            val_per_class=(1,),
            resize="squash",
            resize_reason="",
            digest="",
            skipped=(),
        ),
    )
    stream = io.StringIO()
    show_report(report, Console(file=stream, width=width, force_terminal=terminal))
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
    assert "nvidia-rtx: not measured here: no GPU" in text


def test_colour_is_used_on_a_terminal_only_and_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" not in shown(terminal=False)
    assert "\x1b[32m" in shown(terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in shown(terminal=True)
