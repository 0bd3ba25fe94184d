"""Keeps OpenVINO's hands off the signal stack of the thread that loads a network.

Where the processor has AMX, OpenVINO gives the calling thread an alternate signal stack whose memory it does not keep: a
signal that reaches the thread later, as Ctrl-C does the main one, is then handled in memory that belongs to somebody else,
and the process dies. Seen with 2026.4; no other thread is concerned.
"""
import ctypes
import sys
from contextlib import contextmanager
from typing import Iterator


class _Stack(ctypes.Structure):
    """stack_t of <signal.h> on Linux."""

    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@contextmanager
def kept() -> Iterator[None]:
    """On leaving, the calling thread has the signal stack again that it had before; mostly none."""
    if not sys.platform.startswith("linux"):
        yield
        return
    sigaltstack, before = ctypes.CDLL(None).sigaltstack, _Stack()
    known = sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            sigaltstack(ctypes.byref(before), None)
