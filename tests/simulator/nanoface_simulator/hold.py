"""Time: waiting with and without the interpreter lock, and processor time without it."""
import ctypes
import hashlib
import time

from . import settings

SLEEP_LATE_NS = 1000  # how late a sleep may end
PR_SET_TIMERSLACK = 29


class Loaded:
    """The library, once it is loaded; whether CUDA was initialised, which takes longest; the speed of burn()."""

    c = None
    first = True
    burnt_per_s = 0.0


def _c():
    """The C library, called without releasing the lock."""
    if Loaded.c is None:
        Loaded.c = ctypes.PyDLL(None)
    return Loaded.c


def hold(call):
    """Keep the interpreter lock, so that every other Python thread stands still, for as long as `call` takes."""
    seconds = settings.held_s(call)
    if Loaded.first:
        Loaded.first = False
        seconds = max(seconds, settings.held_s("first"))
    rest_us = int(seconds * 1e6)
    while rest_us > 0:
        _c().usleep(min(rest_us, 900000))
        rest_us -= 900000


def released(name):
    """Sleep without the lock for the seconds of an environment variable."""
    seconds = float(settings.text(name, "0"))
    if seconds > 0:
        time.sleep(seconds)


def sleep_until(moment):
    """Sleep without the lock until time.perf_counter() says `moment`. By default Linux wakes a thread 50 us late."""
    rest = moment - time.perf_counter()
    if rest <= 0:
        return
    c = _c()
    c.prctl(PR_SET_TIMERSLACK, SLEEP_LATE_NS, 0, 0, 0)
    time.sleep(rest)
    c.prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0)  # the thread's own again


def burn(seconds):
    """Take the processor without the lock."""
    if seconds <= 0:
        return
    if not Loaded.burnt_per_s:
        began_at = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
        hashlib.pbkdf2_hmac("sha1", b"", b"", 20000)
        Loaded.burnt_per_s = 20000 / (time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) - began_at)
    hashlib.pbkdf2_hmac("sha1", b"", b"", max(int(seconds * Loaded.burnt_per_s), 1))
