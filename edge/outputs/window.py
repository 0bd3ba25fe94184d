"""The annotated frames in a window; q or Escape in it, or closing it, asks the run to stop."""
import os
import subprocess
import sys

import cv2

from edge.core.contracts import Output
from edge.core.packet import Packet
from edge.errors import OutputError
from edge.outputs import overlay
from edge.outputs.spec import OutputSpec
from edge.outputs.stagetimes import SteadyTimes

TITLE = "nanoface"
QUIT_KEYS = (ord("q"), ord("Q"), 27)
TRIAL = "import cv2; cv2.namedWindow('{}'); cv2.waitKey(1); cv2.destroyAllWindows()".format(TITLE)
TRIAL_S = 20.0  # a Jetson Nano takes some seconds to load OpenCV


class WindowOutput(Output):
    """Never makes the source wait. Opened, drawn and closed in one thread, as the toolkits want it."""

    needs_picture = True
    fatal = False
    closed = False  # True once the user wants to stop

    def __init__(self, spec: OutputSpec, style: overlay.Style) -> None:
        self.name = spec.text
        self._style, self._times = style, SteadyTimes()
        self._is_open = self._was_visible = False

    def open(self) -> None:
        _try_in_another_process()
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as e:
            raise _no_display(str(e))
        self._is_open = True

    def emit(self, item: Packet) -> None:
        if self.closed:
            return
        try:
            cv2.imshow(TITLE, overlay.draw(item, self._style, self._times.update(item)))
            key = cv2.waitKey(1) & 0xFF
        except cv2.error as e:
            raise OutputError("output window: {}".format(" ".join(str(e).split())))
        # some toolkits do not know whether a window can be seen: only one that could be seen before was closed
        visible = _is_visible()
        self.closed = key in QUIT_KEYS or (self._was_visible and not visible)
        self._was_visible = visible

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            try:
                cv2.destroyWindow(TITLE)
            except cv2.error:
                return  # the user has closed it


def _is_visible() -> bool:
    try:
        return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:  # Qt, when the last window is gone
        return False


def _try_in_another_process() -> None:
    """Qt aborts the whole process where it cannot reach the display, so another one tries it first."""
    try:
        trial = subprocess.run([sys.executable, "-c", TRIAL], check=False, timeout=TRIAL_S, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise _no_display(str(e))
    if trial.returncode == 0:
        return
    if b"not implemented" in trial.stderr:  # the headless packages have the functions, but they only raise
        raise OutputError("output window: this OpenCV has no windows: pip uninstall opencv-python-headless, then "
                          "pip install 'opencv-python>=4.8,<4.12'; or use --output video:PATH.mp4")
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    raise _no_display("DISPLAY={} does not answer".format(display) if display else "DISPLAY is not set")


def _no_display(reason: str) -> OutputError:
    return OutputError("output window: no display can be reached ({}): run it on a desktop or through `ssh -X`, or use "
                       "--output video:PATH.mp4".format(" ".join(reason.split())))
