"""The runtimes come without their reporting."""

from __future__ import annotations

import os
import subprocess
import sys

from edgetl.backends.sdk import ORT_SWITCH


def output_of(code: str, **variables: str) -> str:
    kept = {key: value for key, value in os.environ.items() if key != ORT_SWITCH}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | variables, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_openvino_is_imported_without_its_reporter_and_the_reporter_stays_importable() -> None:
    code = (
        "import sys; from edgetl.backends.sdk import import_openvino as get; first = get(); "
        "print(first is get(), 'openvino_telemetry' in sys.modules, first.__name__)"
    )
    assert output_of(code) == "True False openvino"


READ_SWITCH = (
    f"import os; from edgetl.backends.sdk import import_onnxruntime as get; get(); print(os.environ[{ORT_SWITCH!r}])"
)


def test_onnxruntime_is_told_before_it_is_loaded() -> None:
    assert output_of(READ_SWITCH) == "1"


def test_what_the_user_set_stays() -> None:
    assert output_of(READ_SWITCH, **{ORT_SWITCH: "true"}) == "true"


def test_asking_for_nothing_loads_nothing() -> None:
    assert (
        output_of("import sys, edgetl.backends.sdk; print({'onnxruntime', 'openvino'} & set(sys.modules))") == "set()"
    )
