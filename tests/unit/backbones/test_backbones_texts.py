"""Texts as inputs of a network: filled up to the bucket of the longest, and views with tokens left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgetl.backbones.examples import as_exported, noise, normalize, raw, views
from edgetl.errors import UsageError
from edgetl.types import TextPreprocessing

P = TextPreprocessing("ab" * 32, 0, (8, 16, 32))


def rows(*lengths: int, to: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    tokens = np.zeros((len(lengths), to), np.int32)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = 5 + np.arange(length)
    return tokens


@pytest.mark.parametrize(
    ("lengths", "to", "bucket"),
    [((3, 2), 8, 8), ((3, 2), 32, 8), ((9, 2), 32, 16), ((17,), 17, 32), ((0,), 8, 8), ((8,), 8, 8)],
)
def test_a_batch_is_as_long_as_the_bucket_of_its_longest_text(lengths: tuple[int, ...], to: int, bucket: int) -> None:
    tokens = rows(*lengths, to=to)
    found = as_exported(tokens, P)
    assert found.dtype == torch.int64
    assert found.tolist() == rows(*lengths, to=bucket).tolist()
    assert normalize(raw(tokens, P), P).tolist() == rows(*lengths, to=max(1, *lengths)).tolist()


def test_views_leave_tokens_out_keep_their_order_and_both_ends() -> None:
    tokens = raw(rows(30, 12, to=32), P)
    generator = torch.Generator().manual_seed(0)
    dropped = 0
    for _ in range(20):
        seen = views("light", P)(tokens, generator)
        assert seen.shape == tokens.shape
        for row, old in zip(seen.tolist(), tokens.tolist(), strict=True):
            kept, all_of_them = [token for token in row if token], [token for token in old if token]
            assert row[len(kept) :] == [0] * (32 - len(kept))
            assert kept == sorted(kept)
            assert (kept[0], kept[-1]) == (all_of_them[0], all_of_them[-1])
            dropped += len(all_of_them) - len(kept)
    assert 0.05 < dropped / (20 * 42) < 0.15


def test_views_follow_their_generator_and_none_changes_nothing() -> None:
    tokens = raw(rows(30, 12, to=32), P)
    one, two = (views("light", P)(tokens, torch.Generator().manual_seed(seed)) for seed in (1, 1))
    assert torch.equal(one, two)
    assert torch.equal(views("none", P)(tokens, torch.Generator()), tokens)
    with pytest.raises(UsageError, match="unknown augmentation policy `natural`"):
        views("natural", P)


def test_noise_is_tokens_that_every_network_has() -> None:
    for pad in (0, 5, 31):
        p = TextPreprocessing("ab" * 32, pad, (8, 16))
        found = noise(p, 50)
        assert found.shape == (50, 8)
        assert found.min() >= 0
        assert found.max() < 32
        assert not (found == pad).any()
        assert torch.equal(found, noise(p, 50))
