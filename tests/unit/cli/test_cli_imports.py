"""`edgetl --help` loads nothing heavy, and the layers import in one direction."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgetl.backends.base import BACKENDS

PACKAGE = Path(__file__).resolve().parents[3] / "edgetl"
HEAVY = {"numpy", "torch", "onnx", "onnxruntime", "openvino", "PIL", "pydantic", "yaml", "rich", "matplotlib"}

# The order in which data flows, what is used by all first. A folder imports itself and those before it.
ORDER = (
    "types", "errors", "files", "store", "recipes", "fronts", "data", "backbones", "tasks",
    "pivot", "checks", "adapt", "quant", "backends", "imported", "bundle", "bench", "devices", "language", "report",
    "diagnose", "stages", "explore", "sweep", "cli", "__main__",
)  # fmt: skip
# The bench runs engines and knows no toolchain.
BENCH_MAY_USE = {"edgetl.backends.base", "edgetl.backends.fresh_process"}
TORCH_MAY_LIVE_IN = (
    "adapt/",
    "backbones/",
    "pivot/",
    "quant/",
    "tasks/classification/heads/",
    "tasks/detection/networks/",
)


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "edgetl":
            names |= {f"edgetl.{alias.name}" for alias in node.names if not alias.name.startswith("__")}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py" or path.parent.name == "cli"]


def loaded_by(arguments: list[str]) -> set[str]:
    code = (
        "import sys, json, atexit\n"
        "from edgetl.cli import main\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"main({arguments!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_loads_nothing_heavy_and_no_command() -> None:
    loaded = loaded_by(["--help"])
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert not {name for name in loaded if name.startswith("edgetl.") and name != "edgetl.cli"}


def command_names() -> list[str]:
    from edgetl.cli import COMMANDS

    return list(COMMANDS)


@pytest.mark.parametrize("name", command_names())
def test_every_command_has_help_that_loads_nothing_heavy(name: str) -> None:
    assert not {module.partition(".")[0] for module in loaded_by([name, "--help"])} & HEAVY


def test_every_folder_has_its_place_in_the_order() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert folders | files == set(ORDER)


def test_the_map_for_contributors_has_the_same_order() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)(?:/|\.py)`", row)]
    assert named == [name for name in ORDER if name != "__main__"]


def test_every_folder_says_what_it_is_for() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("__init__.py")}
    assert not [path for path, text in texts.items() if not ast.get_docstring(ast.parse(text))]


def test_imports_point_down_the_order() -> None:
    rank = {name: level for level, name in enumerate(ORDER)}
    upwards = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in modules()
        for name in imports_of(path)
        if name.startswith("edgetl.") and rank[name.split(".")[1]] > rank[package_of(path)]
    ]
    assert not upwards


def test_the_bench_knows_no_toolchain() -> None:
    used = {name for path in (PACKAGE / "bench").glob("*.py") for name in imports_of(path)}
    assert {name for name in used if name.startswith("edgetl.backends")} <= BENCH_MAY_USE


def test_only_backends_are_asked_by_their_name() -> None:
    """The others ask for a property: `edgetl.backends.base.About`."""
    comparing = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in modules()
        if package_of(path) not in ("backends", "files")  # a YAML tag is called null
        for node in nodes(path)
        if isinstance(node, ast.Compare)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value in BACKENDS
    ]
    assert not comparing


def test_torch_lives_only_where_networks_are_trained() -> None:
    training = {"torch", "torchvision", "timm", "torchao"}
    users = [path for path in modules() if {name.partition(".")[0] for name in imports_of(path)} & training]
    assert not [path for path in users if not path.relative_to(PACKAGE).as_posix().startswith(TORCH_MAY_LIVE_IN)]


def test_no_module_can_unpickle() -> None:
    for path in modules():
        text = path.read_text(encoding="utf-8")
        assert not imports_of(path) & {"cloudpickle", "joblib", "dill", "shelve", "marshal"}, path
        assert not re.search(r"pickle\.(load|loads|Unpickler)\b", text), path
        assert "allow_pickle=True" not in text, path
        assert "weights_only=False" not in text, path


def test_threads_that_wait_leave_the_core_to_others_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgetl.cli import main

    for given, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        if given:
            monkeypatch.setenv("OMP_WAIT_POLICY", given)
        with pytest.raises(SystemExit):
            main(["--help"])
        assert os.environ["OMP_WAIT_POLICY"] == expected
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
