"""Two label columns of real images from one table to one bundle, through the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from chain import edgetl, edgetl_without_torch
from this_cpu import X86_TARGET

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DEFECTS, INSECTS = ("inclusion", "patches", "scratches"), ("ants", "bees")
SHOTS, VAL = 6, 12


@dataclass(frozen=True)
class Built:
    table: Path
    bundle: Path
    report: dict[str, Any]


def _rows(data: Path) -> Iterator[tuple[str, str, str, str]]:
    """Steel has a defect and no insect, a flower an insect and no defect."""
    for part, count in (("train", SHOTS + 1), ("val", VAL)):
        for name in DEFECTS:
            for path in sorted((data / "neu_steel" / part / name).iterdir())[:count]:
                yield str(path), name, "", part
        for name in INSECTS:
            for path in sorted((data / "hymenoptera" / part / name).iterdir())[:count]:
                yield str(path), "", name, part


@pytest.fixture(scope="module")
def built(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("heads")
    table = folder / "parts.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("image", "defect", "insect", "split"), *_rows(shared / "data")])
    recipe = {
        "name": "parts",
        "data": {"train": table.name, "labels": ["defect", "insect"], "shots": SHOTS, "augment": "none"},
        "check": {"features": False},
        "backbone": {"name": "mobilenetv2_100", "weights_dir": str(shared / "weights"), "input_size": 96},
        "adapt": {"strategy": "probe"},
        "quantize": {"method": "ptq"},
        "targets": [X86_TARGET],
        "gates": {"max_drop_points": 20, "heads": {"defect": {"min_score": 0.7}}},
        "bench": {"cold_starts": 1},
        "repair": "off",
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = edgetl("build", folder / "recipe.yaml", "--out", folder / "out", "--quiet")
    assert done.code == 0, done.err
    report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
    return Built(table, folder / "out" / "bundles" / f"parts-{X86_TARGET}", report)


def test_every_head_has_its_accuracy_and_its_gates(built: Built) -> None:
    (bundle,) = built.report["bundles"]
    assert bundle["verdict"] == "pass", bundle["reason"]
    assert [(head["head"], head["images"]) for head in bundle["heads"]] == [("defect", 36), ("insect", 24)]
    for head in bundle["heads"]:
        assert head["score"] > 0.6
        assert head["score_low"] < head["score"] < head["score_high"]
    assert bundle["score"] == min(head["score"] for head in bundle["heads"])
    gates = {(gate["gate"], gate["label"]) for build in bundle["builds"] for gate in build["gates"]}
    assert {("max_drop_points", "defect"), ("max_drop_points", "insect"), ("min_score", "defect")} <= gates
    guards = [guard for guard in built.report["adapt"]["guards"] if guard["guard"] == "several heads"]
    assert [guard["verdict"] for guard in guards] == ["pass", "pass"]
    page = (built.bundle.parents[1] / "report.html").read_text(encoding="utf-8")
    assert "2 heads on one backbone" in page
    assert '<a href="#heads">Heads</a>' in page
    assert "insect: Right, classes in turn" in page


def test_the_bundle_says_which_logits_are_whose_and_answers_per_head(built: Built) -> None:
    manifest = json.loads((built.bundle / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["heads"] == [
        {"name": "defect", "first": 0, "classes": list(DEFECTS)},
        {"name": "insect", "first": 3, "classes": list(INSECTS)},
    ]
    with built.table.open() as file:
        rows = list(csv.DictReader(file))
    image = next(row["image"] for row in rows if row["defect"] == "scratches" and row["split"] == "train")
    done = edgetl_without_torch("predict", built.bundle, image, "--json")
    assert done.code == 0, done.err
    heads = json.loads(done.out)[0]["heads"]
    assert {name: sorted(answer["labels"]) for name, answer in heads.items()} == {
        "defect": list(DEFECTS),
        "insect": list(INSECTS),
    }
    assert heads["defect"]["labels"][0] == "scratches"
    for answer in heads.values():
        assert sum(answer["probabilities"]) == pytest.approx(1)
    assert edgetl_without_torch("verify", built.bundle).code == 0


def test_bench_measures_each_head_on_a_table_and_judges_it(built: Built) -> None:
    done = edgetl_without_torch(
        *("bench", built.bundle, "--data", built.table, "--runs", "20", "--cold-starts", "0", "--json"),
        *("--gate", "min_score.insect=0.999"),
    )
    assert done.code in (0, 3), done.err
    measured = json.loads(done.out)
    heads = {head["head"]: head for head in measured["bundles"][0]["heads"]}
    assert {name: head["images"] for name, head in heads.items()} == {
        "defect": 3 * (SHOTS + 1 + VAL),
        "insect": 2 * (SHOTS + 1 + VAL),
    }
    ((check,),) = [each["checks"] for each in measured["gates"]]
    assert (check["label"], check["verdict"]) == (
        "insect",
        "pass" if heads["insect"]["top1"]["value"] >= 0.999 else "fail",
    )
