"""Windows are read from NPZ, CSV, Parquet and single files; what cannot be used is named in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_runs import small_run
from windows import long_table, wave

from edgetl.data.gather import gather
from edgetl.data.groups import split_keys
from edgetl.data.scan import scan
from edgetl.data.split import make_split
from edgetl.errors import DataError, UsageError
from edgetl.fronts.batches import load_example
from edgetl.fronts.series.cells import text_of_window
from edgetl.fronts.series.load import read_window
from edgetl.fronts.series.window import UnreadableWindow, fitted
from edgetl.recipes.data import Columns, Data
from edgetl.types import SeriesPreprocessing, Split

TWO = SeriesPreprocessing(5, (0.0, 0.0), (1.0, 1.0))


def split_of(train: Path, **settings: object) -> Split:
    return make_split(Data.model_validate({"train": str(train), "shots": 1, **settings}), Path(), front="series")


def test_arrays_of_parts_become_training_and_validation_windows_with_their_classes(shared: Path) -> None:
    split = split_of(shared / "data" / "vowel_speakers" / "series.npz", shots="all")
    stored = np.load(shared / "data" / "vowel_speakers" / "series.npz")
    assert (len(split.shots), len(split.val), len(split.classes)) == (270, 370, 9)
    assert split.windows is not None
    assert sorted(split.windows.lengths[:270]) == sorted(stored["train_length"].tolist())
    first = next(sample for sample in split.shots if sample.path.endswith(":5:train_x"))
    assert np.array_equal(read_window(Path(first.path)), stored["train_x"][5, : stored["train_length"][5]])
    time_steps = np.concatenate([read_window(Path(sample.path)) for sample in split.shots])
    assert split.windows.mean == pytest.approx(time_steps.mean(axis=0, dtype=np.float64))
    assert split.windows.std == pytest.approx(time_steps.std(axis=0, dtype=np.float64))


def test_a_long_table_has_one_window_for_each_series(tmp_path: Path) -> None:
    windows = [(f"w{number}", "ab"[number % 2], wave(12 + number, 2, number)) for number in range(6)]
    table = long_table(tmp_path / "motions.csv", windows)
    split = split_of(table)
    assert split.windows is not None
    assert split.windows.channels == ("c0", "c1")
    assert split.windows.period == pytest.approx(0.1)
    listing = scan(table, front="series")
    assert [Path(path).name for path, _ in listing.files] == [
        *("motions.csv:2", "motions.csv:27", "motions.csv:56"),
        *("motions.csv:14", "motions.csv:41", "motions.csv:72"),
    ]
    assert np.array_equal(read_window(Path(f"{table}:27")), windows[2][2])


def test_parquet_gives_the_same_windows_as_csv(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import csv, parquet

    table = long_table(tmp_path / "t.csv", [("a", "x", wave(9, 2, 0)), ("b", "y", wave(9, 2, 1))])
    parquet.write_table(csv.read_csv(table), tmp_path / "t.parquet")
    listing = scan(tmp_path / "t.parquet", front="series")
    assert [Path(path).name for path, _ in listing.files] == ["t.parquet:1", "t.parquet:10"]
    for (path, _), (other, _) in zip(listing.files, scan(table, front="series").files, strict=True):
        assert np.array_equal(read_window(Path(path)), read_window(Path(other)))


def test_columns_that_the_recipe_names_are_part_of_a_places_name(tmp_path: Path) -> None:
    table = long_table(tmp_path / "t.csv", [("a", "x", wave(9, 2, 0)), ("b", "y", wave(9, 2, 1))])
    table.write_text(table.read_text().replace("series,label", "who,what"))
    with pytest.raises(DataError, match=r"expected a column that tells windows apart .* found `who`, `what`"):
        scan(table, front="series")
    listing = scan(table, columns=Columns(path="who", label="what"), front="series")
    path = Path(listing.files[1][0])
    assert path.name == "t.csv:11:who,what,"
    assert read_window(path).shape == (9, 2)


def test_folders_of_classes_hold_one_window_a_file(tmp_path: Path) -> None:
    for label, name in (("rest", "a.csv"), ("rest", "b.npy"), ("walk", "c.csv"), ("walk", "d.npy")):
        (tmp_path / label).mkdir(exist_ok=True)
        window = wave(7, 2, ord(name[0]))
        if name.endswith(".npy"):
            np.save(tmp_path / label / name, window)
        else:
            (tmp_path / label / name).write_bytes(
                b"time,x,y\n"
                + b"".join(
                    b"%d,%s\n" % (step, text_of_window(time_step[None]).strip())
                    for step, time_step in enumerate(window)
                )
            )
    split = split_of(tmp_path)
    assert len(split.shots) == len(split.val) == 2
    assert np.array_equal(read_window(tmp_path / "rest" / "a.csv"), wave(7, 2, ord("a")))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x,y\n1,2\n3,nan\n", "line 3: expected a number in column 2, found `nan`"),
        ("1,2\n3\n", "line 2: expected 2 cells, found 1"),
        ("x,y\n", "it has a header and no time steps"),
        ("", "it is empty"),
        ("1,1e999\n", "the value of channel 2 at step 1 is infinite"),
        ("1,2\n3,\n", "line 2: expected a number in column 2, found nothing"),
        ("1;2\n3;4\n", "it has a header|expected a number"),
    ],
)
def test_a_file_that_is_no_window_is_named_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "w.csv"
    path.write_text(text)
    with pytest.raises(UnreadableWindow, match=problem) as caught:
        read_window(path)
    assert str(caught.value).startswith(f"{path}: not usable as a window: ")


def test_values_that_are_not_finite_are_named_with_channel_and_step(tmp_path: Path) -> None:
    window = wave(6, 3, 0)
    window[4, 1] = np.nan
    np.save(tmp_path / "w.npy", window)
    with pytest.raises(UnreadableWindow, match="the value of channel 2 at step 5 is not a number; fill or cut gaps"):
        read_window(tmp_path / "w.npy")


def test_windows_with_gaps_or_irregular_time_stamps_are_skipped_by_name(tmp_path: Path) -> None:
    windows = [(f"w{number}", "ab"[number % 2], wave(10, 2, number)) for number in range(6)]
    table = long_table(tmp_path / "t.csv", windows)
    lines = table.read_text().splitlines()
    lines[5] = "w0,a,0.3,,1"
    lines[15] = lines[15].replace("w1,b,0.4", "w1,b,0.9")
    table.write_text("\n".join(lines))
    split = split_of(table)
    reasons = {Path(skipped.path).name: skipped.reason for skipped in split.skipped}
    assert reasons["t.csv:2"].startswith("`c0` has no number in row 6")
    assert reasons["t.csv:12"].startswith("its time stamps are irregular: 0.6 from step 4 to 5, usually 0.1")


def test_windows_of_another_number_of_channels_or_rate_stop_the_split(tmp_path: Path) -> None:
    for label, channels in (("a", 2), ("b", 3)):
        (tmp_path / "files" / label).mkdir(parents=True)
        for number in range(2):
            np.save(tmp_path / "files" / label / f"{number}.npy", wave(8, channels, number))
    with pytest.raises(DataError, match=r"has 3 channels, but .* has 2; all windows need the same channels"):
        split_of(tmp_path / "files")
    table = long_table(tmp_path / "t.csv", [(f"w{n}", "ab"[n % 2], wave(8, 2, n)) for n in range(4)])
    rows = [f"w9,a,{step / 50},{step % 3},{step % 5}" for step in range(8)]
    table.write_text(table.read_text() + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"has a time step of 0\.\d+, but .* of 0\.\d+; resample"):
        split_of(table)


def test_a_window_of_other_channels_is_refused_by_a_network(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", wave(8, 3, 0))
    with pytest.raises(UnreadableWindow, match="expected 2 channels, found 3"):
        load_example(tmp_path / "w.npy", TWO)


def test_longer_windows_are_cut_and_shorter_ones_stay_at_their_last_time_step() -> None:
    window = wave(4, 2, 0)
    assert np.array_equal(fitted(window, 3), window[:3])
    continued = fitted(window, 6)
    assert np.array_equal(continued[:4], window)
    assert np.array_equal(continued[4:], np.stack([window[3], window[3]]))


def test_text_of_a_window_holds_exactly_its_values(tmp_path: Path) -> None:
    window = (wave(50, 3, 0) * np.float32(1e-7)).astype(np.float32)
    (tmp_path / "w.csv").write_bytes(text_of_window(window))
    assert np.array_equal(read_window(tmp_path / "w.csv"), window)


def test_tables_and_single_windows_are_gathered_for_predictions(tmp_path: Path) -> None:
    table = long_table(tmp_path / "t.csv", [("a", "x", wave(9, 2, 0)), ("b", "y", wave(9, 2, 1))])
    single = tmp_path / "single.csv"
    single.write_bytes(text_of_window(wave(5, 2, 0)))
    np.savez(tmp_path / "x.npz", x=np.stack([wave(5, 2, 0), wave(5, 2, 1)]))
    found = gather([table, single, tmp_path / "x.npz"], "series")
    assert [path.name for path in found.paths] == ["t.csv:2", "t.csv:11", "single.csv", "x.npz:0:x", "x.npz:1:x"]
    assert not found.problems
    assert all(read_window(path).shape[1] == 2 for path in found.paths)


def test_archives_of_python_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="damaged, or has arrays of Python objects"):
        scan(tmp_path / "x.npz", front="series")


# --- groups


def grouped(path: Path, column: str, windows: int = 8) -> Path:
    """A long table of windows of two classes; windows 4n and 4n + 1 are of person n."""
    lines = [f"id,label,{column},x,y"]
    for number in range(windows):
        time_steps = wave(6, 2, number).tolist()
        lines += [f"w{number},{'ab'[number % 2]},p{number // 2},{x!r},{y!r}" for x, y in time_steps]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("column", ["subject", "machine"])
def test_a_column_that_groups_windows_is_no_channel_and_no_group_is_on_both_sides(tmp_path: Path, column: str) -> None:
    split = split_of(grouped(tmp_path / "s.csv", column), group_by=column)
    assert split.windows is not None
    assert split.windows.channels == ("x", "y")
    data = {"train": "s.csv", "shots": 1, "group_by": column}
    keys = split_keys(small_run(split, tmp_path, front="series", data=data))
    assert keys is not None
    assert sorted({*keys.shots, *keys.val}) == ["p0", "p1", "p2", "p3"]
    assert not set(keys.shots) & set(keys.val)


def test_a_column_with_a_usual_name_of_a_person_is_never_a_channel(tmp_path: Path) -> None:
    table = tmp_path / "s.csv"
    table.write_text("id,label,patient_id,x\n" + "".join(f"w{n},{'ab'[n % 2]},{n},{n}.5\n" for n in range(4)))
    split = split_of(table)
    assert split.windows is not None
    assert split.windows.channels == ("x",)


def test_an_array_beside_the_windows_groups_them(tmp_path: Path) -> None:
    windows = np.stack([wave(6, 2, number) for number in range(8)])
    persons = np.arange(8) // 2
    np.savez(tmp_path / "s.npz", x=windows, y=np.arange(8) % 2, subject=persons)
    split = split_of(tmp_path / "s.npz", group_by="subject")
    of = {sample.path: str(persons[int(sample.path.split(":")[1])]) for sample in (*split.shots, *split.val)}
    assert len(of) == len(split.shots) + len(split.val) >= 4
    assert not {of[sample.path] for sample in split.shots} & {of[sample.path] for sample in split.val}


def test_a_group_that_cannot_be_meant_is_refused_in_one_line(tmp_path: Path) -> None:
    table = grouped(tmp_path / "s.csv", "subject")
    with pytest.raises(UsageError, match=r"has no column or array `subjct` .*did you mean `subject`"):
        split_of(table, group_by="subjct")
    text = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([*text[:1], text[1].replace(",p0,", ",p3,"), *text[2:]]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"s\.csv:2: the window has several groups `subject`: p0, p3"):
        split_of(table, group_by="subject")
    table.write_text("\n".join(text).replace(",p0,", ",,") + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match="the column `subject` is empty in 2 of 8 rows"):
        split_of(table, group_by="subject")
