"""The window: what happens where there is none, and how it asks the run to stop."""
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edge.core.packet import Frame, Packet
from edge.errors import OutputError
from edge.outputs import window
from edge.outputs.overlay import Style
from edge.outputs.spec import parse_output
from edge.outputs.window import WindowOutput

HEADLESS = b"error: (-2:Unspecified error) The function is not implemented. Rebuild the library with ... GTK+ 2.x"


def packet():
    return Packet(Frame(0, 1.0, 0.0, np.zeros((48, 64, 3), np.uint8)))


class FakeCv:
    """OpenCV's windows without a display."""

    error = cv2.error
    WINDOW_NORMAL, WINDOW_KEEPRATIO, WND_PROP_VISIBLE = 0, 0, 4

    def __init__(self, keys=(), visible=()):
        self.keys, self.visible = list(keys), list(visible)
        self.shown, self.open = 0, False

    def namedWindow(self, title, flags):
        self.open = True

    def imshow(self, title, picture):
        self.shown += 1

    def waitKey(self, delay_ms):
        return self.keys.pop(0) if self.keys else -1

    def getWindowProperty(self, title, which):
        value = self.visible.pop(0) if self.visible else 1.0
        if value is None:
            raise cv2.error("no window")
        return value

    def destroyWindow(self, title):
        self.open = False


@pytest.fixture
def fake(monkeypatch):
    def install(**kwargs):
        cv = FakeCv(**kwargs)
        monkeypatch.setattr(window, "cv2", cv)
        monkeypatch.setattr(window.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, b"", b""))
        return cv
    return install


def opened():
    output = WindowOutput(parse_output("window"), Style())
    output.open()
    return output


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only X and Wayland can be switched off by a variable")
def test_without_a_display_there_is_one_clear_line_and_the_process_lives(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(OutputError) as caught:
        opened()
    assert "--output video:PATH.mp4" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("returncode, stderr, display, words", [
    (1, HEADLESS, ":0", "pip install 'opencv-python>=4.8,<4.12'"),
    (-6, b"qt.qpa.xcb: could not connect to display", ":99", "DISPLAY=:99 does not answer"),
    (1, b"Can't initialize GTK backend", "", "DISPLAY is not set"),
])
def test_what_is_wrong_with_the_window_is_told_with_its_cure(monkeypatch, returncode, stderr, display, words):
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    result = subprocess.CompletedProcess([], returncode, b"", stderr)
    monkeypatch.setattr(window.subprocess, "run", lambda *args, **kwargs: result)
    with pytest.raises(OutputError) as caught:
        opened()
    assert words in str(caught.value)


def test_a_display_that_hangs_is_given_up(monkeypatch):
    def hang(*args, **kwargs):
        raise subprocess.TimeoutExpired("python", 20.0)
    monkeypatch.setattr(window.subprocess, "run", hang)
    with pytest.raises(OutputError, match="no display"):
        opened()


@pytest.mark.parametrize("keys, visible, closed_after", [
    ([-1, ord("q")], [], 2),
    ([27], [], 1),
    ([ord("Q")], [], 1),
    ([ord("x"), -1, -1], [], None),
    ([], [1.0, 1.0, 0.0], 3),  # closed with the mouse
    ([], [1.0, None], 2),  # Qt forgets the last window that is closed
    ([], [-1.0, -1.0, -1.0], None),  # a toolkit that does not know
])
def test_q_escape_and_the_mouse_ask_the_run_to_stop(fake, keys, visible, closed_after):
    cv = fake(keys=keys, visible=visible)
    output = opened()
    states = []
    for _ in range(3):
        output.emit(packet())
        states.append(output.closed)
    assert states == [closed_after is not None and i + 1 >= closed_after for i in range(3)]
    assert cv.shown == (closed_after or 3)  # a window that was closed is not opened again
    output.close()
    output.close()
    assert not cv.open


def test_a_window_that_fails_is_an_output_error(fake, monkeypatch):
    cv = fake()
    output = opened()

    def broken(title, picture):
        raise cv2.error("lost\nthe display")
    monkeypatch.setattr(cv, "imshow", broken)
    with pytest.raises(OutputError, match="lost the display"):
        output.emit(packet())
