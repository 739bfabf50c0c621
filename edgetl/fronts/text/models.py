"""Words -> ids: the three kinds of model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import pairwise

from edgetl.fronts.text.description import Bpe, Unigram, WordPiece

Encode = Callable[[str], list[int]]
_NONE = -1


def encoding(model: WordPiece | Bpe | Unigram) -> Encode:
    """A function from a word to its ids."""
    if isinstance(model, WordPiece):
        return _word_piece(model)
    return _bpe(model) if isinstance(model, Bpe) else _unigram(model)


def _ids(model: WordPiece | Bpe | Unigram) -> dict[str, int]:
    return {piece: place for place, piece in enumerate(model.pieces)}


def _word_piece(model: WordPiece) -> Encode:
    ids, longest_piece = _ids(model), max(map(len, model.pieces))

    def encode(word: str) -> list[int]:
        if len(word) > model.longest:
            return [model.unknown]
        found: list[int] = []
        start, prefix = 0, ""
        while start < len(word):
            for end in range(min(len(word), start + longest_piece), start, -1):
                if (piece := ids.get(prefix + word[start:end])) is not None:
                    break
            else:
                return [model.unknown]
            found.append(piece)
            start, prefix = end, model.prefix
        return found

    return encode


def _byte_ids(model: Bpe | Unigram, ids: dict[str, int]) -> list[int]:
    return [ids[f"<0x{byte:02X}>"] for byte in range(256)] if model.byte_fallback else []


def _bpe(model: Bpe) -> Encode:
    ids = _ids(model)
    bytes_of = _byte_ids(model, ids)
    flat = iter(model.merges)
    merges = {
        (left, right): (rank, ids[model.pieces[left] + model.pieces[right]])
        for left, right, rank in zip(flat, flat, flat, strict=True)
    }

    def start(word: str) -> list[int]:
        found: list[int] = []
        unknown_before = False
        for character in word:
            piece = ids.get(character)
            if piece is not None:
                found.append(piece)
            elif bytes_of:
                found += [bytes_of[byte] for byte in character.encode()]
            elif model.unknown is not None and not (model.fuse_unknown and unknown_before):
                found.append(model.unknown)
            unknown_before = piece is None
        return found

    def encode(word: str) -> list[int]:
        if model.whole_words and (whole := ids.get(word)) is not None:
            return [whole]
        return merged(start(word), merges)

    return encode


def merged(ids: list[int], merges: dict[tuple[int, int], tuple[int, int]]) -> list[int]:
    """Merge pairs: the smallest rank first, of equal ones the leftmost. merges: (left, right) -> (rank, merged)"""
    following = [*range(1, len(ids)), _NONE]
    before = [_NONE, *range(len(ids) - 1)]
    waiting = [(*merges[pair], place, *pair) for place, pair in enumerate(pairwise(ids)) if pair in merges]
    heapify(waiting)
    while waiting:
        _, new, place, left, right = heappop(waiting)
        other = following[place]
        if other == _NONE or ids[place] != left or ids[other] != right:
            continue  # one of the two was merged meanwhile
        ids[place], ids[other] = new, _NONE
        following[place] = after = following[other]
        following[other] = _NONE
        if after != _NONE:
            before[after] = place
        for first in (before[place], place):
            if first == _NONE or (second := following[first]) == _NONE:
                continue
            if (found := merges.get((ids[first], ids[second]))) is not None:
                heappush(waiting, (*found, first, ids[first], ids[second]))
    return [piece for piece in ids if piece != _NONE]


def _unigram(model: Unigram) -> Encode:
    ids = _ids(model)
    bytes_of = _byte_ids(model, ids)
    reach: dict[str, int] = defaultdict(int)  # of the longest piece that begins with a character
    for piece in model.pieces:
        reach[piece[0]] = max(reach[piece[0]], len(piece))

    def best_starts(word: str) -> list[tuple[int, int]]:
        """For each end, where the piece that ends there begins, and its id."""
        sums = [0.0] * (len(word) + 1)
        ends = [(_NONE, _NONE)] * (len(word) + 1)

        def offer(begin: int, end: int, piece: int, score: float) -> None:
            total = score + sums[begin]
            if ends[end][0] == _NONE or total > sums[end]:
                sums[end], ends[end] = total, (begin, piece)

        for begin, character in enumerate(word):
            single = False
            for end in range(begin + 1, min(len(word), begin + reach.get(character, 0)) + 1):
                if (piece := ids.get(word[begin:end])) is not None:
                    offer(begin, end, piece, model.scores[piece])
                    single |= end == begin + 1
            if not single:
                offer(begin, begin + 1, model.unknown, model.unknown_score)
        return ends

    def parts(word: str) -> list[str]:
        """From the right; neighboring unknown characters are one part."""
        ends = best_starts(word)
        found: list[str] = []
        end = unknown_until = len(word)
        while end > 0:
            begin, piece = ends[end]
            if piece != model.unknown:
                if end < unknown_until:
                    found.append(word[end:unknown_until])
                found.append(word[begin:end])
                unknown_until = begin
            end = begin
        return [*found, word[:unknown_until]] if unknown_until else found

    def encode(word: str) -> list[int]:
        result: list[int] = []
        for part in reversed(parts(word)):
            if (piece := ids.get(part)) is not None:
                result.append(piece)
            else:
                result += [bytes_of[byte] for byte in part.encode()] if bytes_of else [model.unknown]
        return result

    return encode
