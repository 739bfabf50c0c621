"""Who reads a value of an ONNX graph: what a rewrite must know before it changes the value."""

from __future__ import annotations

import onnx


def only_reader(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """The node that reads `name`, where it is the only one and the value is no output of the graph."""
    readers = [node for node in graph.node if name in node.input]
    is_output = any(output.name == name for output in graph.output)
    return readers[0] if len(readers) == 1 and not is_output else None
