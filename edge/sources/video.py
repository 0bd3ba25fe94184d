"""A video file (or GIF) through OpenCV: every frame once, at its presentation time, whatever the version of OpenCV."""
from typing import Any, Callable, Optional

import cv2
import numpy as np

from edge.errors import SourceError
from edge.sources.container import Container, read_container
from edge.sources.picture import ROTATE_CODES, is_picture
from edge.sources.playlist import HEAD_BYTES, check_file
from edge.sources.recorded import SAME_TIME_S, Recording

DEFAULT_FPS = 30.0  # where a container says nothing sensible
SEEK_WORTH_S = 10.0  # decoding that much is quicker than to fear for the frame's number
SEEK_MARGIN_S = 2.0
COUNT_TOLERANCE = 0.01  # a container's frame count may be an estimate from its length
Factory = Callable[..., Any]  # cv2.VideoCapture, or what a test puts in its place


class VideoFile(Recording):
    """`fps` replaces the file's own times where it is given."""

    def __init__(self, path: str, fps: Optional[float], factory: Factory = cv2.VideoCapture) -> None:
        self.name = path
        self._fixed_fps, self._factory = fps, factory
        self._capture: Any = None
        self._container: Optional[Container] = None
        self._rotate: Optional[int] = None
        self._counts_frames = False  # POS_MSEC is the number of frames read / rate (OpenCV 4.1), not a time of the file
        self._base_s, self._time_s = 0.0, 0.0
        self._index = -1  # of the frame that advance() went to
        self._ahead = False  # the next frame is grabbed already
        self._seeked = False

    def open(self) -> None:
        _check_readable(self.name)
        self._container = read_container(self.name)
        self._start()
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = self._fixed_fps or (rate if 0.1 <= rate <= 1000 else DEFAULT_FPS)
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if 0 < count < 1e9 else None
        self._base_s = self._position_s()
        self._counts_frames = rate > 0 and abs(self._base_s - 1.0 / rate) < 1e-6
        degrees = self._container.rotate if self._container is not None else self._orientation()
        self._rotate = ROTATE_CODES.get(degrees)

    def advance(self) -> float:
        if self._capture is None:
            raise EOFError(self.name)
        if not self._ahead and not self._capture.grab():
            self._note_missing()
            raise EOFError(self.name)
        self._ahead = False
        self._index += 1
        self._time_s = self._presentation_s()
        return self._time_s

    def picture(self) -> Optional[np.ndarray]:
        try:
            done, image = self._capture.retrieve()
        except cv2.error:  # a damaged frame may have a size of its own
            return None
        if not done or not is_picture(image):
            return None
        return image if self._rotate is None else cv2.rotate(image, self._rotate)

    def rewind(self) -> None:
        self.close()
        self._start()

    def seek(self, time_s: float) -> None:
        """Only where the file's own times tell where the seek really ended; else the frames before are decoded."""
        if time_s < SEEK_WORTH_S or self._counts_frames or self._fixed_fps:
            return
        self._capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * (self._base_s + time_s - SEEK_MARGIN_S))
        reached = self._capture.grab()
        at = self._position_s() - self._base_s
        if reached and 0 < at <= time_s:
            self._ahead = self._seeked = True
            self._index, self._time_s = int(round(at * self.fps)) - 1, at - SAME_TIME_S
        else:
            self.rewind()

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def count_between(self, start_s: float, end_s: Optional[float]) -> Optional[int]:
        if self._container is None or self._fixed_fps:
            return super().count_between(start_s, end_s)
        times = self._container.times_s
        end = float("inf") if end_s is None else end_s
        return int(np.count_nonzero((times >= start_s - SAME_TIME_S) & (times < end - SAME_TIME_S)))

    def _start(self) -> None:
        """Open and grab the first frame: some files open but hold none. Frames are turned here, not by some OpenCVs."""
        api = cv2.CAP_FFMPEG if _has_ffmpeg() else cv2.CAP_ANY
        try:
            self._capture = self._factory(self.name, api)
            if hasattr(cv2, "CAP_PROP_ORIENTATION_AUTO"):
                self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
            good = self._capture.isOpened() and self._capture.grab()
        except cv2.error:
            good = False
        if not good:
            self.close()
            cure = "is it damaged, cut off or another kind of file?"
            raise SourceError("{} is no video that OpenCV can read: {}".format(self.name, cure))
        self._ahead, self._index, self._seeked = True, -1, False

    def _orientation(self) -> int:
        """Degrees clockwise to show a frame upright, where this OpenCV knows (4.5 and later)."""
        return int(self._capture.get(cv2.CAP_PROP_ORIENTATION_META)) if hasattr(cv2, "CAP_PROP_ORIENTATION_META") else 0

    def _position_s(self) -> float:
        """After a grab: that frame's time on new OpenCV, the number of frames read so far / rate on old."""
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000

    def _presentation_s(self) -> float:
        """Seconds since the first frame, later than the frame before; a bad time becomes one step at the mean rate."""
        if self._fixed_fps:
            return self._index / self._fixed_fps
        if self._index == 0:
            return 0.0
        if self._counts_frames and self._container is not None and self._index < len(self._container.times_s):
            time_s = float(self._container.times_s[self._index])
        else:
            time_s = self._position_s() - self._base_s
        return time_s if self._time_s < time_s < float("inf") else self._time_s + 1.0 / self.fps

    def _note_missing(self) -> None:
        """The end came early. A count is exact where the container's table and OpenCV agree, else an estimate."""
        if self.count is None:
            return
        decoded = self._index + 1
        exact = self._container is not None and len(self._container.times_s) == self.count and not self._seeked
        if self.count - decoded > (0 if exact else max(2, COUNT_TOLERANCE * self.count)):
            self.warning = "{}: {} of {} frames could be decoded".format(self.name, decoded, self.count)


def _check_readable(path: str) -> None:
    """OpenCV says no more than that it failed."""
    try:
        with open(path, "rb") as f:
            head = f.read(HEAD_BYTES)
    except OSError as e:
        raise SourceError("{} cannot be read: {}".format(path, e.strerror)) from e
    if not head:
        raise SourceError("{} is empty".format(path))
    check_file(path, head)


def _has_ffmpeg() -> bool:
    """Whether FFmpeg may be asked alone: OpenCV's other guesses at a file (numbered pictures) only confuse."""
    registry = getattr(cv2, "videoio_registry", None)
    return registry is not None and hasattr(registry, "getBackends") and cv2.CAP_FFMPEG in registry.getBackends()
