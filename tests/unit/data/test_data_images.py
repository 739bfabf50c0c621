"""Every kind of picture comes out as the RGB a person sees; everything else is one DataError."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from edgetl.errors import DataError
from edgetl.fronts.batches import frames_of, load_framed
from edgetl.fronts.image.decode import MAX_PIXELS, UnreadableImage, decode, decode_bytes, read_size
from edgetl.types import ImagePreprocessing, Sample

# 2 x 3, every pixel its own gray: shows each flip and turn
UPRIGHT = np.array([[0, 40, 80], [120, 160, 200]], np.uint8)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def gray_of(data: bytes) -> list[list[int]]:
    rgb = decode_bytes(data, "test")
    assert (rgb == rgb[:, :, :1]).all(), "expected gray"
    return [[int(value) for value in row] for row in rgb[:, :, 0]]


# how a camera stores UPRIGHT when it writes orientation 1..8 (EXIF 2.32: where row 0 and column 0 lie)
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: UPRIGHT.T[::-1],
    7: UPRIGHT.T[::-1, ::-1],
    8: UPRIGHT.T[:, ::-1],
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_every_exif_orientation_ends_upright(orientation: int, format: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "picture"
    path.write_bytes(saved(Image.fromarray(np.ascontiguousarray(STORED[orientation])), format, exif=exif))
    assert gray_of(path.read_bytes()) == UPRIGHT.tolist()
    assert read_size(path) == (2, 3)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_boxes_of_a_turned_image_lie_where_it_is_decoded(format: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "picture"
    path.write_bytes(saved(Image.fromarray(np.zeros((3, 2), np.uint8)), format, exif=exif))
    p = ImagePreprocessing(8, 8, "letterbox", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert frames_of([Sample(str(path), (), "")], p) == (load_framed(path, p)[1],)


def test_jpeg_of_a_camera_is_turned() -> None:
    wide = np.zeros((16, 32, 3), np.uint8)
    wide[:, 16:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the right half becomes the lower half
    rgb = decode_bytes(saved(Image.fromarray(wide), "JPEG", exif=exif, quality=95), "test")
    assert rgb.shape == (32, 16, 3)
    assert rgb[:14].max() < 20
    assert rgb[18:].min() > 235


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_impossible_orientation_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert gray_of(saved(Image.fromarray(UPRIGHT), "PNG", exif=exif)) == UPRIGHT.tolist()


def test_a_damaged_exif_block_is_ignored() -> None:
    data = saved(Image.fromarray(UPRIGHT), "PNG", exif=b"Exif\x00\x00MM\x00*\x00\x00\xff\xff garbage")
    assert gray_of(data) == UPRIGHT.tolist()


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bit_gray_is_scaled_not_clipped(format: str) -> None:
    values = np.array([[0, 128, 129, 255, 256, 32768, 65534, 65535]], np.uint16)
    assert gray_of(saved(Image.fromarray(values), format)) == [[0, 0, 1, 1, 1, 128, 255, 255]]


def test_big_endian_sixteen_bit_tiff() -> None:
    assert gray_of(_tiff16(np.array([[0, 257, 65535]], ">u2"), photometric=1)) == [[0, 1, 255]]


def test_sixteen_bit_tiff_where_zero_is_white() -> None:
    assert gray_of(_tiff16(np.array([[0, 257, 65535]], "<u2"), photometric=0)) == [[255, 254, 0]]


def test_sixteen_bit_rgb_png() -> None:
    values = np.array([[[65535, 0, 32768], [256, 65280, 0]]], ">u2")
    rgb = decode_bytes(_png16_rgb(values), "test").astype(int)
    assert np.abs(rgb - np.round(values / 257)).max() <= 1


def test_one_bit() -> None:
    assert gray_of(saved(Image.fromarray(np.array([[False, True]])), "PNG")) == [[0, 255]]


def test_palette_without_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    assert decode_bytes(saved(image, "PNG"), "test").tolist() == [[[10, 20, 30], [200, 100, 0]]]


def test_palette_with_one_transparent_color_lies_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    for format in ("PNG", "GIF"):
        rgb = decode_bytes(saved(image, format, transparency=0), "test")
        assert rgb.tolist() == [[[255, 255, 255], [200, 100, 0]]]


def test_palette_with_an_alpha_per_color_lies_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 100, 0])
    image.putpixel((1, 0), 1)
    rgb = decode_bytes(saved(image, "PNG", transparency=bytes([128, 255])), "test")
    assert rgb.tolist() == [[[127, 127, 127], [200, 100, 0]]]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_rgba_lies_over_white_rounded_exactly(format: str) -> None:
    color, alpha = (a.ravel() for a in np.meshgrid(np.arange(256), np.arange(256)))
    rgba = np.stack([color, 255 - color, color, alpha], axis=1).astype(np.uint8).reshape(256, 256, 4)
    expected = (2 * (color * alpha + 255 * (255 - alpha)) + 255) // 510
    assert (decode_bytes(saved(Image.fromarray(rgba), format), "test")[:, :, 0].ravel() == expected).all()


def test_gray_with_alpha_lies_over_white() -> None:
    assert gray_of(saved(Image.fromarray(np.array([[[0, 0], [0, 255], [100, 255]]], np.uint8)), "PNG")) == [
        [255, 0, 100]
    ]


def test_gray_and_rgb_with_a_transparent_color_lie_over_white() -> None:
    assert gray_of(saved(Image.fromarray(UPRIGHT), "PNG", transparency=0))[0] == [255, 40, 80]
    rgb = Image.fromarray(np.stack([UPRIGHT] * 3, axis=2))
    assert gray_of(saved(rgb, "PNG", transparency=(40, 40, 40)))[0] == [0, 255, 80]


def test_sixteen_bit_gray_with_a_transparent_value_lies_over_white() -> None:
    data = saved(Image.fromarray(np.array([[257, 514]], np.uint16)), "PNG")
    chunk = b"tRNS" + struct.pack(">H", 257)
    at = data.index(b"IDAT") - 4
    patched = data[:at] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[at:]
    assert gray_of(patched) == [[255, 2]]


def test_cmyk_jpeg_with_the_inverted_values_of_adobe() -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow: red
    data = saved(ink, "JPEG", quality=95)
    assert b"Adobe" in data
    red, green, blue = decode_bytes(data, "test")[8, 8].tolist()
    assert red > 240
    assert green < 15
    assert blue < 15


def test_cmyk_tiff() -> None:
    assert decode_bytes(saved(Image.new("CMYK", (1, 1), (0, 0, 0, 255)), "TIFF"), "test").tolist() == [[[0, 0, 0]]]


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_many(format: str) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    options = {"lossless": True} if format == "WEBP" else {}
    data = saved(first, format, save_all=True, append_images=[second], **options)
    assert decode_bytes(data, "test")[4, 4].tolist() == [255, 0, 0]


def test_result_is_contiguous_uint8(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(UPRIGHT).save(path, exif=exif)
    rgb = decode(path)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert rgb.flags.owndata or rgb.base is not None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_truncated_file_is_refused(format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), format)
    with pytest.raises(UnreadableImage, match=r"cut\.img: not usable as an image: .+; replace or remove it"):
        decode_bytes(data[: len(data) // 2], "cut.img")


def test_zero_bytes_and_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("this is no picture")
    with pytest.raises(DataError, match=r"empty\.jpg.*the file is empty"):
        decode(tmp_path / "empty.jpg")
    with pytest.raises(DataError, match=r"text\.jpg.*it is plain text, not an image"):
        decode(tmp_path / "text.jpg")


def test_absent_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        decode(tmp_path / "absent.jpg")
    with pytest.raises(DataError, match="not a regular file"):
        decode(tmp_path)
    with pytest.raises(DataError, match="not usable"):
        decode(tmp_path / ("x" * 300))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DataError, match="not a regular file"):
        decode(tmp_path / "pipe.jpg")


@pytest.mark.parametrize("side", [10_001, 60_000])
def test_a_decompression_bomb_is_refused_before_decoding(side: int) -> None:
    with pytest.raises(UnreadableImage, match=f"more than {MAX_PIXELS}"):
        decode_bytes(_png_header(side, side), "bomb.png")


def test_a_picture_above_the_limit_of_the_library_makes_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableImage, match="truncated"):
            decode_bytes(_png_header(9_900, 10_000), "large.png")  # more than Pillow warns of, fewer than MAX_PIXELS


def test_no_global_state_of_the_library_changes() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    with pytest.raises(UnreadableImage):
        decode_bytes(_png_header(10_001, 10_001), "bomb.png")
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_formats_that_start_programs_are_foreign() -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    with pytest.raises(UnreadableImage, match="it is a PostScript document, not an image"):
        decode_bytes(postscript, "drawing.jpg")


def test_pixels_without_an_agreed_range_are_refused() -> None:
    with pytest.raises(UnreadableImage, match="floating-point"):
        decode_bytes(saved(Image.new("F", (2, 2), 0.5), "TIFF"), "float.tif")
    with pytest.raises(UnreadableImage, match="range from 70000 to 70000"):
        decode_bytes(saved(Image.new("I", (2, 2), 70000), "TIFF"), "int32.tif")


SEEDS = [saved(Image.fromarray(np.full((9, 7, 3), 90, np.uint8)), f) for f in ("JPEG", "PNG", "GIF", "TIFF", "WEBP")]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_damaged_bytes_decode_or_raise_data_error(seed: bytes, data: st.DataObject) -> None:
    damaged = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    outcome = decoded_or_error(bytes(damaged))
    if isinstance(outcome, DataError):
        assert str(outcome).startswith("damaged: ")
        assert "\n" not in str(outcome)
    else:
        assert outcome.ndim == 3
        assert outcome.dtype == np.uint8


def decoded_or_error(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | DataError:
    try:
        return decode_bytes(data, "damaged")
    except DataError as error:
        return error


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_data_error(data: bytes) -> None:
    with pytest.raises(DataError):
        decode_bytes(data, "noise")


def _png_header(width: int, height: int) -> bytes:
    chunks = b""
    for kind, body in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b""))):
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return b"\x89PNG\r\n\x1a\n" + chunks


def _png16_rgb(values: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> bytes:
    height, width, _ = values.shape
    rows = b"".join(b"\x00" + row.tobytes() for row in values)
    body = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        body += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return body


def _tiff16(values: np.ndarray[tuple[int, ...], np.dtype[np.uint16]], photometric: int) -> bytes:
    height, width = values.shape
    pixels = values.tobytes()
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, photometric), (277, 1), (278, height)]
    offset = 8 + 2 + 12 * (len(tags) + 2) + 4
    entries = sorted([*tags, (273, offset), (279, len(pixels))])
    sign, body = (">", b"MM\x00*") if values.dtype.byteorder == ">" else ("<", b"II*\x00")
    body += struct.pack(sign + "IH", 8, len(entries))
    for tag, value in entries:
        body += struct.pack(sign + "HHII", tag, 4, 1, value)
    return body + struct.pack(sign + "I", 0) + pixels
