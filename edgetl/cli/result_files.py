"""Options for files that CI servers read, and code to write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from edgetl.cli.options import FILE

csv_option = click.option("--csv", "csv_file", type=FILE, metavar="FILE", help="Also write a table, one row per build.")
junit_option = click.option(
    "--junit",
    "junit_file",
    type=FILE,
    metavar="FILE",
    help="Also write JUnit results, one test per gate: missed is a failure, not measured is skipped.",
)


def refuse_unwritable(*files: Path | None) -> None:
    """Raise UsageError for a file that could not be written, before anything is measured."""
    from edgetl.errors import UsageError

    for file in files:
        if file is not None and file.is_dir():
            raise UsageError(f"{file}: expected a file to write, found a folder")
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"{file}: no such folder: {file.absolute().parent}; create it first")


def write_files(texts: Mapping[Path, str]) -> None:
    """Write each file whole. Raises EdgetlError naming the one that could not be written."""
    from edgetl.errors import EdgetlError
    from edgetl.files.durable import write_text

    for file, text in texts.items():
        try:
            write_text(file, text)
        except OSError as error:
            raise EdgetlError(f"{file}: cannot be written: {error.strerror}") from error
