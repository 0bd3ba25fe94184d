"""Waiting as compiled code does that keeps the interpreter lock, and as code does that releases it."""
import ctypes
import time

from . import settings


class Loaded:
    """The library, once it is loaded; and whether CUDA has been initialised, which takes longest."""

    c = None
    first = True


def hold(call):
    """Keep the interpreter lock, so that every other Python thread stands still, for as long as `call` takes."""
    seconds = settings.held_s(call)
    if Loaded.first:
        Loaded.first = False
        seconds = max(seconds, settings.held_s("first"))
    if Loaded.c is None:
        Loaded.c = ctypes.PyDLL(None)
    rest_us = int(seconds * 1e6)
    while rest_us > 0:
        Loaded.c.usleep(min(rest_us, 900000))
        rest_us -= 900000


def released(name):
    """Sleep without the lock for the seconds of an environment variable."""
    seconds = float(settings.text(name, "0"))
    if seconds > 0:
        time.sleep(seconds)
