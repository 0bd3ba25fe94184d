"""Which layers of a network stay in FP32: what `nanoface calibrate fp16` found, here or where the project was made.

The lists name nodes of the ONNX. TensorRT's parser names a layer after its node, and a second layer of the same node with
a number behind (onnx-tensorrt 8.2, ImporterContext.hpp: generateUniqueName), so that the nodes' own names must be known to
tell "conv" + "_1" from "conv_1". They are read from the file here: the board has no package onnx.
"""
import os
import re
from typing import Any, Dict, FrozenSet, Iterator, NamedTuple, Optional, Sequence, Tuple

from edge.core import commands
from edge.errors import EngineError, ModelError
from edge.modelstore import StoredNetwork
from edge.planstore import read_object

FILE = "fp16.json"
SCHEMA = 1
SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), FILE)
_GRAPH, _NODE, _NAME, _OUTPUT = 7, 1, 3, 2  # field numbers of onnx.proto: ModelProto.graph, GraphProto.node, NodeProto.*
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers


class Pins(NamedTuple):
    """`whole`: the network is built in FP32 altogether. `note`: a line for the user, "" where nothing is to be said."""

    layers: Tuple[str, ...] = ()
    whole: bool = False
    note: str = ""


def pins_of(home: str, stored: StoredNetwork, shipped: str = SHIPPED) -> Pins:
    """The home's list before the shipped one; a list of another version of the network counts as none.

    Raises EngineError for a file that is damaged.
    """
    outdated = False
    for path in (os.path.join(home, FILE), shipped):
        entry = _entry(path, stored.name)
        if entry is None:
            continue
        if entry.get("onnx_sha256") == stored.sha256:
            return Pins(tuple(sorted(set(entry["fp32_layers"]))), bool(entry.get("whole")))
        outdated = True
    if outdated:
        return Pins(note="{}: the list of layers to keep in FP32 is of another version of it and is left aside: "
                         "`{}` makes a new one".format(stored.name, commands.command("calibrate fp16")))
    return Pins()


def _cure() -> str:
    return "delete it, or " + commands.run("calibrate fp16")


def _entry(path: str, name: str) -> Optional[Dict[str, Any]]:
    content = read_object(path, _cure())
    if content is None:
        return None
    networks = content.get("networks") if content.get("schema") == SCHEMA else None
    if not isinstance(networks, dict):
        raise EngineError("{} is damaged: {}".format(path, _cure()))
    entry = networks.get(name)
    if entry is None:
        return None
    layers = entry.get("fp32_layers") if isinstance(entry, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, str) for layer in layers):
        raise EngineError("the entry of {} in {} is damaged: {}".format(name, path, _cure()))
    return dict(entry)


def pinned(layer: str, pins: Sequence[str], nodes: FrozenSet[str]) -> str:
    """The pin that a layer of the parsed network falls under; "" where none."""
    if layer in pins:
        return layer
    numbered = re.match(r"(.+)_[0-9]+\Z", layer)
    return numbered.group(1) if numbered and numbered.group(1) in pins and layer not in nodes else ""


def node_names(path: str) -> FrozenSet[str]:
    """Names of the nodes of an ONNX file, as the parser would use them. Raises ModelError for what is no such file."""
    try:
        with open(path, "rb") as f:
            content = f.read()
    except OSError as e:
        raise ModelError("{} cannot be read ({})".format(path, e.strerror or e)) from e
    names = []
    try:
        for graph in _fields(content, _GRAPH):
            for node in _fields(graph, _NODE):
                outputs = [b"node_of_" + output for output in _fields(node, _OUTPUT)]  # onnx-tensorrt's getNodeName
                names += (list(_fields(node, _NAME)) + outputs)[:1]
        return frozenset(name.decode("utf-8") for name in names)
    except (IndexError, ValueError) as e:
        raise ModelError("{} is no ONNX file ({})".format(path, e)) from e


def _fields(message: bytes, wanted: int) -> Iterator[bytes]:
    """The values of a repeated field of bytes. Raises IndexError or ValueError where the message is none."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            _, at = _varint(message, at)
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("a field of kind {}".format(kind))
        if at + size > len(message):
            raise ValueError("it ends too early")
        if key >> 3 == wanted and kind == _BYTES:
            yield message[at:at + size]
        at += size


def _varint(message: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
