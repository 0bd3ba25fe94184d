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
from edge.sources.films.process import PACKETS_PIPE, FfmpegChild, FfmpegHangs

# the filter's own name is missing where a decoder's thread has written half a line before
SHOWN = re.compile(r"n: *\d+ +pts: *(-?\d+|NOPTS) .*? s:(\d+)x(\d+) ")
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
AHEAD_FRAMES, AHEAD_BYTES = 8, 64 << 20  # that are decoded before it is known which packets came before them
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
    time_s: Optional[float]
    size: Tuple[int, int]


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
        self._tick_s, self._lines = 0.0, PacketLines()
        self._first_size: Optional[Tuple[int, int]] = None
        memory = SPARE_BYTES + BYTES_PER_PIXEL * wanted.pixels
        self._child = FfmpegChild(command(ffmpeg, wanted), memory, self._on_line, self._on_packet_line)
        self.give_up: Callable[[], None] = self._child.give_up

    def next(self) -> Decoded:
        """Raises EOFError at the end, FfmpegHangs where ffmpeg hangs."""
        try:
            while not self._is_sure():
                image = self._read()
                if image is None:
                    break
                self._images.append(image)
        except FfmpegHangs:
            if not self._ready:
                raise
        if not self._ready:
            raise EOFError()
        shown, image = self._ready.popleft(), self._images.popleft()
        lost = self.packets.frame(shown.time_s, self._ready[0].time_s if self._ready else None)
        if image.shape[:2] != shown.size[::-1]:
            image = cv2.resize(image, shown.size, interpolation=cv2.INTER_AREA)
        return Decoded(shown.time_s, image, lost)

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
        time_s = self._ready[0].time_s
        known = time_s is None or not self._child.has_packet_lines or self.packets.knows_before(time_s)
        return known and len(self._ready) > 1

    def _read(self) -> Optional[np.ndarray]:
        """The next frame's pixels; None at the end."""
        while not self._shown:
            if self._child.pump(None) < 0:
                return None
        shown = self._shown.popleft()
        if self._first_size is None:
            self._first_size = shown.size
        width, height = self._first_size if self._scales else shown.size
        image = np.empty((height, width, 3), np.uint8)
        rest = memoryview(image.reshape(-1))  # type: ignore  # a buffer, which numpy's types do not say
        while rest:
            count = self._child.pump(rest)
            if count < 0:
                return None
            rest = rest[count:]
        self._ready.append(shown)
        return image

    def _on_line(self, line: str) -> None:
        shown = SHOWN.search(line)
        base = BASE.search(line) if shown is None else None
        if shown is not None:
            time_s = None if shown.group(1) == "NOPTS" else int(shown.group(1)) * self._tick_s
            self._shown.append(_Shown(time_s, (int(shown.group(2)), int(shown.group(3)))))
        elif base is not None:
            self._tick_s = int(base.group(1)) / max(1.0, float(base.group(2)))
            self.rate = int(base.group(3)) / max(1.0, float(base.group(4)))
        self.has_holes = self.has_holes or HOLE.search(line) is not None
        if self._complains(line):
            self.packets.complaint(REFUSED.search(line) is not None)
            self.last_complaint = CONTEXT.sub("", line).strip()
            self.ends_early = self.ends_early or ENDS_EARLY.search(line) is not None

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
    return [ffmpeg.path, "-nostdin", "-hide_banner", "-v", level, "-max_pixels", str(most_pixels)]


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
