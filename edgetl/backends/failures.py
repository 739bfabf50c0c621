"""A toolchain's exception or log as one readable line."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 300
# Source positions and check macros that toolchains put around the actual message
_POSITION = re.compile(r"/\S+\.(cc|cpp|h):\d+ [^()]*\([^()]*\) ")  # file, line and signature inside a sentence
_NOISE = re.compile(r"^(Exception from |Check '.*' failed at |\[ ?[\w ]+\] *: *\d+ *: *[A-Z_]+ *: *)")


def one_line(failure: BaseException | str) -> str:
    """The message without line breaks and source positions, shortened to `LONGEST` characters."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from ", "Check '"))] or lines
    text = _POSITION.sub("", " ".join(_NOISE.sub("", line) for line in telling)) or type(failure).__name__
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def joined(messages: Iterable[str], none: str) -> str:
    """Distinct messages in their order as one line; `none` when there are none."""
    return one_line("; ".join(dict.fromkeys(m.strip() for m in messages if m.strip())) or none)
