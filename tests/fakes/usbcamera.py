"""A USB camera and its driver in a time of their own, as uvcvideo is: a frame that begins while it has no buffer is lost."""
import cv2
import numpy as np

from edge.core import clock
from edge.sources.live.backend import CaptureBackend, Picture

FIRST_AT_S = 1000.0


class UsbCamera:
    """Stands in for cv2.VideoCapture. `span`: the share of a frame's interval that its transfer takes. A buffer is in use
    from the frame's beginning until the picture is decoded."""

    def __init__(self, fps=30.0, agreed_fps=30.0, span=0.95, decode_s=0.006, buffers=4):
        self.now = self._next_at = FIRST_AT_S
        self._interval_s, self._agreed_fps, self._span_s, self._decode_s = 1 / fps, agreed_fps, span / fps, decode_s
        self.free, self._filled, self._taken_at = buffers, [], 0.0  # _filled: when the frames in the buffers began
        self.lost, self.ages_s = 0, []

    def isOpened(self):
        return True

    def set(self, name, value):
        if name == cv2.CAP_PROP_BUFFERSIZE:
            self.free = int(value)
        return True

    def get(self, name):
        return {cv2.CAP_PROP_POS_MSEC: 1000 * self._taken_at, cv2.CAP_PROP_FPS: self._agreed_fps}[name]

    def grab(self):
        while not self._filled or self._filled[0] + self._span_s > self.now:
            self._pass_until(self._filled[0] + self._span_s if self._filled else self._next_at)
        self._taken_at = self._filled.pop(0)
        self.ages_s.append(self.now - self._taken_at)
        return True

    def retrieve(self):
        self._pass_until(self.now + self._decode_s)
        self.free += 1
        return True, np.full((48, 64, 3), len(self.ages_s) % 251, np.uint8)

    def release(self):
        pass

    def _pass_until(self, end):
        while self._next_at <= end:
            if self.free:
                self.free -= 1
                self._filled.append(self._next_at)
            else:
                self.lost += 1
            self._next_at += self._interval_s
        self.now = end


class OnePicture:
    """Stops a reader after the next picture."""

    def __init__(self):
        self.picture = None

    def is_set(self):
        return self.picture is not None

    def wait(self, timeout_s):
        raise AssertionError("each picture can be used")


class SameThread(CaptureBackend):
    """Reads the camera in the thread that asks, and so in the camera's time."""

    def __init__(self, opener, make_reader):
        self._opener, self._make_reader, self._number = opener, make_reader, -1

    def begin(self):
        self.began_at = clock.monotonic()
        self._capture, self._reader = self._opener.open(), self._make_reader(self._deliver)

    def fetch(self, timeout_s):
        self._stop = OnePicture()
        self._reader.run(self._capture, self._stop)
        return self._stop.picture

    def _deliver(self, captured_at, image, size):
        self._number += 1
        self._stop.picture = Picture(self._number, captured_at, image, size, self._reader.worked_s)

    def give_up(self):
        pass

    def ready(self):
        return True

    def close(self):
        pass
