"""Finding weights, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgetl.backbones.weights import locate, model_file
from edgetl.errors import UsageError, WeightsError
from edgetl.recipes.recipe import Backbone


def _timm_folder(folder: Path, config: str = "{}", model: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").write_bytes(model)
    return folder


def test_a_plain_name_comes_from_the_hub_when_no_folder_has_it(tmp_path: Path) -> None:
    source = locate(Backbone(name="mobilenetv2_100"), tmp_path, [tmp_path])
    assert (source.kind, source.path, source.digest) == ("hub", "", "")


def test_a_weights_folder_is_looked_up_before_the_hub(tmp_path: Path) -> None:
    folder = _timm_folder(tmp_path / "weights" / "resnet18")
    source = locate(Backbone(name="resnet18"), tmp_path, [tmp_path / "weights"])
    assert (source.kind, source.path) == ("local-dir", str(folder))


def test_the_first_weights_folder_wins(tmp_path: Path) -> None:
    first = _timm_folder(tmp_path / "a" / "resnet18")
    _timm_folder(tmp_path / "b" / "resnet18")
    assert locate(Backbone(name="resnet18"), tmp_path, [tmp_path / "a", tmp_path / "b"]).path == str(first)


def test_torchvision_weights_are_found_with_and_without_the_prefix(tmp_path: Path) -> None:
    folder = _timm_folder(tmp_path / "vgg11")
    source = locate(Backbone(name="tv_vgg11"), tmp_path, [tmp_path])
    assert (source.kind, source.path) == ("file", str(folder / "model.safetensors"))
    preferred = _timm_folder(tmp_path / "tv_vgg11")
    assert locate(Backbone(name="tv_vgg11"), tmp_path, [tmp_path]).path == str(preferred / "model.safetensors")


def test_local_dir_is_relative_to_the_recipe(tmp_path: Path) -> None:
    folder = _timm_folder(tmp_path / "nets" / "mine")
    assert locate(Backbone(name="local-dir:nets/mine"), tmp_path, []).path == str(folder)


def test_the_digest_changes_with_weights_and_with_config_and_not_with_the_place(tmp_path: Path) -> None:
    def digest(name: str, **content: object) -> str:
        _timm_folder(tmp_path / name, **content)  # type: ignore[arg-type]
        return locate(Backbone(name=f"local-dir:{name}"), tmp_path, []).digest

    same = digest("a")
    assert digest("b") == same
    assert digest("c", config=json.dumps({"model_args": {}})) != same
    assert digest("d", model=b"other") != same


def test_a_checkpoint_is_relative_to_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"x")
    source = locate(Backbone(name="resnet18", weights="w.safetensors"), tmp_path, [])
    assert source.kind == "file"
    assert source.path == str(tmp_path / "w.safetensors")
    assert len(source.digest) == 64


def test_random_weights_need_no_source(tmp_path: Path) -> None:
    assert locate(Backbone(name="resnet18", pretrained=False), tmp_path, []).kind == "none"


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({"name": "resnet18", "weights": "w.pt", "pretrained": False}, "contradict"),
        ({"name": "s3:bucket"}, "unknown prefix"),
        ({"name": "local-dir:"}, "empty name"),
        ({"name": "hf-hub:timm/resnet18"}, "local-dir:PATH"),
        ({"name": "../resnet18"}, "not a network name"),
        ({"name": "local-dir:x", "weights": "w.pt"}, "leave `weights` out"),
        ({"name": "edgetl:../../x"}, "no backbone"),
        ({"name": "edgetl:nothing_like_it"}, "it has:"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_usage_error(tmp_path: Path, request_: dict[str, object], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        locate(Backbone.model_validate(request_), tmp_path, [])


def test_a_missing_weights_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--weights-dir"):
        locate(Backbone(name="resnet18"), tmp_path, [tmp_path / "absent"])


def test_what_is_missing_on_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.safetensors: no such file"):
        locate(Backbone(name="resnet18", weights="absent.safetensors"), tmp_path, [])
    with pytest.raises(WeightsError, match=r"no config\.json"):
        locate(Backbone(name="local-dir:absent"), tmp_path, [])
    with pytest.raises(WeightsError, match="found a folder"):
        locate(Backbone(name="resnet18", weights="."), tmp_path, [])
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"model\.safetensors or pytorch_model\.bin"):
        model_file(tmp_path)


def test_finding_weights_loads_no_torch() -> None:
    code = "import sys, edgetl.backbones.weights, edgetl.backbones.spec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _tagged(tmp_path: Path, name: str, tag: str | None = "lamb_in1k") -> Path:
    config = {"architecture": "resnet18", "pretrained_cfg": {} if tag is None else {"tag": tag}}
    return _timm_folder(tmp_path / "w" / name, json.dumps(config))


@pytest.mark.parametrize(
    ("folder", "asked"),
    [
        ("resnet18.lamb_in1k", "resnet18"),
        ("resnet18", "resnet18.lamb_in1k"),
        ("resnet18.lamb_in1k", "resnet18.lamb_in1k"),
        ("ResNet18.LAMB_in1k", "resnet18"),
        (" resnet18", "resnet18.lamb_in1k"),
    ],
)
def test_a_tagged_weights_folder_is_found_with_and_without_the_tag(tmp_path: Path, folder: str, asked: str) -> None:
    there = _tagged(tmp_path, folder)
    assert locate(Backbone(name=asked), tmp_path, [tmp_path / "w"]).path == str(there)


def test_a_tag_that_contradicts_is_refused_and_what_the_folder_holds_is_said(tmp_path: Path) -> None:
    _tagged(tmp_path, "resnet18.lamb_in1k")
    with pytest.raises(WeightsError, match=r"w contains resnet18\.lamb_in1k .*, not `resnet18\.a1_in1k`; name that"):
        locate(Backbone(name="resnet18.a1_in1k"), tmp_path, [tmp_path / "w"])
    assert locate(Backbone(name="resnet50"), tmp_path, [tmp_path / "w"]).held.endswith("w contains resnet18.lamb_in1k")


def test_a_folder_that_says_no_tag_is_taken_for_any(tmp_path: Path) -> None:
    there = _tagged(tmp_path, "resnet18", tag=None)
    assert locate(Backbone(name="resnet18.a1_in1k"), tmp_path, [tmp_path / "w"]).path == str(there)


def test_of_several_tags_the_user_chooses_unless_one_folder_has_the_very_name(tmp_path: Path) -> None:
    _tagged(tmp_path, "resnet18.a1_in1k", "a1_in1k")
    _tagged(tmp_path, "resnet18.tv_in1k", "tv_in1k")
    with pytest.raises(WeightsError, match=r"several folders for `resnet18`: resnet18\.a1_in1k, resnet18\.tv_in1k"):
        locate(Backbone(name="resnet18"), tmp_path, [tmp_path / "w"])
    plain = _tagged(tmp_path, "resnet18")
    assert locate(Backbone(name="resnet18"), tmp_path, [tmp_path / "w"]).path == str(plain)
