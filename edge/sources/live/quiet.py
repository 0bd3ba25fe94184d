"""OpenCV and FFmpeg write complaints of their own to stderr; the user gets one clear line from us instead."""
import os
import threading
from contextlib import contextmanager
from typing import Iterator

import cv2

STDERR = 2
SILENT_LEVEL = 0  # of OpenCV's logger
QUIET_LEVEL = "-8"  # of FFmpeg's logger; read by OpenCV 4.5 and later when it first uses FFmpeg
_ONE_AT_A_TIME = threading.RLock()


def hush_opencv() -> None:
    """Turn both loggers off, unless the user set a level. OpenCV 4.1 knows neither switch."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", QUIET_LEVEL)
    if hasattr(cv2, "setLogLevel") and "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.setLogLevel(SILENT_LEVEL)


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing reaches file descriptor 2 meanwhile, of whichever thread: for the moment of opening only."""
    hush_opencv()
    with _ONE_AT_A_TIME:
        try:
            kept = os.dup(STDERR)
        except OSError:  # a process without a stderr is quiet already
            kept = None
        if kept is None:
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, STDERR)
            yield
        finally:
            os.dup2(kept, STDERR)
            os.close(nowhere)
            os.close(kept)
