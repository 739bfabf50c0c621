"""Writes a commented recipe that suits a table or a folder of labeled texts: every choice states its reason."""

from __future__ import annotations

import json
import math
from pathlib import Path

from edgetl.data.lists import without_part
from edgetl.data.scan import Listing, locate
from edgetl.data.survey import Survey
from edgetl.explore.recipe_lines import (
    UNREADABLE_LINES,
    end_lines,
    entry,
    head_lines,
    place_lines,
    relative,
    shots_choice,
    shots_lines,
    span,
    title_of,
)
from edgetl.fronts.text.tables import open_table

USUAL = "all-MiniLM-L6-v2"
"""The sentence encoder that is named if no other is found: 22 million parameters, Apache-2.0."""

_COVERED = 0.95
_CHARACTERS_A_TOKEN = 4  # of English prose; other languages have fewer
_LENGTHS = (64, 128, 256, 512)
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model")
_MOST_CONFIG_BYTES = 1_000_000


def text_recipe_text(seen: Survey, root: Path, recipe_dir: Path, name: str | None, *, vnni: bool = True) -> str:
    """YAML text of a recipe for texts, to be written into the folder `recipe_dir`; the rest as in `recipe_text`."""
    table = seen.train.rows_of is not None and without_part(seen.train_path.stem).strip(" _-.")
    title, here = title_of(root, name or table or None), locate(Path(), str(recipe_dir))
    return "\n".join((*_head(title, seen), *_data(seen, here), *_rest(seen, here, vnni)))


def _head(title: str, seen: Survey) -> list[str]:
    characters = _characters(seen)
    lengths = (
        f"{span(characters[0], characters[-1])} characters long, half of them at most {_quantile(characters, 0.5)}"
    )
    return head_lines(title, seen, lengths, "front: text")


def _data(seen: Survey, here: Path) -> list[str]:
    places = place_lines(seen.train_path, seen.val_path, here, "text", "those of another time")
    return [*places, *shots_lines(shots_choice(seen)), *UNREADABLE_LINES, *_group_lines(seen.train), ""]


def _group_lines(train: Listing) -> list[str]:
    if train.rows_of is None or train.list is None:
        return []
    others = [name for name in open_table(train.list).columns if name.casefold() not in ("text", "label", "split")]
    if not others:
        return []
    return [
        "  # a column whose rows belong together (an author, a document) keeps each of its values on one side:",
        "  # " + entry("group_by", others[0]),
    ]


def _rest(seen: Survey, here: Path, vnni: bool) -> list[str]:
    covered = _quantile(_characters(seen), _COVERED)
    tokens = math.ceil(covered / _CHARACTERS_A_TOKEN)
    length = next((length for length in _LENGTHS if length >= tokens), _LENGTHS[-1])
    folder = find_encoder(seen.train)
    found = (
        ["  " + entry("name", f"local-dir:{relative(folder, here)}")]
        if folder
        else [
            "  # a folder with config.json, model.safetensors and the tokenizer's files, as on huggingface.co:",
            f"  # hf download sentence-transformers/{USUAL} --local-dir {USUAL}",
            "  " + entry("name", f"local-dir:{USUAL}"),
        ]
    )
    return [
        "text:",
        f"  # 95 % of the texts have at most {covered} characters, in English about {tokens} tokens; the rest is cut",
        f"  max_tokens: {length}",
        "",
        "# a pretrained encoder or decoder of texts",
        "backbone:",
        *found,
        *end_lines(vnni, "; also min_top1,"),
    ]


def find_encoder(train: Listing) -> Path | None:
    """A folder in Hugging Face layout in a folder `weights` beside the texts or above them; the first by name."""
    for folder in (train.root, *train.root.parents):
        if (folder / "weights").is_dir():
            found = sorted(each for each in (folder / "weights").iterdir() if is_encoder(each))
            if found:
                return found[0]
    return None


def is_encoder(folder: Path) -> bool:
    """Whether a folder holds a configuration, weights and a tokenizer of a network for texts."""
    config = folder / "config.json"
    try:
        if not any((folder / name).is_file() for name in _TOKENIZERS) or not any(folder.glob("*.safetensors")):
            return False
        values = json.loads(config.read_bytes()) if config.stat().st_size <= _MOST_CONFIG_BYTES else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and "model_type" in values


def _characters(seen: Survey) -> list[int]:
    return sorted(each.characters for each in seen.texts)


def _quantile(values: list[int], share: float) -> int:
    return values[min(len(values) - 1, math.floor(share * len(values)))]
