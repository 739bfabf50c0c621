"""The readers of a value in an ONNX graph, which a rewrite must know before it changes the value."""

from __future__ import annotations

import onnx


def only_reader(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """The node that reads `name`, if it is the only one and the value is not an output of the graph."""
    readers = [node for node in graph.node if name in node.input]
    is_output = any(output.name == name for output in graph.output)
    return readers[0] if len(readers) == 1 and not is_output else None


class Readers:
    """The nodes that read each value of a graph, for rewrites that look at many values."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._of: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in dict.fromkeys(node.input):
                self._of.setdefault(name, []).append(node)

    def of(self, name: str) -> list[onnx.NodeProto]:
        return list(self._of.get(name, ()))

    def redirect(self, name: str, source: str) -> None:
        """Make all readers of `name` read `source`. `name` must not be an output of the graph."""
        for node in self._of.pop(name, []):
            node.input[:] = [source if each == name else each for each in node.input]
            self._of.setdefault(source, []).append(node)
