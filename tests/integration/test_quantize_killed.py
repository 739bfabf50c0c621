"""`edgetl quantize` killed while it calibrates, and with the ranges of an earlier run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from chain import ROOT, edgetl, python, write_recipe

KILLED_AT = ROOT / "tests" / "killed_at.py"


@pytest.mark.integration
@pytest.mark.slow
def test_a_killed_quantize_continues_and_its_ranges_serve_another_run(tmp_path: Path) -> None:
    settings = {"method": "ptq", "bias_correction": True}
    data = {"train": "scans", "shots": 30, "augment": "text", "resize": "squash", "max_val_images": 60}
    check = {"features": False}
    adapt = {"strategy": "probe", "head": "ncm", "views": 0, "sanity": "warn"}
    recipe = write_recipe(tmp_path, ["x86-cpu"], quantize=settings, data=data, adapt=adapt, check=check)
    died = python(KILLED_AT, "edgetl.quant.calibration:load_batch", "4", "quantize", recipe)
    assert died.code == -signal.SIGKILL, died.err
    whole = edgetl("quantize", recipe)
    assert whole.code == 0, whole.err
    assert "calibration continues after batch 2 of 4" in whole.lines

    changed = edgetl("quantize", recipe, "--set", "calibration=min-max")
    assert "calibration again: profile changed from mse to min-max" in changed.lines

    (stage,) = (folder for folder in made_first(tmp_path))
    given = stage / "ranges.safetensors"
    served = edgetl("quantize", recipe, "--ranges", given, "--json")
    assert served.code == 0, served.err
    quantized = Path(next(s["folder"] for s in served.json()["stages"] if s["stage"] == "quantize"))
    assert quantized != stage
    assert (quantized / "network.onnx").read_bytes() == (stage / "network.onnx").read_bytes()

    refused = edgetl("quantize", recipe, "--ranges", given, "--set", "calibration=min-max")
    assert refused.code == 2
    assert "profile changed from mse to min-max" in refused.lines[-1]


def made_first(folder: Path) -> list[Path]:
    """The stage folder of the default profile: the older of the two quantizations."""
    folders = [path for path in (folder / "build" / "stages").glob("quantize-*") if path.is_dir()]
    return sorted(folders, key=lambda path: path.stat().st_mtime)[:1]


def test_an_absent_file_of_ranges_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\n", encoding="utf-8")
    done = edgetl("quantize", tmp_path / "recipe.yaml", "--ranges", tmp_path / "absent")
    assert done.code == 2
    assert "absent: no such file" in done.lines[-1]
