"""What schema 2 says about a bundle's task, and how schema 1 is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from detector_pivot import ANCHORS, HEIGHT, LABELS, SETTINGS, WIDTH, make_detector_pivot
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.bundle.manifest import Manifest, read_manifest
from edgetl.bundle.write import add_measurement
from edgetl.errors import BundleError

NEW_KEYS = ("task", "front", "signature", "postprocess")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The manifests of a classifier and of a detector."""
    folder = tmp_path_factory.mktemp("bundles")
    (classifier, _) = compile_targets(make_pivot(folder / "classifier"), ["null"], folder / "one")
    (detector, _) = compile_targets(make_detector_pivot(folder / "detector"), ["null"], folder / "two")
    return {
        "classifier": json.loads((classifier / "manifest.json").read_text()),
        "detector": json.loads((detector / "manifest.json").read_text()),
    }


def read(folder: Path, content: dict[str, Any]) -> Manifest:
    (folder / "manifest.json").write_text(json.dumps(content))
    return read_manifest(folder)


def test_a_detector_says_what_it_gives_and_how_that_becomes_objects(
    bundles: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    assert bundles["detector"]["signature"] == {
        "inputs": [{"name": "image", "dtype": "uint8", "shape": [None, HEIGHT, WIDTH, 3]}],
        "outputs": [
            {"name": "boxes", "dtype": "float32", "shape": [None, ANCHORS, 4]},
            {"name": "scores", "dtype": "float32", "shape": [None, ANCHORS, len(LABELS)]},
        ],
    }
    manifest = read(tmp_path, bundles["detector"])
    assert (manifest.task, manifest.postprocess, manifest.labels) == ("detection", SETTINGS, LABELS)


def test_schema_1_is_read_as_what_schema_2_says_of_a_classifier(
    bundles: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    new = bundles["classifier"]
    old = {key: value for key, value in new.items() if key not in NEW_KEYS} | {"schema": 1}
    assert read(tmp_path, old) == read(tmp_path, new)


def test_a_bundle_of_schema_1_that_is_measured_again_becomes_schema_2(
    bundles: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    old = {key: value for key, value in bundles["classifier"].items() if key not in NEW_KEYS} | {"schema": 1}
    add_measurement(tmp_path, read(tmp_path, old), None, "pass", "")
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert written["schema"] == 2
    assert read_manifest(tmp_path).verdict == "pass"


@pytest.mark.parametrize("key", NEW_KEYS)
def test_keys_of_schema_2_are_unknown_in_schema_1_and_required_in_schema_2(
    bundles: dict[str, dict[str, Any]], tmp_path: Path, key: str
) -> None:
    content = bundles["detector"]
    old = {name: value for name, value in content.items() if name not in NEW_KEYS} | {"schema": 1, key: content[key]}
    with pytest.raises(BundleError, match=f"unknown key `{key}`"):
        read(tmp_path, old)
    with pytest.raises(BundleError, match=f"`{key}` is missing"):
        read(tmp_path, {name: value for name, value in content.items() if name != key})


def changed(content: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(content))
    place: Any = copy
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        place = place[part]
    place[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("task", "segmentation", "`task`"),
        ("task", "classification", "`signature` must be .* -> logits float32"),
        ("front", "audio", "`front`"),
        ("postprocess", None, "`postprocess` must be an object for detection"),
        ("postprocess.score_threshold", 2, "`postprocess.score_threshold`"),
        ("postprocess.soft", True, "unknown key `postprocess.soft`"),
        ("signature.inputs.0.dtype", "float32", "`signature` must be image uint8"),
        ("signature.inputs.0.shape", [None, WIDTH, HEIGHT, 3], "`signature` must be image uint8"),
        ("signature.outputs.0.shape", [None, None, 4], "`signature` must be .* boxes float32"),
        ("signature.outputs.1.shape", [None, ANCHORS + 1, 3], "`signature` must be .* scores float32"),
        ("signature.outputs.1.name", "logits", "`signature` must be .* scores float32"),
        ("labels", [], "`labels`"),
        ("labels", ["red"], "`signature` must be"),
    ],
)
def test_a_detector_that_contradicts_itself_is_refused_in_one_line(
    bundles: dict[str, dict[str, Any]], tmp_path: Path, path: str, value: object, words: str
) -> None:
    with pytest.raises(BundleError, match=words) as caught:
        read(tmp_path, changed(bundles["detector"], path, value))
    assert len(str(caught.value).splitlines()) == 1


def test_a_classifier_of_one_class_is_refused(bundles: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    one = changed(bundles["classifier"], "labels", ["kind 0"])
    with pytest.raises(BundleError, match="`labels` must be at least 2"):
        read(tmp_path, one)
    old = {key: value for key, value in one.items() if key not in NEW_KEYS} | {"schema": 1}
    with pytest.raises(BundleError, match="`labels`"):
        read(tmp_path, old)


def test_a_detector_of_one_class_is_read(tmp_path: Path) -> None:
    pivot = make_detector_pivot(tmp_path / "pivot", labels=("raccoon",))
    (folder, _) = compile_targets(pivot, ["null"], tmp_path / "bundles")
    assert read_manifest(folder).labels == ("raccoon",)


def test_outputs_that_no_device_could_hold_are_refused(bundles: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    huge = changed(bundles["detector"], "signature.outputs.0.shape", [None, 100_000_000, 4])
    huge = changed(huge, "signature.outputs.1.shape", [None, 100_000_000, 3])
    with pytest.raises(BundleError, match="at most 100000000 values for one image"):
        read(tmp_path, huge)
