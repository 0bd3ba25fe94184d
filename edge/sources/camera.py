"""A USB camera through Video4Linux2: found, asked for a mode, and found again under another number."""
import glob
import os
import re
import sys
from typing import Any, Callable, List, Optional

import cv2

from edge.core.contracts import Source
from edge.core.packet import Frame
from edge.errors import SourceError
from edge.sources.live import LiveSource, Mode, Opener, Patience
from edge.sources.picture import Shape
from edge.sources.spec import DEMO, SourceOptions

Factory = Callable[..., Any]
LINKS = "/dev/v4l/by-id"  # names that stay with a camera whatever its number
SEARCHED = 10  # /dev/video0 to 9
SEARCH_PATIENCE = Patience(first_frame_s=3.0)
MJPG = int.from_bytes(b"MJPG", "little")
MJPG_FROM_PIXELS, MJPG_FROM_FPS = 640 * 480, 30  # from where raw pictures fill a USB 2 port


class CameraOpener(Opener):
    """`target` is a number or a device path."""

    def __init__(self, target: str, mode: Mode, factory: Factory = cv2.VideoCapture) -> None:
        self.name = "/dev/video" + target if target.isdigit() and _is_linux() else target
        self.wanted, self.fps = mode, mode.fps
        self._factory = factory
        self._link = stable_link(self.name)

    def open(self) -> Any:
        device = os.path.realpath(self._link if self._link and os.path.exists(self._link) else self.name)
        if _is_linux():
            explain_absence(device, self.name)
        number = re.match(r"^(?:/dev/video)?(\d+)$", device if _is_linux() else self.name)
        try:
            api = cv2.CAP_V4L2 if _is_linux() else cv2.CAP_ANY
            capture = self._factory(int(number.group(1)) if number else device, api)
            opened = capture.isOpened()
        except cv2.error:
            opened = False
        if not opened:
            raise SourceError("{} cannot be opened: is another program using it, or is it no camera?".format(self.name))
        self._ask(capture)
        return capture

    def _ask(self, capture: Any) -> None:
        """The pixel format first: drivers forget the size when it changes. What they make of it shows in the frames."""
        mode = self.wanted or Mode()
        if mode.width * mode.height >= MJPG_FROM_PIXELS and mode.fps >= MJPG_FROM_FPS:
            capture.set(cv2.CAP_PROP_FOURCC, MJPG)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.height)
        capture.set(cv2.CAP_PROP_FPS, mode.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)


class FirstCamera(Source):
    """The first camera that gives a picture. From then on it is that camera and no other."""

    live = True
    stills = False
    name = "camera"

    def __init__(self, mode: Mode, shape: Shape, factory: Factory = cv2.VideoCapture,
                 devices: Optional[List[str]] = None, patience: Patience = SEARCH_PATIENCE) -> None:
        self._mode, self._shape, self._factory = mode, shape, factory
        self._devices, self._patience = devices, patience
        self._chosen: Optional[LiveSource] = None
        self.fps = mode.fps

    def open(self) -> None:
        devices = present_cameras() if self._devices is None else self._devices
        reasons: List[str] = []
        for device in devices:
            source = LiveSource(CameraOpener(device, self._mode, self._factory), self._shape, self._patience)
            try:
                source.open()
            except SourceError as e:
                reasons.append(str(e))
                continue
            self._chosen, self.name = source, source.name
            return
        if not devices:
            raise SourceError("no camera was found: plug one in, name a file or stream with --source, or " + DEMO)
        raise SourceError("no camera works ({}): name another --source, or {}".format("; ".join(reasons), DEMO))

    def read(self, timeout_s: float) -> Optional[Frame]:
        if self._chosen is None:
            raise EOFError("no camera is open")
        return self._chosen.read(timeout_s)

    def close(self) -> None:
        if self._chosen is not None:
            self._chosen.close()

    @property
    def warning(self) -> str:
        return self._chosen.warning if self._chosen is not None else ""

    @property
    def lost_since(self) -> Optional[float]:
        return self._chosen.lost_since if self._chosen is not None else None

    @property
    def hung(self) -> int:
        return self._chosen.hung if self._chosen is not None else 0


def camera_mode(options: SourceOptions) -> Mode:
    """640x480 at 30 unless told otherwise; one side alone keeps 4:3."""
    default = Mode()
    width = options.width or (options.height * 4 // 3 if options.height else default.width)
    return Mode(width, options.height or width * 3 // 4, options.fps or default.fps)


def present_cameras() -> List[str]:
    """Devices to try, without opening them. Elsewhere than on Linux only trying tells."""
    if not _is_linux():
        return ["0"]
    return [p for p in ("/dev/video{}".format(n) for n in range(SEARCHED)) if os.path.exists(p)]


def stable_link(device: str, folder: str = LINKS) -> Optional[str]:
    """The name in /dev/v4l/by-id of a device that is there: a replugged camera may change its number, never this."""
    links = sorted(glob.glob(os.path.join(folder, "*")))
    if device in links:
        return device
    return next((link for link in links if os.path.realpath(link) == os.path.realpath(device)), None)


def explain_absence(device: str, name: str) -> None:
    """Raises SourceError where the reason can be seen without opening the device."""
    if not os.path.exists(device):
        found = present_cameras()
        there = "there is " + ", ".join(found) if found else "no camera is plugged in; " + DEMO
        raise SourceError("there is no camera {}: {}".format(name, there))
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError("{} may not be read: `sudo usermod -aG video $USER`, then log in again".format(name))


def _is_linux() -> bool:
    return sys.platform.startswith("linux")
