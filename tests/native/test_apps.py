"""The apps for the device: edgetl-run, edgetl-bench and edgetl-verify say what the Python commands say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cli_calls import Shell
from hostile_bundles import refit
from native_apps import Apps, Engine, python_logits
from native_build import RuntimeBuild
from pivot_folder import LABELS, make_pivot
from safetensors.numpy import load_file, save, save_file

from edgetl.bench.machine import saturates
from edgetl.bundle.compile import compile_targets
from edgetl.bundle.inference import predict
from edgetl.bundle.manifest import Tolerance
from edgetl.bundle.read import read_bundle
from edgetl.bundle.write import replace_compiled
from edgetl.files.digest import file_digest
from edgetl.report.devices import read_devices

pytestmark = pytest.mark.integration

APPS = ("edgetl-run", "edgetl-bench", "edgetl-verify")
REAL_IMAGES = 80


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Builds of a small network, by `<target>-<precision>`."""
    folder = tmp_path_factory.mktemp("bundles")
    made = compile_targets(make_pivot(folder / "pivot"), ["null", "x86-cpu", "intel-cpu"], folder / "bundles")
    return {path.name: path for path in made}


@pytest.mark.parametrize("app", APPS)
def test_help_and_version_are_answered(apps: Apps, app: str) -> None:
    told = apps(app, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"Usage: {app} BUNDLE")
    version = apps(app, "--version")
    assert version.returncode == 0
    assert version.stdout.startswith(f"{app} ")
    assert "null" in version.stdout.splitlines()[1]


@pytest.mark.parametrize("app", APPS)
def test_wrong_usage_is_one_line_and_exit_code_2(apps: Apps, app: str) -> None:
    apps.refuses(2, "expected BUNDLE", app)
    apps.refuses(2, "no such option: --fast", app, "b", "--fast")
    apps.refuses(2, "--threads needs a value: N", app, "b", "--threads")
    named = ["b", "i.png"] if app == "edgetl-run" else ["b"]
    apps.refuses(2, "--threads takes a whole number from 1 to 1024; found `0`", app, *named, "--threads", "0")


def test_numbers_out_of_bounds_are_wrong_usage(apps: Apps) -> None:
    apps.refuses(2, "--runs takes a whole number from 300", "edgetl-bench", "b", "--runs", "299")
    apps.refuses(2, "--top takes a whole number", "edgetl-run", "b", "i.png", "--top", "two")
    apps.refuses(2, "unexpected argument: c", "edgetl-verify", "b", "c")


@pytest.mark.parametrize("app", APPS)
def test_a_bundle_that_is_not_there_is_one_line_and_exit_code_1(apps: Apps, app: str, tmp_path: Path) -> None:
    apps.refuses(1, "absent", app, tmp_path / "absent", *(["i.png"] if app == "edgetl-run" else []))


def test_a_picture_that_is_none_is_named(apps: Apps, bundles: dict[str, Path], tmp_path: Path) -> None:
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"\xff\xd8\xff\xe0 torn off")
    for picture in (torn, tmp_path / "absent.png"):
        apps.refuses(1, picture.name, "edgetl-run", bundles["null-int8"], picture)


def test_verify_says_what_python_says(
    shell: Shell, apps: Apps, bundles: dict[str, Path], onnxruntime: tuple[str, ...]
) -> None:
    bundle = bundles["x86-cpu-int8"]
    told, python = apps("edgetl-verify", bundle, *onnxruntime), shell("verify", bundle)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == python.out
    found, expected = apps.json("edgetl-verify", bundle, *onnxruntime), shell("verify", bundle, "--json").json()
    for step, reference in zip(found["steps"], expected["steps"], strict=True):
        assert step.pop("difference") == pytest.approx(reference.pop("difference"), rel=1e-6)
    assert found == expected


def test_verify_fails_with_the_first_step_that_differs(apps: Apps, bundles: dict[str, Path]) -> None:
    # the null engine answers zeros
    done = apps("edgetl-verify", bundles["null-int8"])
    assert done.returncode == 1
    assert [line[:4] for line in done.stdout.splitlines()[1:4]] == ["ok  ", "ok  ", "FAIL"]
    assert "the first step that differs is `network`" in done.stderr
    assert json.loads(apps("edgetl-verify", bundles["null-int8"], "--json").stdout)["passed"] is False


def test_verify_explains_a_difference_by_saturation_as_python_does(
    shell: Shell, apps: Apps, bundles: dict[str, Path], onnxruntime: tuple[str, ...], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(bundles["x86-cpu-int8"], tmp_path / "copy"))
    changed = {name: -logits for name, logits in load_file(copy / "golden" / "logits.safetensors").items()}
    refit(copy, "golden/logits.safetensors", save(changed))
    told, python = apps("edgetl-verify", copy, *onnxruntime), shell("verify", copy)
    assert (told.returncode, python.code) == (1, 1)
    assert told.stderr.partition(": ")[2] == python.err.partition(": ")[2]
    assert ("this CPU has no VNNI" in told.stderr) is saturates(read_bundle(copy).manifest.target)


@pytest.mark.parametrize(("part", "passes"), [(0.75, False), (0.4, True)], ids=["clear", "close"])
def test_another_class_passes_both_harnesses_only_close_to_a_tie(
    shell: Shell,
    apps: Apps,
    bundles: dict[str, Path],
    onnxruntime: tuple[str, ...],
    tmp_path: Path,
    part: float,
    passes: bool,
) -> None:
    """The golden logits with their two best classes exchanged, whose distance is `part` of what is allowed."""
    copy = Path(shutil.copytree(bundles["x86-cpu-float32"], tmp_path / "copy"))
    manifest, path = read_bundle(copy).manifest, copy / "golden" / "logits.safetensors"
    assert manifest.golden is not None
    logits = load_file(path)["logits"]
    first, second = np.argsort(logits[0])[::-1][:2]
    allowed = float((logits[0, first] - logits[0, second]) / np.ptp(logits[0]) / part)
    assert allowed < 1
    logits[0, [first, second]] = logits[0, [second, first]]
    save_file({"float_logits": logits, "logits": logits}, path)
    tolerance = Tolerance(max_diff_of_range=allowed, min_cosine=0)
    golden = manifest.golden.model_copy(update={"tolerance": tolerance})
    replace_compiled(copy, manifest.model_copy(update={"golden": golden}), manifest.compiled)
    told, python = apps("edgetl-verify", copy, *onnxruntime), shell("verify", copy)
    assert told.stdout == python.out
    assert (told.returncode, python.code) == ((0, 0) if passes else (1, 1))
    assert f"class {first} instead of {second}" in told.stdout


def test_logits_that_are_all_zero_are_like_each_other(
    shell: Shell, apps: Apps, bundles: dict[str, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(bundles["null-int8"], tmp_path / "copy"))
    path = copy / "golden" / "logits.safetensors"
    nothing = {name: np.zeros_like(logits) for name, logits in load_file(path).items()}
    refit(copy, "golden/logits.safetensors", save(nothing))
    told, python = apps("edgetl-verify", copy), shell("verify", copy)
    assert (told.returncode, python.code) == (0, 0)
    assert told.stdout == python.out
    assert "cosine 1.00000" in told.stdout


def test_a_digest_that_was_given_vouches_for_the_manifest(shell: Shell, apps: Apps, bundles: dict[str, Path]) -> None:
    bundle = bundles["x86-cpu-int8"]
    digest = file_digest(bundle / "manifest.json")
    for options in (("--digests-only", "--sha256", digest.upper()), ("--digests-only", "--sha256", digest, "--json")):
        done = apps("edgetl-verify", bundle, *options)
        assert (done.returncode, done.stdout) == (0, shell("verify", bundle, *options).out)
    other = ("--sha256", "0" * 64)
    apps.refuses(1, f"manifest.json: SHA-256 is {digest}, expected 000", "edgetl-verify", bundle, *other)
    assert shell("verify", bundle, *other).code == 1
    apps.refuses(2, "--sha256 takes 64 hexadecimal digits; found `12`", "edgetl-verify", bundle, "--sha256", "12")


def test_digests_are_checked_without_an_engine_and_whatever_the_environment_says(
    shell: Shell, apps: Apps, bundles: dict[str, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(bundles["x86-cpu-int8"], tmp_path / "copy"))
    done = apps("edgetl-verify", copy, "--digests-only")
    assert (done.returncode, done.stdout) == (0, shell("verify", copy, "--digests-only").out)
    model = copy / read_bundle(copy).manifest.compiled.model
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    changed = apps("edgetl-verify", copy, "--digests-only", EDGETL_SKIP_DIGEST="1")
    assert changed.returncode == 1
    assert changed.stdout == ""
    assert model.name in changed.stderr


def test_a_file_is_digested_for_devices_that_have_no_tool_for_it(apps: Apps, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path in (tmp_path / "empty", apps.bin / "edgetl-run"):
        done = apps("edgetl-verify", path, "--digest")
        assert (done.returncode, done.stdout) == (0, f"{file_digest(path)}\n")
    apps.refuses(1, "nothing: not usable as a file to digest", "edgetl-verify", tmp_path / "nothing", "--digest")


def test_a_measurement_has_the_form_of_pythons(apps: Apps, bundles: dict[str, Path], tmp_path: Path) -> None:
    first, second = bundles["null-int8"], bundles["null-float32"]
    path = tmp_path / "device.json"
    path.write_text(json.dumps(apps.json("edgetl-bench", first, second, "--threads", "1", "--cold-starts", "2")))
    (file,) = read_devices([path])
    measured = file.measurement
    assert measured.harness == "edgetl c++"
    one, two = measured.bundles
    assert (one.bundle, two.bundle) == (str(first), str(second))
    assert one.bundle_sha256 != two.bundle_sha256
    assert one.size_bytes == read_bundle(first).size_bytes()
    assert (one.target, one.precision, one.backend, one.runs, one.threads) == ("null", "int8", "null", 300, 1)
    assert one.ratio is None
    assert two.ratio is not None
    for bundle in measured.bundles:
        assert bundle.p50_ms is not None
        assert bundle.p99_ms is not None
        assert 0 < bundle.p50_ms.value <= bundle.p99_ms.value
        assert bundle.p99_ms.high is None, "an indication, of 300 runs"
        assert bundle.cold_start_ms is not None
        assert bundle.cold_start_ms > 0
        assert bundle.baseline_rss_bytes is not None
        assert bundle.baseline_rss_bytes > 0


def test_paced_arrivals_and_warm_up_have_the_form_of_pythons(
    shell: Shell, apps: Apps, bundles: dict[str, Path]
) -> None:
    paced = (bundles["null-int8"], "--rate", "2000", "--arrivals", "poisson", "--cold-starts", "0")
    found = apps.json("edgetl-bench", *paced)["bundles"][0]
    expected = shell("bench", *paced, "--json").json()["bundles"][0]
    for key in ("paced", "warm_up"):
        assert list(found[key]) == list(expected[key])
    assert (found["paced"]["rate_hz"], found["paced"]["arrivals"], found["paced"]["runs"]) == (2000, "poisson", 300)
    assert found["paced"]["p50_ms"]["value"] >= found["paced"]["service_p50_ms"]["value"]
    assert found["runs_for_p999"] >= 60_000
    timed = apps.json("edgetl-bench", *paced[:1], "--duration", "0.1", "--warmup", "3", "--cold-starts", "0")
    assert timed["bundles"][0]["runs"] % 10 == 0
    assert (timed["bundles"][0]["warm_up"], timed["bundles"][0]["paced"]) == (None, None)
    apps.refuses(2, "--arrivals takes fixed or poisson", "edgetl-bench", "b", "--arrivals", "random")
    apps.refuses(2, "--rate takes a number from 0.001", "edgetl-bench", "b", "--rate", "0")


def test_a_measurement_names_the_very_bundle_and_engine_that_python_names(
    shell: Shell, apps: Apps, bundles: dict[str, Path], onnxruntime: tuple[str, ...]
) -> None:
    bundle = bundles["x86-cpu-int8"]
    found = apps.json("edgetl-bench", bundle, *onnxruntime, "--cold-starts", "1")
    expected = shell("bench", bundle, "--json", "--cold-starts", "0").json()
    # what the program for devices does not measure has a default in the reader
    assert set(expected) - set(found) == {"left_out", "gates", "baseline"}
    unmeasured = {"recalls", "drop_points", "repeat_p50_ms", "metric", "score", "precisions", "heads"}
    assert set(expected["bundles"][0]) - set(found["bundles"][0]) == unmeasured
    assert [key for key in expected if key in found] == list(found)
    assert [key for key in expected["bundles"][0] if key not in unmeasured] == list(found["bundles"][0])
    for key in ("machine", "conditions", "hardware"):
        assert list(found[key]) == list(expected[key])
    for key in ("bundle", "bundle_sha256", "target", "precision", "backend", "backend_version", "size_bytes"):
        assert found["bundles"][0][key] == expected["bundles"][0][key], key
    for key in ("cpu", "architecture", "instruction_sets", "logical_cores", "governor", "memory_bytes", "system"):
        assert found["machine"][key] == expected["machine"][key], key


def test_bundles_are_timed_on_pictures_of_ones_own(apps: Apps, bundles: dict[str, Path], tmp_path: Path) -> None:
    for index in range(3):
        shutil.copyfile(bundles["null-int8"] / "golden" / "0.png", tmp_path / f"{index}.png")
    measured = apps.json("edgetl-bench", bundles["null-int8"], "--images", tmp_path, "--cold-starts", "0")
    assert measured["bundles"][0]["cold_start_ms"] is None
    empty = tmp_path / "empty"
    empty.mkdir()
    apps.refuses(1, "holds no .jpg or .png file", "edgetl-bench", bundles["null-int8"], "--images", empty)


def test_a_bundle_without_golden_images_needs_pictures(apps: Apps, tmp_path: Path) -> None:
    (bundle, _) = compile_targets(make_pivot(tmp_path / "pivot", golden=0), ["null"], tmp_path / "bundles")
    apps.refuses(1, "name images with --images", "edgetl-bench", bundle)


def test_bundles_of_other_inputs_are_not_timed_together(apps: Apps, bundles: dict[str, Path], tmp_path: Path) -> None:
    other = Path(shutil.copytree(bundles["null-int8"], tmp_path / "other"))
    content = json.loads((other / "manifest.json").read_text())
    content["preprocessing"]["resize"] = "crop"
    (other / "manifest.json").write_text(json.dumps(content))
    apps.refuses(1, "takes another input", "edgetl-bench", bundles["null-int8"], other)


def test_run_prints_what_predict_prints(
    shell: Shell, apps: Apps, bundles: dict[str, Path], onnxruntime: tuple[str, ...]
) -> None:
    bundle = bundles["x86-cpu-int8"]
    pictures = sorted((bundle / "golden").glob("*.png"))
    for options in ((), ("--top", "1"), ("--top", str(len(LABELS)), "--json")):
        done = apps("edgetl-run", bundle, *pictures, *onnxruntime, *options)
        assert (done.returncode, done.stderr) == (0, "")
        expected = shell("predict", bundle, *pictures, *options)
        if "--json" not in options:
            assert done.stdout == expected.out
            continue
        for found, reference in zip(json.loads(done.stdout), expected.json(), strict=True):
            assert found.pop("probabilities") == pytest.approx(reference.pop("probabilities"), rel=1e-14)
            assert found == reference


@pytest.fixture(scope="module")
def mobilenet(steel: Path) -> Path:
    """Bundles of MobileNetV2 on steel, INT8, cropped: their input is cut from pictures of any shape."""
    return steel / "bundles"


def real_images(shared: Path) -> list[Path]:
    """Grey squares of steel, and photographs of many shapes."""
    steel = sorted((shared / "data" / "neu_steel" / "val").rglob("*.jpg"))[:: 300 // (REAL_IMAGES // 2)]
    photographs = sorted((shared / "data" / "hymenoptera").rglob("*.jpg"))
    return [*steel[: REAL_IMAGES // 2], *photographs[: REAL_IMAGES // 2]]


@pytest.mark.slow
def test_files_to_logits_are_bit_equal_on_real_images(
    apps: Apps, mobilenet: Path, shared: Path, engine: Engine
) -> None:
    bundle = mobilenet / f"steel-{engine.target}"
    assert read_bundle(bundle).manifest.compiled.precision == "int8"
    images = real_images(shared)
    assert len(images) == REAL_IMAGES
    library = ("--engine-library", str(engine.library))
    answers = apps.json("edgetl-run", bundle, *images, *library, "--logits", "--threads", "1")
    found = np.array([answer["logits"] for answer in answers], dtype=np.float32)
    expected = python_logits(bundle, images)
    different = np.flatnonzero((found.view(np.uint32) != expected.view(np.uint32)).any(axis=1))
    assert [images[index].name for index in different] == []
    for answer, reference in zip(answers, predict(bundle, images, top=3, threads=1), strict=True):
        assert tuple(answer["labels"]) == reference.labels
        assert answer["probabilities"] == pytest.approx(reference.probabilities, rel=1e-14)


def test_a_run_allocates_nothing_beyond_the_bare_engine(
    runtime_build: RuntimeBuild, bundles: dict[str, Path], engine: Engine
) -> None:
    program = runtime_build.bin / "test_allocations"
    if not program.is_file():
        pytest.skip("no doctest here: apt-get install doctest-dev")
    named = {
        "EDGETL_TEST_BUNDLE": str(bundles[f"{engine.target}-int8"]),
        f"EDGETL_TEST_{engine.name.upper()}": str(engine.library),
    }
    done = subprocess.run([program], env={**os.environ, **named}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "skipped:" not in done.stdout
