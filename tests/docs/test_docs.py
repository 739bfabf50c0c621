"""Documentation cannot fall behind: generated pages are current, links lead somewhere, what exists is described."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from edgetl.backends.base import BACKENDS
from edgetl.cli import COMMANDS
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.recipes.targets import target_names

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)")


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_reference.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if not link.startswith(("http:", "https:")):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_has_a_page(name: str) -> None:
    assert (ROOT / "docs" / "guide" / "backends" / f"{name}.md").is_file()


@pytest.mark.parametrize("name", target_names())
def test_every_target_is_in_the_readme(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_a_help_text(name: str) -> None:
    assert f"## edgetl {name}\n" in (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")


def test_the_recipe_in_the_readme_is_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        parse_recipe(yaml.safe_load(block), where="README.md")


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_valid_by_reader_and_schema(path: Path) -> None:
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    parse_recipe(raw, where=path.name)
    schema = json.loads((ROOT / "docs" / "reference" / "recipe.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(raw, schema)


def test_the_commands_the_readme_names_exist() -> None:
    for name in re.findall(r"(?m)(?:^ {4}|`)edgetl ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert name in COMMANDS
