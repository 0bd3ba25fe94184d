"""What OpenCV 4.1 does not tell of a video: when each frame is shown, and how the camera was held.

Its POS_MSEC is the frame's number divided by the mean rate, which is wrong for phones and GIFs (variable rate), and it
ignores the rotation. MP4 and QuickTime: ISO/IEC 14496-12 (boxes moov, trak, mdhd, stts, ctts, elst, tkhd). GIF: GIF89a.
"""
import struct
from typing import Any, BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

MAX_HEADER_BYTES = 64 << 20  # a longer moov or GIF is not read: the mean rate has to do
GIF_UNIT_S, GIF_SHORTEST, GIF_DEFAULT = 0.01, 2, 10  # delays below 20 ms mean 100 ms, as browsers and FFmpeg have it
ROTATIONS = {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}


class Container(NamedTuple):
    """`times_s` is (N,) float64, ascending, from 0; `rotate` the degrees clockwise to show a frame upright."""

    times_s: np.ndarray
    rotate: int


def read_container(path: str) -> Optional[Container]:
    """None for other containers, and for one that is damaged or does something rare."""
    try:
        with open(path, "rb") as f:
            head = f.read(12)
            f.seek(0)
            if head[:6] in (b"GIF87a", b"GIF89a"):
                times = _gif_times(f.read(MAX_HEADER_BYTES))
                return None if times is None else Container(times, 0)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                moov = _find_moov(f)
                return None if moov is None else _read_movie(moov)
    except (OSError, struct.error, IndexError, KeyError, ValueError, OverflowError):
        return None
    return None


def _find_moov(f: BinaryIO) -> Optional[bytes]:
    """Walks the top level without reading the frames."""
    position = 0
    while True:
        f.seek(position)
        head = f.read(16)
        if len(head) < 8:
            return None
        size, kind = struct.unpack(">I4s", head[:8])
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", head[8:16])[0], 16
        if kind == b"moov":
            if not header <= size <= MAX_HEADER_BYTES:
                return None
            f.seek(position + header)
            return f.read(size - header)
        if size < header:
            return None
        position += size


def _boxes(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if size < 8:
            return
        yield kind, data[position + 8:position + size]
        position += size


def _inside(data: bytes, *path: bytes) -> bytes:
    """The first box at a path of names. Raises KeyError."""
    for name in path:
        data = next((body for kind, body in _boxes(data) if kind == name), b"")
        if not data:
            raise KeyError(name)
    return data


def _read_movie(moov: bytes) -> Optional[Container]:
    movie_scale = _timescale(_inside(moov, b"mvhd"))
    for kind, track in _boxes(moov):
        if kind == b"trak" and _inside(track, b"mdia", b"hdlr")[8:12] == b"vide":
            scale = _timescale(_inside(track, b"mdia", b"mdhd"))
            shown = _shown_at(_inside(track, b"mdia", b"minf", b"stbl"))
            window = _edit(track, movie_scale, scale)
            if window is None or not len(shown):
                return None
            shown = shown[(shown >= window[0]) & (shown < window[1])]
            return Container((shown - shown[0]) / float(scale), _rotation(_inside(track, b"tkhd")))
    return None


def _timescale(header: bytes) -> int:
    """Units per second of an mvhd or mdhd box."""
    return int(struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0])


def _table(box: bytes, fields: int) -> np.ndarray:
    """(N, fields) int64 of a box with 4 bytes of flags, a count, and 32-bit entries."""
    count = struct.unpack_from(">I", box, 4)[0]
    return np.frombuffer(box, ">u4", count * fields, 8).astype(np.int64).reshape(count, fields)


def _shown_at(stbl: bytes) -> np.ndarray:
    """(N,) int64 presentation times in units of the track, ascending: decoding times plus composition offsets."""
    stts = _table(_inside(stbl, b"stts"), 2)
    steps = np.repeat(stts[:, 1], stts[:, 0])
    decoded = np.cumsum(steps) - steps
    boxes: Dict[bytes, bytes] = dict(_boxes(stbl))
    if b"ctts" in boxes:
        ctts = _table(boxes[b"ctts"], 2)
        offsets = np.repeat(ctts[:, 1].astype(np.uint32).astype(np.int32), ctts[:, 0])
        decoded[:len(offsets)] += offsets[:len(decoded)]
    return np.sort(decoded)


def _edit(track: bytes, movie_scale: int, scale: int) -> Optional[Tuple[int, float]]:
    """Which part of the track is shown, in its own units. None where an edit list does more than cut."""
    try:
        box = _inside(track, b"edts", b"elst")
    except KeyError:
        return 0, float("inf")
    long = box[0] == 1
    entry = struct.Struct(">QqI" if long else ">IiI")
    count = struct.unpack_from(">I", box, 4)[0]
    edits = [entry.unpack_from(box, 8 + i * entry.size) for i in range(count)]
    shown = [(duration, start) for duration, start, _ in edits if start >= 0]  # -1: nothing is shown for a while
    if len(shown) != 1:
        return None
    duration, start = shown[0]
    return start, start + float(duration) * scale / movie_scale if duration else float("inf")


def _rotation(tkhd: bytes) -> int:
    """From the first row (a, b) of the display matrix, 16.16 fixed point; other turns than by 90 degrees are none."""
    a, b = struct.unpack_from(">ii", tkhd, 52 if tkhd[0] == 1 else 40)
    return ROTATIONS.get((int(np.sign(a)), int(np.sign(b))), 0)


def _gif_times(data: bytes) -> Optional[np.ndarray]:
    """Each image comes after its graphic control extension, which has the delay to the next."""
    position = 13 + _palette(data[10])
    delay, now = GIF_DEFAULT, 0.0
    times: List[float] = []
    while data[position] != 0x3B:
        if data[position] == 0x21:
            if data[position + 1] == 0xF9:
                delay = struct.unpack_from("<H", data, position + 4)[0]
            position = _past_blocks(data, position + 2)
        elif data[position] == 0x2C:
            times.append(now * GIF_UNIT_S)
            now += delay if delay >= GIF_SHORTEST else GIF_DEFAULT
            delay = GIF_DEFAULT
            position = _past_blocks(data, position + 11 + _palette(data[position + 9]))
        else:
            return None
    return np.array(times) if times else None


def _palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _past_blocks(data: Any, position: int) -> int:
    while data[position]:
        position += data[position] + 1
    return position + 1
