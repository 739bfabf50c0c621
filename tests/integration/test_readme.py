"""Every command of the README is typed here in an empty folder, or the table says why not."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from chain import CPU_TARGETS, ROOT, run
from cli_calls import Done
from this_cpu import HAS_VNNI

from edgetl.report.model import read_report

pytestmark = pytest.mark.integration

README = (ROOT / "README.md").read_text(encoding="utf-8")
PHOTOS = "photos/"

TYPED = (
    "edgetl new photos",
    "edgetl check recipe.yaml",
    "edgetl select recipe.yaml",
    "edgetl build recipe.yaml",
    "edgetl predict parts-build/bundles/parts-x86-cpu new --threshold 0.8 --sort-into sorted",
    "edgetl verify  parts-build/bundles/parts-x86-cpu",
    "edgetl compile parts-build/pivot --target intel-cpu --target nvidia-gpu --out bundles",
    "edgetl bench bundles/intel-cpu-int8 bundles/intel-cpu-float32 --data photos-test",
)
NOT_TYPED = {
    "make demo": "installs 6 GB first; what it then runs is run below",
    "make test": "is what runs this",
    "pip install -c constraints.txt '.[train]'": "downloads 3 GB; test_wheel.py does the same with the wheel in CI",
    "edgetl compile --finish bundles/nvidia-gpu-int8": "needs an NVIDIA GPU: tests/hardware",
    PHOTOS: "is no command: how the images lie",
    "good/*.jpg  scratch/*.jpg  dent/*.jpg": "is no command: how the images lie",
}
GATE_MISSED = 3


def commands() -> list[str]:
    """Every line of a code block but recipes, without its comment."""
    found, fence = [], None
    for line in README.splitlines():
        if line.startswith("```"):
            fence = line.removeprefix("```") if fence is None else None
        elif (line.startswith("    ") and fence is None) or fence not in (None, "yaml"):
            found.append(re.sub(r"(^|\s)#.*", "", line).strip())
    return [command for command in found if command]


def short_recipe() -> str:
    """The README's own, with less work for adaptation, quantization and one image."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    recipe = yaml.safe_load(text)
    recipe["backbone"]["input_size"] = 96
    recipe["targets"] = [name for name in recipe["targets"] if name in CPU_TARGETS]
    return yaml.safe_dump(recipe | {"adapt": {"strategy": "probe"}, "quantize": {"method": "ptq"}})


def allowed(command: str) -> tuple[int, ...]:
    """Exit codes. Of a few images the gate is missed by chance; INT8 for VNNI is not verified on a CPU without."""
    if command == "edgetl build recipe.yaml":
        return (0, GATE_MISSED)
    return (0, 1) if " verify " in command and not HAS_VNNI else (0,)


def typed(command: str, folder: Path, weights: Path) -> Done:
    """As in a shell whose PATH begins with this environment, in `folder`."""
    path = f"PATH={Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return run(["env", path, f"EDGETL_WEIGHTS_DIR={weights}", "bash", "-c", command], cwd=folder)


@pytest.fixture
def desk(shared: Path, tmp_path: Path) -> Path:
    """A folder with photos/, photos-test/ and new/, and the weights of one backbone."""
    kinds = (line for line in commands() if "/*.jpg" in line)
    names = re.findall(r"(\w+)/\*\.jpg", next(kinds))
    sources = sorted((shared / "data" / "neu_steel" / "train").iterdir())
    for name, source in zip(names, sources, strict=False):
        images = sorted(source.iterdir())
        for place, some in ((f"photos/{name}", images[:16]), (f"photos-test/{name}", images[16:21])):
            (tmp_path / place).mkdir(parents=True)
            for image in some:
                shutil.copy(image, tmp_path / place)
        (tmp_path / "new").mkdir(exist_ok=True)
        shutil.copyfile(images[21], tmp_path / "new" / f"{name}.jpg")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mobilenetv2_100").symlink_to(shared / "weights" / "mobilenetv2_100")
    return tmp_path


def test_every_command_is_typed_or_has_a_reason() -> None:
    assert sorted(commands()) == sorted([*TYPED, *NOT_TYPED])


@pytest.mark.slow
def test_the_commands_work_one_after_the_other(desk: Path) -> None:
    for command in TYPED:
        if command == "edgetl build recipe.yaml":
            # the README's own smallest recipe in place of the one that `edgetl new` wrote
            (desk / "recipe.yaml").write_text(short_recipe(), encoding="utf-8")
        done = typed(command, desk, desk / "weights")
        assert done.code in allowed(command), (command, done.err)
    assert (desk / "parts-build" / "report.html").is_file()
    assert list((desk / "sorted").rglob("*.jpg"))


@pytest.mark.slow
def test_the_demo_passes_on_this_machine(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\ndemo: $(READY)\n\t$(BIN)/edgetl demo --out demo\n" in makefile
    done = typed("edgetl demo --out demo", tmp_path, tmp_path)
    assert done.code == 0, done.err
    report = read_report(tmp_path / "demo" / "build" / "report.json")
    assert report.data.val == 1697
    assert {bundle.verdict for bundle in report.bundles if bundle.measured} == {"pass"}
