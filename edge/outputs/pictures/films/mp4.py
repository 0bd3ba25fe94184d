"""From an MP4 in fragments to an ordinary one, without touching a frame: ISO/IEC 14496-12, as far as one track needs it.

Each fragment holds one frame: a `moof` with its time and whether a player can start there, and an `mdat` with its bytes. An
ordinary film has all that in one index, the `moov`, at its beginning or at its end.
"""
import os
import struct
from array import array
from collections import OrderedDict
from typing import Dict, List, Sequence, Tuple

LONGEST_MOOF = 512  # bytes; of one frame it has about a hundred
NO_KEY = 0x10000  # of a sample's flags
MOST = 0xFFFFFFFF  # a duration that is longer is left open
CONTAINERS = (b"moov", b"trak", b"mdia", b"minf")
FRAGMENTED = (b"mvex", b"edts")
DURATIONS = {b"mvhd": 16, b"tkhd": 20, b"mdhd": 16}  # where they stand, in version 0
TICKS = 60000  # a second: steps of 24, 25, 29.97, 30, 50, 60 and 240 fps are whole; the codec MPEG-4 counts to 65535
MOVIE_SCALE = 1000  # a second in `mvhd` and `tkhd`


class Fragments:
    """What there is of a film that another process writes; look() takes in what is new. Raises OSError."""

    def __init__(self, fd: int) -> None:
        self._fd, self._at = fd, 0
        self.end = 0  # of the last whole frame
        self.first = 0  # byte behind the head, which is `ftyp` and `moov`
        self.times, self.offsets, self.sizes = array("Q"), array("Q"), array("I")
        self.keys = array("I")  # numbers of frames, from 1
        self._time, self._flags = 0, 0

    @property
    def frames(self) -> int:
        return len(self.sizes)

    def look(self) -> int:
        """How many frames there are by now, from the first on without a gap."""
        size = os.fstat(self._fd).st_size
        while True:
            box = os.pread(self._fd, LONGEST_MOOF, self._at)
            if len(box) < 8:
                return self.frames
            length, kind = struct.unpack(">I4s", box[:8])
            if length < 8 or self._at + length > size:
                return self.frames
            if kind == b"moov":
                self.first = self._at + length
            elif kind == b"moof":
                self._time, self._flags = _of_moof(box[:length])
            elif kind == b"mdat":
                self._add(length)
            self._at += length

    def _add(self, length: int) -> None:
        self.times.append(self._time)
        self.offsets.append(self._at + 8)
        self.sizes.append(length - 8)
        if not self._flags & NO_KEY:
            self.keys.append(self.frames)
        self.end = self._at + length

    def head(self) -> Tuple[bytes, bytes]:
        """`ftyp` and `moov`."""
        head = os.pread(self._fd, self.first, 0)
        length = struct.unpack(">I", head[:4])[0]
        return head[:length], head[length:]

    def index(self, moov: bytes, hold: int, offsets: Sequence[int]) -> bytes:
        """The `moov` of an ordinary film whose frames are at `offsets`; the last one stands for `hold` ticks."""
        steps = [b - a for a, b in zip(self.times, self.times[1:])] + [hold]
        wide = offsets[-1] > MOST
        tables = OrderedDict([
            (b"stts", _full(_runs(steps))), (b"stss", _full(_rows("I", self.keys))),
            (b"stsc", _full(struct.pack(">4I", 1, 1, 1, 1))),  # from chunk 1 on one frame each
            (b"stsz", _full(struct.pack(">I", 0) + _rows("I", self.sizes))),
            (b"co64" if wide else b"stco", _full(_rows("Q" if wide else "I", offsets)))])
        return _rebuilt(moov, tables, sum(steps))

    def copy(self, fd: int, hold: int) -> None:
        """The ordinary film into an empty file, its index first."""
        ftyp, moov = self.head()
        start = len(ftyp) + len(self.index(moov, hold, self.offsets)) + 16
        moved = array("Q", [start])
        for size in self.sizes[:-1]:
            moved.append(moved[-1] + size)
        total = sum(self.sizes)
        with os.fdopen(os.dup(fd), "wb") as f:
            f.write(ftyp + self.index(moov, hold, moved) + _large_mdat(total + 16))
            for offset, size in zip(self.offsets, self.sizes):
                f.write(os.pread(self._fd, size, offset))

    def settle(self, hold: int) -> None:
        """Make it an ordinary film where it is: the index behind the frames, then all before it becomes their `mdat`.

        Until the last write it is the film in fragments that it was.
        """
        ftyp, moov = self.head()
        os.pwrite(self._fd, self.index(moov, hold, self.offsets), self.end)
        sync(self._fd)
        os.pwrite(self._fd, _large_mdat(self.end - len(ftyp)), len(ftyp))


def sync(fd: int) -> None:
    """What was written outlives a power cut."""
    getattr(os, "fdatasync", os.fsync)(fd)  # not on macOS


def _of_moof(box: bytes) -> Tuple[int, int]:
    """When its first frame is shown, in ticks, and the flags of that."""
    tfdt, tfhd, trun = (box.index(kind) + 4 for kind in (b"tfdt", b"tfhd", b"trun"))
    time = struct.unpack_from(">Q" if box[tfdt] else ">I", box, tfdt + 4)[0]
    if struct.unpack_from(">I", box, trun)[0] & 0x4:  # the first frame has flags of its own, behind count and offset
        return time, struct.unpack_from(">I", box, trun + 12)[0]
    end = tfhd - 8 + struct.unpack_from(">I", box, tfhd - 8)[0]
    return time, struct.unpack_from(">I", box, end - 4)[0]


def _boxes(data: bytes) -> List[Tuple[bytes, bytes]]:
    """Names and contents."""
    found, at = [], 0
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        found.append((kind, data[at + 8:at + length]))
        at += max(8, length)
    return found


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _rebuilt(boxes: bytes, tables: Dict[bytes, bytes], ticks: int) -> bytes:
    """With `tables` in the place of the empty ones, the durations, and nothing about fragments."""
    new = []
    for kind, content in _boxes(boxes):
        if kind in CONTAINERS:
            content = _rebuilt(content, tables, ticks)
        elif kind == b"stbl":
            content = _box(b"stsd", dict(_boxes(content))[b"stsd"]) + b"".join(_box(*table) for table in tables.items())
        elif kind in DURATIONS and content[0] == 0:
            at = DURATIONS[kind]
            lasts = ticks if kind == b"mdhd" else ticks * MOVIE_SCALE // TICKS
            content = content[:at] + struct.pack(">I", min(MOST, lasts)) + content[at + 4:]
        if kind not in FRAGMENTED:
            new.append(_box(kind, content))
    return b"".join(new)


def _full(rows: bytes) -> bytes:
    """With version and flags."""
    return b"\0\0\0\0" + rows


def _rows(kind: str, values: Sequence[int]) -> bytes:
    return struct.pack(">I{}{}".format(len(values), kind), len(values), *values)


def _runs(steps: Sequence[int]) -> bytes:
    """Of equal steps: how many, and how long."""
    runs: List[List[int]] = []
    for step in steps:
        if runs and runs[-1][1] == step:
            runs[-1][0] += 1
        else:
            runs.append([1, step])
    return struct.pack(">I", len(runs)) + b"".join(struct.pack(">2I", *run) for run in runs)


def _large_mdat(length: int) -> bytes:
    return struct.pack(">I4sQ", 1, b"mdat", length)
