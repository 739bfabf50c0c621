"""Some four hundred damaged and hostile files, made from a seed: each is read, or refused in short clear lines.

No traceback, no hang, nothing that steers a terminal.
"""

from __future__ import annotations

import io
import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save

from edgetl.backbones.checkpoint import read_sets
from edgetl.errors import EdgetlError, UsageError, WeightsError
from edgetl.recipes.recipe_file import load_recipe
from edgetl.recipes.resources import resource_dir
from edgetl.recipes.targets import load_profile, load_target

SEED = 16
PATIENCE_S = 5.0  # of CPU time, for one file of a few kilobytes
LONGEST = 900
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
Read = Callable[[Path], Any]

RECIPE = """\
name: steel
data: {train: photos, val: other, shots: 10, seed: 0, resize: squash, augment: natural}
check: {allow_leak: false, max_images: 100}
backbone:
  name: mobilenetv2_100
  input_size: 96
adapt: {strategy: auto, freeze: [blocks.0, "*.bn"], learning_rate: 0.001, epochs: 3}
quantize: {method: ptq, bias_correction: false}
targets:
  - x86-cpu
  - intel-cpu
gates: {max_drop_points: 1.5, min_top1: 0.9}
choose: fastest
"""
# What YAML, Python's numbers and terminals are easily surprised by
NASTY = (
    *("null", "~", "''", "[]", "{}", "[[[[[[]]]]]]", "{a: {b: {c: 1}}}", "*x", "&x [1]", "&x [*x]"),
    *("!!python/object:x", "!!bool maybe", "!!int ''", "!!binary x", "!!set {a}", "!<tag:x> y", "<<: {a: 1}"),
    *("? [a]", "- a", "|", ">", "%", "1e400"),
    *("1e999", ".inf", "-.inf", ".nan", "-1", "0", "99999999999999999999", "0x" + "f" * 300, "9" * 5000, "1:2:3"),
    *("2026-13-45", "true", "off", "'\\0'", '"\\0"', '"\\e[31m"', '"\\ud800"', "\u2028", "\ufeff", "'", '"', "@", "`"),
    *("[" * 50, "{a: " * 50, "[" * 3000, "x" * 5000, "a: b: c", "\t", "---", "...", "# ", "photos\nname: twice"),
)


def mutated(text: str, rng: random.Random) -> bytes:
    """The text with one to three kinds of damage."""
    data = text
    for _ in range(rng.randint(1, 3)):
        lines = data.splitlines(keepends=True) or [""]
        at = rng.randrange(len(lines))
        kind = rng.randrange(7)
        if kind == 0:  # another value
            lines[at] = re.sub(r":[^:\n]*\n?$", lambda _: f": {rng.choice(NASTY)}\n", lines[at])
        elif kind == 1:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif kind == 2:
            del lines[at]
        elif kind == 3:
            lines[at] = lines[at].replace(rng.choice(":,[]{}- \n"), rng.choice(NASTY), 1)
        elif kind == 4:
            position = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:position] + rng.choice(NASTY) + lines[at][position:]
        elif kind == 5:
            lines = lines[: at + 1]
        else:
            lines[at] = "  " * rng.randrange(4) + lines[at]
        data = "".join(lines)
    raw = bytearray(data.encode("utf-8", "surrogatepass"))
    if raw and rng.random() < 0.2:
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    return bytes(raw)


def survive(path: Path, content: bytes, read: Read, error: type[EdgetlError]) -> bool:
    """Read the file; whether it was refused, which it has to be in the prescribed way."""
    path.write_bytes(content)
    start = time.process_time()
    try:
        read(path)
        refused = False
    except error as caught:
        refused = True
        lines = str(caught).split("\n")
        assert all(line.startswith(f"{path}: ") for line in lines), lines
        assert len(lines) <= 21, lines
        assert max(map(len, lines)) < LONGEST + len(str(path)), lines
        assert not any(CONTROL.search(line) for line in lines), lines
    assert time.process_time() - start < PATIENCE_S, content[:200]
    return refused


def refusals(path: Path, inputs: list[bytes], read: Read, error: type[EdgetlError]) -> int:
    return sum(survive(path, content, read, error) for content in inputs)


def test_a_hundred_and_fifty_damaged_recipes(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    inputs = [mutated(RECIPE, rng) for _ in range(150)]
    refused = refusals(tmp_path / "recipe.yaml", inputs, load_recipe, UsageError)
    assert 100 < refused < 150  # the rest is damage that means something


@pytest.mark.parametrize(
    ("folder", "name", "read"), [("targets", "x86-cpu", load_target), ("calibration", "default", load_profile)]
)
def test_fifty_damaged_targets_and_calibration_profiles(tmp_path: Path, folder: str, name: str, read: Any) -> None:
    rng = random.Random(SEED)
    text = (resource_dir(folder) / f"{name}.yaml").read_text(encoding="utf-8")
    inputs = [mutated(text, rng) for _ in range(50)]
    path = tmp_path / f"{name}.yaml"
    assert refusals(path, inputs, lambda _: read(name, (tmp_path,)), UsageError) > 20


def test_every_nasty_value_of_every_key(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    keys = [line.strip() for line in yaml.safe_dump(_flat(yaml.safe_load(RECIPE))).splitlines()]
    for key in keys:
        override = f"{key.partition(':')[0]}={rng.choice(NASTY)}"
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE, encoding="utf-8")
        try:
            load_recipe(path, [override])
        except UsageError as error:
            for line in str(error).split("\n"):
                assert line.startswith(("--set ", f"{path}: ")), line
                assert not CONTROL.search(line), line


def _flat(value: dict[str, Any], start: str = "") -> dict[str, int]:
    found: dict[str, int] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{start}{key}.") if isinstance(inner, dict) else {f"{start}{key}": 0}
    return found


def state() -> dict[str, torch.Tensor]:
    return {"conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2), "conv.bias": torch.ones(2), "n": torch.tensor(3)}


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Flipped, cut, grown, overwritten, with a hole, or with a part twice."""
    raw = bytearray(data)
    kind, at = rng.randrange(6), rng.randrange(len(data))
    if kind == 0:
        for _ in range(rng.randint(1, 8)):
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del raw[at:]
    elif kind == 2:
        raw += rng.randbytes(rng.randint(1, 200))
    elif kind == 3:
        raw[at : at + 16] = rng.randbytes(16)
    elif kind == 4:
        del raw[at : at + rng.randint(1, 64)]
    else:
        raw[at:at] = raw[at : at + 64]
    return bytes(raw)


def hostile_header(rng: random.Random) -> bytes:
    """A safetensors file whose header lies: sizes, places, types, depth, names."""
    nasty = [-1, 0, 2**31, 2**62, 2**64, 1.5, "3", None, [], [[1]], {}]
    entry: dict[str, Any] = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    key = rng.choice(list(entry))
    values = [*nasty, ["F4"], "F4", "F8_E4M3", "C64", "U128", "float", [rng.choice(nasty), rng.choice(nasty)]]
    entry[key] = rng.choice(values)
    name = rng.choice(["w", "", "\x1b[31m", "a" * 5000, "__metadata__", "\u2028"])
    header = json.dumps({name: entry}).encode()
    if rng.random() < 0.2:
        header = rng.choice([b"[" * 5000, b'{"a":' * 5000, b"{}", b'{"w": 1, "w": 2}', b"null"])
    length = len(header) if rng.random() < 0.8 else rng.choice([0, 1, 2**31, 2**63, 2**64 - 1])
    return length.to_bytes(8, "little") + header + bytes(16)


def test_a_hundred_and_twenty_damaged_and_hostile_safetensors_files(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    inputs = [damaged(save(state()), rng) for _ in range(60)] + [hostile_header(rng) for _ in range(60)]
    assert refusals(tmp_path / "w.safetensors", inputs, read_sets, WeightsError) > 80


@pytest.mark.parametrize("legacy", [False, True])
def test_sixty_damaged_torch_checkpoints_of_either_format(tmp_path: Path, legacy: bool) -> None:
    rng, stream = random.Random(SEED), io.BytesIO()
    content = {"epoch": 3, "state_dict": state(), "optimizer": {"state": {0: {"m": torch.ones(3)}}}}
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    inputs = [damaged(stream.getvalue(), rng) for _ in range(60)]
    assert refusals(tmp_path / "w.pth", inputs, read_sets, WeightsError) > 15


PICKLES = {
    "a call": b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
    "another call": b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
    "a name without a module": b"\x80\x02c\n\n.",
    "nothing on the stack": b"\x80\x02.",
    "an endless text": b"\x80\x02X\xff\xff\xff\x7fa.",
    "a huge array": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "a memo that is not there": b"\x80\x02h\x05.",
    "very deep": b"\x80\x02" + b"]" * 20000 + b"a" * 19999 + b".",
    "itself": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
}


@pytest.mark.parametrize("what", PICKLES)
def test_hostile_pickles_are_refused_and_never_run(tmp_path: Path, what: str) -> None:
    assert survive(tmp_path / "w.pth", PICKLES[what], read_sets, WeightsError)
