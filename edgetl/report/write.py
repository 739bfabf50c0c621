"""The report stage: judge every target, choose the build that ships, write the report; add what devices measured."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgetl import __version__
from edgetl.bench.gates import Decision, judge
from edgetl.bench.repair_record import REPAIR_FILE, read_repair
from edgetl.bench.result import BENCH_FILE, BuildBench, TargetBench, read_bench
from edgetl.bundle.manifest import FILE_NAME as MANIFEST
from edgetl.bundle.manifest import Measured
from edgetl.bundle.publish import BUNDLES
from edgetl.bundle.read import Bundle, read_bundle
from edgetl.bundle.write import add_measurement
from edgetl.checks.model import FILE_NAME as CHECKS_FILE
from edgetl.checks.model import read_checks
from edgetl.files.digest import file_digest
from edgetl.pivot.float_logits import read_reference
from edgetl.pivot.pivot import read_pivot
from edgetl.recipes.recipe import Recipe
from edgetl.report.build import ReportInputs, TargetResult, build_report
from edgetl.report.candidates import surgery_sentence
from edgetl.report.devices import DeviceFile, device_rows
from edgetl.report.html import read_details, write_html
from edgetl.report.model import FILE_NAME, Quantized, Stage, Surgery, read_report, write_report
from edgetl.store.records import ADAPT_RECORD, QUANTIZE_RECORD, RUN_RECORD, SURGERY_RECORD
from edgetl.store.results import StageResult
from edgetl.tasks.classification.accuracy import Accuracy, compare
from edgetl.types import Estimate, Interval, Split

REFERENCE_FILE = "reference.safetensors"


@dataclass(frozen=True)
class Folders:
    """Where the stages left their results.

    quantized        per number scheme, with the targets that compute in it
    builds, benches  per target name, in the recipe's order: the folders of its builds, and of its bench stage
    repairs          those of the repair stage, for targets that had one
    surgeries        those of the surgery stage, for targets with a build of its network
    """

    checked: Path
    adapted: Path
    pivot: Path
    quantized: Mapping[str, tuple[Path, tuple[str, ...]]]
    builds: Mapping[str, Sequence[Path]]
    benches: Mapping[str, Path]
    repairs: Mapping[str, Path]
    surgeries: Mapping[str, Path]


def write_reports(recipe: Recipe, split: Split, folders: Folders, stages: Sequence[StageResult], out: Path) -> None:
    """Write report.json, report.html and `bundles/<name>-<target>/` into `out`."""
    pivot, benches, repairs = folders.pivot, folders.benches, folders.repairs
    reference = read_reference(pivot / REFERENCE_FILE, len(split.val))
    adapt = _adapted(folders.adapted)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    (out / BUNDLES).mkdir()
    results: list[TargetResult] = []
    for target in recipe.targets:
        bench = read_bench(benches[target] / BENCH_FILE)
        decision = judge(bench, recipe.gates, recipe.choose)
        bundle = _ship(recipe.name, bench, decision, folders.builds[target], now, out)
        digest = file_digest(out / bundle / MANIFEST) if bundle else None
        repair = read_repair(repairs[target] / REPAIR_FILE) if target in repairs else None
        surgery = _surgery(folders.surgeries[target], bench) if target in folders.surgeries else None
        results.append(TargetResult(bench, decision, bundle, digest, repair, surgery))
    report = build_report(
        ReportInputs(
            recipe=recipe,
            split=split,
            reference=_reference_accuracy(split, reference, recipe.data.seed),
            targets=tuple(results),
            checks=read_checks(folders.checked / CHECKS_FILE),
            adapt=adapt,
            quantized=tuple(_quantized(name, *found) for name, found in folders.quantized.items()),
            float16=_float16(pivot),
            parity=_parity(pivot),
            stages=tuple(
                Stage(
                    stage=s.stage,
                    what=s.what,
                    seconds=s.seconds,
                    peak_rss_bytes=s.peak_rss_bytes,
                    reused=s.reused,
                )
                for s in stages
            ),
            versions=_versions(results),
            created=now,
        )
    )
    write_report(report, out / FILE_NAME)
    details = read_details(split, reference, [benches[target] for target in recipe.targets], adapt.get("history", {}))
    write_html(report, details, out / "report.html")


def add_devices(
    reported: Path,
    split: Split,
    adapted: Path,
    pivot: Path,
    benches: Mapping[str, Path],
    devices: Sequence[DeviceFile],
    out: Path,
) -> None:
    """Write report.json and report.html of the folder `reported` again into `out`, with what devices measured.

    The bundles stay as they are: what a device measured must keep the digest it was measured under.
    """
    report = read_report(reported / FILE_NAME)
    report = report.model_copy(update={"devices": device_rows(devices, report.bundles)})
    write_report(report, out / FILE_NAME)
    reference = read_reference(pivot / REFERENCE_FILE, len(split.val))
    history = _read_json(adapted / ADAPT_RECORD).get("history", {})
    details = read_details(split, reference, [benches[bundle.target] for bundle in report.bundles], history)
    write_html(report, details, out / "report.html")


def _ship(
    recipe_name: str, bench: TargetBench, decision: Decision, builds: Sequence[Path], now: str, out: Path
) -> str | None:
    """Copy the chosen build, with what was measured in its manifest. Returns its path relative to the output."""
    if decision.shipped is None:
        return None
    bundles = [read_bundle(folder) for folder in builds]
    chosen = next(bundle for bundle in bundles if bundle.manifest.compiled.precision == decision.shipped)
    name = f"{BUNDLES}/{recipe_name}-{bench.target}"
    _copy(chosen, out / name)
    build = bench.build(decision.shipped)
    measured = _measured(bench, build, now) if build else None
    add_measurement(out / name, chosen.manifest, measured, decision.verdict, decision.reason)
    return name


def _copy(bundle: Bundle, place: Path) -> None:
    for name in bundle.manifest.files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle.folder / name, place / name)


def _measured(bench: TargetBench, build: BuildBench, now: str) -> Measured | None:
    if build.accuracy is None:
        return None
    latency = build.latency
    return Measured(
        images=build.accuracy.images,
        emulated=bench.emulated,
        top1=build.accuracy.top1,
        drop_points=build.accuracy.drop_points,
        p50_ms=_value(latency.p50_ms) if latency else None,
        p99_ms=_value(latency.p99_ms) if latency else None,
        threads=latency.threads if latency else None,
        speedup_over_float=_value(build.speedup),
        cpu=bench.machine.processors,
        date=now[:10],
        emulated_images=build.host.emulated_images if build.host else None,
    )


def _value(interval: Interval | Estimate | None) -> float | None:
    return None if interval is None else interval.value


def _reference_accuracy(split: Split, reference: Any, seed: int) -> Accuracy:
    labels = np.array([sample.label for sample in split.val], dtype=np.int64)
    return compare(reference, labels, reference, seed)


def _quantized(scheme: str, folder: Path, targets: tuple[str, ...]) -> Quantized:
    record = _read_json(folder / QUANTIZE_RECORD)
    decision = record["decision"]
    return Quantized(
        scheme=scheme,
        targets=targets,
        method=record["method"],
        decision=decision["sentence"] if decision else "",
        calibration_images=record["calibration_images"],
        epochs=max(0, len(record["history"]) - 1),
    )


def _surgery(folder: Path, bench: TargetBench) -> Surgery:
    record = _read_json(folder / SURGERY_RECORD)
    replaced, epochs = record["replaced"], record["chosen_epoch"]
    return Surgery(
        activations=replaced["activations"],
        gates=replaced["gates"],
        epochs=epochs,
        agreement=record["agreement"],
        sentence=surgery_sentence(bench, replaced["activations"], replaced["gates"]),
    )


def _float16(pivot: Path) -> str:
    found = read_pivot(pivot).half_range
    return found.explain() if found else ""


def _parity(pivot: Path) -> dict[str, Any]:
    return {model.file: model.parity.model_dump() for model in read_pivot(pivot).models if model.parity}


def _versions(results: Sequence[TargetResult]) -> dict[str, str]:
    versions = {"edgetl": __version__}
    for result in results:
        emulated = ", emulated" if result.bench.emulated else ""
        versions[result.bench.backend + emulated] = result.bench.backend_version
    return versions


def _adapted(folder: Path) -> dict[str, Any]:
    """adapt.json, and what it took from run.json: the seconds of each candidate, those of all, the threads."""
    adapt, took = _read_json(folder / ADAPT_RECORD), _read_json(folder / RUN_RECORD)
    seconds = took.get("candidates", {})
    rows = [{**row, "seconds": seconds.get(row["name"])} for row in adapt.get("candidates", [])]
    return {**adapt, "candidates": rows, **{name: took[name] for name in ("seconds", "threads") if name in took}}


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
