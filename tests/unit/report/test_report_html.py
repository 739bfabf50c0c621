from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adaptation_records import candidate, record
from html_outline import outline
from markupsafe import escape
from PIL import Image
from safetensors.numpy import save_file
from sounds import tone, write_wav

from edgetl.adapt.record import History
from edgetl.bench.gates import judge
from edgetl.bench.machine import describe
from edgetl.bench.repair_record import Repair, Trial, front
from edgetl.bench.result import BuildBench, Latency, TargetBench, write_bench
from edgetl.checks.model import Checks, Finding, Picture, Suspect
from edgetl.errors import EdgetlError
from edgetl.recipes.gates import Gates
from edgetl.recipes.recipe_file import parse_recipe
from edgetl.report.build import ReportInputs, TargetResult, build_report
from edgetl.report.html import Details, TargetDetails, read_details, render_html, write_html
from edgetl.report.model import Caution, Device, Recall, Report, Stage
from edgetl.tasks.classification.accuracy import compare
from edgetl.types import Clips, Estimate, FrontName, Interval, Sample, Skipped, Split

EVIL = "<script>alert('x')</script>"
LABELS = np.array([0, 1, 0, 1])
REFERENCE = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
LOGITS = np.eye(2, dtype=np.float32)[[0, 1, 0, 0]] * 3
Made = Callable[..., tuple[Report, Details]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A report on two classes: one target that was timed, one that is not here."""

    def make(
        classes: tuple[str, ...] = ("crack", "fine"), name: str = "demo", front: FrontName = "image", **changes: object
    ) -> tuple[Report, Details]:
        samples: list[Sample] = []
        for index, label in enumerate(LABELS.tolist()):
            path = tmp_path / f"{index}.{'wav' if front == 'audio' else 'png'}"
            if front == "audio":
                write_wav(path, tone(300 * (index + 1), 0.5))
            else:
                Image.fromarray(np.full((20, 30, 3), 60 * index, np.uint8)).save(path)
            samples.append(Sample(str(path), label, ""))
        split = Split(classes, tuple(samples[:2]), tuple(samples), (Skipped(EVIL, "truncated"),), "squash", EVIL, "d")
        if front == "audio":
            split = replace(split, clips=Clips(16000, (8000,) * 6))
        latency = Latency(Interval(3, 2.9, 3.1), Interval(3.5, 3.4, 3.6), Estimate(4, 3.8, 4.5), 300, 1)
        builds = (
            BuildBench("int8", 250, "int8 52, float32 1", (EVIL,), compare(LOGITS, LABELS, REFERENCE), latency),
            BuildBench("float32", 900, "float32 53", (), compare(REFERENCE, LABELS, REFERENCE), latency),
        )
        machine = describe()
        here = TargetBench("x86-cpu", "onnxruntime", "1.31", True, False, "", machine, (0, 1, 2, 3), builds)
        absent = TargetBench(
            "nvidia-rtx",
            "tensorrt_rtx",
            "1.7",
            False,
            False,
            f"no driver {EVIL}",
            machine,
            (),
            (BuildBench("int8", 9),),
        )
        gates = Gates(max_drop_points=None)
        recipe = parse_recipe(
            {"name": name, "front": front, "data": {"train": EVIL}, "backbone": {"name": "b"}, "targets": ["x86-cpu"]},
            where="here",
        )
        inputs = ReportInputs(
            recipe=recipe,
            split=split,
            reference=compare(REFERENCE, LABELS, REFERENCE),
            targets=tuple(TargetResult(bench, judge(bench, gates), "out") for bench in (here, absent)),
            adapt=record(reason=EVIL, candidates=(candidate("probe", top1=0.875, seconds=None),)),
            parity={"float32.onnx": {"images": 4, "max_abs_diff": 1e-6}},
            stages=(Stage(stage="adapt", seconds=185.0, peak_rss_bytes=1_300_000_000, reused=True),),
            versions={"edgetl": "0.1.0"},
        )
        times = np.random.default_rng(0).normal(3e6, 1e5, 300).astype(np.int64)
        details = Details(
            split,
            REFERENCE,
            (
                TargetDetails(here, {"int8": LOGITS, "float32": REFERENCE}, {"int8": times, "float32": times * 2}),
                TargetDetails(absent, {}, {}),
            ),
        )
        report = build_report(replace(inputs, **changes))  # type: ignore[arg-type]
        return report, details

    return make


def test_the_page_is_well_formed_and_needs_nothing_from_outside(made: Made) -> None:
    page = render_html(*made())
    found = outline(page)
    assert "http" not in page
    assert "script" not in found.tags
    assert "link" not in found.tags
    assert "@import" not in page
    assert "url(" not in page.replace("url(#", "")
    assert all(address.startswith(("#", "data:image/jpeg;base64,")) for address in found.addresses)


def test_a_page_about_clips_plays_them_and_speaks_of_no_images(made: Made) -> None:
    page = render_html(*made(front="audio", adapt=None))
    found = outline(page)
    assert page.count("<audio ") == 4
    kinds = ("#", "data:image/png;base64,", "data:audio/wav;base64,")
    assert all(address.startswith(kinds) for address in found.addresses)
    text = " ".join(re.sub(r'"data:[^"]*"', "", page[page.index("<body>") :]).split())
    for words in (
        "2 training clips, 4 validation clips",
        "milliseconds per clip",
        "6 clips of 0.50 to 0.50 s",
        "Clips per",
    ):
        assert words in text
    assert re.findall(r"\b[Ii]mages?\b", text.partition("Recipe</h3>")[0]) == []


def test_everything_the_user_supplied_is_escaped(made: Made) -> None:
    page = render_html(*made(classes=(EVIL, '" onload="x')))
    found = outline(page)
    assert "<script" not in page
    assert "script" not in found.tags
    assert 'onload="x' not in page.replace("&#34;", "")  # never as an attribute
    assert page.count("&lt;script&gt;") >= 6
    assert "".join(found.words).count(EVIL) >= 6


def test_identifiers_are_unique_and_links_inside_the_page_lead_somewhere(made: Made) -> None:
    found = outline(render_html(*made()))
    assert len(found.ids) == len(set(found.ids))
    inside = {address[1:] for address in found.addresses if address.startswith("#")}
    assert inside <= set(found.ids)


def test_the_page_shows_what_the_issue_asks_for(made: Made) -> None:
    words = " ".join("".join(outline(render_html(*made())).words).split())
    for expected in (
        "75.0",  # top-1
        "25.00",  # drop
        "int8 52, float32 1",
        "1 layer not in INT8",
        "not measured",
        "Latency of x86-cpu: medians",
        "1 of 4 wrong",
        "Predicted differently from the float network (1)",
        "true class fine",
        "float network: fine",
        "Refused or skipped files (1)",
        "max_drop_points",  # of the recipe
        "3 min 05 s",
        "87.5",
        "float32.onnx: images 4, max abs diff 1e-06",
        "Instruction sets",
        "edgetl 0.1.0",
    ):
        assert expected in words, expected


def test_measurements_on_devices_have_a_section_of_their_own(made: Made) -> None:
    report, details = made()
    assert "Measured on devices" not in render_html(report, details)
    device = Device(
        file="pi5.json",
        match="another build",
        bundle=EVIL,
        bundle_sha256="b" * 64,
        target="x86-cpu",
        precision="int8",
        backend="onnxruntime",
        backend_version="1.31.0",
        harness="edgetl c++",
        created="2027-01-15T08:00:00+00:00",
        machine=replace(describe(), cpu="Raspberry Pi 5", gpu="Some GPU 9"),
        size_bytes=1000,
        runs=300,
        threads=4,
        images=0,
        p50_ms=11.5,
        p50_ms_low=11.25,
        p50_ms_high=11.75,
        cold_start_ms=80.4,
        temperature_c_before=41,
        temperature_c_after=62,
    )
    found = outline(render_html(report.model_copy(update={"devices": (device,)}), details))
    words = " ".join("".join(found.words).split())
    for expected in (
        "Some GPU 9, Raspberry Pi 5",
        "another build",
        "4 threads",
        "11.5",
        "80.4",
        "41 → 62 °C",
        "pi5.json",
        EVIL,
    ):
        assert expected in words, expected
    assert "devices" in found.ids


def test_a_latency_of_another_cpu_is_marked_with_the_reason(made: Made) -> None:
    report, details = made()
    assert "latency of another CPU" not in render_html(report, details)
    bundle = report.bundles[0].model_copy(update={"other_cpu": f"a CPU without vnni {EVIL}"})
    found = outline(render_html(report.model_copy(update={"bundles": (bundle, *report.bundles[1:])}), details))
    words = " ".join("".join(found.words).split())
    assert words.count("latency of another CPU") == 2
    assert f"Latency of another CPU: a CPU without vnni {EVIL}. Measure on the device" in words


def test_the_machine_s_gpu_is_listed_where_it_was_measured_on(made: Made) -> None:
    report, details = made()
    assert report.machine is not None
    assert ">GPU<" not in render_html(report, details)
    named = report.model_copy(update={"machine": replace(report.machine, gpu="Some GPU 9")})
    assert "Some GPU 9" in render_html(named, details)


def test_pictures_are_inside_the_page_with_a_text(made: Made) -> None:
    found = outline(render_html(*made()))
    pictures = [address for address in found.addresses if address.startswith("data:")]
    assert len(pictures) == 4  # one changed, three right
    assert found.images_without_text == 0


def test_data_checks_are_told_with_their_suspects_and_an_allowed_leak_stands_on_top(made: Made) -> None:
    assert "checks" not in outline(render_html(*made())).ids
    report, details = made()
    pictures = tuple(Picture(path=sample.path, side="val", label=EVIL) for sample in details.split.val[:2])
    leak = Finding(
        check="copies",
        verdict="refuse",
        sentence=f"1 image of {EVIL} is on both sides",
        remedy=EVIL,
        found=1,
        suspects=(Suspect(pictures=pictures, sentence=EVIL),),
    )
    told = Checks(findings=(leak,), shots=2, val=4)
    recipe = report.recipe | {"check": {"allow_leak": True}}
    page = render_html(report.model_copy(update={"checks": told, "recipe": recipe}), details)
    found = outline(page)
    assert "checks" in found.ids
    assert "script" not in found.tags
    assert found.images_without_text == 0
    assert "Allowed leak:" in found.words
    assert "allowed" in found.words
    refused = outline(render_html(report.model_copy(update={"checks": told}), details))
    assert "Allowed leak:" not in refused.words


def test_the_same_inputs_give_the_same_bytes(made: Made) -> None:
    report, details = made()  # once: it holds this machine's load
    assert render_html(report, details) == render_html(report, details)


def test_a_report_of_targets_that_are_not_here_has_no_plots(made: Made) -> None:
    report, details = made()
    absent = report.model_copy(update={"bundles": report.bundles[1:]})
    page = render_html(absent, replace(details, targets=details.targets[1:]))
    found = outline(page)
    assert "svg" not in found.tags
    assert "predictions" not in found.ids
    assert "confusion" not in found.ids
    assert "bundles" in found.ids


def test_the_first_table_shows_verdicts_of_what_was_measured_and_folds_the_rest_away(made: Made) -> None:
    report, details = made()
    page = render_html(report, details)
    table = page.split('aria-label="Table of bundles"')[1].split("</table>")[0]
    rows = table.split("<tr>")[2:]
    assert [row.split('scope="row">')[1].split("<")[0] for row in rows] == ["x86-cpu"]
    assert '<td class="verdict"><span class="badge' in rows[0]
    assert rows[0].index("verdict") < rows[0].index("Top-1")
    absent = report.bundles[1]
    assert f"<strong>{absent.target}</strong>: {escape(absent.not_measured_reason)}" in page
    assert f'aria-label="Builds of {absent.target}"' not in page


def test_recall_per_class_and_what_to_know_before_stand_on_the_page(made: Made) -> None:
    report, details = made()
    caution = Caution(kind="busy machine", sentence=f"Timed on a busy machine {EVIL}.")
    recall = Recall(label=EVIL, images=7, recall=0.5, recall_low=0.2, recall_high=0.8, float_recall=0.75)
    first = report.bundles[0].model_copy(update={"recalls": (recall,)})
    changed = report.model_copy(update={"cautions": (caution,), "bundles": (first, *report.bundles[1:])})
    page = render_html(changed, details)
    words = " ".join("".join(outline(page).words).split())
    assert EVIL not in page
    assert words.index("Timed on a busy machine") < words.index("training images")
    row = page.split("Recall per class of x86-cpu")[1].split("</table>")[0].split("<tr>")[2]
    assert [text in row for text in ("75.0", "50.0", "20.0–80.0", ">7<")] == [True] * 4


def test_builds_that_confuse_the_same_images_share_one_matrix(made: Made) -> None:
    report, details = made()
    twin = report.bundles[0].model_copy(update={"target": "intel-cpu"})
    bench = replace(details.targets[0], bench=replace(details.targets[0].bench, target="intel-cpu"))
    both = report.model_copy(update={"bundles": (report.bundles[0], twin)})
    page = render_html(both, replace(details, targets=(details.targets[0], bench)))
    assert page.count('class="confusion"') == 1
    assert "x86-cpu int8, intel-cpu int8" in page


def test_little_is_needed_for_a_page(made: Made) -> None:
    page = render_html(*made(adapt=None, parity={}, stages=(), versions={}))
    assert "Nothing was recorded." in page


def test_what_the_bench_stored_is_read_back(made: Made, tmp_path: Path) -> None:
    report, details = made()
    folder = tmp_path / "bench"
    folder.mkdir()
    first = details.targets[0]
    write_bench(first.bench, folder / "bench.json")
    save_file(dict(first.answers), folder / "predictions.safetensors")
    save_file(dict(first.latency_ns), folder / "latency.safetensors")
    found = read_details(details.split, REFERENCE, [folder], History())
    assert found.targets[0].bench == first.bench
    np.testing.assert_array_equal(found.targets[0].latency_ns["int8"], first.latency_ns["int8"])
    write_html(report, found, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render_html(report, found)


def test_a_bench_folder_without_its_files_is_named(made: Made, tmp_path: Path) -> None:
    _, details = made()
    write_bench(details.targets[0].bench, tmp_path / "bench.json")
    with pytest.raises(EdgetlError, match="cannot read the arrays of the bench stage"):
        read_details(details.split, REFERENCE, [tmp_path], History())


def test_what_a_repair_tried_is_listed_with_what_was_taken_and_the_front(made: Made) -> None:
    def certain(value: float) -> Interval:
        return Interval(value, value, value)

    def trial(layers: tuple[str, ...], top1: float, p50_ms: float, *, passed: bool) -> Trial:
        return Trial(layers, passed, certain(top1), certain(1.0), certain(p50_ms), certain(p50_ms / 3), len(layers), 9)

    trials = (
        trial((), 0.5, 3.0, passed=False),
        trial((EVIL,), 0.7, 3.5, passed=False),
        trial((EVIL, "conv2"), 0.9, 3.2, passed=True),
    )
    repair = Repair("x86-cpu", 52, 2, (EVIL, "conv2"), trials, front(trials), "INT8 loses; two layers help.")
    report, details = made()
    first = report.bundles[0].model_copy(update={"repair": repair})
    page = render_html(report.model_copy(update={"bundles": (first, *report.bundles[1:])}), details)
    words = " ".join(outline(page).words)
    assert EVIL not in page
    assert "INT8 loses; two layers help. 2 sets of layers were tried" in words
    rows = [row.split("</tr>")[0] for row in page.split("Repair of x86-cpu")[1].split("<tr>")[2:5]]
    assert ["taken" in row for row in rows] == [False, False, True]
    assert [row.count("<td>yes</td>") for row in rows] == [1, 0, 1]
    assert "1.07x INT8" in rows[2]


@pytest.mark.parametrize("classes", [2, 30])
def test_a_build_that_gives_nan_alone_is_shown_as_all_wrong(made: Made, classes: int) -> None:
    names = tuple(f"c{index}" for index in range(classes))
    counts = tuple((0,) * classes for _ in names)
    report, details = made(classes=names)
    (here, absent) = details.targets
    sick = replace(here.bench.builds[0].accuracy, not_finite=len(LABELS), confusion=counts)  # type: ignore[type-var]
    builds = tuple(replace(build, accuracy=sick) for build in here.bench.builds)
    here = replace(here, bench=replace(here.bench, builds=builds), answers={})
    words = " ".join("".join(outline(render_html(report, replace(details, targets=(here, absent)))).words).split())
    assert "4 of 4 wrong. 4 have NaN or infinite logits" in words
    assert "No image was misclassified" not in words
