"""edgetl verify"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from edgetl.cli.options import FILE, emit, json_option, threads_option


@click.command("verify")
@click.argument("bundle", type=FILE)
@click.option("--digests-only", is_flag=True, help="Do not run the network: for bundles of other hardware.")
@threads_option
@json_option
def command(bundle: Path, digests_only: bool, threads: int, as_json: bool) -> int:
    """Check BUNDLE's digests, then replay its golden vectors step by step: decode, resize, network.

    Exit code 0 when everything is as it was built, 1 with the first step that differs.
    """
    from edgetl.bundle.read import read_bundle
    from edgetl.inference import verify

    checked = read_bundle(bundle)
    if not as_json:
        click.echo(f"digests: {len(checked.manifest.files)} files as they were built")
    checks = () if digests_only else verify(checked, threads=threads)
    failed = [check for check in checks if not check.passed]
    if as_json:
        steps = [asdict(check) for check in checks]
        emit({"bundle": str(bundle), "files": len(checked.manifest.files), "steps": steps, "passed": not failed})
        return 1 if failed else 0
    for check in checks:
        mark = "ok  " if check.passed else "FAIL"
        click.echo(f"{mark} image {check.image}  {check.step:<8} {check.detail}")
    if failed:
        click.echo(f"edgetl: {bundle}: the first step that differs is `{failed[0].step}`: {failed[0].detail}", err=True)
    return 1 if failed else 0
