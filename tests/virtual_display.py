"""A display that nobody sees: Xvfb in a process of its own. What it shows is read from its frame buffer, and what a user and
a window manager do is sent through libX11, which comes with it."""
import ctypes
import os
import shutil
import struct
import subprocess
import time

import numpy as np
import pytest

SIZE = (1280, 1024)
PATIENCE_S = 60.0
NUMBER, POINTER, TEXT, INT = ctypes.c_ulong, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
CALLS = {  # of libX11: what it returns, and what it takes
    "XOpenDisplay": (POINTER, TEXT), "XDefaultRootWindow": (NUMBER, POINTER), "XSync": (INT, POINTER, INT),
    "XQueryTree": (INT, POINTER, NUMBER, POINTER, POINTER, POINTER, POINTER),
    "XGetWMName": (INT, POINTER, NUMBER, POINTER), "XResizeWindow": (INT, POINTER, NUMBER, INT, INT),
    "XStringToKeysym": (NUMBER, TEXT), "XKeysymToKeycode": (ctypes.c_ubyte, POINTER, NUMBER),
    "XInternAtom": (NUMBER, POINTER, TEXT, INT), "XSendEvent": (INT, POINTER, NUMBER, INT, ctypes.c_long, POINTER),
}


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


# what X does with an error by itself is to end the process; that a window has gone meanwhile is none
IGNORE = ctypes.CFUNCTYPE(INT, POINTER, POINTER)(lambda display, error: 0)


class KeyEvent(ctypes.Structure):
    _fields_ = [(name, kind) for names, kind in (
        ("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int), ("display", ctypes.c_void_p),
        ("window root subwindow time", ctypes.c_ulong), ("x y x_root y_root", ctypes.c_int),
        ("state keycode", ctypes.c_uint), ("same_screen", ctypes.c_int)) for name in names.split()]


class ClientMessage(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
                ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong),
                ("format", ctypes.c_int), ("data", ctypes.c_long * 5)]


class Text(ctypes.Structure):
    _fields_ = [("value", TEXT), ("encoding", NUMBER), ("format", INT), ("length", NUMBER)]


class Event(ctypes.Union):
    _fields_ = [("key", KeyEvent), ("message", ClientMessage), ("pad", ctypes.c_long * 24)]


class VirtualDisplay:
    """Skips by name where there is none. Close it."""

    def __init__(self, folder):
        if shutil.which("Xvfb") is None:
            pytest.skip("needs Xvfb: apt-get install xvfb")
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", "{}x{}x24".format(*SIZE), "-nolisten", "tcp", "-noreset",
             "-fbdir", str(folder)], pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as told:
            number = told.readline().strip()
        if not number:
            self.process.wait()
            pytest.skip("Xvfb does not start here")
        self.name, self._buffer, self._x = ":" + number, os.path.join(str(folder), "Xvfb_screen0"), None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def pixels(self):
        """(H, W, 3) of the whole screen, as it is now: blue, green, red."""
        with open(self._buffer, "rb") as f:
            data = f.read()
        head = struct.unpack(">25I", data[:100])  # of an XWD file
        start, (width, height), row = head[0] + 12 * head[19], head[4:6], head[12]
        rows = np.frombuffer(data, np.uint8, height * row, start).reshape(height, row)
        return rows[:, :4 * width].reshape(height, width, 4)[..., :3]

    def windows(self):
        """Number and title of every window."""
        root, parent, children, count = (kind() for kind in (ctypes.c_ulong, ctypes.c_ulong,
                                                             ctypes.POINTER(ctypes.c_ulong), ctypes.c_uint))
        x, display = self._connection()
        x.XQueryTree(display, x.XDefaultRootWindow(display), ctypes.byref(root), ctypes.byref(parent),
                     ctypes.byref(children), ctypes.byref(count))
        found = {}
        for window in children[:count.value]:
            title = Text()
            if x.XGetWMName(display, window, ctypes.byref(title)) and title.value:
                found[window] = title.value.decode("utf-8")
        return found

    def window(self, title):
        """That of this title, once it is there."""
        found = []
        wait_until(lambda: found.extend(n for n, name in self.windows().items() if name == title) or found,
                   "no window {}".format(title))
        return found[0]

    def resize(self, window, width, height):
        x, display = self._connection()
        x.XResizeWindow(display, window, width, height)
        x.XSync(display, 0)

    def press(self, window, key):
        """`key` as X names it: q, Escape."""
        x, display = self._connection()
        code = x.XKeysymToKeycode(display, x.XStringToKeysym(key.encode()))
        event = Event(key=KeyEvent(2, 0, 1, display, window, x.XDefaultRootWindow(display), 0, 0, 0, 0, 0, 0, 0, code, 1))
        self._send(window, event)

    def ask_to_close(self, window):
        """What a window manager does when the user clicks on the cross."""
        x, display = self._connection()
        protocols, delete = (x.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))
        data = (ctypes.c_long * 5)(delete)
        self._send(window, Event(message=ClientMessage(33, 0, 1, display, window, protocols, 32, data)))

    def _send(self, window, event):
        x, display = self._connection()
        x.XSendEvent(display, window, 0, 0, ctypes.byref(event))
        x.XSync(display, 0)

    def _connection(self):
        if self._x is None:
            try:
                x = ctypes.CDLL("libX11.so.6")
            except OSError:
                pytest.skip("needs libX11.so.6")
            for name, (kind, *given) in CALLS.items():
                call = getattr(x, name)
                call.restype, call.argtypes = kind, given
            x.XSetErrorHandler(IGNORE)
            display = x.XOpenDisplay(self.name.encode())
            assert display, "Xvfb does not answer"
            self._x = x, display
        return self._x
