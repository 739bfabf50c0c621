"""Information lost or chosen in decoding the images of a split: counted and named."""

from __future__ import annotations

from collections.abc import Sequence

from edgetl.checks.model import Finding, Suspect
from edgetl.checks.subject import Subject, suspicion
from edgetl.data.names import first_of
from edgetl.types import Trait

_FULL = 32768  # a 16-bit value below this uses none of the upper bit
_FEW_LEVELS = 64  # of 256 gray levels


def pictures(subject: Subject, traits: Sequence[Trait]) -> Finding:
    """`pass` if everything is kept or the choice can do little harm; `warn` if content may be lost."""
    if not traits:
        return Finding(check="pictures", verdict="pass", sentence="every image is read unchanged")
    kinds: dict[str, list[Trait]] = {}
    for trait in traits:
        kinds.setdefault(trait.kind, []).append(trait)
    grave = [text for text in (_pages(subject, kinds), _channels(subject, kinds), _sixteen_bit(kinds)) if text]
    plain = [f"{_count(kinds[kind])} {text}" for kind, text in _HARMLESS.items() if kind in kinds]
    sentence = "; ".join([*(text for text, _ in grave), *plain])
    if not grave:
        return Finding(check="pictures", verdict="pass", sentence=sentence, numbers=_numbers(kinds))
    index = {sample.path: number for number, sample in enumerate(subject.samples)}
    suspects = [
        Suspect(pictures=(subject.picture(index[trait.path]),), sentence=_about(trait))
        for kind in ("pages", "channels", "16 bit")
        for trait in kinds.get(kind, ())
        if trait.path in index and (kind != "16 bit" or _sixteen_bit(kinds))
    ]
    found = suspicion("pictures", suspects, sentence, remedy="; ".join(remedy for _, remedy in grave))
    return found.model_copy(update={"numbers": _numbers(kinds)})


_HARMLESS = {
    "16 bit colour": "with 16 bits per color, read with 8",
    "transparent": "with transparent pixels, drawn over white",
    "converted": "in a color mode other than RGB, converted",
    "profile": "with a color profile other than sRGB, which is ignored",
    "turned": "rotated by their EXIF data",
}


def _pages(subject: Subject, kinds: dict[str, list[Trait]]) -> tuple[str, str] | None:
    found = kinds.get("pages", [])
    if not found:
        return None
    files = "file holds" if len(found) == 1 else "files hold"
    return (
        f"{len(found)} {files} several images ({_named(subject, found)}); the first is used",
        "save the relevant pages as separate files",
    )


def _channels(subject: Subject, kinds: dict[str, list[Trait]]) -> tuple[str, str] | None:
    found = kinds.get("channels", [])
    if not found:
        return None
    return (
        f"{_count(found)} with more than three channels ({_named(subject, found)}), of which three are read",
        "save the three relevant channels as RGB",
    )


def _sixteen_bit(kinds: dict[str, list[Trait]]) -> tuple[str, str] | None:
    """16-bit gray is read as value / 257. A 12-bit camera that writes 0 to 4095 then yields 16 of 256 gray levels."""
    found = kinds.get("16 bit", [])
    if not found:
        return None
    low, high = min(trait.low for trait in found), max(trait.high for trait in found)
    levels = (high - low) // 257 + 1
    if high >= _FULL and levels >= _FEW_LEVELS:
        return None
    camera = f" ({high.bit_length()} bits)" if high < _FULL else ""
    return (
        f"{_count(found)} of 16 bits with values from {low} to {high}{camera}: read as value / 257, that is {levels} "
        f"of "
        "256 gray levels",
        "scale the values to 0..65535, or to 8 bits, the same way here and on the device",
    )


def _about(trait: Trait) -> str:
    if trait.kind == "pages":
        return f"{trait.high} images; the first is used"
    if trait.kind == "channels":
        return f"{trait.high} channels; three are read"
    return f"16-bit values from {trait.low} to {trait.high}"


def _numbers(kinds: dict[str, list[Trait]]) -> dict[str, float]:
    return {kind.replace(" ", "_"): float(len(found)) for kind, found in kinds.items()}


def _named(subject: Subject, found: Sequence[Trait]) -> str:
    return first_of([subject.short(trait.path) for trait in found])


def _count(found: Sequence[Trait]) -> str:
    return f"{len(found)} image{'' if len(found) == 1 else 's'}"
