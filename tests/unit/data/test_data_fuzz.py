"""Damaged, truncated and hostile lists and pictures, generated from a seed: one line each, no traceback, no hang."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetl.data.gather import gather
from edgetl.data.scan import scan
from edgetl.data.survey import survey
from edgetl.errors import DataError, EdgetlError
from edgetl.files.text import escaped
from edgetl.fronts.image.decode import decode
from edgetl.fronts.image.examine import examine

SEED = 20261129
COUNT = 200
LONGEST_S = 20.0  # of one input on a busy machine; a hang is far longer
MOST_CHARACTERS = 1500

HEADERS = [
    "path,label",
    "path,label,split",
    "image,id,choice",
    "Path,Label",
    "label,path",
    "path;label",
    "path",
    "",
    '"',
]
PATHS = [
    *(
        "a.png",
        "./a.png",
        "sub/b.png",
        "sub\\b.png",
        "C:\\x\\a.png",
        "http://h/a.png?x",
        "../a.png",
        "/etc/passwd",
        ".",
    ),
    *(
        "",
        "a" * 5000 + ".png",
        "a\x00.png",
        "\x1b[31ma.png",
        "ä.png",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ),
    *("*", "[", "file:///a.png", "sub", "\u2028.png", "//a.png", "a.png/", "~/a.png", "%s%n", "{0}", "nul"),
]
LABELS = [
    "good",
    "bad",
    "Good",
    " good ",
    "",
    "é",
    "e\u0301",
    "x" * 500,
    "\n",
    '"',
    "=1+1",
    "\x07",
    "../x",
    ",",
    "train",
]


def listed(rng: random.Random) -> bytes:
    """A CSV list that is right, but for what `damaged` does, or right in places."""
    if rng.random() < 0.5:
        odd = rng.choice(PATHS)
        rows = [
            rng.choice(["path,label", "Path,Label"]),
            "a.png,good",
            "c.png,good",
            "d.png,bad",
            f"sub\\b.png,{rng.choice(LABELS[:2])}",
        ]
        rows += [f"{odd},bad"] if rng.random() < 0.3 else []
        return damaged("\n".join(rows).encode(), rng)
    rows = [rng.choice(HEADERS[:4]) if rng.random() < 0.8 else rng.choice(HEADERS)]
    for _ in range(rng.randrange(8)):
        cells = [rng.choice(PATHS[:5]) if rng.random() < 0.6 else rng.choice(PATHS), rng.choice(LABELS)]
        cells += [rng.choice(["train", "val", "Test", "", "x"]) for _ in range(rng.choice([0, 0, 0, 1, 1, 3]))]
        rows.append(rng.choice([",", ",", ",", ";", "\t"]).join(cells))
    return damaged(rng.choice(["\n", "\r\n", "\r"]).join(rows).encode(rng.choice(ENCODINGS), "replace"), rng)


ENCODINGS = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Now and then as it is, else cut, flipped, grown or with a piece twice."""
    way = rng.randrange(6)
    if not data or way < 2:
        return data
    place = rng.randrange(len(data))
    if way == 2:
        return data[:place]
    if way == 3:
        flipped = bytearray(data)
        for _ in range(rng.randrange(1, 9)):
            flipped[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(flipped)
    if way == 4:
        return data + rng.randbytes(rng.randrange(1, 200))
    return data[:place] + data[rng.randrange(len(data)) :]


def outcomes(run: Iterator[EdgetlError | None]) -> tuple[int, int]:
    """How many inputs were read and how many refused, each in one short line that steers no terminal."""
    read = refused = 0
    started = time.monotonic()
    for error in run:
        assert time.monotonic() - started < LONGEST_S
        started = time.monotonic()
        if error is None:
            read += 1
            continue
        refused += 1
        line = str(error)
        assert line.strip()
        assert "\n" not in line
        assert escaped(line) == line
        assert len(line) < MOST_CHARACTERS, line[:300]
        assert "Traceback" not in line
    return read, refused


def test_hostile_lists_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "c.png", "d.png", "sub/b.png"):
        Image.new("L", (8, 8)).save(tmp_path / name)
    rng = random.Random(SEED)
    path = tmp_path / "list.csv"

    def run() -> Iterator[EdgetlError | None]:
        for number in range(COUNT):
            path.write_bytes(listed(rng))
            try:
                survey(path) if number % 2 else scan(path, part=rng.choice([None, "train", "val"]))
                yield None
            except EdgetlError as error:
                yield error

    read, refused = outcomes(run())
    assert read + refused == COUNT
    assert read > COUNT // 20
    assert refused > COUNT // 4


def test_hostile_lists_of_pictures_to_classify_are_read_or_told_in_one_line(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    for number in range(COUNT):
        path = tmp_path / rng.choice(["list.csv", "list.txt", "list.lst"])
        path.write_bytes(listed(rng))
        found = gather([path])
        assert found.paths or found.problems, number
        for each in found.paths:
            with contextlib.suppress(DataError):
                decode(each)
        for problem in found.problems:
            assert escaped(problem) == problem
            assert len(problem) < MOST_CHARACTERS


def saved(format: str, mode: str, **options: object) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(7).integers(0, 256, (24, 20, 4), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    image.save(stream, format, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*, width: int, height: int, bits: int, color: int, pixels: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def hostile_pictures() -> list[bytes]:
    """Whole pictures of every kind, headers that promise too much, and what is no picture."""
    frames = [Image.new("L", (8, 8), value) for value in (0, 128, 255)]
    stack = io.BytesIO()
    frames[0].save(stack, "TIFF", save_all=True, append_images=frames[1:])
    endless = bytearray(stack.getvalue())
    first = struct.unpack("<I", endless[4:8])[0]
    count = struct.unpack("<H", endless[first : first + 2])[0]
    endless[first + 2 + 12 * count : first + 6 + 12 * count] = struct.pack("<I", first)  # its next page is itself
    return [
        *(
            saved(format, mode)
            for format in ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000")
            for mode in ("L", "RGB")
        ),
        *(saved(format, "CMYK") for format in ("JPEG", "TIFF")),
        *(saved(format, "RGBA") for format in ("PNG", "TIFF", "WEBP")),
        saved("PPM", "RGB"),
        stack.getvalue(),
        bytes(endless),
        png(width=2**31 - 1, height=2**31 - 1, bits=8, color=2, pixels=b""),
        png(width=0, height=5, bits=8, color=2, pixels=b""),
        png(width=9_000, height=9_000, bits=1, color=0, pixels=bytes(10)),
        png(width=4, height=4, bits=16, color=0, pixels=bytes(4 * 9)),
        b"P6\n99999999999999999999 1\n255\n",
        b"P2\n2 2\n65536\n1 2 3 4",
        b"GIF89a" + bytes(300),
        b"II*\0" + struct.pack("<I", 0xFFFFFFF0),
        b"BM" + bytes(200),
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(100),
        b"%PDF-1.4",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"\0\0\0\x18ftypheic" + bytes(300),
        b"PK\x03\x04" + bytes(300),
        b"version https://git-lfs.github.com/spec/v1\n",
        b"",
        bytes(4096),
    ]


def test_hostile_pictures_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    seeds = hostile_pictures()
    path = tmp_path / "picture.png"

    def run() -> Iterator[EdgetlError | None]:
        for number in range(COUNT + len(seeds)):
            path.write_bytes(seeds[number] if number < len(seeds) else damaged(rng.choice(seeds), rng))
            try:
                seen = examine(path)
            except EdgetlError as error:
                yield error
            else:
                assert min(seen.height, seen.width) > 0
                yield None

    read, refused = outcomes(run())
    assert read + refused == COUNT + len(seeds)
    assert read > COUNT // 5
    assert refused > COUNT // 5


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_makes_the_same_inputs(seed: int) -> None:
    first, second = (listed(random.Random(seed)) for _ in range(2))
    assert first == second
