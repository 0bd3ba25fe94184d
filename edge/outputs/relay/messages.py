"""What the two ends of the relay say to each other. The tracker sends pickles, which are never taken from the other side:
whoever has the better of the relay, through a peer of an output, must not have the tracker run anything. Back comes JSON,
bounded and checked.
"""
import json
import pickle
import re
import socket
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from edge.host.reading import parse_json
from edge.outputs.record import POINTS

SERVE, KNOW, FRAME, LAST, CLOSE = "serve", "know", "frame", "last", "close"  # from the tracker: pack() has what with
STATUS, WARNING, NOTE = "status", "warning", "note"  # from the relay
PROTOCOL = 4  # of pickle: both ends are the same Python, and bytes of arrays go as they are, unlike in 2
SEND_BUFFER = 1 << 17  # Linux makes twice as much of it: some frames with all points, and no more
LARGEST_RECORD = 1 << 19
LARGEST_STATUS = 1 << 16
LONGEST_TEXT = 300
MOST_COUNTS = 16  # of one output
COUNT = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
LARGEST_COUNT = 1 << 53
Row = Dict[str, Any]
Place = Tuple[int, str, str, int, int]  # of an array: number of the face, quantity, eye or "", rows, columns


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


def pack_frame(at: float, record: Dict[str, Any]) -> List[Any]:
    """FRAME: monotonic time, record; in pieces, for sendmsg(). Arrays stand behind the pickle as they are: to pickle them
    takes longer than all the rest."""
    places: List[Place] = []
    arrays: List[np.ndarray] = []
    faces = [_taken_out(face, i, places, arrays) for i, face in enumerate(record["faces"])]
    if not arrays:
        return [pickle.dumps((FRAME, at, record), PROTOCOL)]
    return [pickle.dumps((FRAME, at, dict(record, faces=faces), places), PROTOCOL)] + arrays


def unpack(data: bytes) -> Tuple[Any, ...]:
    """What pack() or the joined pieces of pack_frame() say: kind, values. Arrays cannot be written to."""
    values = pickle.loads(data)  # it heeds nothing behind its end
    if values[0] != FRAME or len(values) == 3:
        return tuple(values)
    _, at, record, places = values
    offset = len(data) - sum(8 * rows * columns for _, _, _, rows, columns in places)
    for face, quantity, part, rows, columns in places:
        array = np.frombuffer(data, np.float64, rows * columns, offset).reshape(rows, columns)
        offset += array.nbytes
        into = record["faces"][face]
        if part:
            into, quantity = into.setdefault(quantity, {}), part
        into[quantity] = array
    return FRAME, at, record


def _taken_out(face: Dict[str, Any], number: int, places: List[Place], arrays: List[np.ndarray]) -> Dict[str, Any]:
    """The face without its arrays; which they are goes to `places`, they themselves to `arrays`."""
    less = face
    for quantity in POINTS:
        if quantity not in face:
            continue
        value = face[quantity]
        parts = value if isinstance(value, dict) else {"": value}
        if not all(isinstance(array, np.ndarray) for array in parts.values()):
            continue
        less = {key: value for key, value in less.items() if key != quantity}
        for part, array in parts.items():
            places.append((number, quantity, part) + array.shape)
            arrays.append(np.ascontiguousarray(array, np.float64))
    return less


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
