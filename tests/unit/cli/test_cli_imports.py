"""`edgetl --help` loads nothing heavy, and the layers import in one direction."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "edgetl"
HEAVY = {"numpy", "torch", "onnx", "onnxruntime", "openvino", "PIL", "pydantic", "yaml", "rich", "matplotlib"}

# A package may import itself and those of lower layers; packages of one layer share files and values, not code.
LAYERS = [
    {"types", "errors", "records"},
    {"digest", "durable", "memory", "resources", "progress", "sdk", "stats", "temporary", "text", "file_kind"},
    {"refusal", "yaml_file"},
    {"ci_files", "store", "recipe", "arrays", "json_file"},
    {"catalog", "recipe_file", "clean", "accuracy_gates", "cache"},
    {"data"},
    {"backbones", "graph"},
    {"adapt", "quant", "export", "backends", "bench", "bundle"},
    {"checks", "surgery"},
    {"report"},
    {"assemble", "inference", "doctor", "publish", "blame", "sorting"},
    {"measure", "saturation", "repair"},
    {"reporting"},
    {"stages"},
    {"pipeline", "selection"},
    {"clustering", "blaming"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
# The bench runs engines: it may use the table of backends, and nothing else of that package (DESIGN.md).
ALLOWED = {("bench", "edgetl.backends.base"), ("bundle", "edgetl.data")}
TORCH_MAY_LIVE_IN = {"adapt", "quant", "export", "backbones", "graph", "surgery"}


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
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


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down_the_layers(path: Path) -> None:
    rank = {name: level for level, names in enumerate(LAYERS) for name in names}
    own = package_of(path)
    assert own in rank, f"{own} has no layer yet: add it to LAYERS"
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "edgetl" or len(parts) == 1 or parts[1] == own:
            continue
        if any(own == who and name.startswith(what) for who, what in ALLOWED):
            continue
        assert rank[parts[1]] < rank[own], f"{path.name} of `{own}` imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_torch_lives_only_where_networks_are_trained(path: Path) -> None:
    roots = {name.partition(".")[0] for name in imports_of(path)}
    if roots & {"torch", "torchvision", "timm", "torchao"}:
        assert package_of(path) in TORCH_MAY_LIVE_IN


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
