"""A device that a file controls, for sources that read it in a process of their own."""
import os
import threading
import time

import numpy as np

from edge.core.errors import SourceError
from edge.sources.live.device import AbsentError, Mode, Opener


class StandIn(Opener):
    """`path` holds one word: what the device does now. `rate`: pictures a second."""

    def __init__(self, path, rate=100.0, name="stand-in", size=(48, 64)):
        self.path, self.rate, self.name, self.size = str(path), rate, name, size
        self.wanted, self.fps, self.opened = None, rate, 0

    def does(self):
        with open(self.path) as f:
            return f.read().strip()

    def open(self):
        does = self.does()
        if does.startswith("prints "):
            os.write(1 + self.opened % 2, (does[len("prints "):] + "\n").encode())  # as a library does: to either
            self.opened += 1
            raise SourceError("{} does not start".format(self.name))
        if does == "prints without end":
            while True:
                os.write(2, b"noise of a driver, again and again\n" * 100)
        if does == "unplugged":
            raise AbsentError("there is no camera {}: plug one in".format(self.name), "no camera at " + self.name)
        if does == "hangs in open":
            hang()
        return Device(self)


class WithMode(StandIn):
    """A camera that was asked for something else than it gives."""

    def __init__(self, path):
        super().__init__(path)
        self.wanted = Mode(64, 48, 100.0)
        self.daemon = "nvargus-daemon"


class Prepared(StandIn):
    """Its preparation lasts as long as the file has it."""

    preparation = "a list is made, once"
    daemon = "nvargus-daemon"

    def prepare(self):
        while self.does() == "prepares":
            time.sleep(0.01)


class Device:
    """Each of its pixels carries the number of the picture."""

    def __init__(self, opener):
        self.opener, self.count, self.does, self.size = opener, 0, "", opener.size
        self.last = None
        if opener.does() == "another size":
            self.size = (24, 32)

    def grab(self):
        self.does = self.opener.does()
        time.sleep(1.0 / self.opener.rate if self.does != "slow" else 0.3)
        if self.does == "unplugged":
            return False
        if self.does == "hangs in grab":
            hang()
        if self.does == "exits":
            os._exit(7)
        self.count += 1
        return True

    def retrieve(self):
        if self.does == "hangs in retrieve":
            hang()
        if self.does == "empty":
            return True, np.zeros((0, 0, 3), np.uint8)
        if self.does == "torn":
            return True, np.zeros((1, 4000), np.float32)
        if self.does == "frozen" and self.last is not None:
            return True, self.last.copy()
        size = (24, 32) if self.does == "another size" else self.size
        image = np.full(size + (3,), self.count % 251, np.uint8)
        self.last = image
        return True, image

    def release(self):
        if self.does == "hangs in release":
            hang()
        with open(self.opener.path + ".released", "a") as f:
            f.write("x")


def hang():
    threading.Event().wait()
