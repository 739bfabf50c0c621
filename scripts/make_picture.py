"""The picture at the top of the README: the verdicts of a finished build as its terminal shows them, as SVG.

python scripts/make_picture.py demo/build docs/demo.svg
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from edgetl.report.model import FILE_NAME, read_report
from edgetl.report.summary import summarize
from edgetl.report.terminal import table

_COLUMNS = 80
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def picture(out: Path) -> str:
    """SVG of the table that `edgetl build` printed for the output folder `out`, and the line before and after it.
    Raises EdgetlError if the folder holds no report."""
    summary = summarize(read_report(out / FILE_NAME).bundles)
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(summary.headline), table(summary.bundles), Text(summary.take), highlight=False)
    drawn = console.export_svg(title="edgetl demo", theme=MONOKAI, unique_id="edgetl")
    # rich names a font on the web; a picture of ours refers to nothing outside
    return _FONT_FACE.sub("", drawn).replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(picture(Path(sys.argv[1])), encoding="utf-8")
