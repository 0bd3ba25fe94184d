"""The records as datagrams of JSON: one of each frame, and one of each event behind it (docs/records.md)."""
import json
from typing import Any, Dict, List, Optional

import numpy as np

from edge.outputs.live.datagrams import ToAddress
from edge.outputs.live.output import LiveOutput, Record
from edge.outputs.record import POINTS

LARGEST = 65507  # bytes of a datagram of IPv4: 65535 without its two headers
TOO_LARGE = "the record has no room for it in a datagram"


def encode(record: Record) -> bytes:
    """Where it would be too large the points are left out, and `missing` says so."""
    data = _json(record)
    return data if len(data) <= LARGEST else _json(dict(record, faces=[_without_points(face) for face in record["faces"]]))


def _json(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":"), allow_nan=False, default=np.ndarray.tolist).encode("ascii")


def _without_points(face: Record) -> Dict[str, Any]:
    left = {key: value for key, value in face.items() if key not in POINTS}
    return dict(left, missing=dict(face["missing"], **{key: TOO_LARGE for key in POINTS if key in face}))


class UdpJson(ToAddress, LiveOutput):
    def send(self, record: Optional[Record], events: List[Record], now: float) -> None:
        if record is not None:
            self.target.send(encode({key: value for key, value in record.items() if key != "events"}))  # they come behind it
        for event in events:
            self.target.send(encode(event))


make = UdpJson
