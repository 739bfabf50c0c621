"""Planted copies are found however they were made; pictures that only look alike raise nothing."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from sklearn.datasets import load_digits

from edgetl.checks.copies.duplicates import (
    Copy,
    Findings,
    Prints,
    Side,
    across,
    confirm_copies,
    find_copies,
    fingerprints,
    read_prints,
    write_prints,
)
from edgetl.checks.copies.near_duplicates import COLOR_SIDE, SIDE, _halved, _hashes, near_pairs
from edgetl.errors import DataError
from edgetl.files.durable import write_sealed
from edgetl.fronts.image.decode import UnreadableImage
from edgetl.types import Sample, Silent


def scene(seed: int, size: int = 160) -> Image.Image:
    """A picture with coarse and fine structure, as photographs have."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize(
                (size, size), Image.Resampling.BICUBIC
            ),
            np.float64,
        )
        / cells**0.25
        for cells in (3, 6, 12, 24, 40)
    ]
    total = np.sum(layers, axis=0)
    return Image.fromarray((255 * (total - total.min()) / np.ptp(total)).astype(np.uint8))


def texture(seed: int) -> Image.Image:
    """One kind of steel: the same light from the left on every picture, fine grain of its own."""
    grain = np.random.default_rng(seed).normal(0, 12, (160, 160))
    gray = np.clip(np.linspace(60, 200, 160)[None, :] + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(np.repeat(gray[:, :, None], 3, axis=2))


def encoded(picture: Image.Image, quality: int = 60) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


def trimmed(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((round(0.02 * width), round(0.02 * height), width, height))


def save(picture: Image.Image, path: Path) -> Sample:
    picture.save(path)
    return Sample(str(path), 0, hashlib.sha256(path.read_bytes()).hexdigest())


def prints_of(pictures: list[Image.Image], folder: Path) -> Prints:
    return fingerprints([save(picture, folder / f"{i}.png") for i, picture in enumerate(pictures)])


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "encoded again": lambda picture: encoded(picture, 30),
    "half the size": lambda picture: picture.resize((80, 80), Image.Resampling.BICUBIC),
    "larger and squashed": lambda picture: picture.resize((300, 200), Image.Resampling.BICUBIC),
    "mirrored": lambda picture: encoded(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "upside down": lambda picture: encoded(picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)),
    "a quarter turn": lambda picture: encoded(picture.transpose(Image.Transpose.ROTATE_90)),
    "three quarter turns": lambda picture: encoded(picture.transpose(Image.Transpose.ROTATE_270)),
    "transverse": lambda picture: encoded(picture.transpose(Image.Transpose.TRANSVERSE)),
    "trimmed by 2 %": lambda picture: encoded(trimmed(picture)),
    "trimmed and mirrored": lambda picture: encoded(trimmed(picture).transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "darker": lambda picture: encoded(picture.point(lambda value: int(0.8 * value))),
    "gray": lambda picture: picture.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_changed_copy_is_found_among_other_pictures(tmp_path: Path, change: str) -> None:
    pictures = [scene(seed) for seed in range(6)]
    copies = find_copies(prints_of([*pictures, CHANGES[change](pictures[2])], tmp_path))
    assert [(copy.first, copy.second, copy.kind) for copy in copies] == [(2, 6, "near")]
    assert 0.97 <= copies[0].correlation <= 1


def test_the_copy_may_be_the_one_that_shows_more(tmp_path: Path) -> None:
    copies = find_copies(prints_of([encoded(trimmed(scene(1))), scene(2), scene(1)], tmp_path))
    assert [(copy.first, copy.second) for copy in copies] == [(0, 2)]


def test_other_pictures_of_one_texture_are_no_copies(tmp_path: Path) -> None:
    prints = prints_of([texture(seed) for seed in range(40)], tmp_path)
    flat = prints.thumbnails.reshape(40, -1).astype(float)
    assert np.corrcoef(flat)[0, 1:].min() > 0.97, "they look alike, which is the point"
    assert find_copies(prints) == ()


def test_a_copy_of_a_texture_is_found(tmp_path: Path) -> None:
    copies = find_copies(prints_of([*(texture(seed) for seed in range(5)), encoded(texture(3), 90)], tmp_path))
    assert [(copy.first, copy.second) for copy in copies] == [(3, 5)]


def test_other_digits_of_a_few_pixels_are_no_copies_but_a_copy_of_one_is_found(tmp_path: Path) -> None:
    scans = [Image.fromarray((15 * scan).astype(np.uint8)).convert("RGB") for scan in load_digits().images[:500]]
    pairs = find_copies(prints_of([*scans, encoded(scans[7], 90)], tmp_path))
    assert [(pair.first, pair.second) for pair in pairs] == [(7, 500)]


def test_pictures_without_contrast_are_never_near(tmp_path: Path) -> None:
    blank = [scene(seed).point(lambda value: 100 + value // 64) for seed in range(4)]
    faint = blank[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert find_copies(prints_of([*blank, faint, blank[1]], tmp_path)) == (Copy(1, 5, "bytes", 1.0),)


def test_equal_files_and_equal_pixels_are_told_apart(tmp_path: Path) -> None:
    samples = [save(scene(0), tmp_path / name) for name in ("a.png", "b.png", "c.bmp", "d.bmp")]
    assert find_copies(fingerprints(samples)) == (
        Copy(0, 1, "bytes", 1.0),
        Copy(0, 2, "pixels", 1.0),
        Copy(2, 3, "bytes", 1.0),
    )


def test_a_cluster_of_equal_pictures_gives_one_link_each(tmp_path: Path) -> None:
    sample = save(scene(0), tmp_path / "a.png")
    copies = find_copies(fingerprints([sample] * 50))
    assert [(copy.first, copy.second) for copy in copies] == [(0, i) for i in range(1, 50)]


def test_each_file_is_decoded_once_and_known_ones_never(tmp_path: Path) -> None:
    samples = [save(scene(i), tmp_path / f"{i}.png") for i in range(2)]
    before = fingerprints([*samples, samples[0]])
    for i in range(2):
        (tmp_path / f"{i}.png").unlink()
    again = fingerprints(samples, known=before)
    assert np.array_equal(again.thumbnails, before.thumbnails[:2])
    assert np.array_equal(again.pixels, before.pixels[:2])
    with pytest.raises(UnreadableImage, match="no such file"):
        fingerprints(samples)


def test_nothing_has_no_copies(tmp_path: Path) -> None:
    prints = fingerprints([])
    write_prints(prints, tmp_path / "prints.npz")
    assert find_copies(read_prints(tmp_path / "prints.npz")) == ()


def test_prints_survive_being_written(tmp_path: Path) -> None:
    prints = prints_of([scene(0), scene(1), scene(0)], tmp_path)
    write_prints(prints, tmp_path / "prints.npz")
    read = read_prints(tmp_path / "prints.npz")
    assert read.sha256 == prints.sha256
    assert find_copies(read) == find_copies(prints) == (Copy(0, 2, "bytes", 1.0),)
    assert not list(tmp_path.glob("*.part"))


def stored(path: Path, **arrays: NDArray[np.generic]) -> None:
    content = io.BytesIO()
    np.savez(content, allow_pickle=True, **arrays)
    write_sealed(path, content.getvalue())


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "text", "pickle", "shape", "dtype", "less"])
def test_damaged_prints_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "prints.npz"
    digests, thumbnails = np.zeros((2, 32), np.uint8), np.zeros((2, SIDE, SIDE), np.uint8)
    colors = np.zeros((2, COLOR_SIDE, COLOR_SIDE, 3), np.uint8)
    stored(path, sha256=digests, pixels=digests, thumbnails=thumbnails, colours=colors)
    assert len(read_prints(path).sha256) == 2
    whole = path.read_bytes()
    match damage:
        case "absent":
            path.unlink()
        case "empty" | "cut" | "text":
            path.write_bytes({"empty": b"", "cut": whole[:500], "text": b"no prints"}[damage])
        case "pickle":
            stored(path, sha256=np.array([{}, {}], object), pixels=digests, thumbnails=thumbnails, colours=colors)
        case "shape":
            stored(path, sha256=digests, pixels=digests[:1], thumbnails=thumbnails, colours=colors)
        case "dtype":
            stored(path, sha256=digests, pixels=digests, thumbnails=thumbnails.astype(np.float32), colours=colors)
        case "less":
            stored(path, sha256=digests, pixels=digests, thumbnails=thumbnails)
    with pytest.raises(DataError, match=r"prints\.npz: .*; delete it"):
        read_prints(path)


def test_a_copy_across_the_split_is_a_leak() -> None:
    found = across(
        [Copy(0, 2, "near", 0.98), Copy(0, 3, "pixels", 1.0)], ["train", "train", "val", "val"], [0, 0, 0, 0]
    )
    assert found.leaks == (Copy(0, 2, "near", 0.98), Copy(0, 3, "pixels", 1.0))
    assert found.contradictions == ()
    assert found.redundant == (Copy(2, 3, "near", 0.98),), "what is equal to a picture copies its near copies"


def test_a_leak_names_the_picture_that_teaches_first() -> None:
    assert across([Copy(0, 1, "near", 0.99)], ["val", "train"], [0, 0]).leaks == (Copy(1, 0, "near", 0.99),)


def test_a_copy_is_named_before_what_only_looks_alike() -> None:
    copies = [Copy(0, 2, "near", 0.999), Copy(1, 2, "copy", 0.98)]
    assert across(copies, ["train", "train", "val"], [0] * 3).leaks == (Copy(1, 2, "copy", 0.98),)


def test_no_number_of_nearer_frames_hides_that_a_picture_measures_what_is_taught(tmp_path: Path) -> None:
    source = scene(1, 400)
    boxes = [(3 + i % 10, 3 + i // 10, 400, 400) for i in range(24)]
    prints = prints_of([source, scene(2), *(encoded(source.crop(box), 90) for box in boxes)], tmp_path)
    sides: list[Side] = ["train", "train", *(["val"] * 24)]  # type: ignore[list-item]
    assert len(across(find_copies(prints), sides, [0] * 26).leaks) < 24, "the frames push the training image out"
    leaks = across(find_copies(prints, sides=sides), sides, [0] * 26).leaks
    assert [(leak.first, leak.second) for leak in leaks] == [(0, i) for i in range(2, 26)]


def test_nearer_hashes_of_other_pictures_do_not_hide_a_training_image(tmp_path: Path) -> None:
    source = scene(1, 400)
    measured = encoded(source.crop((12, 12, 400, 400)), 90)
    grain = np.random.default_rng(0).normal(0, 60, (24, 400, 400, 1))
    soft = np.asarray(measured.resize((400, 400)).filter(ImageFilter.GaussianBlur(10)), np.float64)
    decoys = [Image.fromarray(np.clip(soft + noise, 0, 255).astype(np.uint8)) for noise in grain]
    prints = prints_of([*decoys, source, measured], tmp_path)
    hashes = _hashes(_halved(prints.thumbnails))[0]
    distance = np.bitwise_count(hashes ^ hashes[25])
    assert np.count_nonzero(distance[:24] < distance[24]) > 16
    sides: list[Side] = [*(["train"] * 25), "val"]  # type: ignore[list-item]
    assert (24, 25) in {(pair.first, pair.second) for pair in find_copies(prints, sides=sides)}
    assert (24, 25) not in {(pair.first, pair.second) for pair in find_copies(prints)}


def test_pictures_that_differ_in_color_only_are_not_near_but_a_gray_copy_is(tmp_path: Path) -> None:
    def swapped(picture: Image.Image) -> Image.Image:
        red, green, blue = picture.split()
        return Image.merge("RGB", (blue, green, red))

    warm = Image.merge("RGB", (scene(0).convert("L"), *[scene(0).convert("L").point(lambda v: v // 2)] * 2))
    assert find_copies(prints_of([warm, swapped(warm)], tmp_path)) == ()
    assert len(find_copies(prints_of([warm, warm.convert("L").convert("RGB")], tmp_path))) == 1


def test_only_what_full_detail_shows_is_confirmed(tmp_path: Path) -> None:
    grain = np.random.default_rng(0).normal(0, 6, (2, 160, 160, 3))
    frames = [Image.fromarray(np.clip(np.asarray(scene(1)) / 2 + 60 + g, 0, 255).astype(np.uint8)) for g in grain]
    samples = [save(p, tmp_path / f"{i}.png") for i, p in enumerate((*frames, encoded(frames[0], 95)))]
    prints = fingerprints(samples)
    sides: list[Side] = ["train", "val", "val"]
    confirmed = confirm_copies(find_copies(prints, sides=sides), prints, samples, sides)
    assert {(copy.first, copy.second): copy.kind for copy in confirmed} == {
        (0, 1): "near",
        (0, 2): "copy",
        (1, 2): "near",
    }


def test_the_closest_copy_is_named() -> None:
    copies = [Copy(0, 3, "near", 0.98), Copy(1, 3, "near", 0.99), Copy(2, 3, "near", 0.97)]
    assert across(copies, ["train", "train", "train", "val"], [0] * 4).leaks == (Copy(1, 3, "near", 0.99),)


def test_two_labels_contradict_on_either_side() -> None:
    copies = [Copy(0, 1, "bytes", 1.0), Copy(2, 3, "near", 0.99)]
    found = across(copies, ["train", "train", "train", "val"], [0, 1, 0, 1])
    assert found == Findings((Copy(2, 3, "near", 0.99),), (Copy(0, 1, "bytes", 1.0), Copy(2, 3, "near", 0.99)), ())


def test_every_val_picture_of_a_cluster_leaks_whatever_links_it() -> None:
    copies = [Copy(0, i, "bytes", 1.0) for i in range(1, 5)]
    sides: list[Side] = ["val", "train", "val", "train", "val"]
    found = across(copies, sides, [0] * 5)
    assert [(leak.first, leak.second, leak.kind) for leak in found.leaks] == [(1, i, "bytes") for i in (0, 2, 4)]
    assert [(copy.first, copy.second) for copy in found.redundant] == [(0, 2), (1, 3), (0, 4)]


def test_sides_and_labels_belong_together() -> None:
    with pytest.raises(ValueError, match="expected a label for each of 2 sides, found 1"):
        across([], ["train", "val"], [0])


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["train", "val"]), st.integers(0, 2)), max_size=14),
)
def test_what_across_finds_in_equal_pictures_is_what_counting_finds(items: list[tuple[int, Side, int]]) -> None:
    contents, sides, labels = ([item[k] for item in items] for k in range(3))
    first = {content: contents.index(content) for content in contents}
    copies = [Copy(first[c], i, "bytes", 1.0) for i, c in enumerate(contents) if first[c] != i]
    found = across(copies, sides, labels)  # type: ignore[arg-type]
    same = [(i, j) for i in range(len(items)) for j in range(len(items)) if i != j and contents[i] == contents[j]]
    leaking = {j for i, j in same if (sides[i], sides[j]) == ("train", "val")}
    assert {leak.second for leak in found.leaks} == leaking
    two_labels = {i for i, j in same if labels[i] != labels[j]}
    assert {i for copy in found.contradictions for i in (copy.first, copy.second)} == two_labels
    again = {j for i, j in same if i < j and (sides[i], labels[i]) == (sides[j], labels[j])}
    assert {copy.second for copy in found.redundant} == again


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(0, 7), st.integers(0, 300))
def test_any_turn_of_any_thumbnail_is_found_at_any_place(seed: int, turn: int, place: int) -> None:
    rng = np.random.default_rng(seed)
    gray = np.asarray(scene(seed, SIDE).convert("L"))
    turned = np.rot90(gray, turn % 4)[:, :: 1 if turn < 4 else -1]
    others = rng.integers(0, 256, (302, SIDE, SIDE), dtype=np.uint8)
    others[place], others[301] = gray, turned
    pairs = near_pairs(others, np.zeros((302, COLOR_SIDE, COLOR_SIDE, 3), np.uint8), Silent())
    assert set(pairs) == {(place, 301)}
    assert pairs[place, 301] > 0.9999
