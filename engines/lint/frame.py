"""Whether a file can be an ONNX at all, before gigabytes of it are loaded: do the fields of its message end where it ends?

A message of protocol buffers is a row of fields: a number (field * 8 + kind) and then a varint, 8 bytes, a length and so many
bytes, or 4 bytes.
"""
from typing import BinaryIO

from edge.store.own import BYTES, EIGHT, FOUR, VARINT, varint

MOST_FIELDS = 10 ** 5  # of a message; a node or a constant is one
GRAPH = 7  # the field of a model that holds nearly all of it


def check_frame(file: BinaryIO, start: int, end: int, graph: bool = False) -> None:
    """Raises ValueError. The file stands at its beginning afterwards."""
    at = start
    for _ in range(MOST_FIELDS):
        if at == end:
            file.seek(0)
            return
        file.seek(at)
        head = file.read(20)
        key, used = varint(head)
        value, more = varint(head[used:]) if key & 7 in (VARINT, BYTES) else (0, 0)
        at += used + more + {VARINT: 0, EIGHT: 8, BYTES: value, FOUR: 4}.get(key & 7, end)
        if not key >> 3 or at > end:
            raise ValueError("no message")
        if key == GRAPH * 8 + BYTES and not graph:
            check_frame(file, at - value, at, graph=True)
    raise ValueError("too many fields")
