"""What every backend promises about `open` and the engine it gives."""

from __future__ import annotations

import hashlib
import platform
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import pytest
from backend_pivots import CLASSES, SIZE, images, one_step, pivot, reference
from contract_cases import CASE_IDS, CASES, Built, build, make_case
from numpy.typing import NDArray

from edgetl.backends.base import about
from edgetl.errors import BackendError
from edgetl.types import IMAGE_INPUT, OUTPUT_NAME, Engine


@pytest.fixture(scope="module", params=CASES, ids=CASE_IDS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Compiled once for the whole module: no test may change the folder."""
    name, precision = request.param
    case = make_case(name, precision, tmp_path_factory.mktemp("pivot"))
    return build(case, tmp_path_factory.mktemp(name))


def infer(engine: Engine, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    logits = engine.infer({IMAGE_INPUT: batch})[OUTPUT_NAME]
    assert logits.dtype == np.float32
    assert logits.shape == (len(batch), CLASSES)
    return np.asarray(logits, np.float32)


@pytest.mark.parametrize("count", [1, 3, 8, 11])
def test_an_engine_computes_the_pivots_function(built: Built, count: int) -> None:
    batch = images(count, seed=3)
    with built.open() as engine:
        logits = infer(engine, batch)
    if about(built.case.backend.name).gives_zeros:
        assert not logits.any()
        return
    expected = reference(pivot(built.case.flavour), batch)
    tolerance = 1e-4 if built.case.precision == "float32" else one_step(built.case.flavour)
    assert np.abs(logits - expected).max() <= tolerance
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_a_batch_answers_as_its_images_do_alone(built: Built) -> None:
    batch = images(4, seed=5)
    with built.open() as engine:
        together = infer(engine, batch)
        alone = np.concatenate([infer(engine, image[None]) for image in batch])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_same_images_twice_give_the_same_logits(built: Built) -> None:
    batch = images(3, seed=6)
    with built.open() as engine:
        first = infer(engine, batch)
        infer(engine, images(3, seed=7))
        np.testing.assert_array_equal(infer(engine, batch), first)


def test_logits_belong_to_the_caller(built: Built) -> None:
    with built.open() as engine:
        first = infer(engine, images(1, seed=1))
        kept = first.copy()
        infer(engine, images(1, seed=2))
        np.testing.assert_array_equal(first, kept)


def test_the_input_may_be_a_view_of_another_array(built: Built) -> None:
    wide = np.repeat(images(4, seed=8), 2, axis=0)
    with built.open() as engine:
        np.testing.assert_array_equal(infer(engine, wide[::2]), infer(engine, wide[::2].copy()))


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"picture": images(1)},
        {IMAGE_INPUT: images(1), "mask": images(1)},
        {IMAGE_INPUT: images(1).astype(np.float32)},
        {IMAGE_INPUT: images(1)[0]},
        {IMAGE_INPUT: images(1)[:0]},
        {IMAGE_INPUT: images(1)[:, :-1]},
        {IMAGE_INPUT: images(1).transpose(0, 3, 1, 2)},
        {IMAGE_INPUT: images(1).tolist()},
    ],
    ids=["none", "other name", "one too many", "float", "no batch", "empty", "height", "layout", "list"],
)
def test_a_wrong_input_is_refused_in_one_line(built: Built, inputs: dict[str, Any]) -> None:
    with built.open() as engine:
        with pytest.raises(BackendError, match=rf"uint8 \(N, {SIZE}, {SIZE}, 3\)") as caught:
            engine.infer(inputs)
        assert "\n" not in str(caught.value)
        infer(engine, images(1))


def test_a_closed_engine_says_so(built: Built) -> None:
    with built.open() as engine:
        infer(engine, images(1))
    with pytest.raises(BackendError, match="closed"):
        engine.infer({IMAGE_INPUT: images(1)})


def test_an_engine_opens_again_after_it_was_closed(built: Built) -> None:
    batch = images(2, seed=9)
    with built.open() as engine:
        first = infer(engine, batch)
    with built.open() as engine:
        np.testing.assert_array_equal(infer(engine, batch), first)


def test_two_engines_work_side_by_side(built: Built) -> None:
    batch = images(2, seed=10)
    with built.open() as one, built.open(threads=2) as other:
        first = infer(one, batch)
        np.testing.assert_allclose(infer(other, batch), first, atol=1e-5)
        np.testing.assert_array_equal(infer(one, batch), first)


def test_no_threads_are_refused(built: Built) -> None:
    with pytest.raises(BackendError, match="at least 1; found 0"), built.open(threads=0):
        pass


def test_placement_names_every_compute_operator(built: Built) -> None:
    with built.open() as engine:
        infer(engine, images(1))
        placement = engine.placement()
    assert len(placement.compute()) == 4  # three convolutions and the last layer
    assert all(operator.device for operator in placement.operators)


def test_int8_bundles_compute_in_integers_and_float_bundles_in_float(built: Built) -> None:
    with built.open() as engine:
        infer(engine, images(1))
        placement = engine.placement()
    if built.case.precision == "int8":
        assert placement.not_integer() == ()
    else:
        assert {operator.precision for operator in placement.compute()} == {"float32"}


def test_asking_for_the_placement_changes_nothing(built: Built) -> None:
    batch = images(2, seed=11)
    with built.open() as engine:
        first = infer(engine, batch)
        assert engine.placement() == engine.placement()
        np.testing.assert_array_equal(infer(engine, batch), first)


def test_opening_and_running_write_nothing_into_the_folder(built: Built, tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    shutil.copytree(built.folder, folder)
    before = snapshot(folder)
    with locked(folder), built.open(folder=folder) as engine:
        infer(engine, images(1))
        engine.placement()
    assert snapshot(folder) == before


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999], ids=["empty", "half", "all but the end"])
def test_a_truncated_file_is_refused_in_one_line(built: Built, tmp_path: Path, keep: float) -> None:
    for name in built.compiled.files:
        folder = tmp_path / name
        shutil.copytree(built.folder, folder)
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(len(whole) * keep)])
        if name in needed_to_open(built):
            refuses_to_open(built, folder)


def test_a_missing_file_is_refused_in_one_line(built: Built, tmp_path: Path) -> None:
    for name in needed_to_open(built):
        folder = tmp_path / name
        shutil.copytree(built.folder, folder)
        (folder / name).unlink()
        refuses_to_open(built, folder)


def test_noise_in_place_of_the_model_is_refused_in_one_line(built: Built, tmp_path: Path) -> None:
    folder = tmp_path / "noise"
    shutil.copytree(built.folder, folder)
    (folder / built.compiled.model).write_bytes(np.random.default_rng(0).bytes(4096))
    refuses_to_open(built, folder)


def test_no_socket_is_opened(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError(f"a connection was tried: {args}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    built.case.compile(tmp_path / "out")
    with built.open() as engine:
        infer(engine, images(1))
        engine.placement()


def test_a_target_of_another_cpu_cannot_run_here(built: Built) -> None:
    other: Literal["x86_64", "aarch64"] = "x86_64" if platform.machine() == "aarch64" else "aarch64"
    target = replace(built.case.target, machine=other)
    obstacle = built.case.backend.cannot_run(target)
    assert obstacle is not None
    assert other in obstacle.reason
    with (
        pytest.raises(BackendError, match=other),
        built.case.backend.open(built.folder, built.compiled, target, threads=1),
    ):
        pass


def needed_to_open(built: Built) -> tuple[str, ...]:
    """The model, and OpenVINO's weights beside it; TensorRT keeps pivot and timing cache for building again."""
    return ("model.xml", "model.bin") if built.case.backend.name == "openvino" else (built.compiled.model,)


def refuses_to_open(built: Built, folder: Path) -> None:
    with pytest.raises(BackendError) as caught, built.open(folder=folder):
        pass
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class locked:
    """The folder and its files without write permission (root may write all the same: hence the snapshot)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        for path in self._paths():
            path.chmod(0o444)
        self.folder.chmod(0o555)

    def __exit__(self, *error: object) -> None:
        self.folder.chmod(0o755)
        for path in self._paths():
            path.chmod(0o644)

    def _paths(self) -> Iterator[Path]:
        return (path for path in self.folder.iterdir() if path.is_file())
