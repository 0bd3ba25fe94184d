"""What a live source notices about its pictures: their rate, that they are not what was asked for, that they stand still."""
import zlib
from typing import Optional, Tuple

import numpy as np

from edge.sources.device import Mode

DIM_LIGHT = "in dim light many cameras halve it: `v4l2-ctl -c exposure_auto_priority=0`"
SAMPLE = 16  # every so many rows and columns are enough to see that a picture is another one


class Rate:
    """Frames per second, measured over windows of two seconds; None until the first is full."""

    WINDOW_S = 2.0

    def __init__(self) -> None:
        self.fps: Optional[float] = None
        self._since: Optional[Tuple[float, int]] = None

    def add(self, at: float, number: int) -> None:
        """`number` counts the device's pictures, also those that nobody fetched."""
        if self._since is None:
            self._since = (at, number)
            return
        elapsed_s = at - self._since[0]
        if elapsed_s >= self.WINDOW_S:
            self.fps = (number - self._since[1]) / elapsed_s
            self._since = (at, number)


class Stillness:
    """Notices pictures that are the same to the bit: a covered lens, or a driver that gives its last one again and again.
    Noise makes any two pictures of an open lens differ in a sample of their pixels; only where that is the same are all
    pixels compared.
    """

    def __init__(self) -> None:
        self._sample: Optional[int] = None
        self._last: Optional[np.ndarray] = None
        self._since = 0.0

    def interrupted(self) -> None:
        """No pictures came for a while: what comes next stands for itself."""
        self._last = None

    def add(self, image: np.ndarray, at: float) -> float:
        """Seconds for which the picture has not changed. Keeps `image` until the next call."""
        sample = zlib.crc32(np.ascontiguousarray(image[::SAMPLE, ::SAMPLE]).tobytes())
        last, self._last = self._last, image
        same = last is not None and sample == self._sample and np.array_equal(image, last)
        self._sample = sample
        if not same:
            self._since = at
        return at - self._since


def mismatch(wanted: Mode, size: Tuple[int, int], fps: Optional[float]) -> str:
    """The line that tells what is different; "" where nothing is. A tenth less than the rate is not worth a word."""
    parts = []
    if size != (wanted.width, wanted.height):
        parts.append("{}x{} instead of {}x{}".format(size[0], size[1], wanted.width, wanted.height))
    if fps is not None and fps < 0.9 * wanted.fps:
        parts.append("{:.0f} frames per second instead of {:g} ({})".format(fps, wanted.fps, DIM_LIGHT))
    return "the camera gives " + " and ".join(parts) if parts else ""
