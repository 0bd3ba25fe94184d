"""What a film's header holds and the program ffmpeg does not print: ISO/IEC 14496-12 and 23001-7 (MP4, QuickTime), AVI, GIF.

How many frames it promises, whether the file ends before it should, whether it is encrypted (encv), and how it is mirrored,
which FFmpeg before 5 does not see (tkhd). A few bytes of each box are read, never a table: a count is believed only where
the file has room for it.
"""
import os
import struct
from typing import BinaryIO, Iterator, NamedTuple, Optional, Tuple

MOST_BOXES, MOST_TRACKS, MOST_PARTS, MOST_IN_PART = 4096, 32, 16, 512  # more are not looked at
GIF_TAIL = 1024  # bytes in which its last sign is, whatever fills the file
INSIDE = (b"trak", b"mdia", b"minf", b"stbl", b"edts")
Box = Tuple[bytes, int, int]  # kind, begin and end of its body, which may lie behind the file's end
FILTERS = {  # signs of a, b, c, d of the display matrix: x' = a x + c y, y' = b x + d y -> what ffmpeg is to do
    (-1, 0, 0, 1): "hflip", (1, 0, 0, -1): "vflip",
    (0, 1, 1, 0): "transpose=cclock_flip", (0, -1, -1, 0): "transpose=clock_flip",
}


class Track(NamedTuple):
    """Of pictures. `frames` is None where the header does not hold it (fragments); `mirror` is a filter of ffmpeg, or ""."""

    frames: Optional[int] = None
    encrypted: bool = False
    mirror: str = ""


class Header(NamedTuple):
    tracks: Tuple[Track, ...] = ()
    cut_off: bool = False  # the file is shorter than its header has it
    impossible: int = 0  # a number of frames that no file of this size holds, else 0
    brand: str = ""  # of an ISO file

    def track(self, number: int) -> Track:
        """That of the film's n-th stream of pictures."""
        return self.tracks[number] if number < len(self.tracks) else Track()


def read_header(path: str) -> Header:
    """An empty one for another container, or where it is damaged."""
    try:
        size = os.stat(path).st_size
        with open(path, "rb") as f:
            head = f.read(64)
            if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
                return _read_avi(head, size)
            if head[:4] == b"GIF8":
                f.seek(max(0, size - GIF_TAIL))
                return Header(cut_off=not f.read().rstrip(b"\0\r\n").endswith(b";"))
            return _read_iso(f, size)
    except (OSError, struct.error, ValueError, OverflowError):
        return Header()


def _read_avi(head: bytes, size: int) -> Header:
    length, frames = struct.unpack_from("<I", head, 4)[0], struct.unpack_from("<I", head, 48)[0]
    return Header((Track(frames if head[24:28] == b"avih" and 0 < frames <= size else None),), size < length)


def _read_iso(f: BinaryIO, size: int) -> Header:
    tops = list(_boxes(f, 0, size))
    if not tops or tops[0][0] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"):
        return Header()
    f.seek(8)
    brand = f.read(4).decode("ascii", "replace") if tops[0][0] == b"ftyp" else ""
    tracks, impossible, fragments = [], 0, False
    movie = next((top for top in tops if top[0] == b"moov"), (b"", 0, 0))
    for kind, begin, end in list(_boxes(f, movie[1], min(movie[2], size), MOST_TRACKS)):
        fragments = fragments or kind == b"mvex"
        if kind == b"trak":
            found = _read_track(f, begin, min(end, size))
            impossible = max(impossible, found.count if found.count > size else 0)
            if found.film:
                tracks.append(found)
    found_tracks = tuple(Track(None if fragments or t.edited or not 0 < t.count <= size else t.count, t.encrypted, t.mirror)
                         for t in tracks)
    return Header(found_tracks, any(end > size for _, _, end in tops), impossible, brand)


def _boxes(f: BinaryIO, begin: int, end: int, most: int = MOST_BOXES) -> Iterator[Box]:
    for _ in range(most):
        if begin + 8 > end:
            return
        f.seek(begin)
        head = f.read(16)
        size, kind = struct.unpack(">I4s", head[:8])
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", head[8:16])[0], 16
        elif size == 0:
            size = end - begin
        if size < header:
            return
        yield kind, begin + header, begin + size
        begin += size


class _Found:
    """Of one track."""

    def __init__(self) -> None:
        self.count, self.film, self.encrypted, self.edited, self.mirror = 0, False, False, False, ""

    def read(self, kind: bytes, body: bytes) -> None:
        """`body` is as much of the box as is needed."""
        if kind == b"hdlr":
            self.film = self.film or body[8:12] == b"vide"
        elif kind == b"stsz":
            self.count = int(struct.unpack_from(">I", body, 8)[0])
        elif kind == b"stsd":
            self.encrypted = body[12:16] == b"encv"
        elif kind == b"tkhd":
            matrix = struct.unpack_from(">5i", body, 52 if body[0] == 1 else 40)
            a, b, c, d = [int(v > 0) - int(v < 0) for v in (matrix[0], matrix[1], matrix[3], matrix[4])]
            self.mirror = FILTERS.get((a, b, c, d), "")
        elif kind == b"elst":
            entry = struct.Struct(">Qq" if body[0] == 1 else ">Ii")
            count, step = struct.unpack_from(">I", body, 4)[0], entry.size + 4
            starts = [entry.unpack_from(body, 8 + i * step)[1] for i in range(min(count, 4))]
            self.edited = count > 4 or len([s for s in starts if s >= 0]) != 1  # more than a delay and one cut


def _read_track(f: BinaryIO, begin: int, end: int) -> _Found:
    found, inside = _Found(), [(begin, end)]
    for _ in range(MOST_PARTS):
        if not inside:
            break
        outer = inside.pop()
        for kind, first, last in _boxes(f, outer[0], outer[1], MOST_IN_PART):
            if kind in INSIDE:
                inside.append((first, min(last, outer[1])))
            else:
                f.seek(first)
                found.read(kind, f.read(min(last - first, 128)))
    return found
