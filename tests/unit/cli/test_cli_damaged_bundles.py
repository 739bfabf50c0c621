"""Damaged bundles at the command line: each of some 190 kinds is one line and exit code 1, in every command."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_calls import Shell
from damage import damages
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_targets


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    return compile_targets(make_pivot(folder / "pivot", golden=1), ["x86-cpu"], folder / "bundles")[0]


@pytest.fixture(autouse=True)
def ends_within_two_minutes() -> Iterator[None]:
    signal.alarm(120)  # a hang ends the whole run: nothing in this process could stop a read that waits
    yield
    signal.alarm(0)


@pytest.mark.parametrize("command", ["verify", "predict", "bench"])
def test_every_damage_to_a_bundle_is_one_line(whole: Path, tmp_path: Path, command: str, shell: Shell) -> None:
    picture = [whole / "golden" / "0.png"] if command == "predict" else []
    tried = list(damages(whole))
    assert len(tried) >= 166
    for damage in tried:
        bundle = Path(shutil.copytree(whole, tmp_path / "bundle"))
        damage.apply(bundle)
        answer = shell(command, bundle, *picture)
        assert (answer.code, answer.out, len(answer.lines)) == (1, "", 1), (damage.name, answer)
        assert answer.err.startswith(f"edgetl: {bundle}"), (damage.name, answer.err)
        assert len(answer.err) < 1000, damage.name
        shutil.rmtree(bundle)
        (tmp_path / "elsewhere").unlink(missing_ok=True)
