"""A text -> the tokens that a network reads."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetl.errors import BundleError
from edgetl.files.digest import file_digest
from edgetl.fronts.text.description import read_description
from edgetl.fronts.text.encode import Tokenizer
from edgetl.fronts.text.read import UnreadableText, read_example
from edgetl.types.inputs import TOKENIZER, TextPreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetl.types import Preprocessing


def tokenizer_of(preprocessing: TextPreprocessing) -> Tokenizer:
    """The tokenizer that lies in `preprocessing.folder`. Raises BundleError if it is missing, or does not fit."""
    path = Path(preprocessing.folder) / TOKENIZER
    found = _read(path, preprocessing.tokenizer)
    if found.description.pad != preprocessing.pad:
        raise BundleError(f"{path}: expected `pad` {preprocessing.pad}; found {found.description.pad}")
    if found.around >= preprocessing.lengths[-1]:
        raise BundleError(
            f"{path}: adds {found.around} tokens to every text; expected fewer than the last length, "
            f"{preprocessing.lengths[-1]}"
        )
    return found


def carry(p: Preprocessing, folder: Path) -> None:
    """Lay the tokenizer of texts into the folder of a document that names its digest; nothing for other fronts."""
    if isinstance(p, TextPreprocessing) and Path(p.folder).resolve() != folder.resolve():
        shutil.copyfile(Path(p.folder) / TOKENIZER, folder / TOKENIZER)


@lru_cache(maxsize=4)
def _read(path: Path, sha256: str) -> Tokenizer:
    try:
        found = file_digest(path)
        if found != sha256:
            raise BundleError(f"{path}: expected the tokenizer with sha256 {sha256}; found another one, {found}")
        return Tokenizer(read_description(path))
    except OSError as error:
        raise BundleError(f"{path}: the tokenizer cannot be read: {error.strerror}") from error


def load_texts(paths: Sequence[Path], preprocessing: TextPreprocessing) -> NDArray[np.int32]:
    """The tokens of texts in files or rows, filled up to the first length that holds the longest: int32 (N, L).

    Raises UnreadableText.
    """
    rows = [tokens_of(read_example(path), preprocessing, str(path)) for path in paths]
    return filled(rows, preprocessing)


def load_text(path: Path, preprocessing: TextPreprocessing) -> NDArray[np.int32]:
    """The same of one text: int32 (L,)."""
    row: NDArray[np.int32] = load_texts([path], preprocessing)[0]
    return row


def encode_text(text: str, preprocessing: TextPreprocessing, where: str = "the text") -> NDArray[np.int32]:
    """The same of a text that is at hand; `where` begins the message. Raises UnreadableText."""
    row: NDArray[np.int32] = filled([tokens_of(text, preprocessing, where)], preprocessing)[0]
    return row


def tokens_of(text: str, preprocessing: TextPreprocessing, where: str = "the text") -> list[int]:
    """The ids of a text, at most as many as the last length. Raises UnreadableText if there is none."""
    found = tokenizer_of(preprocessing).encode(text, preprocessing.lengths[-1])
    if not found:
        raise UnreadableText(where, "it has no token")
    return found


def filled(rows: Sequence[Sequence[int]], preprocessing: TextPreprocessing) -> NDArray[np.int32]:
    """Ids of several texts, filled up to the length that holds the longest: int32 (N, L)."""
    longest = max(map(len, rows), default=0)
    length = next(length for length in preprocessing.lengths if length >= longest)
    batch = np.full((len(rows), length), preprocessing.pad, np.int32)
    for row, ids in zip(batch, rows, strict=True):
        row[: len(ids)] = ids
    return batch
