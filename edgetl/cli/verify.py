"""edgetl verify"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.command_help import Command
from edgetl.cli.on import DeviceOptions, device_options, emit_outcomes, read_bundles, say_errors
from edgetl.cli.options import FILE, emit, json_option, threads_option, time_limit_option

if TYPE_CHECKING:
    from edgetl.backends.fresh_process import Limits
    from edgetl.bundle.golden import StepCheck
    from edgetl.bundle.read import Bundle
    from edgetl.language.bundle import LanguageBundle


def _digest(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise click.BadParameter(f"expected 64 hexadecimal digits; found {value!r}")
    return value and value.lower()


def _plain(check: StepCheck) -> dict[str, Any]:
    """For JSON, which has no infinity: `difference` is null if the logits are not finite."""
    difference = check.difference if math.isfinite(check.difference) else None
    return asdict(check) | {"difference": difference}


@click.command("verify", cls=Command)
@click.argument("bundle", type=FILE)
@click.option("--digests-only", is_flag=True, help="Do not run the network; for bundles for other hardware.")
@click.option(
    "--sha256",
    metavar="DIGEST",
    callback=_digest,
    help="Expected digest of manifest.json: `bundle_sha256` in report.json.",
)
@threads_option
@time_limit_option
@device_options
@json_option
def command(
    bundle: Path,
    digests_only: bool,
    sha256: str | None,
    threads: int,
    time_limit_s: float,
    as_json: bool,
    place: DeviceOptions,
) -> int:
    """Check BUNDLE's files against its manifest, then replay its golden vectors: decode, resize,
    window, tokens, network.

    A folder of bundles means all bundles in it; for other hardware only the digests are checked.

    manifest.json itself is verified only with --sha256. Store report.json, or that digest, separately from the bundle.

    Exit code 0 if everything is as it was built, 1 if a file or step differs; the first one is named.
    """
    from edgetl.backends.fresh_process import Limits
    from edgetl.bundle.read import bundle_folders, is_folder_of_bundles

    if place.on:
        return _verify_on(
            place, bundle, sha256, digests_only=digests_only, threads=threads, limit_s=time_limit_s, as_json=as_json
        )
    limits = Limits(time_limit_s, "--time-limit")
    if is_folder_of_bundles(bundle):
        if sha256:
            raise click.UsageError(f"--sha256 needs a single bundle, and {bundle} is a folder of bundles")
        return _verify_all(
            bundle_folders(bundle), digests_only=digests_only, threads=threads, limits=limits, as_json=as_json
        )
    found = _verify(bundle, sha256, digests_only=digests_only, threads=threads, limits=limits)
    if as_json:
        emit(_for_programs(found))
    else:
        _show(found)
    return 0 if found["passed"] else 1


def _verify_all(bundles: Sequence[Path], *, digests_only: bool, threads: int, limits: Limits, as_json: bool) -> int:
    """Verify each one; a damaged one is named and the others continue. For other hardware, check only the digests."""
    from edgetl.bundle.inference import cannot_run
    from edgetl.bundle.read import read_bundle
    from edgetl.errors import BackendError, BundleError
    from edgetl.language.bundle import cannot_run as cannot_generate
    from edgetl.language.bundle import is_language, read_language

    def obstacle_of(folder: Path) -> str:
        return cannot_generate(read_language(folder)) if is_language(folder) else cannot_run(read_bundle(folder))

    found: list[dict[str, Any]] = []
    for folder in bundles:
        try:
            obstacle = "" if digests_only else obstacle_of(folder)
            skip = digests_only or bool(obstacle)
            made = _verify(folder, None, digests_only=skip, threads=threads, limits=limits)
            found.append({**made, "not_run": obstacle, "error": ""})
        except (BackendError, BundleError) as error:
            found.append({"bundle": str(folder), "passed": False, "error": str(error)})
        if not as_json:
            click.echo(f"{folder}:")
            _show(found[-1])
    if as_json:
        emit(_together(found, alone=False))
    return 0 if all(each["passed"] for each in found) else 1


def _together(found: Sequence[dict[str, Any]], *, alone: bool) -> dict[str, Any]:
    """JSON of one bundle, or of a folder of bundles."""
    if alone:
        return _for_programs(found[0])
    return {"bundles": [_for_programs(each) for each in found], "passed": all(each["passed"] for each in found)}


def _verify_on(
    place: DeviceOptions,
    path: Path,
    sha256: str | None,
    *,
    digests_only: bool,
    threads: int,
    limit_s: float,
    as_json: bool,
) -> int:
    """The same on devices; of a folder of bundles those that suit each device."""
    from edgetl.devices.connection import Held
    from edgetl.devices.jobs import choose, verify
    from edgetl.devices.programs import Programs
    from edgetl.fronts.base import load_front

    bundles, damaged, asked = read_bundles([path])
    if sha256 and len(bundles) != 1:
        raise click.UsageError(f"--sha256 needs a single bundle, and {path} is a folder of bundles")
    devices = place.devices()
    how = place.how(devices, limit_s, threads)

    def work(held: Held) -> list[dict[str, Any]]:
        there = Programs(held, how)
        taken, left = choose(there, bundles, asked=asked)
        found = [
            verify(there, bundle, sha256, digests_only=digests_only)
            | {"noun": load_front(bundle.manifest.front).noun, "hint": ""}
            for bundle in taken
        ]
        failed = [{"bundle": each.bundle, "passed": False, "error": each.reason} for each in damaged]
        return [*found, *failed, *({"bundle": each.bundle, "passed": True, "not_run": each.reason} for each in left)]

    outcomes = place.on_each(devices, work)
    if as_json:
        emit_outcomes(outcomes, lambda found: _together(found, alone=asked))
    else:
        for outcome in outcomes:
            for each in outcome.value or ():
                click.echo(f"{outcome.device.name}: {each['bundle']}:")
                _show(each)
    passed = all(each["passed"] for outcome in outcomes for each in outcome.value or ())
    return say_errors(outcomes) or (0 if passed else 1)


def _verify(bundle: Path, sha256: str | None, *, digests_only: bool, threads: int, limits: Limits) -> dict[str, Any]:
    """The result for one bundle, as JSON. Raises BundleError for a file that is not as it was built."""
    from edgetl.bundle.inference import verify
    from edgetl.bundle.read import read_bundle
    from edgetl.fronts.base import load_front
    from edgetl.language.bundle import is_language, read_language
    from edgetl.language.verify import verify as verify_language

    if is_language(bundle):
        model = read_language(bundle, sha256)
        steps = () if digests_only else verify_language(model, threads=threads, limits=limits)
        return _result(bundle, len(model.manifest.files), sha256, steps, lambda: _hint(model), "prompt")
    checked = read_bundle(bundle, sha256)
    checks = () if digests_only else verify(checked, threads=threads, limits=limits)
    noun = load_front(checked.manifest.front).noun
    return _result(bundle, len(checked.manifest.files), sha256, checks, lambda: _hint(checked), noun)


def _result(
    bundle: Path, files: int, sha256: str | None, checks: Sequence[StepCheck], hint: Callable[[], str], noun: str
) -> dict[str, Any]:
    from edgetl.bundle.manifest import FILE_NAME
    from edgetl.files.digest import file_digest

    passed = all(check.passed for check in checks)
    return {
        "bundle": str(bundle),
        "files": files,
        "bundle_sha256": file_digest(bundle / FILE_NAME),
        "expected_sha256": sha256,
        "steps": [_plain(check) for check in checks],
        "passed": passed,
        "hint": "" if passed else hint(),
        "noun": noun,
    }


def _hint(bundle: Bundle | LanguageBundle) -> str:
    """Why a network may differ on this machine only."""
    from edgetl.bench.machine import saturates
    from edgetl.types import PRECISIONS

    target, precision = bundle.manifest.target, bundle.manifest.compiled.precision
    if not PRECISIONS[precision].integers or not saturates(target):
        return ""
    return (
        f"this CPU has no VNNI, so INT8 saturates: verify on a CPU that {target.name} is for, or build for "
        "x86-avx2 or intel-avx2"
    )


def _for_programs(found: dict[str, Any]) -> dict[str, Any]:
    """The same keys as edgetl-verify writes, which has no texts for people."""
    return {name: value for name, value in found.items() if name not in ("hint", "noun")}


def _show(found: Mapping[str, Any]) -> None:
    if found.get("error"):
        click.echo(f"edgetl: {found['error']}", err=True)
        return
    if "steps" not in found:
        click.echo(f"not run: {found['not_run']}")
        return
    compared = (
        "the manifest has the given SHA-256"
        if found["expected_sha256"]
        else "the manifest itself was not verified (--sha256)"
    )
    click.echo(f"digests: {found['files']} files as manifest.json lists them; {compared}")
    if found.get("not_run"):
        click.echo(f"not run: {found['not_run']}")
    for step in found["steps"]:
        example = f"{found['noun']} {step['image']}"
        click.echo(f"{'ok  ' if step['passed'] else 'FAIL'} {example}  {step['step']:<8} {step['detail']}")
    failed = next((step for step in found["steps"] if not step["passed"]), None)
    if failed:
        message = f"{found['bundle']}: the first step that differs is `{failed['step']}`: {failed['detail']}"
        hint = f"; {found['hint']}" if found["hint"] else ""
        click.echo(f"edgetl: {message}{hint}", err=True)
