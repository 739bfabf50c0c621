"""The C++ programs read windows as Python does, replay golden ones and refuse the same files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cli_calls import Shell
from native_apps import Apps
from series_chain import SeriesChain
from this_cpu import X86_TARGET

from edgetl.bench.listening import Listening, listen
from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.fronts.series.cells import text_of_window
from edgetl.fronts.series.window import fitted
from edgetl.types import Silent

pytestmark = pytest.mark.slow


def test_logits_of_windows_are_those_of_python_to_the_bit(
    apps: Apps, series_chain: SeriesChain, tmp_path: Path
) -> None:
    folder = series_chain.bundle(X86_TARGET)
    windows = np.load(series_chain.table)["val_x"][::9]
    files = []
    for number, window in enumerate(windows):
        shown = np.concatenate([window, window])[: 60 + 40 * number]  # shorter and longer than the network's 100 steps
        files.append((tmp_path / f"{number}.csv", shown))
        head = b"time,a,b,c,d,e,f\r\n" if number % 2 else b"\xef\xbb\xbf"
        lines = text_of_window(shown).decode().splitlines()
        quoted = (f'{step},"{line.split(",", 1)[0]}", {line.split(",", 1)[1]} ' for step, line in enumerate(lines))
        rows = [line.encode() for line in (quoted if number % 2 else lines)]
        files[-1][0].write_bytes(head + b"\r\n".join(rows))
        np.save(tmp_path / f"{number}.npy", shown.astype(np.float64 if number % 2 else np.float32))
        files.append((tmp_path / f"{number}.npy", shown))
    answers = apps.json("edgetl-run", folder, *(path for path, _ in files), "--logits", *apps.library)
    with open_bundle(read_bundle(folder), threads=1) as engine:
        for answer, (path, shown) in zip(answers, files, strict=True):
            expected = np.asarray(engine.infer({"series": fitted(shown, 100)[None]})["logits"], np.float32)[0]
            assert np.array_equal(np.array(answer["logits"], np.float32), expected), path.name


def test_golden_windows_replay(apps: Apps, series_chain: SeriesChain) -> None:
    done = apps("edgetl-verify", series_chain.bundle(X86_TARGET), *apps.library)
    assert done.returncode == 0, done.stderr
    steps = [line.split()[3] for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert steps == ["decode", "window", "network"] * 4


def test_windows_are_timed(apps: Apps, series_chain: SeriesChain, tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.load(series_chain.table)["val_x"][0])
    found = apps.json("edgetl-bench", series_chain.bundle(X86_TARGET), "--images", tmp_path, *apps.library)
    assert found["bundles"][0]["p50_ms"]["value"] > 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("1,2,3,4,5\n", "expected 6 channels, found 5"),
        ("a,b,c,d,e,f\n1,2,3,4,5,inf\n", "line 2: expected a number in column 6, found `inf`"),
        ("a,b,c,d,e,f\n1,2,3,4,5,1e99\n", "the value of channel 6 at step 1 is infinite"),
        ("a,b,c,d,e,f\n1,2,3,4,5\n", "line 2: expected 6 cells, found 5"),
        ("", "it is empty"),
        ("a,b,c,d,e,f\n", "it has a header and no time steps"),
        (b"\xff\xd8\xff\xe0" + b"0" * 99, "it is a JPEG image"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 99, "it is a PNG image"),
    ],
)
def test_what_is_no_window_is_refused_in_one_line(
    apps: Apps, series_chain: SeriesChain, tmp_path: Path, content: str | bytes, words: str
) -> None:
    path = tmp_path / "w.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    apps.refuses(1, words, "edgetl-run", series_chain.bundle(X86_TARGET), path, *apps.library)


# --- streams


def test_a_stream_gives_the_probabilities_of_python_to_the_bit(
    apps: Apps, series_chain: SeriesChain, tmp_path: Path
) -> None:
    bundle = read_bundle(series_chain.bundle(X86_TARGET))
    labels = bundle.manifest.labels
    time_steps = np.concatenate(np.load(series_chain.table)["val_x"][::4])
    table, array, raw = (tmp_path / f"long.{suffix}" for suffix in ("csv", "npy", "f32"))
    table.write_bytes(b"a,b,c,d,e,f\r\n" + text_of_window(time_steps).replace(b"\n", b"\r\n")[:-2])  # no last line end
    np.save(array, time_steps)
    raw.write_bytes(time_steps.tobytes())
    how = Listening(hop_s=30, smoothing=3)
    means = listen(bundle, table, how, None, Silent(), threads=1).means
    options = ["--stream", "--hops", "--json", "--hop", "30", "--smoothing", "3", "--top", str(len(labels))]
    command = [str(apps.bin / "edgetl-run"), str(bundle.folder), *options, *apps.library]

    def answers(*arguments: str | Path, data: bytes | None = None) -> tuple[bytes, list[tuple[int, int]]]:
        done = subprocess.run(
            [*command, *map(str, arguments)], input=data, capture_output=True, timeout=300, check=True
        )
        told = [json.loads(line) for line in done.stdout.splitlines()]
        rows = [[line["probabilities"][line["labels"].index(label)] for label in labels] for line in told]
        return np.array(rows, np.float32).tobytes(), [(line["begin"], line["end"]) for line in told]

    places = [(start, start + 100) for start in range(0, len(time_steps) - 99, 30)]
    for given in (answers(table), answers(array), answers(raw, "--raw"), answers("-", data=table.read_bytes())):
        assert given == (means.tobytes(), places)
    assert answers("-", "--raw", data=raw.read_bytes()) == (means.tobytes(), places)


def test_what_cannot_be_streamed_is_refused_in_one_line(apps: Apps, series_chain: SeriesChain, tmp_path: Path) -> None:
    bundle, path = series_chain.bundle(X86_TARGET), tmp_path / "long.csv"

    def refused(data: bytes, words: str, *options: str, code: int = 1) -> None:
        path.write_bytes(data)
        apps.refuses(code, words, "edgetl-run", bundle, path, "--stream", *options, *apps.library)

    refused(b"1,2,3,4,5\n", "long.csv: expected 6 channels, found 5")
    refused(b"1,2,3,4,5,6\n1,2,3\n", "long.csv: not usable as a window: line 2: expected 6 cells, found 3")
    refused(b"1,2,3,4,5,6\n1,2,nan,4,5,6\n", "line 2: expected a number in column 3, found `nan`")
    refused(b"1,2,3,4,5,6\n1,2,1e99,4,5,6\n", "long.csv: the value of channel 3 at time step 2 is infinite")
    refused(np.full(6, np.nan, "<f4").tobytes(), "the value of channel 1 at time step 1 is not a number", "--raw")
    refused(bytes(30), "long.csv: ends within a time step of 6 float32 values: 6 of 24 bytes", "--raw")
    refused(b"", "--rate is for sound; the bundle is made for series", "--rate", "16000", code=2)
    refused(b"", "--hop takes a whole number from 1 to 1048576", "--hop", "0", code=2)


def test_listen_finds_the_windows_of_a_class_in_a_series(
    shell: Shell, series_chain: SeriesChain, tmp_path: Path
) -> None:
    bundle = series_chain.bundle(X86_TARGET)
    with np.load(series_chain.table) as table:
        windows, labels = table["val_x"], table["val_y"]
    names = read_bundle(bundle).manifest.labels
    np.save(tmp_path / "one.npy", np.concatenate(windows[labels == labels[0]][:3]))
    found = shell("listen", bundle, tmp_path / "one.npy", "--hop", "100", "--smoothing", "1", "-q", "--json").json()
    assert found["time_steps"] == 300
    assert [each["end"] for each in found["detections"]] == [100, 200, 300]
    assert {each["label"] for each in found["detections"]} <= set(names)
    (tmp_path / "events.csv").write_text("begin_s,end_s,label\n", encoding="utf-8")
    done = shell("listen", bundle, tmp_path / "one.npy", "--events", tmp_path / "events.csv")
    assert done.code == 2
    assert "--events is for sound" in done.err
