"""Image files and bytes -> RGB arrays: one rule for every format, one clear error for everything else.

Decode from one thread at a time if speed matters: the decoder's warnings are silenced under a lock.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from edgetl.files.file_kind import FileKind, describe_bytes
from edgetl.fronts import base
from edgetl.fronts.base import Unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS = 100_000_000

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k"),
)
"""File suffixes, in lower case, that are taken as images in a folder."""

# An allow-list: other plugins start programs (EPS runs Ghostscript), have no magic number, or are not for images.
_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
_READ_KINDS = ("jpeg", "png", "bmp", "gif", "tiff", "webp", "pnm", "jpeg2000", "avif")  # of `edgetl.files.file_kind`
_WIDTH, _HEIGHT = 256, 257  # TIFF 6.0, ImageWidth and ImageLength
_ORIENTATION = 0x0112  # EXIF 2.32, tag 274
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # TIFF 6.0, PhotometricInterpretation

_UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}

# catch_warnings swaps filters of the whole process; two at once could leave "ignore" behind for good
_warnings_lock = threading.Lock()


class UnreadableImage(Unreadable):
    """A file that is not an image, or a broken one."""

    expected = "an image"


def decode(path: Path) -> NDArray[np.uint8]:
    """Decode an image file to (H, W, 3) uint8 RGB, C-contiguous; `decode_bytes` says how. Raises UnreadableImage."""
    return decode_bytes(read_bytes(path), str(path))


def decode_bytes(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decode an image to (H, W, 3) uint8 RGB, C-contiguous; `where` starts the error line.

    Rotated by its EXIF orientation (1..8; a damaged EXIF block counts as 1). Gray is repeated in the three channels.
    16-bit gray v becomes round(v / 257). Transparent pixels are drawn over white: channel c with alpha a becomes
    round((c * a + 255 * (255 - a)) / 255). CMYK, YCbCr and palettes are converted. Animations and multi-page files
    give their first frame.

    Raises UnreadableImage (a DataError) for empty, unknown and truncated data, for more than MAX_PIXELS (checked
    before any pixel is decoded), and for pixel types without an agreed range: floats, integers outside 0..65535.
    """
    with opened(data, where) as image:
        image.load()
        rgb = as_rgb(image, where)
        return np.ascontiguousarray(_UPRIGHT[orientation(image)](rgb))


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image file once upright, from its header. Raises UnreadableImage."""
    with opened(read_bytes(path), str(path)) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # its `size` may be upright already
            width, height = int(image.tag_v2[_WIDTH]), int(image.tag_v2[_HEIGHT])
        return (width, height) if orientation(image) >= 5 else (height, width)


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most MAX_FILE_BYTES. Raises UnreadableImage."""
    return base.read_bytes(path, UnreadableImage)


@contextmanager
def opened(data: bytes, where: str) -> Iterator[ImageFile.ImageFile]:
    """The opened image; every error inside becomes one UnreadableImage."""
    kind = describe_bytes(data)
    if not data:
        raise UnreadableImage(where, "the file is empty", kind)
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=_formats()) as image:
                _refuse_huge(image.size, where)
                yield image
        except UnreadableImage:
            raise
        except Image.DecompressionBombError as error:
            raise UnreadableImage(where, f"it has more than {MAX_PIXELS} pixels") from error
        except UnidentifiedImageError as error:
            raise UnreadableImage(where, _why_no_picture(kind), kind) from error
        except Exception as error:  # decoders raise nearly anything on damaged bytes: SyntaxError, KeyError, ...
            raise UnreadableImage(where, "damaged or truncated") from error


def _why_no_picture(kind: FileKind) -> str:
    if kind.kind in _READ_KINDS:
        return f"it begins like {kind.name}, but is damaged or an unsupported variant"
    if kind.kind == "unknown":
        return f"its content is not a readable {', '.join(_formats())}"
    but = "which is not supported" if "image" in kind.name else "not an image"
    return f"it is {kind.name}, {but}" + (f"; {kind.advice}" if kind.advice else "")


def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _refuse_huge(size: tuple[int, int], where: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise UnreadableImage(where, f"it has {width}x{height} pixels, more than {MAX_PIXELS}")
    if width < 1 or height < 1:
        raise UnreadableImage(where, "it has no pixels")


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 if there is no valid one."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block does not make the pixels unusable
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def as_rgb(image: Image.Image, where: str) -> NDArray[np.uint8]:
    """(H, W, 3) of a loaded image as stored, not rotated yet. Raises UnreadableImage."""
    if image.mode == "F":
        raise UnreadableImage(where, "floating-point pixels have no agreed range, convert to 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _rgb_from_16_bit(image, where)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGB", layer.size, "white")
        white.paste(layer, mask=layer.getchannel("A"))
        return np.asarray(white)
    return np.asarray(image.convert("RGB"))


def _rgb_from_16_bit(image: Image.Image, where: str) -> NDArray[np.uint8]:
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise UnreadableImage(where, f"its pixels range from {low} to {high}, convert to 8 or 16 bits")
    gray = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        gray = 255 - gray
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray[values == transparent] = 255
    return np.repeat(gray[:, :, None], 3, axis=2)
