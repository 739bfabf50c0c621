"""edgetl verify"""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgetl.cli.command_help import Command
from edgetl.cli.options import FILE, emit, json_option, threads_option, time_limit_option

if TYPE_CHECKING:
    from edgetl.bundle.golden import StepCheck


def _digest(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise click.BadParameter(f"expected 64 hexadecimal digits; found {value!r}")
    return value and value.lower()


def _plain(check: StepCheck) -> dict[str, Any]:
    """For JSON, which has no infinity: `difference` is null where the logits are no numbers."""
    difference = check.difference if math.isfinite(check.difference) else None
    return asdict(check) | {"difference": difference}


@click.command("verify", cls=Command)
@click.argument("bundle", type=FILE)
@click.option("--digests-only", is_flag=True, help="Do not run the network: for bundles of other hardware.")
@click.option(
    "--sha256",
    metavar="DIGEST",
    callback=_digest,
    help="What manifest.json must have: `bundle_sha256` in report.json.",
)
@threads_option
@time_limit_option
@json_option
def command(
    bundle: Path, digests_only: bool, sha256: str | None, threads: int, time_limit_s: float, as_json: bool
) -> int:
    """Check BUNDLE's files against its manifest, then replay its golden vectors: decode, resize, network.

    manifest.json itself is verified only with --sha256: keep report.json, or that digest, apart from the bundle.

    Exit code 0 when all of that is as it was built, 1 with the first file or step that differs.
    """
    from edgetl.bench.isolated import Limits
    from edgetl.bundle.manifest import FILE_NAME
    from edgetl.bundle.read import read_bundle
    from edgetl.digest import file_digest
    from edgetl.inference import verify

    checked = read_bundle(bundle, sha256)
    files = len(checked.manifest.files)
    if not as_json:
        compared = "it has the SHA-256 that was given" if sha256 else "itself it was not compared (--sha256)"
        click.echo(f"digests: {files} files as manifest.json lists them; {compared}")
    checks = () if digests_only else verify(checked, threads=threads, limits=Limits(time_limit_s, "--time-limit"))
    failed = [check for check in checks if not check.passed]
    if as_json:
        emit(
            {
                "bundle": str(bundle),
                "files": files,
                "bundle_sha256": file_digest(bundle / FILE_NAME),
                "expected_sha256": sha256,
                "steps": [_plain(check) for check in checks],
                "passed": not failed,
            }
        )
        return 1 if failed else 0
    for check in checks:
        mark = "ok  " if check.passed else "FAIL"
        click.echo(f"{mark} image {check.image}  {check.step:<8} {check.detail}")
    if failed:
        click.echo(f"edgetl: {bundle}: the first step that differs is `{failed[0].step}`: {failed[0].detail}", err=True)
    return 1 if failed else 0
