"""A recorded film (or GIF, or another moving picture) through the program ffmpeg: every frame once, at its presentation time,
and a number for each that could not be decoded.
"""
import os
from collections import deque
from typing import Deque, List, NamedTuple, Optional

import numpy as np

from edge.core.errors import SourceError
from edge.host import ffmpeg
from edge.host.reading import open_regular
from edge.sources.films import probe
from edge.sources.films.decoder import Decoded, Decoder, Wanted
from edge.sources.films.header import Header, Track, read_header
from edge.sources.films.process import FfmpegHangs, GivenUp
from edge.sources.playlist import HEAD_BYTES, check_file, names_one
from edge.sources.recorded import SAME_TIME_S, Recording

DEFAULT_FPS = 30.0  # where the container has no plausible rate
SEEK_WORTH_S = 10.0  # up to here all frames are decoded, so that their numbers are exact
SEEK_MARGIN_S = 2.0
RATE_STEP = 0.0051  # ffmpeg prints a mean rate in steps of a hundredth
RATE_SAME = 1e-3  # the mean of times that are rounded
COUNT_TOLERANCE = 0.01  # of a number of frames that is made from a length
MIRRORS_ITSELF = (6, 0)  # the version from which ffmpeg surely does


class _Frame(NamedTuple):
    """`image` is None where it could not be decoded."""

    time_s: Optional[float]
    image: Optional[np.ndarray]


class VideoFile(Recording):
    """`fps` replaces the file's own times where it is given."""

    def __init__(self, path: str, fps: Optional[float], most_pixels: int) -> None:
        self.name = path
        self._fixed_fps, self._most_pixels = fps, most_pixels
        self._track, self._cut_off = Track(), False
        self._times_s: Optional[np.ndarray] = None  # (N,) float64, ascending, from 0: of its packets
        self._base_s: Optional[float] = None  # the first frame's time, since the container's first moment
        self._decoder: Optional[Decoder] = None
        self._ahead: Deque[_Frame] = deque()
        self._image: Optional[np.ndarray] = None
        self._index, self._time_s = -1, 0.0
        self._lost = self._come = 0  # frames of this pass
        self._seeked = self._ended = False

    def open(self) -> None:
        head = _read_head(self.name)
        found = ffmpeg.find()
        if found is None:
            raise SourceError("{}: films are read by the program ffmpeg, which is not here: {}".format(
                self.name, ffmpeg.cure()))
        self._ffmpeg = found
        header = read_header(self.name)
        if header.impossible:
            raise SourceError("{}: its header counts {} frames, more than the file has room for: it is damaged".format(
                self.name, header.impossible))
        self._film = probe.look(found, self.name, names_one(self.name), self._most_pixels)
        self._wanted = self._choose(header, head)
        self._track = header.track(self._stream.number)
        self._cut_off = header.cut_off
        times = self._film.times_s if self._stream is self._film.streams[0] and not self._cut_off else []
        if times and None not in times:
            self._times_s = np.sort(np.array(times, np.float64)) - min(time_s for time_s in times if time_s is not None)
        self._start(None)
        if not self._fetch() or all(frame.image is None for frame in self._ahead):
            complaints = [self._decoder.last_complaint] if self._decoder is not None else []
            self.close()
            self.warning = ""  # the error replaces it
            raise SourceError(self._why_not(header, head, complaints))
        self._learn_rate()

    def _choose(self, header: Header, head: bytes) -> Wanted:
        """Which stream, or SourceError."""
        large = next((probe.TOO_LARGE.search(line) for line in self._film.lines if probe.TOO_LARGE.search(line)), None)
        if large is not None:
            raise SourceError(probe.too_large(self.name, large.group(1), self._most_pixels))
        if not self._film.streams:
            raise SourceError(self._why_not(header, head, []))
        self._stream = self._film.best()
        track = header.track(self._stream.number)
        if track.encrypted:
            raise SourceError(probe.encrypted(self.name))
        width, height = self._stream.size or (0, 0)
        if width * height > self._most_pixels:
            raise SourceError(probe.too_large(self.name, "{}x{}".format(width, height), self._most_pixels))
        mirror = "" if self._ffmpeg.version >= MIRRORS_ITSELF else track.mirror
        return Wanted(self.name, self._stream.at, self._stream.codec, self._most_pixels, width * height, mirror,
                      names_one(self.name))

    def _why_not(self, header: Header, head: bytes, complaints: List[str]) -> str:
        return probe.why_not(self.name, self._film, header, head, self._ffmpeg.version, complaints)

    def _learn_rate(self) -> None:
        """The mean rate and the number of frames, as far as they are known."""
        mean, exact = self._stream.fps, self._decoder.rate if self._decoder is not None else 0.0
        if self._times_s is not None and self._times_s[-1] > 0:
            mean = (len(self._times_s) - 1) / float(self._times_s[-1])
        if abs(mean - exact) < max(RATE_STEP, RATE_SAME * exact):
            mean = exact
        self.fps = self._fixed_fps or (mean if 0.001 <= mean <= 1000 else DEFAULT_FPS)
        length = self._film.length_s
        self.count = len(self._film.times_s) or (None if length is None or mean <= 0 else max(1, int(round(length * mean))))
        frames = self._track.frames
        if frames is not None and (self.count is None or frames <= self.count + max(2.0, COUNT_TOLERANCE * self.count)):
            self.count = frames  # else an edit list hides the others

    def advance(self) -> float:
        if not self._ahead and not self._fetch():
            raise EOFError(self.name)
        frame = self._ahead.popleft()
        self._index += 1
        self._image = frame.image
        self._lost += frame.image is None
        self._come += frame.image is not None
        self.lost = max(self.lost, self._lost)
        self._time_s = self._presentation_s(frame.time_s)
        return self._time_s

    def picture(self) -> Optional[np.ndarray]:
        return self._image

    def rewind(self) -> None:
        self._start(None)

    def seek(self, time_s: float) -> None:
        """Only where the file's own times show where the seek ended; else the frames before are decoded."""
        if time_s < SEEK_WORTH_S or self._fixed_fps or self._base_s is None:
            return
        self._start(max(0.0, self._base_s + time_s - SEEK_MARGIN_S))
        reached = self._fetch()
        first_s = self._ahead[0].time_s if reached else None
        at = -1.0 if first_s is None else first_s - self._first_s()
        if 0.0 < at <= time_s:
            self._index, self._time_s = int(round(at * self.fps)) - 1, at - SAME_TIME_S
        else:
            self.rewind()

    def give_up(self) -> None:
        decoder = self._decoder
        if decoder is not None:
            decoder.give_up()

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.end()
            self._decoder = None
            if not self._ended:
                self._set_warning(self._lost)
        self._ended = True
        self._ahead.clear()

    def count_between(self, start_s: float, end_s: Optional[float]) -> Optional[int]:
        times = self._times_s
        if times is None or self._fixed_fps:
            return super().count_between(start_s, end_s)
        end = float("inf") if end_s is None else end_s
        return int(np.count_nonzero((times >= start_s - SAME_TIME_S) & (times < end - SAME_TIME_S)))

    def _start(self, from_s: Optional[float]) -> None:
        """A new pass."""
        self.close()
        self._decoder = Decoder(self._ffmpeg, self._wanted._replace(start_s=from_s))
        self._seeked, self._ended = from_s is not None, False
        self._index, self._time_s, self._lost, self._come = -1, 0.0, 0, 0

    def _fetch(self) -> bool:
        """Whether there is one more frame, good or lost."""
        if self._decoder is None or self._ended:
            return False
        try:
            decoded = self._decoder.next()
        except GivenUp:
            self.close()
            return False
        except EOFError:
            self._ended = True
            return self._finish(self._decoder)
        except FfmpegHangs:
            self.close()
            raise SourceError("{}: FFmpeg hangs in it after {} frames".format(self.name, self._come)) from None
        self._take(decoded)
        return True

    def _take(self, decoded: Decoded) -> None:
        self._ahead.extend(_Frame(time_s, None) for time_s in decoded.lost)
        self._ahead.append(_Frame(decoded.time_s, decoded.image))
        if self._base_s is None and not self._seeked:
            self._base_s = self._ahead[0].time_s if self._ahead[0].time_s is not None else decoded.time_s

    def _finish(self, decoder: Decoder) -> bool:
        """The end: whether frames are left, which were lost behind the last one. Sets the warning."""
        status, packets = decoder.end(), decoder.packets
        crashed = status is not None and status < 0
        if crashed:
            packets.complaint(False)
        self._ahead.extend(_Frame(time_s, None) for time_s in packets.end())
        lost = self._lost + len(self._ahead)
        doubtful = self._cut_off or packets.complained
        if doubtful and self._track.frames is not None and not self._seeked and not packets.discarded:
            lost = max(lost, self._track.frames - self._come)  # those that the header promises
        why = "FFmpeg crashed in it (signal {})".format(-(status or 0)) if crashed else ""
        if not why and (self._cut_off or decoder.ends_early):
            why = "it ends early, as if it was cut off"
        self._set_warning(lost, why or ("parts of it are damaged" if decoder.has_holes else ""))
        return bool(self._ahead)

    def _set_warning(self, lost: int, why: str = "") -> None:
        """`why` may be known where the number of missing frames is not."""
        self.lost = max(self.lost, lost, 1 if why else 0)
        if self.lost:
            parts = [self.name, why, "{} of {} frames could be decoded".format(self._come, self._come + lost)]
            self.warning = ": ".join(part for part in parts if part)

    def _first_s(self) -> float:
        """The first frame's time as this pass counts it."""
        return (self._base_s or 0.0) + (self._film.start_s if self._seeked else 0.0)

    def _presentation_s(self, time_s: Optional[float]) -> float:
        """Seconds since the first frame, later than the frame before; a bad time becomes one step at the mean rate."""
        if self._fixed_fps:
            return self._index / self._fixed_fps
        if self._index == 0:
            return 0.0
        since_s = float("nan") if time_s is None else time_s - self._first_s()
        return since_s if self._time_s < since_s < float("inf") else self._time_s + 1.0 / self.fps


def _read_head(path: str) -> bytes:
    """Raises SourceError for what is no film at first sight."""
    try:
        with os.fdopen(open_regular(path), "rb") as f:
            head = f.read(HEAD_BYTES)
    except OSError as e:
        raise SourceError("{} cannot be read: {}".format(path, e.strerror)) from e
    if not head:
        raise SourceError("{} is empty".format(path))
    check_file(path, head)
    return head
