"""Users' YAML files: bounded, no duplicate keys, no surprises of YAML 1.1, plain errors.

`off`, `no`, `2026-11-28` and `12:30` stay text; only `true` and `false` are booleans.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from edgetl.errors import UsageError
from edgetl.files.digest import open_plain
from edgetl.files.file_kind import ONNX_REFUSAL, describe_bytes
from edgetl.files.text import escaped, quoted, shortened

MAX_BYTES = 200_000
_DEEPEST = 40
_MOST_VALUES = 20_000  # aliases count every time they are used
_LINE_CHARACTERS = 200
_TEXT_KINDS = ("text", "yaml", "json", "unknown", "xml")


def read_yaml_file(path: Path, what: str) -> Any:
    """The plain value of a YAML file. what  "the recipe", for the message. Raises UsageError with one line."""
    where = escaped(str(path))
    try:
        with open_plain(path) as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = "Is a directory" if path.is_dir() else error.strerror
        raise UsageError(f"{where}: cannot read {what}: {reason}") from error
    kind = describe_bytes(data)
    if kind.kind == "onnx":
        raise UsageError(f"{where}: {ONNX_REFUSAL}")
    if kind.kind not in (*_TEXT_KINDS, "empty"):
        raise UsageError(f"{where}: cannot read {what}: {kind.sentence}")
    if len(data) > MAX_BYTES:
        raise UsageError(f"{where}: cannot read {what}: larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: cannot read {what}: it is not UTF-8 text; save it as UTF-8") from error
    try:
        return read_yaml(text)
    except ValueError as error:
        raise UsageError(f"{where}: not valid YAML: {error}") from error


def read_yaml(text: str) -> Any:
    """The plain value of a YAML document. Raises ValueError with one short line for an invalid one."""
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(
            f"{place}{shortened(error.problem or error.context or 'not YAML', _LINE_CHARACTERS)}"
        ) from error
    except yaml.reader.ReaderError as error:
        raise ValueError(f"character {error.position + 1} is not allowed in text: {error.character!r}") from error
    except Exception as error:  # PyYAML does not catch errors raised by a value's own type
        raise ValueError(shortened(str(error), _LINE_CHARACTERS) or type(error).__name__) from error


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema, every key once, and a bound on depth and on the number of values."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("nested too deeply")
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if alias and id(node) not in self._sizes:
            raise ValueError("an alias to its own parent")
        if id(node) not in self._sizes:
            _refuse_repeated_keys(node)
            self._sizes[id(node)] = 1 + sum(self._sizes[id(each)] for each in _children(node))
        if self._sizes[id(node)] > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES} values, counting every use of an alias")
        return node

    def whole_number(self, node: Any) -> int:
        text = self.construct_scalar(node).replace("_", "")
        return int(text, 16) if "x" in text else int(text)


def _refuse_repeated_keys(node: Any) -> None:
    seen: dict[str, int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"line {line}: a list or a mapping cannot be a key")
        if key.value in seen:
            raise ValueError(f"line {line}: the key {quoted(key.value)} occurs twice, first in line {seen[key.value]}")
        seen[key.value] = line


def _children(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


_KEPT = {
    character: [(tag, pattern) for tag, pattern in rows if tag.rpartition(":")[2] in ("null", "float", "merge")]
    for character, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.yaml_implicit_resolvers = {character: rows for character, rows in _KEPT.items() if rows}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile("^(?:[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)
