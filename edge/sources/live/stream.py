"""A network stream through FFmpeg: rtsp(s)://, and http(s):// as phones and cheap cameras serve it.

A stream that ends counts as lost and is opened again: a film on a server starts again.
"""
import os
import re
from typing import Any, Callable, MutableMapping

import cv2

from edge.core.errors import SourceError
from edge.core.redact import hide
from edge.sources.live.device import Opener, Timeouts
from edge.sources.live.tunnel import LOOPBACK, Tunnel, is_list, server_of, through
from edge.sources.origin import DEFAULT_TRUST, Trust

Factory = Callable[..., Any]
OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"  # read by OpenCV when it opens; "key;value|key;value"
SILENCE_US = 5000000  # after which FFmpeg gives up waiting for the server
STREAM_TIMEOUTS = Timeouts(first_frame_s=12.0, silence_s=2.5)  # a stream starts with its next key frame
FORMATS = ("mpjpeg,mjpeg,jpeg_pipe,png_pipe,image2pipe,mov,matroska,avi,flv,mpegts,mpeg,mpegvideo,m4v,h264,hevc,h263,ivf,ogg,"
           "gif,asf,rm,nut,yuv4mpegpipe,mxf,obu,webm")
RENAMED_IN_AVFORMAT = 59  # where RTSP's `stimeout` became `timeout`, which before meant to listen for a connection


class StreamOpener(Opener):
    """The options are in the environment while it opens; those of the user take precedence."""

    def __init__(self, url: str, factory: Factory = cv2.VideoCapture, trust: Trust = DEFAULT_TRUST) -> None:
        """Raises SourceError for what is no address, which waiting would not cure."""
        server_of(url)
        self.name = hide(url)
        self._url, self._factory, self._trust = url, factory, trust
        self._users = os.environ.get(OPTIONS)

    def open(self) -> Any:
        tunnel = through(self._url, self._trust)
        capture = Tunnelled(None, tunnel)
        try:
            by_udp = "udp" in (self._users or "") and self._url.lower().startswith("rtsp:")  # its pictures come another way
            capture.device = self._open(self._url if by_udp else tunnel.url(self._url))
        finally:
            if capture.device is None:
                capture.release()
        if capture.device is None:
            raise SourceError(tunnel.trouble or "{} cannot be opened: is the address right, and is the server running?".format(
                self.name))
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = rate if 1 <= rate <= 240 else None
        return capture

    def _open(self, url: str) -> Any:
        """None where it does not open."""
        _go_direct(os.environ)
        options = self._users or ffmpeg_options(url, cv2.getBuildInformation())
        os.environ[OPTIONS] = options if "whitelist" in options else "|".join((options, only(url)))
        try:
            device = self._factory(url, cv2.CAP_FFMPEG)
            return device if device.isOpened() else None
        except cv2.error:
            return None
        finally:
            os.environ.pop(OPTIONS, None)
            if self._users is not None:
                os.environ[OPTIONS] = self._users


class Tunnelled:
    """An opened stream and its tunnel."""

    def __init__(self, device: Any, tunnel: Tunnel) -> None:
        self.device, self._tunnel = device, tunnel

    def get(self, number: int) -> Any:
        return self.device.get(number)

    def grab(self) -> bool:
        """Raises SourceError where the server was refused meanwhile."""
        if self.device.grab():
            return True
        if self._tunnel.trouble:
            raise SourceError(self._tunnel.trouble)
        return False

    def retrieve(self) -> Any:
        return self.device.retrieve()

    def release(self) -> None:
        self._tunnel.close()
        if self.device is not None:
            self.device.release()


def _go_direct(environ: MutableMapping[str, str]) -> None:
    """FFmpeg uses no proxy for this machine."""
    direct = [name for name in environ.get("no_proxy", "").split(",") if name]
    if LOOPBACK not in direct:
        environ["no_proxy"] = ",".join(direct + [LOOPBACK])


def only(url: str) -> str:
    """What FFmpeg may open at all, where OpenCV passes it on: 4.11.0 does not. The tunnel has checked what it gets."""
    if url.lower().startswith("rtsp"):
        return "protocol_whitelist;rtsp,rtp,tcp,udp"
    return "protocol_whitelist;http,tcp,crypto,data" + ("" if is_list(url) else "|format_whitelist;" + FORMATS)


def ffmpeg_options(url: str, build_information: str) -> str:
    """TCP, because lost UDP packets smear the picture, and a short time-out under the name that this FFmpeg knows."""
    if not url.lower().startswith("rtsp"):
        return "rw_timeout;{}".format(SILENCE_US)
    version = re.search(r"avformat:\s+YES \((\d+)\.", build_information)
    new = version is not None and int(version.group(1)) >= RENAMED_IN_AVFORMAT
    return "rtsp_transport;tcp|{};{}".format("timeout" if new else "stimeout", SILENCE_US)

