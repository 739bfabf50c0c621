"""What is done on a held device: measure, verify and finish bundles."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from pydantic import Field, ValidationError

from edgetl.bench.measurement import LeftOut, Measurement
from edgetl.bench.measurement_file import parse_measurement
from edgetl.bundle.manifest import FILE_NAME, MAX_FILE_BYTES, MAX_MANIFEST_BYTES, Manifest, read_manifest
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.devices.apps import BENCH, VERIFY
from edgetl.devices.connection import Held
from edgetl.devices.failures import DeviceError, EngineMissing, of_program
from edgetl.devices.programs import Programs, files_of
from edgetl.devices.transfer import send
from edgetl.errors import BundleError, EdgetlError
from edgetl.files.digest import file_digest
from edgetl.files.durable import put
from edgetl.files.json_file import PlainText, StrictModel, first_problem
from edgetl.files.temporary import temporary_folder
from edgetl.files.text import printable


@dataclass(frozen=True)
class Timed:
    """Settings of `edgetl-bench`; None is its default."""

    runs: int
    warmup: int | None
    cold_starts: int
    duration_s: float | None = None
    rate_hz: float | None = None
    arrivals: str | None = None


class _Step(StrictModel):
    image: int
    step: PlainText
    passed: bool
    difference: float | None
    allowed: float
    detail: Annotated[PlainText, Field(max_length=2000)]


class _Verified(StrictModel):
    bundle: str
    files: int
    bundle_sha256: PlainText
    expected_sha256: PlainText | None
    steps: tuple[_Step, ...]
    passed: bool


def measure(there: Programs, bundles: Sequence[Bundle], timed: Timed, *, asked: bool) -> Measurement:
    """Time all bundles there, those that `there.together` puts together in the same rounds.

    asked   each was named itself; else those whose engine is missing there are left out
    raises  DeviceError
    """
    groups: list[Measurement] = []
    left: list[LeftOut] = []
    waiting = there.together(bundles)
    while waiting:
        group = waiting.pop(0)
        try:
            groups.append(_measure(there, group, timed))
        except EngineMissing as error:
            missing = [bundle for bundle in group if bundle.manifest.compiled.backend == error.backend]
            if asked or not missing:
                raise
            left += [LeftOut(str(bundle.folder), str(error), damaged=False) for bundle in missing]
            waiting = [others, *waiting] if (others := [each for each in group if each not in missing]) else waiting
    if not groups:
        raise DeviceError(left[0].reason)
    if len(groups) == 1:
        return replace(groups[0], left_out=tuple(left))
    rows = {row.bundle: row for group in groups for row in group.bundles}
    alone = {row.bundle for group in groups[1:] for row in group.bundles}
    ordered = [rows[str(bundle.folder)] for bundle in bundles if str(bundle.folder) in rows]
    kept = tuple(replace(row, ratio=None) if row.bundle in alone else row for row in ordered)
    return replace(groups[0], bundles=kept, left_out=tuple(left))


def _measure(there: Programs, bundles: Sequence[Bundle], timed: Timed) -> Measurement:
    app = there.program(BENCH)
    folders = [there.bundle(bundle) for bundle in bundles]
    given = {
        "--warmup": timed.warmup,
        "--duration": timed.duration_s,
        "--rate": timed.rate_hz,
        "--arrivals": timed.arrivals,
    }
    extra = [part for option, value in given.items() if value is not None for part in (option, value)]
    settings = ("--runs", timed.runs, "--cold-starts", timed.cold_starts, *extra)
    done = there.run(app, folders, bundles, *map(str, settings), "--threads", str(there.how.threads), "--json")
    if done.code:
        raise of_program(BENCH, done.code, there.readable(done.err, bundles, folders))
    try:
        found = parse_measurement(done.out, BENCH)
    except EdgetlError as error:
        raise DeviceError(str(error)) from error
    _refuse_unprintable(asdict(found))
    digests = [file_digest(bundle.folder / FILE_NAME) for bundle in bundles]
    if [row.bundle_sha256 for row in found.bundles] != digests:
        raise DeviceError(f"{BENCH} measured other bundles than those that were sent")
    rows = (replace(row, bundle=str(bundle.folder)) for row, bundle in zip(found.bundles, bundles, strict=True))
    return replace(found, bundles=tuple(rows))


def _refuse_unprintable(value: Any) -> None:
    """What a device says may not control the terminal."""
    if isinstance(value, str) and printable(value) != value:
        raise DeviceError(f"{BENCH}: its result has control characters: {value!r}")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        _refuse_unprintable(each)


def verify(there: Programs, bundle: Bundle, sha256: str | None, *, digests_only: bool) -> dict[str, Any]:
    """The result of `edgetl-verify` there, in the form of `edgetl verify --json`. Raises DeviceError."""
    app = there.program(VERIFY)
    folder = there.bundle(bundle)
    more = (*(("--sha256", sha256) if sha256 else ()), *(("--digests-only",) if digests_only else ()))
    done = there.run(app, [folder], [bundle], *more, "--threads", str(there.how.threads), "--json")
    try:
        found = _Verified.model_validate_json(done.out)
    except ValidationError as error:
        if done.code:
            raise of_program(VERIFY, done.code, there.readable(done.err, [bundle], [folder])) from error
        raise DeviceError(f"expected the output of `edgetl-verify --json`; found: {first_problem(error)}") from error
    return found.model_dump(mode="json") | {"bundle": str(bundle.folder)}


def finish(there: Programs, bundle: Bundle) -> Manifest:
    """Run the step that needs the device there, and put the finished bundle in the place of the local one.

    raises  DeviceError; BundleError if what comes back is not this bundle, finished
    """
    held, limit_s, root = there.held, there.how.limit_s, there.root
    device = held.device
    name = f"bundles/{file_digest(bundle.folder / FILE_NAME)}"
    send(held, root, files_of(bundle, name), "")
    command = (
        device.python,
        "-m",
        "edgetl",
        "compile",
        "--finish",
        f"{root}/{name}",
        "--time-limit",
        f"{limit_s:g}",
        "--json",
    )
    done = held.run(*command, environment=device.environment, limit_s=2 * limit_s)
    if "No module named" in done.err or done.code in (126, 127):
        raise DeviceError(
            f"finishing needs edgetl and the SDK there: {device.python} has none; install them there "
            "(pip install edgetl) or set `python` in devices.yaml"
        )
    if done.code:
        raise of_program("edgetl compile --finish", done.code, done.err.replace(f"{root}/{name}", str(bundle.folder)))
    return _bring_back(held, f"{root}/{name}", bundle)


def fits(bundle: Bundle, machine: str, engines: Sequence[str]) -> str:
    """Why a machine's programs cannot run the bundle; "" if they can."""
    target, compiled = bundle.manifest.target, bundle.manifest.compiled
    if target.machine not in ("any", machine):
        return f"target {target.name} needs {target.machine}; the device is {machine}"
    if not compiled.finished:
        return f"not finished; run: edgetl compile --finish {bundle.folder} --on DEVICE"
    if engines and compiled.backend not in engines:
        return f"the C++ programs have no engine {compiled.backend} (they have {', '.join(engines)})"
    return ""


def choose(there: Programs, bundles: Sequence[Bundle], *, asked: bool) -> tuple[list[Bundle], tuple[LeftOut, ...]]:
    """The bundles for a device, and the others with the reason.

    asked   each was named itself: one that does not fit is an error
    raises  DeviceError if none is left
    """
    engines = there.engines(BENCH)
    taken: list[Bundle] = []
    left: list[LeftOut] = []
    for bundle in bundles:
        target = there.held.device.target
        other = f"for {bundle.manifest.target.name}; the device is {target}"
        why = fits(bundle, there.held.machine, engines)
        why = why or (other if not asked and target and bundle.manifest.target.name != target else "")
        if why and asked:
            raise DeviceError(f"{bundle.folder}: {why}")
        if why:
            left.append(LeftOut(str(bundle.folder), why, damaged=False))
        else:
            taken.append(bundle)
    if not taken:
        raise DeviceError("; ".join(f"{each.bundle}: {each.reason}" for each in left[:3]) or "no bundle to run")
    return taken, tuple(left)


def _bring_back(held: Held, folder: str, bundle: Bundle) -> Manifest:
    place = bundle.folder.resolve()
    with temporary_folder(place.parent) as scratch:
        copy = scratch / place.name
        shutil.copytree(place, copy)
        held.fetch(f"{folder}/{FILE_NAME}", copy / FILE_NAME, MAX_MANIFEST_BYTES)
        manifest = read_manifest(copy)
        _refuse_another(bundle, manifest)
        for name in set(bundle.manifest.files) - set(manifest.files):
            (copy / name).unlink()
        for name, entry in manifest.files.items():
            if bundle.manifest.files.get(name) != entry:
                held.fetch(f"{folder}/{name}", copy / name, min(entry.size_bytes, MAX_FILE_BYTES))
        finished = read_bundle(copy).manifest
        put(copy, place)
    return finished


def _refuse_another(bundle: Bundle, manifest: Manifest) -> None:
    """Only the compiled model may differ."""
    was, own = bundle.manifest, {"compiled", "files", "edgetl_version"}
    kept = {name: entry for name, entry in was.files.items() if name not in was.compiled.files}
    same = was.model_dump(exclude=own) == manifest.model_dump(exclude=own) and kept.items() <= manifest.files.items()
    if not same or not manifest.compiled.finished:
        raise BundleError(f"{bundle.folder}: what came back is not this bundle, finished; left as it was")
