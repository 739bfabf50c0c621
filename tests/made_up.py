"""Made-up changes of JSON values and bytes, from a random generator that the caller seeds."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, -0.0, 0.5, "", "a\nb", "\x1b[2J", "é" * 600, "../x", "1"),
    *([], [[]], {}, {"a": 1}, [None] * 70, ["a"] * 3, "0" * 64, "golden/0.png", "model.onnx", 3.0),
)


def changed_value(value: Any, rng: random.Random) -> Any:
    """The JSON value with one of the values in it replaced, dropped or given another key."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        rest = dict(value)
        if rng.random() < 0.1:
            del rest[key]
        elif rng.random() < 0.1:
            rest[str(rng.choice(HOSTILE))] = rest.pop(key)
        else:
            rest[key] = changed_value(value[key], rng)
        return rest
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], changed_value(value[at], rng), *value[at + 1 :]]
    return rng.choice(HOSTILE)


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    """A few bytes flipped, cut out, repeated or made up."""
    content = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        if not content:
            break
        at = rng.randrange(len(content))
        kind = rng.randrange(5)
        if kind == 0:
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del content[at : at + rng.randrange(1, 64)]
        elif kind == 2:
            content[at:at] = content[at : at + rng.randrange(1, 64)]
        elif kind == 3:
            content[at : at + 4] = rng.randbytes(4)
        else:
            del content[at:]
    return bytes(content)


def change_json(path: Path, rng: random.Random) -> None:
    """Change a JSON file: mostly what it says, sometimes its bytes."""
    if rng.random() < 0.3:
        path.write_bytes(changed_bytes(path.read_bytes(), rng))
    else:
        described = changed_value(json.loads(path.read_text(encoding="utf-8")), rng)
        path.write_text(json.dumps(described), encoding="utf-8")
