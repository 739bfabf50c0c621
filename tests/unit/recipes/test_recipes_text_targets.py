"""The schemes of targets for networks of texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.errors import UsageError
from edgetl.recipes.targets import load_target, scheme_id, target_names


@pytest.mark.parametrize("name", target_names())
def test_texts_have_integers_in_linear_layers_only(name: str) -> None:
    images, texts = load_target(name), load_target(name, front="text")
    assert texts.scheme.operators == ("linear",)
    assert texts.scheme.is_dynamic == (texts.backend == "onnxruntime")
    assert texts.scheme.weight_pairs_in_int16 == images.scheme.weight_pairs_in_int16
    assert scheme_id(texts.scheme) != scheme_id(images.scheme)
    assert load_target(name, front="audio") == images


def _own(folder: Path, lines: str) -> None:
    scheme = "scheme: {activation_dtype: uint8, activation_symmetric: false}"
    start = "name: mine\nsummary: a\nbackend: openvino\nmachine: any\naccelerator: none\nprecisions: [int8]\n"
    (folder / "mine.yaml").write_text(f"{start}{scheme}\n{lines}")


def test_a_target_says_itself_what_texts_use(tmp_path: Path) -> None:
    _own(tmp_path, "text_scheme: {activation_dtype: int8, activation_symmetric: true}\n")
    assert load_target("mine", [tmp_path], "text").scheme.activation_dtype == "int8"
    assert load_target("mine", [tmp_path]).scheme.activation_dtype == "uint8"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("text_scheme: {activation_type: int8}\n", "text_scheme: unknown key `activation_type`"),
        ("text_scheme: dynamic\n", "`text_scheme`: expected keys of `scheme`"),
    ],
)
def test_a_wrong_text_scheme_is_explained(tmp_path: Path, lines: str, message: str) -> None:
    _own(tmp_path, lines)
    with pytest.raises(UsageError, match=message):
        load_target("mine", [tmp_path])


def test_a_dynamic_scheme_is_refused_for_images(tmp_path: Path) -> None:
    _own(tmp_path, "")
    text = (tmp_path / "mine.yaml").read_text().replace("uint8", "dynamic")
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match="activation_dtype: dynamic is for texts"):
        load_target("mine", [tmp_path])
