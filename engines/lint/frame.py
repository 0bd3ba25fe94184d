"""Whether a file can be an ONNX at all, before gigabytes of it are loaded: do the fields of its message end where it ends?

A message of protocol buffers is a row of fields: a number (field * 8 + kind) and then a varint, 8 bytes, a length and so many
bytes, or 4 bytes.
"""
from typing import BinaryIO, Tuple

MOST_FIELDS = 10 ** 5  # of a message; a node or a constant is one
GRAPH = 7  # the field of a model that holds nearly all of it
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5


def check_frame(file: BinaryIO, start: int, end: int, graph: bool = False) -> None:
    """Raises ValueError. The file stands at its beginning afterwards."""
    at = start
    for _ in range(MOST_FIELDS):
        if at == end:
            file.seek(0)
            return
        file.seek(at)
        head = file.read(20)
        key, used = _varint(head)
        value, more = _varint(head[used:]) if key & 7 in (VARINT, BYTES) else (0, 0)
        at += used + more + {VARINT: 0, EIGHT: 8, BYTES: value, FOUR: 4}.get(key & 7, end)
        if not key >> 3 or at > end:
            raise ValueError("no message")
        if key == GRAPH * 8 + BYTES and not graph:
            check_frame(file, at - value, at, graph=True)
    raise ValueError("too many fields")


def _varint(data: bytes) -> Tuple[int, int]:
    """A number and how many bytes it takes."""
    value = 0
    for i, byte in enumerate(data[:10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, i + 1
    raise ValueError("no number")
