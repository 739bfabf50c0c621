"""Decode, resize and crop in C++ give the very bytes that Python gives."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
from picture_tool import Refusal, Tool, assert_resized_alike, assert_same, noise, random_preprocessing, side
from PIL import Image, PngImagePlugin

from edgetl.errors import DataError
from edgetl.fronts.image.decode import decode_bytes
from edgetl.fronts.image.resize import resize
from edgetl.types import ImagePreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = 800
REAL = 80
"""Real pictures, spread over all data sets."""


class Build(Protocol):
    bin: Path


@pytest.fixture(scope="module")
def tool(runtime_build: Build) -> Iterator[Tool]:
    program = runtime_build.bin / "picture_tool"
    if not program.is_file():
        pytest.skip("picture_tool was not built: it needs libjpeg-turbo and libpng")
    tool = Tool(program)
    yield tool
    tool.close()


# --- resize -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(8))
def test_every_size_policy_and_filter_gives_the_same_bytes(tool: Tool, part: int) -> None:
    rng = np.random.default_rng(part)
    for _ in range(SIZES // 8):
        p = random_preprocessing(rng, 260)
        pixels = noise(rng, side(rng), side(rng))
        assert_resized_alike(tool, pixels, p)


def test_bgr_gray_and_padded_rows_give_the_same_bytes(tool: Tool) -> None:
    rng = np.random.default_rng(20)
    for _ in range(200):
        p = random_preprocessing(rng, 200)
        pixels, padding = noise(rng, side(rng), side(rng)), int(rng.integers(0, 40))
        expected = resize(pixels, p)
        assert_same(tool.resize(pixels, p, padding=padding), expected)
        assert_same(tool.resize(pixels[:, :, ::-1], p, layout="bgr", padding=padding), expected)
        gray = np.repeat(pixels[:, :, :1], 3, axis=2)
        assert_same(tool.resize(pixels[:, :, 0], p, layout="gray", padding=padding), resize(gray, p))


@pytest.mark.parametrize(
    ("height", "width"), [(1, 9000), (9000, 1), (1080, 1920), (3000, 4000), (224, 224), (256, 224), (224, 300), (2, 2)]
)
@pytest.mark.parametrize("policy", ["squash", "crop", "letterbox", "letterbox-corner"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_extreme_and_usual_sizes_give_the_same_bytes(
    tool: Tool, height: int, width: int, policy: Any, interpolation: Any
) -> None:
    p = ImagePreprocessing(224, 224, policy, (0, 0, 0), (1, 1, 1), interpolation=interpolation)
    pixels = noise(np.random.default_rng(height), height, width)
    assert_resized_alike(tool, pixels, p)


def test_elongated_crops_are_refused_at_the_same_size(tool: Tool) -> None:
    refused = 0
    for length in range(1500, 1560, 12):
        p = ImagePreprocessing(224, 224, "crop", (0, 0, 0), (1, 1, 1))
        pixels = np.zeros((1, length, 3), np.uint8)
        refused += not assert_resized_alike(tool, pixels, p)
    assert 0 < refused < 5


# --- decode -------------------------------------------------------------------------------------------------------


def _scene(seed: int = 0, height: int = 45, width: int = 61) -> NDArray[np.uint8]:
    """A smooth picture with some noise, shape (height, width, 4)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 120 * np.sin(x / (5 + 3 * c) + y / (11 - 2 * c) + c) for c in range(4)]
    return np.clip(np.stack(waves, -1) + rng.normal(0, 6, (height, width, 4)), 0, 255).astype(np.uint8)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _jpeg(mode: str, **options: Any) -> bytes:
    bands = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    pixels = _scene()[:, :, :bands]
    return _saved(Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels, mode), "JPEG", **options)


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a maker with a long name", orientation
    return exif.tobytes()


def _png(depth: int, color: int, *chunks: tuple[bytes, bytes], seed: int = 0) -> bytes:
    """A PNG of random values, written by hand: Pillow writes neither 16-bit color nor transparency as chosen."""
    width, height = 13, 9
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    row = (width * channels * depth + 7) // 8
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 4, (height, row)) * 0x55  # so that a transparent color occurs
    rows = b"".join(b"\0" + few[y].astype(np.uint8).tobytes() for y in range(height))

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def _turned_png(orientation: int) -> bytes:
    return _saved(Image.fromarray(_scene()[:, :, :3]), "PNG", exif=_exif(orientation))


_PALETTE = (b"PLTE", bytes(range(30, 30 + 3 * 16)))
_TRANSPARENT = [0, 1, 2, 3, 0x55, 0xAA, 0x5555, 0xAAAA, 0x0155, 300]

JPEGS: dict[str, Callable[[], bytes]] = {
    "gray": lambda: _jpeg("L"),
    "4:2:0": lambda: _jpeg("RGB", subsampling="4:2:0"),
    "4:2:2": lambda: _jpeg("RGB", subsampling="4:2:2"),
    "4:4:4": lambda: _jpeg("RGB", subsampling="4:4:4", quality=95),
    "low quality": lambda: _jpeg("RGB", quality=5),
    "progressive": lambda: _jpeg("RGB", progressive=True),
    "progressive gray": lambda: _jpeg("L", progressive=True, quality=30),
    "restart markers": lambda: _jpeg("RGB", restart_marker_blocks=2),
    "stored as RGB": lambda: _jpeg("RGB", keep_rgb=True),
    "CMYK": lambda: _jpeg("CMYK"),
    "progressive CMYK": lambda: _jpeg("CMYK", progressive=True, quality=90),
    "1x1": lambda: _saved(Image.new("RGB", (1, 1), (9, 99, 199)), "JPEG"),
    "bytes behind its end": lambda: _jpeg("RGB") + b"more",
    **{f"turned {i}": partial(_jpeg, "RGB", exif=_exif(i)) for i in range(10)},
    "turned by XMP": lambda: _jpeg("RGB", xmp=b'<x tiff:Orientation="6"/>'),
    "damaged EXIF": lambda: _jpeg("RGB", exif=b"Exif\0\0II*\0\xff\xff\0\0"),
    "not even EXIF": lambda: _jpeg("RGB", exif=b"Exif\0\0nothing of the kind", xmp=b'<x tiff:Orientation="6"/>'),
}

PNGS: dict[str, Callable[[], bytes]] = {
    **{f"gray {d} bits": partial(_png, d, 0) for d in (1, 2, 4, 8, 16)},
    **{
        f"gray {d} bits, {t} transparent": partial(_png, d, 0, (b"tRNS", struct.pack(">H", t)))
        for d in (1, 2, 4, 8, 16)
        for t in _TRANSPARENT
    },
    **{
        f"RGB {d} bits, {t} transparent": partial(_png, d, 2, (b"tRNS", struct.pack(">HHH", t, t, t)), seed=t)
        for d in (8, 16)
        for t in _TRANSPARENT
    },
    "RGB 8 bits": lambda: _png(8, 2),
    "RGB 16 bits": lambda: _png(16, 2),
    "gray and alpha 8 bits": lambda: _png(8, 4),
    "gray and alpha 16 bits": lambda: _png(16, 4),
    "RGBA 8 bits": lambda: _png(8, 6),
    "RGBA 16 bits": lambda: _png(16, 6),
    **{f"palette {d} bits": partial(_png, d, 3, _PALETTE) for d in (1, 2, 4)},
    "palette too short": lambda: _png(8, 3, _PALETTE),
    "palette, one transparent": lambda: _png(4, 3, _PALETTE, (b"tRNS", b"\xff" * 5 + b"\0")),
    "palette, alphas": lambda: _png(4, 3, _PALETTE, (b"tRNS", bytes(range(0, 255, 17)))),
    "smooth RGBA": lambda: _saved(Image.fromarray(_scene(), "RGBA"), "PNG"),
    "smooth LA": lambda: _saved(Image.fromarray(_scene(), "RGBA").convert("LA"), "PNG"),
    "smooth P": lambda: _saved(Image.fromarray(_scene(), "RGBA").convert("RGB").quantize(200), "PNG"),
    "smooth I;16": lambda: _saved(Image.fromarray(_scene()[:, :, 0].astype(np.uint16) * 251), "PNG"),
    "1x1": lambda: _saved(Image.new("RGB", (1, 1), (9, 99, 199)), "PNG"),
    **{f"turned {i}": partial(_turned_png, i) for i in range(10)},
    "turned by XMP": lambda: _png_with_text("XML:com.adobe.xmp", "<tiff:Orientation>8</tiff:Orientation>"),
    "gamma": lambda: _png(8, 2, (b"gAMA", struct.pack(">I", 100000))),
    "turned behind its pixels": lambda: _exif_behind_the_pixels(),
}


def _png_with_text(key: str, text: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt(key, text, zip=True)
    return _saved(Image.fromarray(_scene()[:, :, :3]), "PNG", pnginfo=info)


def _exif_behind_the_pixels() -> bytes:
    plain, body = _saved(Image.fromarray(_scene()[:, :, :3]), "PNG"), b"eXIf" + _exif(6)[6:]
    return plain[:-12] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + plain[-12:]


@pytest.mark.parametrize("name", JPEGS)
def test_every_kind_of_jpeg_decodes_to_the_same_bytes(tool: Tool, name: str) -> None:
    data = JPEGS[name]()
    assert_same(tool.decode(data), decode_bytes(data, name), name)


@pytest.mark.parametrize("name", PNGS)
def test_every_kind_of_png_decodes_to_the_same_bytes(tool: Tool, name: str) -> None:
    data = PNGS[name]()
    assert_same(tool.decode(data), decode_bytes(data, name), name)


def _agree(tool: Tool, data: bytes, what: str) -> bool:
    """Both refuse it, or both give the same bytes; whether they gave any."""
    found = tool.decode(data)
    try:
        expected = decode_bytes(data, what)
    except DataError:
        assert isinstance(found, Refusal), f"{what}: only Python refused it"
        return False
    assert_same(found, expected, what)
    return True


@pytest.mark.parametrize("name", ["4:2:0", "progressive", "CMYK", "turned 6"])
def test_truncated_jpegs_are_refused_where_python_refuses_them(tool: Tool, name: str) -> None:
    data = JPEGS[name]()
    read = [_agree(tool, data[:end], f"{name}, {end} of {len(data)} bytes") for end in range(len(data))]
    assert sum(read) <= 2  # all but the end marker may be there


@pytest.mark.parametrize("name", ["RGB 8 bits", "smooth RGBA", "palette, alphas", "turned 6"])
def test_truncated_pngs_are_refused(tool: Tool, name: str) -> None:
    data = PNGS[name]()
    for end in range(len(data)):
        found = tool.decode(data[:end])
        assert isinstance(found, Refusal) or end >= len(data) - 12, f"{name}, {end} of {len(data)} bytes"
        if end >= len(data) - 12:  # only the closing chunk is missing
            assert_same(found, decode_bytes(data[:end], name), name)
        elif end < len(data) - 24:  # Pillow does without the checksums at the end
            with pytest.raises(DataError):
                decode_bytes(data[:end], name)


def test_other_formats_are_refused_with_a_line_that_names_what_can_be_read(tool: Tool) -> None:
    for kind in ("GIF", "BMP", "TIFF", "WEBP"):
        found = tool.decode(_saved(Image.new("RGB", (4, 4)), kind), f"scan.{kind}")
        assert isinstance(found, Refusal)
        assert all(word in found.message for word in (f"scan.{kind}", "JPEG", "PNG"))


# --- real pictures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared: Path) -> list[Path]:
    files = sorted(path for path in (shared / "data").rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not files:
        pytest.skip("no pictures in shared/data")
    return [files[i] for i in np.random.default_rng(3).permutation(len(files))[:REAL]]


def test_real_pictures_decode_to_the_same_bytes(tool: Tool, real: list[Path]) -> None:
    for path in real:
        data = path.read_bytes()
        assert_same(tool.decode(data, path.name), decode_bytes(data, path.name), str(path))


def test_real_pictures_are_the_same_network_inputs(tool: Tool, real: list[Path]) -> None:
    rng = np.random.default_rng(4)
    for path in real:
        p, data = random_preprocessing(rng, 260), path.read_bytes()
        pixels = tool.decode(data, path.name)
        assert not isinstance(pixels, Refusal)
        assert_same(tool.resize(pixels, p), resize(decode_bytes(data, path.name), p), f"{path} {p}")
