"""The format of a recorded run, see docs/recordings.md: every frame record with its points, and no picture.

A line with the version, then chunks, each with a checksum. Points are whole hundredths of a pixel, which is all that a record
holds of them, as differences to the frame before.
"""
import re
import struct
import zlib
from typing import Any, Dict, Tuple

import numpy as np

from edge.core.packet import CONTOUR_POINTS, IBUG_POINTS, POINTS, Eyes
from edge.core.parts import SHAPES

VERSION = 1
MAGIC = b"NANOFACE RECORDING "
FIRST_LINE = re.compile(rb"NANOFACE RECORDING (\d{1,4})\n")
FIRST_BYTES = 32  # that hold the first line
HEAD = struct.Struct("<cBdI")  # kind, flags, time_s, bytes of the payload; behind it its checksum
SUM, LENGTH = struct.Struct("<I"), struct.Struct("<I")
SIZE = HEAD.size + SUM.size
FACTS, FRAME, END = b"H", b"F", b"Z"  # kinds of chunks
WHOLE, EVENTS_ALONE = 1, 2  # flags: needs no frame before it; belongs to no frame
TOTALS = struct.Struct("<Qd")  # of END: frames, and the time of the last one
WHOLE_EVERY = 64  # frames: from there a reader may begin
MOST_BYTES = 4 << 20  # of a chunk, also unpacked: 32 faces take half a MB
MOST_FACES = 64
LONGEST_S = 1e9
PER_PIXEL = 100.0  # steps
RAW = 8  # bytes of a point that is no whole number of steps, or too far out
EYES = Eyes._fields
SHAPE_OF = {"landmarks": (POINTS, 3), EYES[0]: (CONTOUR_POINTS, 2), EYES[1]: (CONTOUR_POINTS, 2),
            "landmarks68": (IBUG_POINTS, 2)}
# what records repeat, so that a chunk need not: a part of the format
WORDS = ('"event":"id":"phase":"end","face":,"start_s":"end_s":"duration_s":"confidence":"cut":true{"schema":1,"frame":,'
         '"captured_at":,"time_s":,"age_ms":,"size":[640,480],"faces":[{"id":1,"score":1.0,"box":[,"landmarks":-2,"pose":'
         '{"yaw":-,"pitch":-,"roll":-,"rotation":[[0.99],[-0.0],[0.]],"translation_mm":[],"residual_px":,"neutral":{}},"iris":'
         '{"right":{"center":[],"radius":,"score":0.9},"left":{"center":[],"radius":,"score":0.9}},"gaze":{"yaw":,"pitch":,'
         '"direction":[-0.,0.,-0.9],"right":{"yaw":,"pitch":},"left":{"yaw":,"pitch":}},"expression":{"eye_open_right":1.0,'
         '"eye_open_left":1.0,"mouth_open":0.0,' + ",".join('"{}":0.0'.format(name) for name in SHAPES) +
         '},"eye_contours":{"right":-2,"left":-2},"missing":{}}],"events":[]}').encode("ascii")
Steps = Dict[Tuple[Any, str], np.ndarray]  # face and what of it -> (N, 2 or 3) whole steps


def sum_of(head: bytes, payload: bytes) -> int:
    """The checksum of a chunk; `head` is that without it."""
    return zlib.crc32(payload, zlib.crc32(head)) & 0xFFFFFFFF
