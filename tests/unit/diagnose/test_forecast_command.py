"""`edgetl forecast` refuses a recipe in which nothing can saturate, before it trains anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.cli import main

RECIPE = """
name: parts
data: {train: photos}
backbone: {name: mobilenetv2_100}
targets: [TARGET]
quantize: {method: METHOD}
"""


@pytest.mark.parametrize(("target", "method"), [("nvidia-rtx", "ptq"), ("x86-cpu", "none")])
def test_a_recipe_without_uint8_builds_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, method: str
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("TARGET", target).replace("METHOD", method), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["forecast", str(recipe)])
    assert ended.value.code == 2
    assert "only those saturate: add the target x86-cpu" in capsys.readouterr().err
    assert not (tmp_path / "parts-build").exists()
