"""The report as one self-contained page: no external references, no script, all user-supplied text escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from edgetl import __version__
from edgetl.adapt.detection import record as detector_record
from edgetl.adapt.detection.record import DetectorAdaptation
from edgetl.adapt.record import Adaptation, History
from edgetl.bench.result import BENCH_FILE, LATENCY_FILE, PREDICTIONS_FILE, TargetBench, read_bench
from edgetl.errors import EdgetlError
from edgetl.files.durable import write_text
from edgetl.fronts.base import load_front
from edgetl.report import adaptation, words
from edgetl.report.adaptation import curves, plain
from edgetl.report.adaptation_plots import accuracy_seconds, learning_curves
from edgetl.report.clips import ClipLooks
from edgetl.report.confusion import Confusion, lowest, shape_confusion
from edgetl.report.curves import look_at_window
from edgetl.report.detection import adaptation as detector_adaptation
from edgetl.report.detection import section
from edgetl.report.detection.adaptation import loss_curves
from edgetl.report.detection.section import Shipped
from edgetl.report.model import Bundle, Recall, Report
from edgetl.report.pictures import Group, Look, choose_pictures, look_at
from edgetl.report.plots import Picture, accuracy_latency, latency_histogram
from edgetl.report.summary import summarize
from edgetl.report.suspects import ShownFinding, show_findings
from edgetl.report.texts.lengths import Lengths, times_of
from edgetl.report.texts.looks import Reader
from edgetl.report.texts.looks import plain as plain_text
from edgetl.tasks.base import Answers, TaskName
from edgetl.tasks.classification.accuracy import Accuracy
from edgetl.tasks.heads.scores import HeadScores
from edgetl.tasks.quality import QualityRecord
from edgetl.types import HeadClasses, Precision, Split

TEMPLATE = "report.html.j2"
_ONLY_OF_SOME_TASKS: Mapping[str, Any] = dict.fromkeys(
    ("per_class", "shown", "per_build", "seen", "training", "losses_plot", "candidates_plot", "curves_plot")
)


@dataclass(frozen=True)
class TargetDetails:
    """Arrays of the bench stage, beside bench.json: (N, ...) answers and (runs,) nanoseconds, per precision."""

    bench: TargetBench
    answers: Mapping[Precision, Answers]
    latency_ns: Mapping[Precision, NDArray[np.int64]]


@dataclass(frozen=True)
class Details:
    """The inputs of the page besides report.json.

    reference  (len(split.val), ...) answers of the float network
    history    the losses of every training of the adaptation
    reader     of texts: a bundle that runs here, to find the words that decide; lengths  of the texts
    """

    split: Split
    reference: Answers
    targets: tuple[TargetDetails, ...]
    history: History | detector_record.History = field(default_factory=History)
    reader: Reader | None = None
    lengths: Lengths | None = None


def read_details(
    split: Split, reference: Answers, bench_folders: Sequence[Path], history: History | detector_record.History
) -> Details:
    """Read the arrays of the bench stages. Raises EdgetlError naming the file."""
    return Details(split, reference, tuple(_read_target(folder) for folder in bench_folders), history)


def write_html(report: Report, details: Details, path: Path) -> None:
    """Write the page atomically: a reader sees the old one or the complete new one."""
    write_text(path, render_html(report, details))


def render_html(report: Report, details: Details) -> str:
    """The page as text; the same inputs give the same bytes."""
    folder = Path(__file__).resolve().parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"words": words, "adaptation": adaptation}
    noun = load_front(report.front).noun
    clips = ClipLooks() if report.front == "audio" else None
    look = clips or {"text": plain_text, "series": look_at_window}.get(report.front, look_at)
    # of the players the predictions come first: a page has room for some
    of_task = (
        _of_objects(report, details)
        if report.task == "detection"
        else _of_classes(report, details, details.reader or look)
    )
    checks = _checks(report, look, noun)
    return environment.get_template(TEMPLATE).render(
        report=report,
        summary=summarize(report.bundles, report.metric),
        score_name=words.capital(report.metric),
        accuracy_plot=accuracy_latency(report.bundles, report.metric),
        histograms=_histograms(details, noun),
        checks=checks,
        noun=noun,
        reader=details.reader,
        lengths=details.lengths,
        times=times_of(target.bench for target in details.targets),
        without_player=clips.silent if clips else 0,
        recipe_yaml=yaml.safe_dump(report.recipe, sort_keys=False, allow_unicode=True, width=100),
        machine=_machine_rows(report),
        quantized=report.quantized,
        float16=report.float16,
        parity=[(name, _parity(value, report.task, noun)) for name, value in report.parity.items()],
        version=__version__,
        **dict(_ONLY_OF_SOME_TASKS) | of_task | _of_adaptation(report.adapt, details.history),
    )


def _parity(value: Any, task: TaskName, noun: str) -> str:
    if isinstance(value, dict):
        value = {f"{noun}s" if name == "images" else name: each for name, each in value.items()}
    if task == "detection" and isinstance(value, dict):  # the name in files is that of the first task
        value = {"same class" if name == "top1_agreement" else name: each for name, each in value.items()}
    return plain(value)


def _of_classes(report: Report, details: Details, look: Callable[[Path], Look]) -> dict[str, Any]:
    return {"per_class": _per_class(report, details), "shown": _predictions(report, details, look)}


def _of_objects(report: Report, details: Details) -> dict[str, Any]:
    builds = _shipped(report, details)
    return {
        "objects": section,
        "per_build": section.objects_of(builds, report.classes),
        "seen": section.images_of(builds, report.classes),
    }


def _of_adaptation(
    adapt: Adaptation | DetectorAdaptation | None, history: History | detector_record.History
) -> dict[str, Any]:
    if isinstance(adapt, DetectorAdaptation):
        losses = loss_curves(history) if isinstance(history, detector_record.History) else None
        return {"training": detector_adaptation, "losses_plot": losses}
    return {
        "candidates_plot": accuracy_seconds(adapt.candidates) if adapt else None,
        "curves_plot": learning_curves(curves(adapt, history)) if adapt and isinstance(history, History) else None,
    }


def _shipped(report: Report, details: Details) -> list[Shipped]:
    found = []
    for bundle in summarize(report.bundles, report.metric).bundles:
        target = _target(details, bundle.target)
        answers = target.answers.get(bundle.precision) if target and bundle.precision else None
        if target is None or answers is None or bundle.precision is None or bundle.detection is None:
            continue
        picked = list(target.bench.images[: len(answers)])
        samples = tuple(details.split.val[index] for index in picked)
        reference = details.reference[picked]
        found.append(Shipped(bundle, bundle.precision, bundle.detection, samples, answers, reference))
    return found


@dataclass(frozen=True)
class _Predictions:
    target: str
    precision: str
    emulated: bool
    groups: tuple[Group, ...]
    head: str = ""


def _read_target(folder: Path) -> TargetDetails:
    bench = read_bench(folder / BENCH_FILE)
    try:
        return TargetDetails(bench, load_file(folder / PREDICTIONS_FILE), load_file(folder / LATENCY_FILE))
    except (OSError, SafetensorError) as error:
        raise EdgetlError(f"{folder}: cannot read the arrays of the bench stage: {error}") from error


def _histograms(details: Details, noun: str) -> list[tuple[str, Picture]]:
    drawn = [
        (target.bench.target, latency_histogram(target.bench.target, target.latency_ns, noun))
        for target in details.targets
    ]
    return [(name, picture) for name, picture in drawn if picture is not None]


@dataclass(frozen=True)
class _PerClass:
    """Accuracy per class of builds that share one confusion matrix; `bundle` is the first of them."""

    names: list[str]
    bundle: Bundle
    recalls: tuple[Recall, ...]
    matrix: Confusion
    images: int


def _per_class(report: Report, details: Details) -> list[_PerClass]:
    found: list[_PerClass] = []
    for bundle in summarize(report.bundles, report.metric).bundles:
        target = _target(details, bundle.target)
        build = target.bench.build(bundle.precision) if target and bundle.precision else None
        if build is None:
            continue
        name = f"{bundle.target} {bundle.precision}"
        for head, accuracy in _accuracies(build.accuracy, details.split.heads):
            classes = report.classes if head is None else head.classes
            matrix = shape_confusion(accuracy.confusion, classes, accuracy.not_finite)
            twin = next((each for each in found if each.matrix == matrix and each.bundle.images == bundle.images), None)
            if twin is not None:
                twin.names.append(name)
            elif head is None:
                found.append(_PerClass([name], bundle, lowest(bundle.recalls), matrix, accuracy.images))
            else:
                recalls = lowest(bundle.recalls[head.columns])
                found.append(_PerClass([f"{head.name}: {name}"], bundle, recalls, matrix, accuracy.images))
    return found


def _accuracies(
    found: QualityRecord | None, heads: Sequence[HeadClasses]
) -> Iterator[tuple[HeadClasses | None, Accuracy]]:
    """That of a classifier, or those of its heads."""
    if isinstance(found, Accuracy):
        yield None, found
    elif isinstance(found, HeadScores):
        named = dict(found.measured)
        yield from ((head, named[head.name]) for head in heads if head.name in named)


def _predictions(report: Report, details: Details, look: Callable[[Path], Look]) -> tuple[_Predictions, ...]:
    """Predictions of the first measured target, or else of the first emulated one; of several heads one by one."""
    for bundle in sorted(report.bundles, key=lambda bundle: not bundle.measured):
        target = _target(details, bundle.target)
        logits = target.answers.get(bundle.precision) if target and bundle.precision else None
        if target is None or logits is None or bundle.precision is None:
            continue
        picked = list(target.bench.images[: len(logits)])
        samples = [details.split.val[index] for index in picked]
        reference = details.reference[picked]
        if not details.split.heads:
            groups = choose_pictures(samples, report.classes, logits, reference, look=look)
            return (_Predictions(bundle.target, bundle.precision, bundle.emulated, groups),)
        found = []
        for head in details.split.heads:
            rows = [row for row, sample in enumerate(samples) if head.own(sample.truth) >= 0]
            own = [replace(samples[row], truth=head.own(samples[row].truth)) for row in rows]
            ours, theirs = logits[rows, head.columns], reference[rows, head.columns]
            groups = choose_pictures(own, head.classes, ours, theirs, look=look)
            found.append(_Predictions(bundle.target, bundle.precision, bundle.emulated, groups, head.name))
        return tuple(found)
    return ()


def _target(details: Details, name: str) -> TargetDetails | None:
    return next((target for target in details.targets if target.bench.target == name), None)


def _checks(report: Report, look: Callable[[Path], Look], noun: str) -> tuple[ShownFinding, ...]:
    allowed = report.recipe.get("check", {}).get("allow_leak", False)
    return () if report.checks is None else show_findings(report.checks, allow_leak=bool(allowed), look=look, noun=noun)


def _machine_rows(report: Report) -> list[tuple[str, str]]:
    machine = report.machine
    if machine is None:
        return []
    clocks = [
        f"{name} {value:.0f} MHz"
        for name, value in (
            ("now", machine.clock_mhz),
            ("lowest", machine.clock_min_mhz),
            ("highest", machine.clock_max_mhz),
        )
        if value is not None
    ]
    rows = [
        *([("GPU", machine.gpu)] if machine.gpu else []),
        ("CPU", machine.cpu),
        ("Architecture", machine.architecture),
        ("Instruction sets", ", ".join(machine.instruction_sets)),
        ("Cores", _cores(machine.logical_cores, machine.usable_cores)),
        ("Clock", ", ".join(clocks)),
        ("Governor", machine.governor),
        ("Load average, 1 min", None if machine.load_average is None else f"{machine.load_average:.2f}"),
        ("Memory", words.size(machine.memory_bytes)),
        ("System", machine.system),
        ("Python", machine.python),
    ]
    return [(name, value or "not readable here") for name, value in rows]


def _cores(logical: int | None, usable: float | None) -> str:
    parts = [
        f"{logical} logical" if logical is not None else "",
        f"{usable:g} usable" if usable is not None else "",
    ]
    return ", ".join(part for part in parts if part)
