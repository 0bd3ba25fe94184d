"""Checks of a live source's pictures: their rate, whether they are what was asked for, whether they are frozen."""
import zlib
from typing import NamedTuple, Optional, Tuple

import numpy as np

from edge.sources.live.device import Mode

KEPT = 0.9  # share of the rate from which on nothing is reported
BUSY = 0.75  # of the time between two frames: a reader that works longer than that misses some
BEHIND_S, AGAIN_S = 8.0, 4.0  # how long a rate is too low until that is reported, and good until it is not reported any more
DIM_LIGHT = "long exposure, as in dim light"
SHORTEN = "more light, or --set camera.exposure={:g} (ms)"
TOO_SLOW = "this machine is too slow to read more"
LIGHTEN = "a smaller --size or a lower --fps, or end other programs"
SAMPLE = 16  # every 16th row and column is enough to see that a picture has changed


class Rate:
    """Frames per second, measured over windows of two seconds; None until the first is full."""

    WINDOW_S = 2.0

    def __init__(self) -> None:
        self.fps: Optional[float] = None
        self.work_s = 0.0  # with each picture, of the reader
        self._since: Optional[Tuple[float, int, float]] = None

    def add(self, at: float, number: int, worked_s: float = 0.0) -> bool:
        """`number` counts the device's pictures, also those not fetched. True where a window is full."""
        now = (at, number, worked_s)
        if self._since is None:
            self._since = now
            return False
        elapsed_s, pictures, work_s = (new - old for new, old in zip(now, self._since))
        if elapsed_s < self.WINDOW_S:
            return False
        self.fps, self.work_s, self._since = pictures / elapsed_s, work_s / max(1, pictures), now
        return True


class Slow(NamedTuple):
    """That fewer pictures come than the camera agreed to, as a reason; and what helps."""

    reason: str = ""
    cure: str = ""


class Shortfall:
    """Whether a camera stays below its rate: not for a moment, and with the figures of the first report."""

    def __init__(self) -> None:
        self.slow = Slow()
        self._turned_at: Optional[float] = None  # since when the rate contradicts what is reported

    def add(self, at: float, rate: Rate, agreed_fps: float, steady: bool = False) -> None:
        """`at`: where a window of `rate` ended. `steady`: the camera exposes no longer than its rate lets it."""
        now = Slow() if rate.fps is None else too_slow(rate.fps, agreed_fps, steady or rate.work_s * agreed_fps >= BUSY)
        if bool(now.reason) == bool(self.slow.reason):
            self._turned_at = None
        elif self._turned_at is None:
            self._turned_at = at - Rate.WINDOW_S
        if self._turned_at is not None and at - self._turned_at >= (BEHIND_S if now.reason else AGAIN_S):
            self.slow, self._turned_at = now, None


def too_slow(fps: float, agreed_fps: float, busy: bool) -> Slow:
    """The likely cause: where the reader is not `busy` it waits for a camera that gives no more."""
    if fps >= KEPT * agreed_fps:
        return Slow()
    reason = "{:.0f} of {:g} frames per second from the camera: {}".format(
        fps, round(agreed_fps, 1), TOO_SLOW if busy else DIM_LIGHT)
    return Slow(reason, LIGHTEN if busy else SHORTEN.format(round(600 / agreed_fps, 1)))


class FrozenFrameDetector:
    """Notices pictures that are the same to the bit: a covered lens, or a driver that gives its last one again and again.
    Noise makes any two pictures of an open lens differ in a sample of their pixels; only where that is the same are all
    pixels compared.
    """

    def __init__(self) -> None:
        self._sample: Optional[int] = None
        self._last: Optional[np.ndarray] = None
        self._since = 0.0

    def interrupted(self) -> None:
        """No pictures came for a while: the next one is compared with none before."""
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


def mismatch(wanted: Mode, size: Tuple[int, int], agreed_fps: Optional[float]) -> str:
    """How size and rate differ from what was asked for; "" where they do not."""
    parts = []
    if size != (wanted.width, wanted.height):
        parts.append("{}x{} instead of {}x{}".format(size[0], size[1], wanted.width, wanted.height))
    if agreed_fps is not None and agreed_fps < KEPT * wanted.fps:
        parts.append("{:g} frames per second instead of {:g} (more perhaps with a smaller --size)".format(
            round(agreed_fps, 1), wanted.fps))
    return "the camera gives " + " and ".join(parts) if parts else ""
