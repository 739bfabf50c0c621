"""The report stage: judge every target, choose the build that ships, write the report, add device measurements."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgetl import __version__
from edgetl.adapt.record import History
from edgetl.adapt.records import read_adaptation
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
from edgetl.data.groups import val_groups
from edgetl.files.digest import file_digest
from edgetl.fronts.base import load_front
from edgetl.pivot.float_answers import REFERENCE_LOGITS, read_reference
from edgetl.pivot.pivot import read_pivot
from edgetl.quant.record import read_quantize
from edgetl.quant.simplify.record import read_surgery
from edgetl.recipes.job import Job
from edgetl.recipes.recipe import Recipe
from edgetl.recipes.run import Run
from edgetl.recipes.targets import scheme_id
from edgetl.report.build import ReportInputs, TargetResult, build_report
from edgetl.report.devices import DeviceFile, device_rows
from edgetl.report.html import Details, read_details, write_html
from edgetl.report.model import FILE_NAME, Quantized, Report, Stage, Surgery, read_report, write_report
from edgetl.report.texts.lengths import measure_lengths
from edgetl.report.texts.looks import open_reader
from edgetl.stages.finished import Built, Finished
from edgetl.store.results import StageResult
from edgetl.tasks.base import load_task
from edgetl.tasks.classification.accuracy import Accuracy
from edgetl.types import Estimate, Interval, Preprocessing, TextPreprocessing


def write_reports(run: Run, finished: Finished, stages: Sequence[StageResult], out: Path) -> None:
    """Write report.json, report.html and `bundles/<name>-<target>/` into `out`.

    stages  all that were done, for the table of times
    """
    recipe, split, networks = run.job.recipe, run.split, finished.networks
    pivot, targets = networks.pivot.folder, finished.targets
    task = load_task(recipe.task, split.heads)
    reference = read_reference(pivot / REFERENCE_LOGITS, task.kept, len(split.val))
    adapt = None if recipe.network else read_adaptation(networks.adapted.folder)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    (out / BUNDLES).mkdir()
    results = [_judged(recipe, built, now, out) for built in targets.values()]
    report = build_report(
        ReportInputs(
            recipe=recipe,
            split=split,
            reference=task.measure(
                reference,
                [sample.truth for sample in split.val],
                reference,
                len(split.classes),
                recipe.data.seed,
                groups=val_groups(run),
                settings=read_pivot(pivot).postprocess,
            ),
            targets=tuple(results),
            checks=read_checks(finished.checked.folder / CHECKS_FILE),
            adapt=adapt,
            quantized=tuple(_quantized(run.job, *found) for found in networks.quantized.items()),
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
    benches = [built.bench.folder for built in targets.values()]
    details = read_details(split, reference, benches, adapt.history if adapt else History())
    _write_page(report, details, out, read_pivot(pivot).preprocessing, out / "report.html")


def add_devices(run: Run, finished: Finished, reported: Path, devices: Sequence[DeviceFile], out: Path) -> None:
    """Write report.json and report.html of the folder `reported` again into `out`, with device measurements.

    The bundles stay unchanged: a device measurement refers to their digest.
    """
    report = read_report(reported / FILE_NAME)
    report = report.model_copy(update={"devices": device_rows(devices, report.bundles)})
    write_report(report, out / FILE_NAME)
    reference = read_reference(
        finished.networks.pivot.folder / REFERENCE_LOGITS,
        load_task(run.job.recipe.task, run.split.heads).kept,
        len(run.split.val),
    )
    adapted = finished.networks.adapted.folder
    history = History() if run.job.recipe.network else read_adaptation(adapted).history
    benches = [built.bench.folder for built in finished.targets.values()]
    details = read_details(run.split, reference, benches, history)
    p = read_pivot(finished.networks.pivot.folder).preprocessing
    _write_page(report, details, reported, p, out / "report.html")


def _write_page(report: Report, details: Details, folder: Path, p: Preprocessing, page: Path) -> None:
    """folder  that of `bundles`, which show of a text the words that decided"""
    if not isinstance(p, TextPreprocessing):
        return write_html(report, details, page)
    lengths = measure_lengths(details.split.val, p)
    shown_first = sorted(report.bundles, key=lambda bundle: not bundle.measured)  # as the page's predictions
    if details.split.heads:  # several classes decide at once
        return write_html(report, replace(details, lengths=lengths), page)
    with open_reader(folder / bundle.path for bundle in shown_first if bundle.path) as reader:
        return write_html(report, replace(details, reader=reader, lengths=lengths), page)


def _judged(recipe: Recipe, built: Built, now: str, out: Path) -> TargetResult:
    bench = read_bench(built.bench.folder / BENCH_FILE)
    decision = judge(bench, recipe.gates, recipe.choose, load_front(recipe.front).noun)
    bundle = _ship(recipe.name, bench, decision, built, now, out)
    return TargetResult(
        bench=bench,
        decision=decision,
        bundle=bundle,
        bundle_sha256=file_digest(out / bundle / MANIFEST) if bundle else None,
        repair=read_repair(built.repair.folder / REPAIR_FILE) if built.repair else None,
        surgery=_surgery(built.surgery.folder, bench) if built.surgery else None,
    )


def _ship(recipe_name: str, bench: TargetBench, decision: Decision, built: Built, now: str, out: Path) -> str | None:
    """Copy the chosen build, with its measurements in the manifest. Returns its path relative to the output."""
    if decision.shipped is None:
        return None
    bundles = [read_bundle(result.folder) for result in built.builds]
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
        metric=build.accuracy.score.metric,
        score=build.accuracy.score.value,
        top1=build.accuracy.score.value if isinstance(build.accuracy, Accuracy) else None,
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


def _quantized(job: Job, scheme: str, quantized: StageResult) -> Quantized:
    record = read_quantize(quantized.folder)
    computing = [each for each in job.targets if "int8" in each.precisions and scheme_id(each.scheme) == scheme]
    return Quantized(
        scheme=scheme,
        targets=tuple(target.name for target in computing),
        method=record.method,
        decision=record.decision.sentence if record.decision else "",
        calibration_images=record.calibration_images,
        epochs=record.epochs,
    )


def _surgery(folder: Path, bench: TargetBench) -> Surgery:
    record = read_surgery(folder)
    replaced = record.replaced
    return Surgery(
        activations=replaced.activations,
        gates=replaced.gates,
        epochs=record.chosen_epoch,
        agreement=record.agreement,
        sentence=surgery_sentence(bench, replaced.activations, replaced.gates),
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


def surgery_sentence(bench: TargetBench, activations: int, gates: int) -> str:
    """Why the build `simplified` was made, what was replaced, and the outcome."""
    parts = [f"{activations} smooth activations"] if activations else []
    parts += [f"{gates} squeeze-and-excitation gates"] if gates else []
    int8, rival, simplified = bench.build("int8"), bench.fastest_float(), bench.build("simplified")
    start = f"INT8 is slower than {rival.precision if rival else 'float'} ({_ms(int8)} against {_ms(rival)})"
    if int8 is not None and int8.conversions:
        start += f": {int8.conversions} of its operators only convert between float and INT8"
    replaced = f"{start}. Without {' and '.join(parts)}, after distillation, INT8 takes {_ms(simplified)}"
    if simplified is None or simplified.accuracy is None:
        return f"{replaced}."
    drop = simplified.accuracy.drop_points
    change = f"{-drop.value:+.2f} points ({-drop.high:+.2f} to {-drop.low:+.2f})"
    return f"{replaced}; its {simplified.accuracy.score.metric} is {change} from that of the float network."


def _ms(build: BuildBench | None) -> str:
    p50 = build.latency.p50_ms if build is not None and build.latency else None
    return "an unknown time" if p50 is None else f"{p50.value:.2f} ms"
