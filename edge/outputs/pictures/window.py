"""The annotated frames in a window; q or Escape in it, or closing it, asks the run to stop.

The window belongs to a process of its own (edge/outputs/pictures/viewer.py), on pygame, whose wheel brings SDL. So it works
beside the headless OpenCV; a display that is slow costs the tracker nothing, and one that goes away, which ends a program
of X at once, ends no tracker; and macOS and Windows have windows only in a main thread. To hand over a picture of 640x480,
in a pipe, took half a millisecond of processor on a busy PC, 1920x1080 two, beside two or three to draw a face into it. The
windows of OpenCV itself, which some of its packages have, are not used: a second implementation, with faults of its own.
"""
import importlib.util
import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from typing import Any, Callable, Mapping, NamedTuple, Optional

import cv2
import numpy as np

from edge.core import clock
from edge.core.contracts import Output
from edge.core.errors import OutputError
from edge.core.packet import Packet
from edge.core.redact import SOURCE_VARIABLE, plain
from edge.host.packages import install
from edge.host.process import CODE, widen
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.pictures.overlay import Overlay, style_of
from edge.outputs.pictures.painter import Painter
from edge.outputs.pictures.viewer import CLOSED, HEAD, READY

AUTO = "auto"  # of output.window
START = "import sys; sys.path[0] = {!r}; from edge.outputs.pictures.viewer import main; main()"
START_S = 20.0  # a Jetson Nano takes some seconds to load pygame
STUCK_S = 3.0  # a process that takes no picture for so long is ended
END_S = 0.5  # for it to end when nobody sends any more
LARGEST = (1920, 1080)  # what is sent; a larger picture is made smaller here, which costs less than sending it
# read when SDL is loaded; what the user has set stays
SDL = {"PYGAME_HIDE_SUPPORT_PROMPT": "1", "SDL_VIDEO_X11_WMCLASS": "nanoface", "SDL_VIDEO_WAYLAND_WMCLASS": "nanoface",
       "SDL_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR": "0"}
POSIX = os.name == "posix"  # elsewhere pipes cannot be waited for


class WindowOutput(Output):
    """Never makes the source wait. `closed` may be asked in any thread.

    A window that opens by itself (`note` is given) waits for no display, and its failure is one note, after which it is
    over; one that was asked for is an output that fails.
    """

    needs_picture = True

    def __init__(self, spec: OutputSpec, painter: Painter, title: Callable[[], str] = str,
                 note: Optional[Callable[[str], None]] = None) -> None:
        self.name = spec.text
        self._painter, self._title, self._note = painter, title, note
        self.shapes, self.events = painter.shapes, painter.events
        self._process: Optional["subprocess.Popen[bytes]"] = None

    @property
    def closed(self) -> bool:  # type: ignore
        """True once the user wants to stop."""
        process = self._process
        return process is not None and process.poll() == CLOSED

    def open(self) -> None:
        try:
            self._start()
            if self._note is None:
                self._await_display()
        except OutputError as e:
            self._failed(e)

    def emit(self, item: Packet) -> None:
        if self.closed:
            return
        self._painter.see(item)
        picture = _limited(self._painter.paint(item))
        try:
            self._send(HEAD.pack(picture.shape[1], picture.shape[0]))
            self._send(picture.data.cast("B"))
        except OSError:
            reason = self._reason()  # waits for the exit code
            if not self.closed:
                self._failed(OutputError("output window: " + reason))
        except OutputError as e:
            self._failed(e)

    def close(self) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.closed:
            return
        process.stdin.close()  # which ends it
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
        if process.stdout is not None:
            process.stdout.close()

    def _start(self) -> None:
        if importlib.util.find_spec("pygame") is None:
            raise OutputError("output window: pygame is not installed: {}; or use --output video:PATH.mp4".format(
                install("pygame")))
        environ = dict(SDL, **{name: value for name, value in os.environ.items() if name != SOURCE_VARIABLE})
        if sys.platform.startswith("linux") and not environ.get("SDL_VIDEODRIVER"):
            if not environ.get("DISPLAY") and not environ.get("WAYLAND_DISPLAY"):
                raise _no_display("DISPLAY is not set")
            # named, as SDL would else take a console's whole screen, or draw into nothing
            environ["SDL_VIDEODRIVER"] = "x11" if environ.get("DISPLAY") else "wayland"
        if environ.get("SDL_VIDEODRIVER") == "x11":  # through Mesa's OpenGL one window in fifty saw no events (in Xvfb)
            environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
        try:  # its own session: Ctrl-C at a terminal is meant for us alone
            self._process = subprocess.Popen(
                [sys.executable, "-c", START.format(CODE), json.dumps(plain("nanoface: " + self._title())[:120])],
                bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
                env=environ)
        except OSError as e:
            raise OutputError("output window: its process cannot be started: {}".format(e.strerror))
        if POSIX:
            os.set_blocking(self._stdin(), False)
        widen(self._stdin())

    def _await_display(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        stdout = self._process.stdout
        if POSIX and not select.select([stdout], [], [], START_S)[0]:
            raise _no_display("it does not answer")
        answer = stdout.read(1000)
        if answer != READY:
            raise _no_display(answer.decode("utf-8", "replace") or self._reason())

    def _stdin(self) -> int:
        assert self._process is not None and self._process.stdin is not None
        return self._process.stdin.fileno()

    def _send(self, data: Any) -> None:
        """Raises OSError where the process is gone, OutputError where it takes nothing."""
        view, deadline = memoryview(data), clock.monotonic() + STUCK_S
        while view:
            if POSIX and not select.select([], [self._stdin()], [], max(0.0, deadline - clock.monotonic()))[1]:
                raise OutputError("output window: its process does not answer")
            view = view[os.write(self._stdin(), view):]

    def _reason(self) -> str:
        """Why the process has ended."""
        assert self._process is not None and self._process.stdout is not None
        try:
            code = self._process.wait(STUCK_S)
        except subprocess.TimeoutExpired:
            return "its process takes no pictures any more"
        text = self._process.stdout.read(1000).decode("utf-8", "replace").replace(READY.decode(), "")
        return " ".join(text.split()) or "its display has gone (exit code {})".format(code)

    def _failed(self, error: OutputError) -> None:
        if self._note is None:
            self.close()
            raise error
        self.over = True
        self._note(str(error).replace("output window: ", "", 1))


def make(spec: OutputSpec, options: OutputOptions) -> Output:
    return WindowOutput(spec, Overlay(style_of(options)), options.title, options.note)


class DisplayState(NamedTuple):
    """What decides whether a live picture opens by itself."""

    environ: Mapping[str, str]
    platform: str
    terminal: bool  # standard error is one
    live: bool  # the source
    stills: bool  # unrelated pictures, which are gone before anybody has seen them
    outputs: bool  # the run has any


def opens_by_itself(here: DisplayState) -> bool:
    """A person watches: there is a terminal, and a display of this machine; never a service, a script, a test or plain ssh.

    Of what is recorded only where the run would show and write nothing else.
    """
    return here.terminal and (here.live or not here.outputs) and not here.stills and _has_display(here)


def _has_display(here: DisplayState) -> bool:
    """One that is near: X through ssh has DISPLAY=localhost:10, and is too slow for pictures."""
    if not here.platform.startswith("linux"):
        return "SSH_CONNECTION" not in here.environ
    host = here.environ.get("DISPLAY", "").rpartition(":")
    return bool(here.environ.get("WAYLAND_DISPLAY")) or bool(host[1]) and (host[0] in ("", "unix") or host[0][0] == "/")


def _limited(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
    if scale == 1.0:
        return picture
    size = (max(1, int(round(width * scale))), max(1, int(round(height * scale))))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _no_display(reason: str) -> OutputError:
    return OutputError("output window: no display can be reached ({}): run it on a desktop or through `ssh -X`, or use "
                       "--output video:PATH.mp4".format(" ".join(reason.split())))
