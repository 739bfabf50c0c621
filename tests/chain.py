"""One small real build, made once per session through the command line, and looked at by many tests.

Three of the ten digits of the demo, five shots each, few epochs: everything is real, nothing takes long.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from cli_calls import Done
from this_cpu import X86_TARGET
from warm import warm_python

ROOT = Path(__file__).resolve().parents[1]
NO_NETWORK = ROOT / "tests" / "no_network.py"
DIGITS = ("0", "1", "4")
CPU_TARGETS = ("x86-cpu", "intel-cpu")
TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Chain:
    """A finished build. `done` is the run that made it."""

    recipe: Path
    out: Path
    targets: tuple[str, ...]
    done: Done

    @property
    def pivot(self) -> Path:
        return self.out / "pivot"

    def bundle(self, target: str) -> Path:
        return self.out / "bundles" / f"digits-{target}"

    def image(self, digit: str = "0") -> Path:
        return sorted((self.recipe.parent / "scans" / digit).iterdir())[0]

    def copy_out(self, place: Path) -> Path:
        """The whole output folder elsewhere; with the same recipe and `--out` all its stages are found again."""
        return Path(shutil.copytree(self.out, place))


def edgetl(*arguments: str | Path, timeout_s: float = TIMEOUT_S) -> Done:
    """Run `edgetl ARGUMENTS` in a process of its own."""
    return python("-m", "edgetl", *arguments, timeout_s=timeout_s)


def python(*arguments: str | Path, timeout_s: float = TIMEOUT_S) -> Done:
    """Run a Python program in a process of its own that finds torch imported (`warm.py`)."""
    return Done(*warm_python(list(map(str, arguments)), _environment(), ROOT, timeout_s))


def edgetl_offline(*arguments: str | Path) -> Done:
    """The same in a process that ends at the first attempt to reach a network."""
    return python(NO_NETWORK, *arguments)


_TRAINING = ("torch", "torchvision", "timm", "torchao", "sklearn", "scipy", "onnxscript")


def edgetl_without_torch(*arguments: str | Path) -> Done:
    """The same where nothing of `edgetl[train]` can be imported; the last line of stderr lists what was loaded."""
    code = (
        "import atexit, json, sys\n"
        f"sys.modules.update(dict.fromkeys({_TRAINING!r}))\n"
        "from edgetl.cli import main\n"
        "there = lambda: sorted(name for name, module in sys.modules.items() if module is not None)\n"
        "atexit.register(lambda: print(json.dumps(there()), file=sys.stderr))\n"
        f"main({list(map(str, arguments))!r})\n"
    )
    return run([sys.executable, "-c", code])


def run(command: Sequence[str], *, timeout_s: float = TIMEOUT_S, cwd: Path = ROOT) -> Done:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, cwd=cwd, env=_environment(), check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("EDGETL_")}


def write_recipe(folder: Path, targets: Sequence[str], **changes: Any) -> Path:
    """The scans of three digits and a recipe for them in `folder`. Returns the recipe's path."""
    from edgetl.cli.demo_files import write_demo
    from edgetl.types import Silent

    write_demo(folder, Silent())
    for scans in (folder / "scans").iterdir():
        if scans.name not in DIGITS:
            shutil.rmtree(scans)
    recipe = {
        "name": "digits",
        "data": {"train": "scans", "shots": 5, "augment": "text", "resize": "squash", "max_val_images": 60},
        "backbone": {"name": "edgetl:printed_characters"},
        "adapt": {"epochs": 2},
        "quantize": {"epochs": 1},
        "targets": list(targets),
        # generous: whether a network of two epochs is good is not asked here
        "gates": {"max_drop_points": 20, "min_top1": 0.5},
        "bench": {"cold_starts": 1},
        "out": "build",
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe | changes), encoding="utf-8")
    return path


def chain_targets() -> tuple[str, ...]:
    return (*CPU_TARGETS, "nvidia-rtx") if find_spec("tensorrt_rtx") else CPU_TARGETS


def build_chain(folder: Path) -> Chain:
    """Build for both CPU toolchains and, where TensorRT-RTX is installed, for NVIDIA; without a network."""
    targets = chain_targets()
    recipe = folder / "recipe.yaml"

    def build() -> Done:
        write_recipe(folder, targets)
        return edgetl_offline("build", recipe)

    return Chain(recipe, folder / "build", targets, once(folder, build))


STEEL = {
    "data.shots": 5,
    "data.max_val_images": 60,
    "data.resize": "crop",
    "check.features": "false",
    "adapt.strategy": "probe",
    "quantize.method": "ptq",
    "targets": f"[{', '.join(sorted({'x86-cpu', X86_TARGET, 'intel-cpu', 'arm64-cpu'}))}]",
    # a probe of five shots, perhaps on a CPU that saturates: the chain is tested, not the network
    "gates.max_drop_points": 100,
    "bench.emulate": "false",
    "bench.cold_starts": "1",
}


def build_steel(folder: Path, shared: Path) -> Path:
    """Build examples/steel.yaml in `folder`, at short settings, on the real images; returns its output folder."""

    def build() -> Done:
        (folder / "data").symlink_to(shared / "data")
        recipe = folder / "steel.yaml"
        recipe.write_bytes((ROOT / "examples" / "steel.yaml").read_bytes())
        overrides = [part for key, value in STEEL.items() for part in ("--set", f"{key}={value}")]
        return edgetl("build", recipe, "--weights-dir", shared / "weights", "--out", folder / "out", *overrides)

    once(folder, build)
    return folder / "out"


def once(folder: Path, build: Callable[[], Done]) -> Done:
    """Build into `folder` unless another test process has done so, or is just at it."""
    folder.mkdir(exist_ok=True)
    record = folder.with_suffix(".json")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            done = build()
            if done.code:
                raise RuntimeError(f"a build for the tests ended with {done.code}:\n{done.out}\n{done.err}")
            record.write_text(json.dumps(asdict(done)), encoding="utf-8")
    return Done(**json.loads(record.read_text(encoding="utf-8")))
