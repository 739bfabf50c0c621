"""A full or read-only disk, or a folder that is somebody's own: one clear line, and what was finished stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chain import Chain, edgetl, run
from cli_calls import Shell

from edgetl.bundle.read import read_bundle
from edgetl.files.digest import folder_digests

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Disk:
    """A file system of its own, in memory, that can be made small, large or read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")

    def change(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk takes root; tests/unit/test_store.py simulates the errors")
    made = Disk(tmp_path / "disk")
    made.folder.mkdir()
    made.mount("size=1m")
    yield made
    made.unmount()


def before_compile(chain: Chain, place: Path) -> int:
    """A build that got as far as its pivot, in `place`. Returns the bytes it takes."""
    shutil.copytree(chain.out, place)
    for stage in ("compile", "bench", "report"):
        for path in (place / "stages").glob(f"{stage}-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in ("bundles", "pivot"):
        shutil.rmtree(place / name)
    for name in ("report.html", "report.json"):
        (place / name).unlink()
    return sum(path.stat().st_blocks * 512 for path in place.rglob("*"))


def test_a_build_that_fills_the_disk_says_so_and_goes_on_when_there_is_room(
    chain: Chain, disk: Disk, tmp_path: Path
) -> None:
    taken = before_compile(chain, tmp_path / "out")
    # room for the published pivot and the first build, not for the float build
    room = sum(path.stat().st_size for path in chain.pivot.rglob("*")) + 2_500_000
    disk.change(f"size={taken + room}")
    out = Path(shutil.copytree(tmp_path / "out", disk.folder / "out"))
    full = edgetl("build", chain.recipe, "--out", out, "--quiet")
    assert full.code == 1
    assert len(full.lines) == 1, full.err
    assert "no space left on the device; free some and run again: finished stages are kept" in full.err
    assert not (out / "bundles").exists()

    disk.change("size=200m")
    again = edgetl("compile", chain.recipe, "--out", out, "--json", "--quiet").json()
    reused = [stage["stage"] for stage in again["stages"] if stage["reused"]]
    assert set(reused) >= {"data", "adapt", "quantize", "export"}
    assert all((Path(stage["folder"])).is_dir() for stage in again["stages"])


def test_a_library_that_meets_a_full_disk_is_understood(chain: Chain, disk: Disk, tmp_path: Path) -> None:
    """Tensors are written by native code, whose errors are no OSError."""
    out = disk.folder / "out"
    disk.change("size=3m")
    out.mkdir()
    shutil.copyfile(chain.out / "edgetl-output.json", out / "edgetl-output.json")
    (out / "stages").mkdir()
    for path in (chain.out / "stages").glob("data-*"):
        shutil.copytree(path, out / "stages" / path.name) if path.is_dir() else shutil.copy(path, out / "stages")
    full = edgetl("adapt", chain.recipe, "--out", out, "--quiet", "--set", "adapt.strategy=probe")
    assert full.code == 1
    assert len(full.lines) == 1, full.err
    assert "no space left on the device" in full.err
    assert not list((out / "stages").glob("adapt-*"))


def test_compile_of_a_pivot_keeps_whole_bundles_alone_when_the_disk_is_full(chain: Chain, disk: Disk) -> None:
    disk.change("size=2m")
    out = disk.folder / "bundles"
    full = edgetl("compile", chain.pivot, "--target", "x86-cpu", "--out", out)
    assert full.code == 1
    assert len(full.lines) == 1, full.err
    assert f"edgetl: {out}" in full.err, "case library-errors-escape: it named the source"
    assert "no space left on the device" in full.err
    assert [path.name for path in out.iterdir()] == ["x86-cpu-int8"]
    read_bundle(out / "x86-cpu-int8")


def test_library_errors_escape_a_library_that_fills_the_disk_in_compile_names_out(chain: Chain, disk: Disk) -> None:
    """OpenVINO says "basic_ios::clear: iostream error" when it writes its weights."""
    disk.change("size=40k")
    full = edgetl("compile", chain.pivot, "--target", "intel-cpu", "--out", disk.folder / "bundles")
    assert full.code == 1
    (line,) = full.lines
    assert line.startswith(f"edgetl: {disk.folder / 'bundles'}: no space left on the device")


def test_library_errors_escape_a_full_disk_for_temporary_files_names_tmpdir(chain: Chain, disk: Disk) -> None:
    """Case library-errors-escape: `edgetl: 12288 requested and 8064 written`."""
    disk.change("size=8k")
    bench = ("bench", str(chain.bundle("x86-cpu")), "--data", str(chain.recipe.parent / "scans"), "--quiet")
    full = run(["env", f"TMPDIR={disk.folder}", sys.executable, "-m", "edgetl", *bench])
    assert full.code == 1
    (line,) = full.lines
    assert line.startswith(f"edgetl: {disk.folder}: no space left on the device for temporary files")
    assert list(disk.folder.iterdir()) == []


def test_a_read_only_disk_is_named_and_keeps_its_build_readable(shell: Shell, chain: Chain, disk: Disk) -> None:
    disk.change("size=200m")
    out = chain.copy_out(disk.folder / "out")
    before = folder_digests(out)
    disk.change("ro")
    for command in (
        ("build", chain.recipe, "--out", disk.folder / "other"),
        ("build", chain.recipe, "--out", out),
        ("compile", chain.pivot, "--target", "null", "--out", disk.folder / "bundles"),
        ("new", chain.recipe.parent / "scans", "--output", disk.folder / "recipe.yaml"),
        ("demo", "--out", disk.folder / "demo"),
    ):
        done = shell(*command)
        assert done.code == 1, done.err
        assert len(done.lines) == 1, done.err
        assert "the file system is read-only; choose another folder with --out" in done.err
    assert folder_digests(out) == before
    assert edgetl("verify", out / "bundles" / "digits-x86-cpu").code == 0


def test_a_folder_that_is_somebodys_own_is_left_alone(shell: Shell, chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for command in (("build", chain.recipe, "--out", tmp_path), ("demo", "--out", tmp_path)):
        done = shell(*command)
        assert done.code == 1
        assert len(done.lines) == 1, done.err
        assert "--out" in done.err
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
