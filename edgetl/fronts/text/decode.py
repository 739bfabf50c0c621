"""The ids of tokens -> text, token by token: the way back of byte-level and Llama's pair merging."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from edgetl.errors import UsageError
from edgetl.fronts.text.description import Bpe, Bytes, Description, Metaspace, Prepend, Replace

_SPACE = " "


class Decoder:
    """Bytes of every token. A text that begins with the first token loses the space that encoding put in front."""

    def __init__(self, description: Description) -> None:
        """Raises UsageError for a tokenizer that does not merge pairs: its pieces do not say where spaces were."""
        if not isinstance(description.model, Bpe):
            raise UsageError(f"expected a tokenizer that merges pairs (BPE); found {description.model.kind}")
        self._fallback = description.model.byte_fallback
        self._byte_of = next((_bytes_of(step) for step in description.cut if isinstance(step, Bytes)), None)
        self._marks = _marks(description)
        self._silent = {description.pad, *description.before, *description.after}
        self._leading = _begins_with_space(description)
        self._pieces = dict(enumerate(description.model.pieces))
        self._written = {special.id: special.text for special in description.special}

    def token(self, number: int) -> bytes:
        """The bytes of one token, which may be a part of a character; none for marks of beginning and end."""
        if number in self._silent:
            return b""
        piece = self._pieces.get(number, "")
        if self._fallback and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes([int(piece[3:5], 16)])
        if number in self._written:
            return self._written[number].encode()
        if self._byte_of is not None:
            return bytes(self._byte_of[letter] for letter in piece if letter in self._byte_of)
        for mark in self._marks:
            piece = piece.replace(mark, _SPACE)
        return piece.encode()

    def text(self, ids: Iterable[int]) -> str:
        """Of a whole text from its first token on; bytes that are no UTF-8 become U+FFFD."""
        found = b"".join(map(self.token, ids)).decode("utf-8", "replace")
        return found.removeprefix(_SPACE) if self._leading else found


class Stream:
    """Text of tokens as they come: a character appears when its last byte is there."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._pending = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, number: int) -> str:
        return self._pending.decode(self._decoder.token(number))

    def end(self) -> str:
        return self._pending.decode(b"", final=True)


def _bytes_of(step: Bytes) -> dict[str, int]:
    return {letter: byte for byte, letter in enumerate(step.alphabet)}


def _marks(description: Description) -> tuple[str, ...]:
    """Characters that stand for spaces."""
    replaced = [step.new for step in description.normalize if isinstance(step, Replace) and step.old == _SPACE]
    return (*replaced, *(step.mark for step in description.cut if isinstance(step, Metaspace)))


def _begins_with_space(description: Description) -> bool:
    prepended = any(isinstance(step, Prepend) for step in description.normalize)
    return prepended or any(
        step.prepend != "never" if isinstance(step, Metaspace) else step.step == "prefix_space"
        for step in description.cut
    )
