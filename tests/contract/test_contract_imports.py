"""Nothing heavy is loaded before it is needed, and no backend stands on another one."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgetl.backends.base
from edgetl.backends.base import BACKENDS, diagnose, load
from edgetl.backends.sdk import ORT_SWITCH
from edgetl.types import Missing

SDKS = {"onnx", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "torch", "cuda"}
FOLDER = Path(edgetl.backends.base.__file__).parent


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_table_loads_neither_numpy_nor_an_sdk() -> None:
    assert loaded_after("import edgetl.backends.base") & (SDKS | {"numpy"}) == set()


@pytest.mark.parametrize("name", list(BACKENDS))
def test_asking_a_backend_what_it_can_do_loads_no_sdk(name: str) -> None:
    code = f"from edgetl.backends.base import load, _any_target as target\nb = load({name!r})\n"
    code += f"b.version(), b.missing(), b.cannot_run(target({name!r}))"
    assert loaded_after(code) & SDKS == set()


@pytest.mark.parametrize("name", list(BACKENDS))
def test_nothing_is_reported_and_nothing_is_left_in_the_home_folder(name: str, tmp_path: Path) -> None:
    """In a process of its own: the runtimes report when they are imported. What they queue, they write first."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    variables = {key: value for key, value in os.environ.items() if key not in ("CI", ORT_SWITCH, "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run_quietly.py")), name, str(work)],
        env={**variables, "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [str(path) for path in home.rglob("*") if path.is_file()] == []


def test_diagnosing_all_of_them_loads_no_sdk() -> None:
    assert loaded_after("from edgetl.backends.base import diagnose; diagnose()") & SDKS == set()


def test_every_module_loads_without_an_sdk() -> None:
    # the two that look into ONNX files are imported when there is one to look into
    names = [path.stem for path in sorted(FOLDER.glob("*.py")) if not path.stem.startswith("onnx_")]
    assert {"null", "cuda_driver", "trt_common"} < set(names)
    assert loaded_after("\n".join(f"import edgetl.backends.{name}" for name in names)) & SDKS == set()


@pytest.mark.parametrize("name", list(BACKENDS))
def test_no_backend_imports_or_extends_another(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported.isdisjoint(f"edgetl.backends.{other}" for other in BACKENDS)
    bases = [base for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases]
    assert {ast.unparse(base) for base in bases} == {"Toolchain"}


@pytest.mark.parametrize("name", list(BACKENDS))
def test_every_backend_has_its_name_its_page_and_its_verbs(name: str) -> None:
    backend = load(name)
    assert backend.name == name
    page = FOLDER.parents[1] / "docs" / "guide" / "backends" / f"{name}.md"
    assert page.read_text(encoding="utf-8").startswith("# ")
    for verb in ("version", "missing", "cannot_run", "compile", "open"):
        assert callable(getattr(backend, verb))


def test_the_diagnosis_has_a_row_for_every_backend_and_a_remedy_for_every_obstacle() -> None:
    found = diagnose()
    assert [row.backend for row in found] == list(BACKENDS)
    for row in found:
        for obstacle in (row.missing, row.cannot_run):
            assert obstacle is None or (isinstance(obstacle, Missing) and obstacle.reason and obstacle.remedy)


def test_null_always_compiles_and_runs() -> None:
    row = next(row for row in diagnose() if row.backend == "null")
    assert row.missing is None
    assert row.cannot_run is None
