"""A film's frames in order, decoded by the program ffmpeg: pixels on its standard output, what they are on its standard error
(the filter showinfo), and the packets that they are made of, copied undecoded, as numbers alone (the muxer framecrc).
"""
import os
import re
from collections import deque
from typing import Callable, Deque, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from edge.host.ffmpeg import Ffmpeg
from edge.sources.films.packets import COPY, PacketLines, Packets, Times
from edge.sources.films.process import PACKETS_PIPE, PIECE_BYTES, FfmpegChild, FfmpegHangs

# the filter's own name is missing where a decoder's thread has written half a line before; a line may hold two, the first of
# them broken off
SHOWN = re.compile(r"n: *(\d+) +pts: *(-?\d+|NOPTS) (?:(?!n: *\d+ +pts:).)*? s:(\d+)x(\d+) ")
BASE = re.compile(r"config in time_base: (\d+)/(\d+), frame_rate: (\d+)/(\d+)")
COMPLAINT = re.compile(r"\[(?:error|fatal|panic)\]")
COMPLAINT_WITHOUT_LEVEL = re.compile(r"error|invalid|corrupt|damaged|missing|truncat|overread|illegal", re.IGNORECASE)
REFUSED = re.compile(r"Error (?:submitting (?:a )?packet to (?:the )?decoder|while decoding stream)")
ENDS_EARLY = re.compile(r"partial file|File ended prematurely|Truncating packet")
# messages of demuxers that lose an unknown number of packets: Matroska, Ogg, FLV, ASF
HOLE = re.compile(r"invalid as first byte of an EBML number|CRC mismatch!$|Packet mismatch|packet_obj_size")
CONTEXT = re.compile(r"^(?:\[[^\]]*\] )*")
MOST_THREADS = 4  # of the decoder; the tracker needs the others
SPARE_BYTES, BYTES_PER_PIXEL = 1 << 30, 64  # a decoder's memory: some 16 reference frames, those of its threads, and ours
AHEAD_FRAMES, AHEAD_BYTES = 64, 64 << 20  # decoded before it is known which packets came before: another thread writes it
NO_STEP_S = "1000000"  # a gap in a broadcast is a gap; only times that go back, as of films put together, are made to go on
LIKE_FILES, LIKE_LISTS = "file", "file,crypto,data,http,https,tcp,tls"  # what may be opened


class Wanted(NamedTuple):
    """What to decode."""

    path: str
    stream: int
    codec: str
    most_pixels: int
    pixels: int  # of the film as its header has it
    mirror: str = ""  # a filter in the place of ffmpeg's own turning
    listed: bool = False  # a playlist that was named as one
    start_s: Optional[float] = None  # since its container's first moment; times are then the container's own


class Decoded(NamedTuple):
    """`time_s` counts from the container's first moment; None where it has no times. `lost`: those of frames before it that
    could not be decoded."""

    time_s: Optional[float]
    image: np.ndarray
    lost: Times


class _Shown(NamedTuple):
    """What showinfo's line says of a frame. Where no whole line came `missing` is the number of frames from it to the next one
    that has a line, `before_s` the time of that one, if there is one."""

    number: int  # of this pass
    first: int  # the number of the first frame since its filters were made: those are of one size
    time_s: Optional[float]
    size: Tuple[int, int]
    missing: int = 0
    before_s: Optional[float] = None


class Decoder:
    """One pass over a film. give_up() may come from any thread."""

    def __init__(self, ffmpeg: Ffmpeg, wanted: Wanted) -> None:
        """Raises SourceError."""
        self.packets = Packets(wanted.codec, wanted.start_s is None)
        self.rate = 0.0  # frames a second, the stream's own; 0 where it has none
        self.last_complaint = ""
        self.ends_early = self.has_holes = False  # as the container has it
        self._levels = ffmpeg.version >= (4, 1)
        self._scales = ffmpeg.version < (4, 4)  # to the first frame's size: there is no switch for it
        self._shown: Deque[_Shown] = deque()
        self._ready: Deque[_Shown] = deque()
        self._images: Deque[np.ndarray] = deque()
        self._unread = bytearray()  # pixels that came while a frame's line was waited for
        self._piece = memoryview(bytearray(PIECE_BYTES))
        self._shown_first = self._shown_count = self._count = self._frame_bytes = 0
        self._size: Optional[Tuple[int, int]] = None
        self._last_s: Optional[float] = None
        self._hangs = False
        self._tick_s, self._lines = 0.0, PacketLines()
        self._first_size: Optional[Tuple[int, int]] = None
        memory = SPARE_BYTES + BYTES_PER_PIXEL * wanted.pixels
        self._child = FfmpegChild(command(ffmpeg, wanted), memory, self._on_line, self._on_packet_line)
        self.give_up: Callable[[], None] = self._child.give_up

    def next(self) -> Decoded:
        """Raises EOFError at the end, FfmpegHangs where ffmpeg hangs."""
        try:
            while not self._hangs and not self._is_sure():
                image = self._read()
                if image is None:
                    break
                self._images.append(image)
        except FfmpegHangs:
            self._hangs = True
        if not self._ready:
            raise FfmpegHangs() if self._hangs else EOFError()
        shown, image = self._ready.popleft(), self._images.popleft()
        time_s = self._missing_time_s(shown) if shown.missing else shown.time_s
        self._last_s = time_s
        lost = self.packets.frame(time_s, self._ready[0].time_s if self._ready else None)
        if image.shape[:2] != shown.size[::-1]:
            image = cv2.resize(image, shown.size, interpolation=cv2.INTER_AREA)
        return Decoded(time_s, image, lost)

    def end(self) -> Optional[int]:
        """As FfmpegChild.end()."""
        return self._child.end()

    def _is_sure(self) -> bool:
        """Whether the next frame is there, the one after it, and all packets before it; or so many frames that ffmpeg would
        block."""
        if not self._ready:
            return False
        if len(self._images) >= AHEAD_FRAMES or sum(image.nbytes for image in self._images) >= AHEAD_BYTES:
            return True
        time_s = self._ready[0].before_s if self._ready[0].missing else self._ready[0].time_s
        known = time_s is None or not self._child.has_packet_lines or self.packets.knows_before(time_s)
        return known and len(self._ready) > 1

    def _read(self) -> Optional[np.ndarray]:
        """The next frame's pixels; None at the end."""
        shown = self._next_shown()
        if shown is None:
            return None
        self._size = shown.size
        if self._first_size is None:
            self._first_size = shown.size
        width, height = self._first_size if self._scales else shown.size
        image = np.empty((height, width, 3), np.uint8)
        self._frame_bytes = image.nbytes
        rest = memoryview(image.reshape(-1))  # type: ignore  # a buffer, which numpy's types do not say
        waits = min(len(rest), len(self._unread))
        rest[:waits], rest = self._unread[:waits], rest[waits:]
        del self._unread[:waits]
        while rest:
            count = self._child.pump(rest)
            if count < 0:
                return None
            rest = rest[count:]
        self._ready.append(shown)
        self._count += 1
        return image

    def _next_shown(self) -> Optional[_Shown]:
        """Of the frame whose pixels come next; None at the end. While its line is missing the pixels are read all the same:
        until they are, ffmpeg may write no other line."""
        while True:
            while self._shown and self._shown[0].number < self._count:
                self._shown.popleft()  # it came too late
            if self._shown or len(self._unread) >= max(AHEAD_BYTES, self._frame_bytes):
                break
            count = self._child.pump(self._piece, True)
            if count < 0:
                break
            self._unread += self._piece[:count]
        later = self._shown[0] if self._shown else None
        if later is not None and later.number == self._count:
            return self._shown.popleft()
        size = later.size if later is not None and later.first <= self._count else self._size
        if size is None or later is None and len(self._unread) < self._frame_bytes:
            return None
        missing, before_s = (1, None) if later is None else (later.number - self._count, later.time_s)
        return _Shown(self._count, self._count, None, size, missing, before_s)

    def _missing_time_s(self, shown: _Shown) -> Optional[float]:
        """Of a frame whose line is missing: its packet's, else one between those of the frames around it."""
        time_s = self.packets.between(self._last_s, shown.before_s, shown.missing)
        step_s = 1.0 / self.rate if self.rate else 0.0
        if time_s is not None:
            return time_s
        if self._last_s is None:
            return None if shown.before_s is None else shown.before_s - shown.missing * step_s
        if shown.before_s is None:
            return self._last_s + step_s
        return self._last_s + (shown.before_s - self._last_s) / (shown.missing + 1)

    def _on_line(self, line: str) -> None:
        for shown in SHOWN.finditer(line):
            self._on_shown(*shown.groups())
        base = BASE.search(line)
        if base is not None:
            self._tick_s = int(base.group(1)) / max(1.0, float(base.group(2)))
            self.rate = int(base.group(3)) / max(1.0, float(base.group(4)))
        self.has_holes = self.has_holes or HOLE.search(line) is not None
        if self._complains(line):
            self.packets.complaint(REFUSED.search(line) is not None)
            self.last_complaint = CONTEXT.sub("", line).strip()
            self.ends_early = self.ends_early or ENDS_EARLY.search(line) is not None

    def _on_shown(self, number: str, ticks: str, width: str, height: str) -> None:
        if int(number) < self._shown_count - self._shown_first:
            self._shown_first = self._shown_count  # the filters were made anew, as for another size, and count anew
        self._shown_count = self._shown_first + int(number) + 1
        time_s = None if ticks == "NOPTS" else int(ticks) * self._tick_s
        self._shown.append(_Shown(self._shown_count - 1, self._shown_first, time_s, (int(width), int(height))))

    def _complains(self, line: str) -> bool:
        """FFmpeg's threads write into each other's lines: inside one of showinfo's a complaint has no level."""
        mark = COMPLAINT if self._levels and "showinfo" not in line else COMPLAINT_WITHOUT_LEVEL
        return mark.search(line) is not None

    def _on_packet_line(self, line: str) -> None:
        packet = self._lines.read(line)
        if packet is not None:
            self.packets.packet(packet)


def common(ffmpeg: Ffmpeg, most_pixels: int) -> List[str]:
    """The arguments before those of the film."""
    level = "repeat+level+info" if ffmpeg.version >= (4, 1) else "repeat+info"
    return [ffmpeg.path, "-nostdin", "-nostats", "-hide_banner", "-v", level, "-max_pixels", str(most_pixels)]


def opened(path: str, listed: bool) -> List[str]:
    return ["-protocol_whitelist", LIKE_LISTS if listed else LIKE_FILES, "-i", "file:" + path]


def command(ffmpeg: Ffmpeg, wanted: Wanted) -> List[str]:
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    argv = common(ffmpeg, wanted.most_pixels) + ["-threads", str(threads)]
    if wanted.mirror:
        argv += ["-noautorotate"]
    if wanted.start_s is not None:
        argv += ["-copyts", "-noaccurate_seek", "-ss", "{:.6f}".format(wanted.start_s)]
    argv += ["-dts_delta_threshold", NO_STEP_S] + opened(wanted.path, wanted.listed)
    stream = ["-map", "0:{}".format(wanted.stream)]
    show = "showinfo=checksum=0" if ffmpeg.version >= (4, 2) else "showinfo"
    argv += stream + ["-vf", ",".join(text for text in (wanted.mirror, show) if text)] + ffmpeg.every_frame
    if ffmpeg.version >= (4, 4):
        argv += ["-noautoscale"]
    argv += ["-f", "rawvideo", "-pix_fmt", "bgr24", "pipe:1"]
    return argv + stream + COPY + [PACKETS_PIPE]
