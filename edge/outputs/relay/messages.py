"""What the two ends of the relay say to each other. The tracker sends pickles, and frames as packed.py has them, which are
never taken from the other side: whoever has the better of the relay, through a peer of an output, must not have the tracker
run anything. Back comes JSON, bounded and checked.
"""
import json
import marshal
import pickle
import re
import socket
from typing import Any, Dict, List, NamedTuple, Tuple

from edge.host.reading import parse_json
from edge.outputs.relay import packed
from edge.outputs.relay.packed import FRAME, PROTOCOL

SERVE, KNOW, LAST, CLOSE = "serve", "know", "last", "close"  # from the tracker: pack() has what with; and FRAME
STATUS, WARNING, NOTE = "status", "warning", "note"  # from the relay
PICKLE = b"\x80"  # what a pickle begins with, and nothing that marshal writes
SEND_BUFFER = 1 << 17  # Linux makes twice as much of it: some frames with all points, and no more
LARGEST_MESSAGE = 1 << 19
LARGEST_STATUS = 1 << 16
LONGEST_TEXT = 300
MOST_COUNTS = 16  # of one output
COUNT = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
LARGEST_COUNT = 1 << 53
Row = Dict[str, Any]


class Told(NamedTuple):
    """A message of the relay."""

    kind: str
    rows: List[Row] = []  # of STATUS: of each output
    text: str = ""  # of WARNING and NOTE


def ends() -> Tuple[socket.socket, socket.socket]:
    """Both ends of a link that keeps messages apart and never waits."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        end.setblocking(False)
    return ours, theirs


def pack(kind: str, *values: Any) -> bytes:
    """SERVE: specs, options. KNOW: names of coarse shapes. LAST: monotonic time, record. CLOSE: how many seconds
    it may take."""
    return pickle.dumps((kind,) + values, PROTOCOL)


def unpack(data: bytes) -> Tuple[Any, ...]:
    """What pack() or packed.pack() say: kind, values; of a FRAME what packed.unpacked() makes of them."""
    values = pickle.loads(data) if data[:1] == PICKLE else marshal.loads(data)
    return (FRAME, packed.unpacked(*values[1:])) if values[0] == FRAME else tuple(values)


def status(rows: List[Row]) -> bytes:
    return _json({"kind": STATUS, "rows": [dict(row, state=row["state"][:LONGEST_TEXT]) for row in rows]})


def line(kind: str, text: str) -> bytes:
    """WARNING or NOTE."""
    return _json({"kind": kind, "text": " ".join(text.split())[:LONGEST_TEXT]})


def read(data: bytes, outputs: int) -> Told:
    """What the relay of so many outputs said. Raises ValueError."""
    if len(data) > LARGEST_STATUS:
        raise ValueError("it is too long")
    found = parse_json(data)
    kind = found.get("kind") if isinstance(found, dict) else None
    if kind == STATUS:
        rows = found.get("rows")
        if not isinstance(rows, list) or len(rows) != outputs:
            raise ValueError("it has not a row for each output")
        return Told(STATUS, [_row(row) for row in rows])
    if kind in (WARNING, NOTE):
        return Told(kind, [], _text(found.get("text")))
    raise ValueError("it is of no known kind")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _row(found: Any) -> Row:
    if not isinstance(found, dict) or len(found) > MOST_COUNTS or not {"sent", "failed", "dropped", "state"} <= set(found):
        raise ValueError("a row is none")
    for key, value in found.items():
        if key != "state" and (COUNT.match(key) is None or type(value) is not int or not 0 <= value <= LARGEST_COUNT):
            raise ValueError("a count is none")
    return dict(found, state=_text(found["state"]))


def _text(found: Any) -> str:
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_TEXT:
        raise ValueError("a text is none")
    return found
