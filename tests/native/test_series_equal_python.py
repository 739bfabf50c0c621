"""The C++ programs read windows as Python does, replay golden ones and refuse the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from native_apps import Apps
from series_chain import SeriesChain
from this_cpu import X86_TARGET

from edgetl.bundle.inference import open_bundle
from edgetl.bundle.read import read_bundle
from edgetl.fronts.series.cells import text_of_window
from edgetl.fronts.series.window import fitted

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
    ("text", "words"),
    [
        ("1,2,3,4,5\n", "expected 6 channels, found 5"),
        ("a,b,c,d,e,f\n1,2,3,4,5,inf\n", "line 2: expected a number in column 6, found `inf`"),
        ("a,b,c,d,e,f\n1,2,3,4,5,1e99\n", "the value of channel 6 at step 1 is infinite"),
        ("a,b,c,d,e,f\n1,2,3,4,5\n", "line 2: expected 6 cells, found 5"),
        ("", "it is empty"),
        ("a,b,c,d,e,f\n", "it has a header and no moments"),
    ],
)
def test_what_is_no_window_is_refused_in_one_line(
    apps: Apps, series_chain: SeriesChain, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "w.csv"
    path.write_text(text)
    apps.refuses(1, words, "edgetl-run", series_chain.bundle(X86_TARGET), path, *apps.library)
