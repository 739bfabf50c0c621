"""Printed characters: rendering them from installed fonts, and distorting them in batches.

Every glyph is rendered once, large and clean. A training batch is then drawn from that bank and
distorted with torch operations, which is cheap beside the network's own step, so no two batches
show the same picture.
"""

from __future__ import annotations

import re
import string
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

HERE = Path(__file__).resolve().parent
CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
# Cut to their own outline and scaled to a box, these lower-case letters cannot be told from
# their capitals: one class for both. "0", "O" and "1", "l" stay apart; their confusion is real.
SAME_SHAPE = "cijklmopsuvwxyz"
CLASSES = [c for c in CHARACTERS if c not in SAME_SHAPE]

BANK_SIZE = 64  # side of a rendered glyph
BANK_MARGIN = 10  # empty border, room for the warp
BOX = 32  # side of the box a warped glyph is scaled to, as the scanned forms were
MAX_FACES = 12  # faces taken per package, so that no family outweighs the others

# Families with one Latin face among hundreds of others, or faces without plain letters.
ONLY = {"fonts-noto-core": r"Noto(Sans|Serif)(Display)?-", "fonts-seto": r"setofont\."}


@dataclass(frozen=True)
class Font:
    """One line of fonts.txt."""

    package: str
    licence: str
    kind: str
    split: str


def read_fonts() -> list[Font]:
    """The font table beside this script."""
    lines = (HERE / "fonts.txt").read_text(encoding="utf-8").splitlines()
    return [Font(*line.split("\t")) for line in lines if line and not line.startswith("#")]


def font_files(package: str) -> list[Path]:
    """TrueType and OpenType files of an installed Debian package, at most MAX_FACES, spread evenly."""
    listing = subprocess.run(["dpkg-query", "-L", package], capture_output=True, text=True, check=True).stdout
    wanted = re.compile(ONLY.get(package, "."))
    files = sorted({Path(p) for p in listing.splitlines() if p.lower().endswith((".ttf", ".otf", ".ttc"))})
    files = [f for f in files if wanted.match(f.name) and not f.is_symlink()]
    step = max(1, -(-len(files) // MAX_FACES))
    return files[::step]


def render_glyph(face: ImageFont.FreeTypeFont, character: str) -> Image.Image | None:
    """The character's ink cut to its outline and fitted into a BANK_SIZE square; None without ink."""
    canvas = Image.new("L", (400, 400))
    ImageDraw.Draw(canvas).text((150, 100), character, font=face, fill=255)
    box = canvas.getbbox()
    if box is None:
        return None
    ink = canvas.crop(box)
    scale = (BANK_SIZE - 2 * BANK_MARGIN) / max(ink.size)
    size = (max(1, round(ink.width * scale)), max(1, round(ink.height * scale)))
    glyph = Image.new("L", (BANK_SIZE, BANK_SIZE))
    corner = ((BANK_SIZE - size[0]) // 2, (BANK_SIZE - size[1]) // 2)
    glyph.paste(ink.resize(size, Image.Resampling.BOX), corner)
    return glyph


def render_face(path: Path) -> dict[str, np.ndarray]:
    """All characters of one face; empty where the face lacks plain letters or digits."""
    face = ImageFont.truetype(str(path), 96)
    glyphs = {c: render_glyph(face, c) for c in CHARACTERS}
    missing = render_glyph(face, "\uffff")
    arrays = {c: np.asarray(g) for c, g in glyphs.items() if g is not None}
    blank = np.asarray(missing) if missing is not None else None
    if blank is not None:
        arrays = {c: a for c, a in arrays.items() if not np.array_equal(a, blank)}
    # A face of capitals only draws "a" as "A": the label would be wrong.
    cased = [c for c in string.ascii_lowercase if c in arrays and c.upper() in arrays]
    same = [c for c in cased if np.array_equal(arrays[c], arrays[c.upper()])]
    return {c: a for c, a in arrays.items() if c not in same and a.max() > 128}


@dataclass
class Bank:
    """Rendered glyphs with class index and sampling weight."""

    glyphs: Tensor  # uint8 [N, BANK_SIZE, BANK_SIZE]
    labels: Tensor  # int64 [N]
    weights: Tensor  # float64 [N]
    faces: int


def build_bank(split: str, hand_weight: float, digit_share: float) -> Bank:
    """Render one split of the font table.

    Families weigh the same, whatever their number of faces; faces that imitate handwriting weigh
    `hand_weight` times a book face; digits together make up `digit_share` of the draws.
    """
    glyphs: list[np.ndarray] = []
    labels: list[int] = []
    weights: list[float] = []
    faces = 0
    for font in (f for f in read_fonts() if f.split == split):
        rendered = [r for r in (render_face(p) for p in font_files(font.package)) if r]
        faces += len(rendered)
        weight = (hand_weight if font.kind == "hand" else 1.0) / max(1, len(rendered))
        for face in rendered:
            for character, glyph in face.items():
                name = character.upper() if character in SAME_SHAPE else character
                glyphs.append(glyph)
                labels.append(CLASSES.index(name))
                weights.append(weight)
    label = torch.tensor(labels)
    weight_by_class = torch.zeros(len(CLASSES), dtype=torch.float64)
    raw = torch.tensor(weights, dtype=torch.float64)
    weight_by_class.index_add_(0, label, raw)
    share = torch.full((len(CLASSES),), (1 - digit_share) / (len(CLASSES) - 10), dtype=torch.float64)
    share[:10] = digit_share / 10
    return Bank(torch.from_numpy(np.stack(glyphs)), label, raw / weight_by_class[label] * share[label], faces)


# --- distortion, all on float batches [B, 1, H, W] with ink = 1 on ground = 0 ---


def uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng) * (high - low) + low


def warp(ink: Tensor, rng: torch.Generator, strength: float) -> Tensor:
    """Rotation, shear, stretch and a smooth elastic field, in one resampling."""
    n = len(ink)
    angle = torch.randn(n, generator=rng) * 0.16 * strength
    shear = torch.randn(n, generator=rng) * 0.22 * strength
    stretch = torch.exp(torch.randn(n, generator=rng) * 0.18 * strength)
    cos, sin = angle.cos(), angle.sin()
    zero = torch.zeros(n)
    across = torch.stack([cos * stretch, cos * shear - sin, zero], 1)
    down = torch.stack([sin, cos + sin * shear, zero], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(ink.shape), align_corners=False)
    for knots, amplitude in ((3, 0.16), (5, 0.07)):  # bent strokes, then a shaky hand
        size = uniform(n, 0.0, amplitude * strength, rng).view(n, 1, 1, 1)
        field = torch.randn(n, 2, knots, knots, generator=rng) * size
        field = F.interpolate(field, ink.shape[-2:], mode="bicubic", align_corners=True)
        grid = grid + field.permute(0, 2, 3, 1)
    return F.grid_sample(ink, grid, mode="bilinear", align_corners=False)


def restroke(ink: Tensor, rng: torch.Generator) -> Tensor:
    """Move every glyph's stroke width towards a random one, by dilation or erosion."""
    n = len(ink)
    sideways = (ink[..., 1:] - ink[..., :-1]).abs().sum((1, 2, 3))
    upwards = (ink[..., 1:, :] - ink[..., :-1, :]).abs().sum((1, 2, 3))
    edge = sideways + upwards
    width = 2.5 * ink.sum((1, 2, 3)) / edge.clamp_min(1)
    target = uniform(n, 3.0, 11.0, rng)
    radius = ((target - width) / 2).round()
    # More erosion than a third of the width would wipe out the hairlines of book faces.
    radius = torch.maximum(radius, -(width / 3.5).floor()).clamp(-3, 4).long()
    out = ink.clone()
    for r in torch.unique(radius).tolist():
        chosen = radius == r
        if r > 0:
            out[chosen] = F.max_pool2d(ink[chosen], 2 * r + 1, 1, r)
        elif r < 0:
            out[chosen] = -F.max_pool2d(-ink[chosen], 1 - 2 * r, 1, -r)
    return torch.where(out.amax((1, 2, 3), keepdim=True) > 0.5, out, ink)


def fit_box(ink: Tensor, rng: torch.Generator, jitter: float) -> Tensor:
    """Cut each glyph to its outline and scale it to a BOX square, the aspect kept mostly."""
    n, side = len(ink), ink.shape[-1]
    seen = ink[:, 0] > 0.3
    columns, rows = seen.any(1), seen.any(2)
    index = torch.arange(side)
    left = torch.where(columns, index, side).amin(1).float()
    right = torch.where(columns, index, -1).amax(1).float() + 1
    top = torch.where(rows, index, side).amin(1).float()
    bottom = torch.where(rows, index, -1).amax(1).float() + 1
    width, height = (right - left).clamp_min(1), (bottom - top).clamp_min(1)
    # share = 0 keeps the aspect, share = 1 stretches to the full square.
    share = uniform(n, 0.0, 0.5, rng) * (jitter > 0)
    longest = torch.maximum(width, height)
    zoom = uniform(n, 1.0 - 0.04 * jitter, 1.0 + 0.2 * jitter, rng)
    view_w = longest * (width / longest) ** share * zoom
    view_h = longest * (height / longest) ** share * zoom
    shift = torch.randn(n, 2, generator=rng) * 0.03 * jitter
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = view_w / side, view_h / side
    theta[:, 0, 2] = (left + right) / side - 1 + shift[:, 0]
    theta[:, 1, 2] = (top + bottom) / side - 1 + shift[:, 1]
    grid = F.affine_grid(theta, [n, 1, BOX, BOX], align_corners=False)
    return F.grid_sample(ink, grid, mode="bilinear", align_corners=False)


def scan(ink: Tensor, size: int, cells: int) -> Tensor:
    """What a scanner of `cells` x `cells` gray cells would see, brought back to `size` bilinearly."""
    small = F.adaptive_avg_pool2d(ink, cells)
    if cells == 8:  # sixteen binary pixels a cell, counted: 17 gray levels
        small = (small * 16).round() / 16
    return F.interpolate(small, (size, size), mode="bilinear", align_corners=False, antialias=True)


def develop(picture: Tensor, rng: torch.Generator) -> Tensor:
    """Contrast, gamma, polarity and noise; mostly bright strokes on a dark ground."""
    n = len(picture)

    def per_image(low: float, high: float) -> Tensor:
        return uniform(n, low, high, rng).view(n, 1, 1, 1)

    plain = per_image(0, 1) < 0.5
    picture = picture.clamp(0, 1) ** torch.where(plain, torch.ones(()), per_image(0.6, 1.6))
    ground = torch.where(plain, torch.zeros(()), per_image(0.0, 0.35))
    top = torch.where(plain, torch.ones(()), per_image(0.6, 1.0))
    picture = ground + picture * (top - ground)
    picture = torch.where(per_image(0, 1) < 0.2, 1 - picture, picture)
    noise = torch.randn(picture.shape, generator=rng) * per_image(0.0, 0.06)
    return torch.where(plain, picture, picture + noise).clamp(0, 1)


def distort(glyphs: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """A training batch [B, 3, size, size] in -1..1 from uint8 glyphs [B, H, W]."""
    ink = glyphs.float().div(255).unsqueeze(1)
    ink = fit_box(restroke(warp(ink, rng, 1.0), rng), rng, 1.0)
    # Half of the scans count binary pixels, the other half keep the soft edge.
    binary = torch.rand(len(ink), 1, 1, 1, generator=rng) < 0.5
    ink = torch.where(binary, (ink > 0.5).float(), ink)
    cells = torch.tensor([8, 8, 8, 8, 10, 12, 16, 24, 32])[torch.randint(0, 9, (len(ink),), generator=rng)]
    out = torch.empty(len(ink), 1, size, size)
    for count in torch.unique(cells).tolist():
        out[cells == count] = scan(ink[cells == count], size, count)
    return develop(out, rng).mul(2).sub(1).expand(-1, 3, -1, -1)


def undistorted(glyphs: Tensor, size: int, cells: int) -> Tensor:
    """The same picture without any distortion: only the scanner's cells."""
    ink = fit_box(glyphs.float().div(255).unsqueeze(1), torch.Generator().manual_seed(0), 0.0)
    return scan(ink, size, cells).clamp(0, 1).mul(2).sub(1).expand(-1, 3, -1, -1)
