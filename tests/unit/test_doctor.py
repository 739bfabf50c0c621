"""The doctor looks at every part, imports no SDK, and names the command that mends what is missing."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from edgetl.backends.base import BACKENDS
from edgetl.cli import doctor


def test_every_part_is_examined() -> None:
    names = [part.name for part in doctor.examine()]
    assert names == ["training", *BACKENDS, "arm emulator"]


def test_what_is_missing_comes_with_the_command_that_mends_it() -> None:
    for part in doctor.examine():
        assert part.uses
        for use in part.uses:
            assert use.missing is None or (use.missing.reason and use.missing.remedy), (part.name, use)


def test_without_torch_training_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in ("torch", "timm") else real(name))
    training = doctor.examine()[0]
    (use,) = training.uses
    assert use.missing is not None
    assert use.missing.reason == "not installed: torch, timm"
    assert use.missing.remedy == "pip install 'edgetl[train]'"
    assert training.version == ""


def test_no_sdk_is_imported() -> None:
    code = (
        "import json, sys; from edgetl.cli.doctor import examine; examine(); "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "timm"} & set(json.loads(done.stdout))
