"""Reads what MXNet saves: the symbol (a graph as JSON) and the parameters."""
import json
import struct
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

import numpy as np

_LIST_MAGIC = 0x112
_ARRAY_MAGIC = 0xF993FAC9  # with a storage type, since MXNet 1.0
_DTYPES: Dict[int, np.dtype] = {
    0: np.dtype("<f4"), 1: np.dtype("<f8"), 2: np.dtype("<f2"),
}


class MxNode(NamedTuple):
    """A node of the symbol; op "null" is an input or a parameter."""

    op: str
    name: str
    inputs: Tuple[int, ...]  # indices of nodes; every operator of the known networks has one output
    attributes: Mapping[str, str]


class MxSymbol(NamedTuple):
    nodes: List[MxNode]
    heads: Tuple[int, ...]


def read_symbol(path: str) -> MxSymbol:
    with open(path, encoding="utf-8") as f:
        symbol = json.load(f)
    nodes = []
    for node in symbol["nodes"]:
        attributes = node.get("attrs") or node.get("attr") or node.get("param") or {}
        nodes.append(MxNode(node["op"], node["name"], tuple(i[0] for i in node["inputs"]), attributes))
    return MxSymbol(nodes, tuple(h[0] for h in symbol["heads"]))


class _Bytes:
    """Little-endian numbers, one after another."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, layout: str) -> Any:
        value, = struct.unpack_from("<" + layout, self._data, self._at)
        self._at += struct.calcsize("<" + layout)
        return value

    def array(self) -> np.ndarray:
        """Magic, storage type (0: dense), shape, device (two numbers), number type, values."""
        if self.take("I") != _ARRAY_MAGIC or self.take("i") != 0:
            raise ValueError("not a dense array of MXNet 1.x")
        shape = [self.take("q") for _ in range(self.take("I"))]
        self.take("q")
        dtype = _DTYPES[self.take("i")]
        count = int(np.prod(shape))
        values = np.frombuffer(self._data, dtype, count, self._at).reshape(shape)
        self._at += count * dtype.itemsize
        return values


def read_params(path: str) -> Dict[str, np.ndarray]:
    """Name, without its "arg:" or "aux:", -> array."""
    with open(path, "rb") as f:
        data = _Bytes(f.read())
    if data.take("Q") != _LIST_MAGIC:
        raise ValueError("not a file of MXNet parameters")
    data.take("Q")
    arrays = [data.array() for _ in range(data.take("Q"))]
    names = [data.take("{}s".format(data.take("Q"))).decode("utf-8") for _ in range(data.take("Q"))]
    if len(names) != len(arrays):
        raise ValueError("arrays without names")
    return {name.split(":", 1)[-1]: array for name, array in zip(names, arrays)}
