"""The description of a backbone's tokenizer: made from its files, and stored once under its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgetl.errors import DataError, WeightsError
from edgetl.files.temporary import temporary_folder
from edgetl.fronts.text.description import Description, write_description
from edgetl.fronts.text.hugging_face import from_hf
from edgetl.types import TOKENIZER


def describe_folder(folder: Path) -> Description:
    """That of the tokenizer files in a folder of weights. Raises WeightsError for one that edgetl cannot compute."""
    try:
        return from_hf(folder)
    except DataError as error:
        raise WeightsError(str(error)) from error


def place(description: Description, cache: Path) -> tuple[str, Path]:
    """sha256 of the description's bytes, hex, and the folder below `cache` in which it is TOKENIZER."""
    cache.mkdir(parents=True, exist_ok=True)
    with temporary_folder(cache) as made:
        write_description(made / TOKENIZER, description)
        digest = hashlib.sha256((made / TOKENIZER).read_bytes()).hexdigest()
        folder = cache / digest
        folder.mkdir(exist_ok=True)
        (made / TOKENIZER).replace(folder / TOKENIZER)
    return digest, folder
