"""Where a split takes its files from: each is decoded once, and no bytes are used twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Generic, TypeVar

from edgetl.data.names import first_of
from edgetl.errors import DataError
from edgetl.fronts.base import Seen, Unreadable
from edgetl.recipes.data import Data
from edgetl.types import Sample, Skipped, Truth

S = TypeVar("S", bound=Seen)


@dataclass
class Desk(Generic[S]):
    """The files examined so far and the outcome; each is decoded once.

    look  decodes a file; raises Unreadable
    noun  one of them, in sentences
    """

    digests: dict[str, str]
    look: Callable[[Path], S]
    noun: str = "image"
    seen: dict[str, S] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    used: dict[str, tuple[str, str]] = field(default_factory=dict)  # sha256 -> (path, role)
    copies: dict[str, str] = field(default_factory=dict)
    conflicting: dict[str, str] = field(default_factory=dict)

    @property
    def skipped(self) -> list[Skipped]:
        reasons = chain(self.unreadable.items(), self.copies.items(), self.conflicting.items())
        return [Skipped(path, reason) for path, reason in reasons]

    def readable(self, path: str) -> bool:
        if path not in self.seen and path not in self.unreadable:
            try:
                self.seen[path] = self.look(Path(path))
            except Unreadable as error:
                self.unreadable[path] = error.reason
        return path in self.seen

    def take(self, path: str, truth: Truth, role: str) -> Sample | None:
        """The file as a sample for `role`, or None if its bytes are already in use or it cannot be decoded."""
        return self.use(path, truth, role) if self.free(path) else None

    def use(self, path: str, truth: Truth, role: str) -> Sample:
        """A free file as a sample for `role`."""
        self.used[self.digests[path]] = (path, role)
        return Sample(path, truth, self.digests[path])

    def free(self, path: str) -> bool:
        """Whether the file can be decoded and its bytes are not in use; if not, the reason is stored."""
        sha256 = self.digests[path]
        if path in self.conflicting:
            return False
        if sha256 in self.used:
            other, other_role = self.used[sha256]
            if other != path:
                self.copies[path] = f"same bytes as a {other_role} {self.noun}: {other}"
            return False
        return self.readable(path)


def refuse_unreadable(config: Data, desk: Desk[S]) -> None:
    """Raise DataError with `data.unreadable: refuse` if a file could not be decoded."""
    if config.unreadable == "skip" or not desk.unreadable:
        return
    named = [f"{path} ({reason})" for path, reason in desk.unreadable.items()]
    raise DataError(
        f"{len(desk.unreadable)} unreadable: {first_of(named)}; replace or remove them, or set `data.unreadable: skip`"
    )
