"""Untrusted XML files: bounded, without a document type, entities and namespaces. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from edgetl.errors import DataError
from edgetl.files.digest import open_plain
from edgetl.files.file_kind import describe_bytes

MAX_BYTES = 20_000_000
_DEEPEST, _MOST_ELEMENTS = 20, 200_000


@dataclass
class Element:
    """An element: its name, its text without that of its children, and its children. Attributes are left out."""

    name: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> list[Element]:
        """The children of this name."""
        return [child for child in self.children if child.name == name]


def read_xml(path: Path, what: str) -> Element:
    """The root element of an XML file. what  "a Pascal VOC file", for the message. Raises DataError with one line."""
    try:
        with open_plain(path) as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise DataError(f"{path}: not {what}: larger than {MAX_BYTES} bytes")
    try:
        return _parsed(data)
    except expat.ExpatError as error:
        kind = describe_bytes(data)
        instead = "" if kind.kind in ("xml", "text", "svg", "html") else kind.sentence
        place = f"invalid XML at line {error.lineno}: {expat.ErrorString(error.code)}"
        raise DataError(f"{path}: not {what}: {instead or place}") from error
    except (ValueError, LookupError) as error:  # of the bounds here, and of an unknown encoding
        raise DataError(f"{path}: not {what}: {error}") from error


def _parsed(data: bytes) -> Element:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = Element("", 0)
    stack, count = [top], 0

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > _DEEPEST or count > _MOST_ELEMENTS:
            raise ValueError("nested too deeply" if len(stack) > _DEEPEST else f"more than {_MOST_ELEMENTS} elements")
        element = Element(name, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def refuse(*_: object) -> None:
        raise ValueError("it declares a document type (DOCTYPE), which could define entities; remove that line")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.Parse(data, True)
    return top.children[0]
