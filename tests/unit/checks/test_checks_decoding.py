"""What was dropped, flattened or chosen while reading is counted and named."""

from __future__ import annotations

from edgetl.checks.copies.duplicates import Findings
from edgetl.checks.decoding import pictures
from edgetl.checks.files import copies, names, passed_over
from edgetl.checks.subject import Subject
from edgetl.types import Conflict, Sample, Skipped, Trait

SUBJECT = Subject(("a", "b"), tuple(Sample(f"/data/a/{i}.png", 0, str(i)) for i in range(8)), 4)


def sixteen(low: int, high: int) -> Trait:
    return Trait("/data/a/0.png", "16 bit", low=low, high=high)


def test_many_pages_are_told_with_their_files() -> None:
    traits = [Trait(f"/data/a/{i}.png", "pages", high=40) for i in range(3)]
    found = pictures(SUBJECT, traits)
    assert (found.verdict, found.found) == ("warn", 3)
    assert found.sentence == "3 files hold several images (0.png, 1.png, 2.png); the first is used"
    assert found.suspects[0].sentence == "40 images; the first is used"


def test_a_twelve_bit_camera_that_fills_sixteen_bits_by_a_sixteenth_is_warned_of() -> None:
    found = pictures(SUBJECT, [sixteen(0, 4000), sixteen(10, 4095)])
    assert found.verdict == "warn"
    assert "2 images of 16 bits with values from 0 to 4095 (12 bits)" in found.sentence
    assert "16 of 256 gray levels" in found.sentence
    assert "scale the values to 0..65535" in found.remedy


def test_a_thermal_camera_with_a_narrow_range_is_warned_of() -> None:
    found = pictures(SUBJECT, [sixteen(33000, 35000)])
    assert found.verdict == "warn"
    assert "8 of 256 gray levels" in found.sentence


def test_sixteen_bits_that_are_used_are_no_matter() -> None:
    assert pictures(SUBJECT, [sixteen(100, 65000)]).verdict == "pass"


def test_what_does_little_harm_is_counted_and_passes() -> None:
    traits = [Trait("/data/a/0.png", "turned"), Trait("/data/a/1.png", "turned"), Trait("/data/a/1.png", "transparent")]
    found = pictures(SUBJECT, traits)
    assert found.verdict == "pass"
    assert "1 image with transparent pixels, drawn over white" in found.sentence
    assert "2 images rotated by their EXIF data" in found.sentence
    assert found.numbers == {"turned": 2, "transparent": 1}


def test_skipped_files_are_told_by_reason_with_short_paths() -> None:
    pointer = "it is a Git LFS pointer, not an image; run git lfs pull"
    skipped = [Skipped(f"/data/a/p{i}.jpg", pointer) for i in range(10)]
    skipped.append(Skipped("/data/a/2.png", "same bytes as a training image: /data/a/1.png"))
    sentence = passed_over(SUBJECT, skipped).sentence
    assert sentence == f"11 files skipped: p0.jpg and 9 more ({pointer}), 2.png (same bytes as a training image)"


def test_names_that_are_nearly_one_and_names_that_are_no_classes_are_warned_of() -> None:
    assert names(("bad", "good")).verdict == "pass"
    told = names(("Good", "good", "scratch", "scratch ", "no_label", ".ipynb_checkpoints"))
    assert told.verdict == "warn"
    assert "`Good`, `good` differ only in upper and lower case" in told.sentence
    assert "`scratch`, `scratch ` differ only in spaces at the ends" in told.sentence
    assert "`no_label`, `.ipynb_checkpoints` are trained as a class" in told.sentence


def test_pictures_under_two_labels_that_were_left_out_are_all_named() -> None:
    conflicts = [Conflict((f"/data/a/{i}.png", f"/data/b/{i}.png"), ("a", "b")) for i in range(40)]
    (_, contradictions, _) = copies(SUBJECT, Findings((), (), ()), conflicts)
    assert (contradictions.verdict, contradictions.found) == ("warn", 40)
    assert contradictions.sentence.startswith("40 images under two labels: 0.png and /data/b/0.png, ")
    assert contradictions.suspects[39].pictures[1].label == "b"
