"""Dated result files: one Markdown text for people and one JSON document for programs, without a machine's paths."""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from edgetl.bench.machine import Machine, describe
from edgetl.errors import EdgetlError
from edgetl.files.durable import write_text
from edgetl.types import Interval

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
NOTHING = "–"
_TOOLS = ("edgetl", "numpy", "onnx", "onnxruntime", "openvino", "tensorrt-rtx", "nncf", "torch", "torchao", "timm")


@dataclass(frozen=True)
class Result:
    """What one benchmark found.

    name      of the benchmark, part of the file names
    sections  Markdown that follows the head
    data      JSON value with every number behind the text
    origins   `made_here` of each cell that the result was put together from; empty where it was measured just now
    """

    name: str
    title: str
    sections: tuple[str, ...]
    data: Mapping[str, Any]
    origins: tuple[str, ...] = ()


def made_here() -> str:
    """One line with everything, besides its key, that a cell's numbers depend on."""
    machine = describe()
    return f"{machine.cpu or 'unknown CPU'}, Python {machine.python}, {_tools()}"


def add_write_option(parser: argparse.ArgumentParser) -> None:
    """`--write [FOLDER]`, for `deliver`."""
    parser.add_argument(
        "--write",
        type=Path,
        nargs="?",
        const=RESULTS,
        metavar="FOLDER",
        help="write a dated result (default folder: results/) instead of printing it",
    )


def deliver(result: Result, machine: Machine, folder: Path | None) -> None:
    """Write the result into `folder` and print the file's name; without one print the result."""
    print(write_result(result, machine, folder) if folder else "\n\n".join(result.sections))


def write_result(result: Result, machine: Machine, folder: Path = RESULTS) -> Path:
    """Write `<date>-<name>.md` and `.json` into `folder`; a result of the same day is replaced.

    machine  as it was when the measurements began.
    returns  the Markdown file's path.
    """
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    head = {"date": date, "command": command_line(), "machine": machine_facts(machine), "versions": versions()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{date}-{result.name}.md"
    text = "\n\n".join([f"# {result.title}", _head(date, machine, result.origins), *result.sections]) + "\n"
    write_text(path, text)
    cells = {"cells_made_with": Counter(result.origins)} if result.origins else {}
    document = {"schema": 1, "benchmark": result.name, **head, **cells, **result.data}
    write_text(path.with_suffix(".json"), json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def read_result(path: Path, benchmark: str) -> dict[str, Any]:
    """The document that `write_result` left in `path`, a .json file.

    Raises EdgetlError if it is not a result of `benchmark`.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgetlError(f"{path}: expected the .json file of a result of {benchmark}.py; {error}") from error
    found = document.get("benchmark") if isinstance(document, dict) else None
    if not isinstance(found, str) or found.partition("-")[0] != benchmark:
        raise EdgetlError(f"{path}: expected a result of {benchmark}.py, found one of {found or 'nothing'}")
    return document


def machine_now() -> Machine:
    """The machine with its load before a benchmark begins."""
    return describe()


def machine_facts(machine: Machine) -> dict[str, Any]:
    """The machine as a JSON value, without the kernel's build name."""
    return {**asdict(machine), "system": _system(machine)}


def versions() -> dict[str, str]:
    """Installed versions of the packages that the numbers depend on; missing ones are left out."""
    found: dict[str, str] = {}
    for name in _TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def command_line(arguments: Sequence[str] | None = None) -> str:
    """The running command, as typed in the repository. Folders elsewhere keep only their last name."""
    words = sys.argv if arguments is None else arguments
    return shlex.join(["python", *map(_portable, words)])


def mean_over_draws(values: Sequence[float], sign: str = "") -> str:
    """`91.1 (±12.6)`: the mean with the reach of its 95 % interval over draws (Student's t).

    sign  `+` to show that of positive numbers, too
    """
    if not values:
        return NOTHING
    text = f"{fmean(values):{sign}.1f}"
    if len(values) > 1:
        from scipy.stats import t

        text += f" (±{t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5:.1f})"
    return text.replace("-", "−")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; the first `left` columns are aligned left, the others right."""
    rule = ["---" if column < left else "---:" for column in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def number(value: float | None, digits: int, scale: float = 1.0) -> str:
    return NOTHING if value is None else f"{value * scale:.{digits}f}"


def interval(found: Interval | None, digits: int, scale: float = 1.0) -> str:
    """`value (low to high)`"""
    if found is None:
        return NOTHING
    value, low, high = (f"{part * scale:.{digits}f}" for part in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def megabytes(size_bytes: float | None, digits: int = 2) -> str:
    return number(size_bytes, digits, 1e-6)


def _tools() -> str:
    return ", ".join(f"{name} {version}" for name, version in versions().items())


def _head(date: str, machine: Machine, origins: Sequence[str]) -> str:
    if origins:
        return _head_of_cells(date, origins)
    clock = "" if machine.clock_mhz is None else f", {machine.clock_mhz:.0f} MHz"
    cores = machine.usable_cores or machine.logical_cores
    facts = [
        f"- date: {date}",
        f"- command: `{command_line()}`",
        f"- machine: {machine.cpu or 'unknown CPU'}{clock}, {number(cores, 1)} cores, "
        f"{', '.join(machine.instruction_sets)}; {_system(machine)}",
        f"- load at the start: {number(machine.load_average, 2)}",
        f"- versions: Python {machine.python}, {_tools()}",
        "- intervals: 95 %",
    ]
    return "\n".join(facts)


def _head_of_cells(date: str, origins: Sequence[str]) -> str:
    """The current machine, load and tools are not those of cells that were made before."""
    made = [
        f"- {count} cells made with: {origin or 'not recorded (they are older than the record)'}"
        for origin, count in Counter(origins).most_common()
    ]
    return "\n".join([f"- table written: {date}, `{command_line()}`", *made, "- intervals: 95 %"])


def _system(machine: Machine) -> str:
    return machine.system.partition(",")[0]


def _portable(word: str) -> str:
    key, sign, value = word.partition("=")
    if sign and Path(value).is_absolute():
        return f"{key}={_portable(value)}"
    path = Path(word)
    if not path.is_absolute():
        return word
    if path.is_relative_to(REPOSITORY):
        return path.relative_to(REPOSITORY).as_posix()
    return f".../{path.name}"
