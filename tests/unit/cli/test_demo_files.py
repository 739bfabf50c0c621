"""The demo writes its scans and its recipe, keeps what is there, and touches nobody's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetl.cli.demo_files import demo_recipe, write_demo
from edgetl.data.scan import scan
from edgetl.errors import StoreError
from edgetl.fronts.image.decode import decode
from edgetl.recipes.recipe_file import load_recipe
from edgetl.recipes.targets import load_target
from edgetl.types import Silent


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "new" / "demo"
    write_demo(folder, Silent())
    return folder


def test_the_scans_are_all_there_and_readable(demo: Path) -> None:
    listing = scan(demo / "scans")
    assert listing.classes == tuple("0123456789")
    assert sum(listing.counts()) == 1797
    assert not listing.skipped
    first = decode(Path(listing.files[0][0]))
    assert first.shape == (8, 8, 3)
    assert first.max() > 200


def test_the_recipe_reads_back_and_names_targets_that_compile_here(demo: Path) -> None:
    recipe = load_recipe(demo / "recipe.yaml")
    assert recipe == demo_recipe()
    assert recipe.gates.min_top1 == 0.95
    assert "null" not in recipe.targets
    for name in recipe.targets:
        load_target(name)


def test_what_is_there_is_kept(demo: Path) -> None:
    recipe = demo / "recipe.yaml"
    recipe.write_text(recipe.read_text() + "# my own note\n")
    times = {path: path.stat().st_mtime_ns for path in demo.rglob("*")}
    assert write_demo(demo, Silent()) == recipe
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("*")} == times


def test_a_demo_that_was_stopped_while_writing_is_completed(tmp_path: Path) -> None:
    (tmp_path / "scans.part" / "0").mkdir(parents=True)
    write_demo(tmp_path, Silent())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml", "scans"]


@pytest.mark.parametrize("name", ["thesis.txt", "recipe.yaml"])
def test_a_folder_that_is_somebodys_own_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(StoreError, match=f"contains {name}, which does not belong to the demo"):
        write_demo(tmp_path, Silent())
    assert [path.name for path in tmp_path.iterdir()] == [name]
