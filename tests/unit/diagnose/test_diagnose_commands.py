"""`edgetl forecast` and `edgetl blame` refuse what they cannot answer before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_calls import Shell

RECIPE = """
name: parts
data: {train: photos}
backbone: {name: mobilenetv2_100}
targets: [TARGET]
quantize: {method: METHOD}
"""


def write(folder: Path, target: str, method: str) -> Path:
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.replace("TARGET", target).replace("METHOD", method), encoding="utf-8")
    return recipe


@pytest.mark.parametrize(("target", "method"), [("nvidia-rtx", "ptq"), ("x86-cpu", "none")])
def test_nothing_is_forecast_for_a_recipe_without_uint8_builds(
    shell: Shell, tmp_path: Path, target: str, method: str
) -> None:
    shell.refuses(2, ["only those saturate: add the target x86-cpu"], "forecast", write(tmp_path, target, method))
    assert not (tmp_path / "parts-build").exists()


def test_a_target_of_another_number_scheme_than_the_recipe_has_is_not_blamed(shell: Shell, tmp_path: Path) -> None:
    recipe = write(tmp_path, "x86-cpu", "ptq")
    words = ["x86-avx2 needs the INT8 scheme u8s8-", "(x86-cpu) have u8s8-", "--set targets=[x86-cpu, x86-avx2]"]
    shell.refuses(2, words, "blame", recipe, "--target", "x86-avx2")
    shell.refuses(2, ["needs the INT8 scheme s8s8-"], "blame", recipe, "--target", "nvidia-rtx")
    assert not (tmp_path / "parts-build").exists()


def test_a_target_that_shares_a_scheme_of_the_recipe_may_be_blamed(shell: Shell, tmp_path: Path) -> None:
    """It then looks for the photos, which are absent."""
    shell.refuses(
        2,
        ["photos: no such folder"],
        "blame",
        write(tmp_path, "arm64-cpu", "ptq"),
        "--target",
        "raspberry-pi-5",
        "--quiet",
    )
