"""A network stream through FFmpeg: rtsp(s)://, and http(s):// as phones and cheap cameras serve it.

A stream that ends counts as lost and is opened again: a film that lies on a server begins anew.
"""
import os
import re
from typing import Any, Callable

import cv2

from edge.errors import SourceError
from edge.redact import hide
from edge.sources.device import Opener, Patience

Factory = Callable[..., Any]
OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"  # read by OpenCV when it opens; "key;value|key;value"
SILENCE_US = 5000000  # after which FFmpeg gives up waiting for the server
STREAM_PATIENCE = Patience(first_frame_s=12.0, silence_s=2.5)  # a stream starts with its next key frame
RENAMED_IN_AVFORMAT = 59  # where RTSP's `stimeout` became `timeout`, which before meant: wait for somebody to call


class StreamOpener(Opener):
    """The options are put into the environment for the moment of opening; those of the user win."""

    def __init__(self, url: str, factory: Factory = cv2.VideoCapture) -> None:
        self.name = hide(url)
        self._url, self._factory = url, factory
        self._users = os.environ.get(OPTIONS)

    def open(self) -> Any:
        if self._users is None:
            os.environ[OPTIONS] = ffmpeg_options(self._url, cv2.getBuildInformation())
        try:
            capture = self._factory(self._url, cv2.CAP_FFMPEG)
            opened = capture.isOpened()
        except cv2.error:
            opened = False
        finally:
            if self._users is None:
                os.environ.pop(OPTIONS, None)
        if not opened:
            raise SourceError("{} cannot be opened: is the address right, and is the server running?".format(self.name))
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = rate if 1 <= rate <= 240 else None
        return capture


def ffmpeg_options(url: str, build_information: str) -> str:
    """TCP, because lost UDP packets smear the picture, and a short time-out under the name that this FFmpeg knows."""
    if not url.lower().startswith("rtsp"):
        return "rw_timeout;{}".format(SILENCE_US)
    version = re.search(r"avformat:\s+YES \((\d+)\.", build_information)
    new = version is not None and int(version.group(1)) >= RENAMED_IN_AVFORMAT
    return "rtsp_transport;tcp|{};{}".format("timeout" if new else "stimeout", SILENCE_US)

