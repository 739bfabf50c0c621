"""`edgetl select` on labeled objects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from edgetl.backbones import regions
from edgetl.backbones.regions import region_features
from edgetl.cli import main
from edgetl.recipes.recipe import Backbone
from edgetl.types import ImagePreprocessing, NetworkSpec, Sample, Silent, WeightSource

pytestmark = [pytest.mark.stage, pytest.mark.usefixtures("one_thread")]

RECIPE = """
name: squares
task: detection
data: {train: train.csv, shots: 6}
backbone: {name: test_resnet, pretrained: false, input_size: 64}
detector: {width: 16}
targets: [x86-cpu]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Bright and dark squares on gray."""
    generator, rows = np.random.default_rng(0), ["path,x0,y0,x1,y1,label"]
    for number in range(12):
        pixels = np.full((64, 72, 3), 120, np.uint8)
        for place, (label, value) in enumerate((("bright", 230), ("dark", 20))):
            x, y = generator.integers(0, 14) + 36 * place, generator.integers(0, 42)
            pixels[y : y + 20, x : x + 20] = value
            rows.append(f"{number}.png,{x},{y},{x + 20},{y + 20},{label}")
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_backbones_are_compared_on_objects_and_timed_as_detectors(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["select", str(recipe), "--backbone", "test_resnet", "--backbone", "yolox_nano", "--json", "--quiet"])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["best"] == "test_resnet"
    own, whole = told["rows"]
    assert own["transfer"]["images"] == len(own["transfer"]["right"]) == 6
    assert own["transfer"]["top1"]["value"] > 0.5  # of bright, dark and background
    assert own["cost"]["p50_ms"]["value"] > 0 or told["unmeasured"]
    assert whole["verdict"] == "failed"


class Columns(nn.Module):
    """A map of stride 16 that counts columns, and one that counts rows."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        rows, columns = images.shape[2] // 16, images.shape[3] // 16
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        return (torch.stack([x, y]).float().expand(len(images), 2, rows, columns),)


def test_a_region_has_the_mean_of_the_map_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = ImagePreprocessing(64, 128, "squash", (0, 0, 0), (1, 1, 1))
    spec = NetworkSpec("timm", "test", {}, 2, "fc", p)
    monkeypatch.setattr(regions, "build_feature_maps", lambda *_: (Columns(), spec, None))
    Image.new("RGB", (256, 128)).save(tmp_path / "0.png")
    sample = Sample(str(tmp_path / "0.png"), (), "0")
    boxes = np.array([[64, 64, 128, 96], [0, 0, 256, 128]], np.float32)  # twice as large as in the input
    source = WeightSource("none", "")
    found = region_features(Backbone(name="test"), source, "squash", [sample, sample], [boxes, boxes[:1]], Silent())
    # cells 2 and 3 of a row, cell 2 of a column; positions are the middles of cells
    np.testing.assert_allclose(found[0], [2.5, 2.0], atol=1e-6)
    np.testing.assert_allclose(found[2], found[0])
    assert found.shape == (3, 2)
