"""A USB camera through Video4Linux2: found, asked for a mode, and found again under another number."""
import glob
import os
import re
import sys
import time
from typing import Any, Callable, List, Optional

import cv2

from edge.core import clock
from edge.core.contracts import Source
from edge.core.errors import SourceError
from edge.core.packet import Frame
from edge.sources.live.controls import NO_CONTROLS, Controls, apply
from edge.sources.live.device import RAW_NODE, AbsentError, Mode, Opener, Timeouts, explain_ribbon
from edge.sources.live.source import POLL_S, LiveSource
from edge.sources.spec import DEMO, SourceOptions

Factory = Callable[..., Any]
LINKS = "/dev/v4l/by-id"  # names that do not depend on a camera's number
SEARCHED = 10  # /dev/video0 to 9
SEARCH_TIMEOUTS = Timeouts(first_frame_s=3.0)
SEARCH_AGAIN_S = 1.0  # between two searches while no camera is there
NO_CAMERA = "no camera was found: plug one in, name a file or stream with --source, or " + DEMO
MJPG = int.from_bytes(b"MJPG", "little")
MJPG_FROM_PIXELS, MJPG_FROM_FPS = 640 * 480, 30  # from where raw pictures fill a USB 2 port
BUFFERS = 2  # uvcvideo loses a frame that begins while it has none: one is filled while the other is decoded; more only age
PLAUSIBLE_FPS = (1.0, 1000.0)


class CameraOpener(Opener):
    """`target` is a number or a device path. V4L2 has the time of a picture: for a USB camera, of its first byte; earlier
    delays (exposure, readout, the camera's own processing) are not known to it."""

    def __init__(self, target: str, mode: Mode, factory: Factory = cv2.VideoCapture,
                 controls: Controls = NO_CONTROLS) -> None:
        self.name = "/dev/video" + target if target.isdigit() and _is_linux() else target
        self.wanted, self.fps, self.stamped = mode, mode.fps, _is_linux()
        self._factory, self._controls = factory, controls
        self._link = stable_link(self.name)

    def open(self) -> Any:
        device = os.path.realpath(self._link if self._link and os.path.exists(self._link) else self.name)
        if _is_linux():
            explain_absence(device, self.name)
            explain_ribbon(device, self.name)
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
        self.notes = apply(device, self._controls)  # after the mode: some drivers forget them with it
        return capture

    def remember(self) -> None:
        """From now on it is that camera, whatever its number."""
        self._link = self._link or stable_link(self.name)

    def _ask(self, capture: Any) -> None:
        """The pixel format first: drivers forget the size when it changes. The size that they chose shows in the frames; the
        rate is read back."""
        mode = self.wanted or Mode()
        if mode.width * mode.height >= MJPG_FROM_PIXELS and mode.fps >= MJPG_FROM_FPS:
            capture.set(cv2.CAP_PROP_FOURCC, MJPG)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.height)
        capture.set(cv2.CAP_PROP_FPS, mode.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, BUFFERS)
        agreed = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = agreed if PLAUSIBLE_FPS[0] <= agreed <= PLAUSIBLE_FPS[1] else mode.fps


class FirstCamera(Source):
    """The first camera that gives a picture. From then on it is that camera and no other."""

    live = True
    stills = False
    name = "camera"

    def __init__(self, make: Callable[[str], LiveSource], fps: Optional[float] = None,
                 devices: Optional[List[str]] = None, wait: bool = False) -> None:
        """`make(device)` gives the source of one. `wait`: open() raises nothing; read() goes on searching."""
        self._make, self._devices, self._wait = make, devices, wait
        self._chosen: Optional[LiveSource] = None
        self._candidate: Optional[LiveSource] = None
        self._queue: List[str] = []
        self._search_at = 0.0
        self._closed = False
        self._trouble = ""
        self._passed = ""  # what was passed over before a camera was found: a ribbon camera's raw node
        self.absent = False
        self.fps = fps

    def open(self) -> None:
        devices = self._present()
        if self._wait:
            self.absent, self._trouble = not devices, "" if devices else "no camera is plugged in"
            return
        reasons: List[str] = []
        for device in devices:
            source = self._make(device)
            try:
                source.open()
            except SourceError as e:
                reasons.append(str(e))
                self._pass_over(str(e))
                continue
            self._chosen, self.name = source, source.name
            return
        if not devices:
            raise SourceError(NO_CAMERA)
        raise SourceError("no camera works ({}): name another --source, or {}".format("; ".join(reasons), DEMO))

    def read(self, timeout_s: float) -> Optional[Frame]:
        deadline = clock.monotonic() + timeout_s
        while self._chosen is None:
            if self._closed or not self._wait:
                raise EOFError("no camera is open")
            frame = self._search(max(0.0, min(POLL_S, deadline - clock.monotonic())))
            if frame is not None or clock.monotonic() >= deadline:
                return frame
        return self._chosen.read(timeout_s)

    def close(self) -> None:
        self._closed = True
        for source in (self._chosen, self._candidate):
            if source is not None:
                source.close()

    def _search(self, timeout_s: float) -> Optional[Frame]:
        """Read the camera that is being tried, or list the cameras."""
        candidate = self._candidate
        if candidate is not None:
            frame = candidate.read(timeout_s)
            if frame is not None:
                self._chosen, self._candidate, self.name, self.absent = candidate, None, candidate.name, False
            elif candidate.absent:
                self._pass_over(candidate.trouble)
                self.absent, self._candidate = True, None
                self._trouble = "; ".join(sorted({text for text in (self._passed, candidate.trouble) if text}))
                candidate.close()
            return frame
        if not self._queue and clock.monotonic() >= self._search_at:
            self._queue, self._search_at = self._present(), clock.monotonic() + SEARCH_AGAIN_S
        if not self._queue:
            time.sleep(timeout_s)
            return None
        self._candidate = self._make(self._queue.pop(0))
        self._candidate.begin()
        return None

    def _pass_over(self, reason: str) -> None:
        if RAW_NODE in reason:
            self._passed = reason

    def _present(self) -> List[str]:
        return list(present_cameras() if self._devices is None else self._devices)

    @property
    def trouble(self) -> str:  # type: ignore
        return self._chosen.trouble if self._chosen is not None else self._trouble

    @property
    def doubt(self) -> str:  # type: ignore
        return self._chosen.doubt if self._chosen is not None else ""

    @property
    def warning(self) -> str:  # type: ignore
        if self._chosen is None:
            return ""
        return "; ".join(text for text in (self._passed, self._chosen.warning) if text)

    @property
    def lost_since(self) -> Optional[float]:  # type: ignore
        return self._chosen.lost_since if self._chosen is not None else None

    @property
    def hung(self) -> int:
        return self._chosen.hung if self._chosen is not None else 0


def camera_mode(options: SourceOptions) -> Mode:
    """640x480 at 30 by default; one side alone keeps 4:3."""
    default = Mode()
    width = options.width or (options.height * 4 // 3 if options.height else default.width)
    return Mode(width, options.height or width * 3 // 4, options.fps or default.fps)


def present_cameras() -> List[str]:
    """Devices to try, without opening them. Elsewhere than on Linux the first one is tried."""
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
        raise AbsentError("there is no camera {}: {}".format(name, there), "no camera at {}".format(name))
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError("{} may not be read: `sudo usermod -aG video $USER`, then log in again".format(name))


def _is_linux() -> bool:
    return sys.platform.startswith("linux")
