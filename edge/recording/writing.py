"""A run as the bytes of a recording."""
import json
import zlib
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from edge.recording.format import (
    END,
    EVENTS_ALONE,
    FACTS,
    FRAME,
    HEAD,
    LENGTH,
    MAGIC,
    PER_PIXEL,
    RAW,
    SUM,
    TOTALS,
    VERSION,
    WHOLE,
    WHOLE_EVERY,
    WORDS,
    Steps,
    sum_of,
)

Record = Dict[str, Any]


class Writer:
    """Makes the bytes, in order: head(), frame() for each record, end()."""

    def __init__(self) -> None:
        self._frames, self._time_s = 0, 0.0
        self._before: Steps = {}

    def head(self, facts: Mapping[str, Any]) -> bytes:
        """The first line, and what made the recording, as plain JSON."""
        return MAGIC + "{}\n".format(VERSION).encode("ascii") + _chunk(FACTS, 0, 0.0, zlib.compress(_json(facts)))

    def frame(self, record: Record) -> bytes:
        """`record` has points and events, or at the end events alone. The name of a picture's file is left out."""
        alone = "frame" not in record
        if self._frames % WHOLE_EVERY == 0 or alone:
            self._before = {}
        flags = (0 if self._before else WHOLE) | (EVENTS_ALONE if alone else 0)
        now: Steps = {}
        arrays: List[bytes] = []
        told = {key: value for key, value in record.items() if key != "file"}
        if not alone:
            told["faces"] = faces = [self._without_points(face, now, arrays) for face in record["faces"]]
            for face in faces:  # behind all others, as a reader that knows none of them takes no notice
                if "landmarks68" in face:
                    face["landmarks68"] = self._packed((face["id"], "landmarks68"), face["landmarks68"], now, arrays)
            self._frames += 1
            self._time_s = record.get("time_s", self._time_s)
        text = _json(told)
        packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, WORDS)
        packed = packer.compress(LENGTH.pack(len(text)) + text + b"".join(arrays)) + packer.flush()
        self._before = now
        return _chunk(FRAME, flags, self._time_s, packed)

    def end(self) -> bytes:
        return _chunk(END, 0, self._time_s, TOTALS.pack(self._frames, self._time_s))

    def _without_points(self, face: Record, now: Steps, arrays: List[bytes]) -> Record:
        told = dict(face)
        if "landmarks" in face:
            told["landmarks"] = self._packed((face["id"], "landmarks"), face["landmarks"], now, arrays)
        if "eye_contours" in face:
            told["eye_contours"] = {side: self._packed((face["id"], side), points, now, arrays)
                                    for side, points in face["eye_contours"].items()}
        return told

    def _packed(self, key: Tuple[Any, str], points: Any, now: Steps, arrays: List[bytes]) -> int:
        """How many bytes one number takes in `arrays`; below 0 where it is a difference."""
        values = np.asarray(points, np.float64)
        scaled = np.rint(values * PER_PIXEL)
        if np.abs(scaled).max() >= 1 << 29 or not np.array_equal(scaled / PER_PIXEL, values):
            arrays.append(values.astype("<f8").tobytes())
            return RAW
        steps = now[key] = scaled.astype(np.int64)
        before = self._before.get(key)
        numbers = (steps if before is None else steps - before).T.ravel()
        folded = (numbers << 1) ^ (numbers >> 63)  # small ones of either sign are small
        width = 2 if folded.max() < 1 << 16 else 4
        arrays.append(folded.astype("<u{}".format(width)).view(np.uint8).reshape(-1, width).T.tobytes())
        return width if before is None else -width


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _chunk(kind: bytes, flags: int, time_s: float, payload: bytes) -> bytes:
    head = HEAD.pack(kind, flags, time_s, len(payload))
    return head + SUM.pack(sum_of(head, payload)) + payload
