"""Opens the user's ONNX file and refuses, in one line, what cannot be imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto
from onnx.external_data_helper import load_external_data_for_model, uses_external_data

from edgetl.backends.failures import one_line
from edgetl.backends.onnx_rules import MAX_PIVOT_BYTES, NEWEST_OPSET, OLDEST_OPSET
from edgetl.errors import UsageError, WeightsError
from edgetl.files.digest import file_digest, value_digest
from edgetl.files.file_kind import describe
from edgetl.pivot.outside_data import NotOnnx, has_outside_data
from edgetl.recipes.network import Network

Layout = Literal["nchw", "nhwc"]

_RANK = 4
_CHANNELS = (3, 1)
_MOST_NAMED = 8
_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_CONTROL = ("If", "Loop", "Scan")
_STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class Opened:
    """The user's network with all its tensors.

    height, width  of the input; batch  its fixed size, None if it is open; channels  3 colors, or 1 of gray
    """

    path: Path
    model: onnx.ModelProto
    layout: Layout
    takes_bytes: bool
    height: int
    width: int
    batch: int | None
    opset: int
    channels: int = 3

    @property
    def input_name(self) -> str:
        return _inputs(self.model)[0].name


def open_network(path: Path, settings: Network) -> Opened:
    """Read and check the file. Raises UsageError for a setting that does not fit it, WeightsError for a file that
    cannot be used, with the node at fault."""
    model = _with_outside_data(_read(path), path)
    opset = _opset(model, path)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    _refuse_operators(model, opset, path)
    _choose_output(model, settings.output, path)
    kind, sizes = _input(model, path)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # its own errors and others, by what is wrong
        raise WeightsError(f"{path}: not a valid ONNX model: {one_line(error)}") from error
    layout = _layout(sizes, settings, path)
    height, width = _height_and_width(sizes, layout, settings, path)
    channels = sizes[1 if layout == "nchw" else 3] or _CHANNELS[0]
    if channels == 1 and kind == TensorProto.UINT8:
        raise WeightsError(f"{path}: a network for gray images takes float32; found an input of bytes; export it so")
    return Opened(path, model, layout, kind == TensorProto.UINT8, height, width, sizes[0], opset, channels)


def network_digest(path: Path) -> str:
    """Digest of the file and of those in which its tensors are. Raises UsageError, WeightsError."""
    _require_file(path)
    try:
        if not has_outside_data(path):
            return file_digest(path)
    except NotOnnx as error:
        raise _not_onnx(path) from error
    places = _outside_files(_read(path), path)
    return value_digest([file_digest(path), *(file_digest(place) for place in places)])


def refuse_control_flow(model: onnx.ModelProto, path: Path) -> None:
    """Raise WeightsError for a node that chooses or repeats a part of the graph."""
    for node in model.graph.node:
        if node.op_type in _CONTROL:
            raise WeightsError(
                f"{path}: {_place(node)}: control flow is not supported; export the network with one fixed path"
            )


def _require_file(path: Path) -> None:
    if not path.exists():
        raise UsageError(f"{path}: no such file (network.file); name a trained ONNX classifier")
    kind = describe(path)
    if kind.kind not in ("onnx", "unknown"):
        raise WeightsError(f"{path}: expected an ONNX model; {kind.sentence or f'found {kind.name}'}")


def _not_onnx(path: Path) -> WeightsError:
    return WeightsError(f"{path}: not an ONNX file, or truncated; export the network again")


def _read(path: Path) -> onnx.ModelProto:
    _require_file(path)
    try:
        if path.stat().st_size > MAX_PIVOT_BYTES:
            raise WeightsError(f"{path}: expected at most {MAX_PIVOT_BYTES} bytes, found {path.stat().st_size}")
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DecodeError as error:
        raise _not_onnx(path) from error
    if not model.graph.node:
        raise _not_onnx(path)
    return model


def _outside_files(model: onnx.ModelProto, path: Path) -> list[Path]:
    """The files beside the model that hold its tensors. Raises WeightsError for a missing one."""
    names = dict.fromkeys(
        entry.value
        for tensor in model.graph.initializer
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    )
    for name in names:
        if not (path.parent / name).is_file():
            raise WeightsError(f"{path}: its weights are in `{name}`, which is missing; copy it beside the model")
    return [path.parent / name for name in names]


def _with_outside_data(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    files = _outside_files(model, path)
    if sum(file.stat().st_size for file in files) > MAX_PIVOT_BYTES:
        raise WeightsError(f"{path}: expected at most {MAX_PIVOT_BYTES} bytes of weights, found more")
    if files:
        try:
            load_external_data_for_model(model, str(path.parent))
        except Exception as error:  # a link, a path outside the folder, too few bytes: all are its own errors
            raise WeightsError(f"{path}: its weights cannot be read: {one_line(error)}") from error
    return model


def _opset(model: onnx.ModelProto, path: Path) -> int:
    opset = next((entry.version for entry in model.opset_import if entry.domain in _STANDARD), 0)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise WeightsError(
            f"{path}: expected opset {OLDEST_OPSET} to {NEWEST_OPSET}, found {opset}; export it again, or convert it "
            "with onnx.version_converter"
        )
    return int(opset)


def _place(node: onnx.NodeProto) -> str:
    return f"node `{node.name or (node.output[0] if node.output else '')}` ({node.op_type})"


def _refuse_operators(model: onnx.ModelProto, opset: int, path: Path) -> None:
    for node in model.graph.node:
        if node.op_type in _QUANTIZED or node.op_type.startswith("QLinear"):
            raise WeightsError(f"{path}: {_place(node)}: the network is already quantized; give the float network")
        if node.domain not in _STANDARD:
            raise WeightsError(
                f"{path}: {_place(node)}: the operator is of the domain `{node.domain}`, not of ONNX; export the "
                "network without it"
            )
        if not onnx.defs.has(node.op_type, max_inclusive_version=opset):
            raise WeightsError(
                f"{path}: {_place(node)}: ONNX has no such operator in opset {opset}; the exporter could not convert "
                "this part of the network, so export it with a newer version or opset"
            )
    for tensor in model.graph.initializer:
        if tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE):
            kind = TensorProto.DataType.Name(tensor.data_type).lower()
            raise WeightsError(f"{path}: tensor `{tensor.name}`: expected float32 weights, found {kind}; export it so")


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def _choose_output(model: onnx.ModelProto, name: str | None, path: Path) -> None:
    """Leave one output, in place."""
    values = list(model.graph.output)
    chosen = [value for value in values if value.name == name] if name else values
    if len(chosen) != 1:
        if name:
            raise UsageError(f"{path}: network.output: no output `{name}`; the file has {_named(values)}")
        raise UsageError(
            f"{path}: expected one output, found {len(values)} ({_named(values)}); name the one with the class scores: "
            "--output NAME (network.output)"
        )
    del model.graph.output[:]
    model.graph.output.extend(chosen)


def _named(values: Sequence[onnx.ValueInfoProto]) -> str:
    return ", ".join(f"`{value.name}`" for value in values[:_MOST_NAMED]) or "none"


def _input(model: onnx.ModelProto, path: Path) -> tuple[int, list[int | None]]:
    """Type and sizes of the only input."""
    values = _inputs(model)
    if len(values) != 1:
        raise WeightsError(
            f"{path}: expected one input, found {len(values)} ({_named(values)}); cut the network to one image in and "
            "one row of class scores out (onnx.utils.extract_model)"
        )
    (value,) = values
    kind = value.type.tensor_type.elem_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim]
    shown = f"{TensorProto.DataType.Name(kind).lower()} ({', '.join(str(size or '?') for size in sizes)})"
    if kind not in (TensorProto.FLOAT, TensorProto.UINT8) or len(sizes) != _RANK:
        raise WeightsError(
            f"{path}: input `{value.name}`: expected an image, float32 or uint8, of shape (batch, 3, height, width) or "
            f"(batch, height, width, 3), or with 1 for gray; found {shown}"
        )
    return kind, sizes


def _layout(sizes: list[int | None], settings: Network, path: Path) -> Layout:
    shown = f"({', '.join(str(size or '?') for size in sizes)})"
    places: dict[Layout, int | None] = {"nchw": sizes[1], "nhwc": sizes[3]}
    possible = [name for name, size in places.items() if size in _CHANNELS]
    if settings.layout != "auto":
        if places[settings.layout] not in (*_CHANNELS, None):
            where = "second" if settings.layout == "nchw" else "last"
            raise UsageError(
                f"{path}: layout: {settings.layout} has its 3 colors {where}, but the input has the shape {shown}; "
                f"use layout: {'nhwc' if settings.layout == 'nchw' else 'nchw'}"
            )
        return settings.layout
    if len(possible) == 1:
        return possible[0]
    if possible or None in places.values():
        raise UsageError(f"{path}: the input's shape {shown} does not show where colors are; set layout: nchw or nhwc")
    raise WeightsError(f"{path}: expected an input with 3 color channels, or 1 of gray, found the shape {shown}")


def _height_and_width(sizes: list[int | None], layout: Layout, settings: Network, path: Path) -> tuple[int, int]:
    found = sizes[2:] if layout == "nchw" else sizes[1:3]
    given = settings.height_and_width()
    if given is None:
        if found[0] is None or found[1] is None:
            raise UsageError(f"{path}: the file leaves the size of the image open; set network.input_size, as in 224")
        return found[0], found[1]
    if any(size not in (None, wanted) for size, wanted in zip(found, given, strict=True)):
        raise UsageError(
            f"{path}: network.input_size: the file takes {found[0]}x{found[1]} pixels, found {given[0]}x{given[1]}; "
            "leave it out"
        )
    return given
