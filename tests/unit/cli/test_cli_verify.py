"""`edgetl verify` claims what it checked, and no more."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_calls import Shell
from pivot_folder import make_pivot

from edgetl.bundle.compile import compile_targets
from edgetl.cli import verify as verify_command
from edgetl.files.digest import file_digest


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return compile_targets(make_pivot(tmp_path / "pivot"), ["null"], tmp_path / "bundles")[0]


def test_without_a_digest_it_says_that_the_manifest_was_not_compared(shell: Shell, bundle: Path) -> None:
    answer = shell("verify", bundle, "--digests-only")
    assert answer.code == 0
    assert (
        answer.out == "digests: 10 files as manifest.json lists them; the manifest itself was not verified (--sha256)\n"
    )
    found = shell("verify", bundle, "--digests-only", "--json").json()
    assert found["bundle_sha256"] == file_digest(bundle / "manifest.json")
    assert found["expected_sha256"] is None


def test_the_digest_of_the_report_vouches_for_the_manifest(shell: Shell, bundle: Path) -> None:
    digest = file_digest(bundle / "manifest.json")
    answer = shell("verify", bundle, "--digests-only", "--sha256", digest.upper())
    assert answer.code == 0
    assert answer.out == "digests: 10 files as manifest.json lists them; the manifest has the given SHA-256\n"
    found = shell("verify", bundle, "--digests-only", "--sha256", digest, "--json").json()
    assert found["bundle_sha256"] == found["expected_sha256"] == digest


def test_a_manifest_that_was_changed_is_found_by_its_digest_alone(shell: Shell, bundle: Path) -> None:
    digest = file_digest(bundle / "manifest.json")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["golden"]["tolerance"]["max_diff_of_range"] = 1.0
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert shell("verify", bundle, "--digests-only").code == 0
    shell.refuses(
        1, ["manifest.json: SHA-256 is", digest, "another bundle, or changed"], "verify", bundle, "--sha256", digest
    )


def test_labels_in_another_order_are_found_without_a_digest(shell: Shell, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["labels"] = manifest["labels"][1:] + manifest["labels"][:1]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    shell.refuses(1, ["labels.txt: not the labels of manifest.json"], "verify", bundle)


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 65, "0" * 64 + "\n"])
def test_a_digest_that_is_none_is_wrong_usage(shell: Shell, bundle: Path, digest: str) -> None:
    shell.refuses(2, ["--sha256", "64 hexadecimal digits"], "verify", bundle, "--sha256", digest)


def test_a_folder_of_bundles_is_verified_one_by_one_and_a_damaged_one_is_named(shell: Shell, bundle: Path) -> None:
    folder, other = bundle.parent, bundle.parent / "null-float32"
    whole = shell("verify", folder, "--digests-only")
    assert whole.code == 0
    assert f"{bundle}:\n" in whole.out
    assert f"{other}:\n" in whole.out
    (bundle / "labels.txt").write_text("others\n")
    damaged = shell("verify", folder, "--digests-only", "--json")
    assert damaged.code == 1
    passed = {Path(each["bundle"]).name: (each["passed"], each["error"] == "") for each in damaged.json()["bundles"]}
    assert passed == {bundle.name: (False, False), "null-float32": (True, True)}
    shell.refuses(2, ["--sha256 needs a single bundle"], "verify", folder, "--sha256", "0" * 64)


@pytest.mark.parametrize(
    ("precision", "saturated", "told"), [("int8", True, True), ("int8", False, False), ("float32", True, False)]
)
def test_a_network_that_differs_because_this_cpu_saturates_is_explained(
    precision: str, saturated: bool, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetl.bench.machine.saturates", lambda _: saturated)
    manifest = SimpleNamespace(target=SimpleNamespace(name="x86-cpu"), compiled=SimpleNamespace(precision=precision))
    bundle: Any = SimpleNamespace(manifest=manifest)
    assert ("this CPU has no VNNI, so INT8 saturates" in verify_command._hint(bundle)) is told
