"""Peak memory is that since the last reset."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgetl.store.memory import peak_rss_bytes, reset_peak_rss

MEGABYTE = 1 << 20


def touch(size_bytes: int) -> None:
    block = bytearray(size_bytes)
    block[::4096] = b"x" * len(block[::4096])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak")
def test_a_reset_forgets_what_was_freed() -> None:
    touch(200 * MEGABYTE)
    high = peak_rss_bytes()
    reset_peak_rss()
    assert peak_rss_bytes() < high - 100 * MEGABYTE


def test_the_peak_sees_memory_that_is_free_again() -> None:
    reset_peak_rss()
    before = peak_rss_bytes()
    touch(200 * MEGABYTE)
    assert peak_rss_bytes() > before + 100 * MEGABYTE


def test_without_proc_the_lifetime_peak_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*arguments: object, **keywords: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(Path, "write_text", absent)
    reset_peak_rss()
    assert 10 * MEGABYTE < peak_rss_bytes() < 1 << 40
