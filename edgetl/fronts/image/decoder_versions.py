"""What the pixels of an image depend on besides the bytes of its file."""

from __future__ import annotations

import numpy as np
from PIL import features

_LIBRARIES = ("jpg", "libjpeg_turbo", "jpg_2000", "libtiff", "zlib", "webp", "avif")


def decoder_versions() -> dict[str, str]:
    """Versions of Pillow, of the libraries it decodes with, and of numpy, which resizes; "absent" for a format without
    a decoder in this build of Pillow."""
    found = {name: features.version(name) or "absent" for name in _LIBRARIES}
    return {"pillow": features.version("pil") or "absent", **found, "numpy": np.__version__}
