"""The front of texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetl.fronts.text.read import read_example
from edgetl.fronts.text.tables import TABLES, Table, open_table
from edgetl.types import FrontName, Trait


@dataclass(frozen=True)
class TextFacts:
    """Of a readable text, its length in characters."""

    characters: int
    traits: tuple[Trait, ...] = ()


class TextFront:
    name: FrontName = "text"
    noun = "text"
    a_noun = "a text"
    suffixes: tuple[str, ...] = (".txt",)
    foreign: tuple[str, ...] = (".doc", ".docx", ".odt", ".rtf", ".pdf", ".htm", ".html", ".xml", ".md", ".eml")
    plain = "plain text (.txt)"
    tables: tuple[str, ...] = TABLES

    def examine(self, path: Path) -> TextFacts:
        return TextFacts(len(read_example(path)))

    def content(self, path: Path) -> bytes:
        return read_example(path).encode()

    def open_table(self, path: Path) -> Table:
        return open_table(path)

    def versions(self) -> Mapping[str, str]:
        """Of the character tables that tell what is a letter or a space."""
        return {"unicode": unicodedata.unidata_version}
