"""Pipes to and from other processes."""
import sys
from contextlib import suppress

F_SETPIPE_SZ = 1031  # linux/fcntl.h
LARGEST_BYTES = 1 << 20  # that Linux allows everybody


def widen(fd: int) -> None:
    """So that a whole picture of 640x480 goes in at once and its writer need not wait. Stays as it is where that cannot be."""
    if sys.platform.startswith("linux"):
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(fd, F_SETPIPE_SZ, LARGEST_BYTES)
