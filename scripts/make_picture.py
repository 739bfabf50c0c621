"""The picture at the top of the README: the table of a finished build as its terminal shows it, as SVG.

python scripts/make_picture.py demo/build docs/demo.svg
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from edgetl.report.model import FILE_NAME, read_report
from edgetl.report.terminal import show_report

_COLUMNS = 80
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def picture(out: Path) -> str:
    """SVG of what `edgetl build` printed for the output folder `out`. Raises EdgetlError where it holds no report."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    show_report(read_report(out / FILE_NAME), console)
    drawn = console.export_svg(title="edgetl demo", theme=MONOKAI, unique_id="edgetl")
    # rich names a font on the web; a picture of ours refers to nothing outside
    return _FONT_FACE.sub("", drawn).replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(picture(Path(sys.argv[1])), encoding="utf-8")
