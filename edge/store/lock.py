"""Building engines and tracking take turns: a board has no memory for both.

`nanoface build` holds the lock of `plans/` alone (`edge.host.disk.one_builder`); trackers share it. The system frees it when a
process dies. Where there is no folder or no locking, neither waits.
"""
import os
import time
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from edge.core import clock
from edge.core.errors import EngineError
from edge.host.disk import LOCK
from edge.host.ownership import UnsafePath
from edge.host.safeopen import folder_of
from edge.store.plans import plans_dir

POLL_S = 0.2
REPORT_INTERVAL_S = 5.0


@contextmanager
def tracking(home: str, waiting: Callable[[], None], stopped: Callable[[], bool]) -> Iterator[None]:
    """Hold builds off. While one is at work it is waited for, with `waiting()` every few seconds, until `stopped()`."""
    fd = _open(home)
    try:
        if fd is not None:
            _wait(fd, waiting, stopped)
        yield
    finally:
        if fd is not None:
            os.close(fd)


def in_use(home: str) -> bool:
    """A tracker runs with the engines of `home`. A build at work is not meant: see one_builder."""
    fd = _open(home)
    if fd is None:
        return False
    try:
        return not _lock(fd, alone=True) and _lock(fd, alone=False) and not _lock(fd, alone=True)  # the third: is_held()
    finally:
        os.close(fd)


def is_held(home: str) -> bool:
    """A build is at work. To look takes the lock alone for a moment: shared, it would look like a tracker's."""
    fd = _open(home)
    if fd is None:
        return False
    try:
        return not _lock(fd, alone=True)
    finally:
        os.close(fd)


def _wait(fd: int, waiting: Callable[[], None], stopped: Callable[[], bool]) -> None:
    due = clock.monotonic()
    while not _lock(fd, alone=False):
        if stopped():
            return
        if clock.monotonic() >= due:
            due = clock.monotonic() + REPORT_INTERVAL_S
            waiting()
        time.sleep(POLL_S)


def _open(home: str) -> Optional[int]:
    """The lock's file; one that may only be read is enough. None where it cannot be opened.

    Raises EngineError where a link stands in its place.
    """
    try:
        with folder_of(plans_dir(home)) as folder:
            make = 0 if folder.shared else os.O_CREAT  # one that is not the owner's would lock the owner out
            for flags in (os.O_RDWR | make, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)):
                try:
                    return folder.open(LOCK, flags)
                except UnsafePath:
                    raise
                except OSError:
                    continue
    except UnsafePath as e:
        raise EngineError(str(e.strerror)) from e
    except OSError:
        pass
    return None


def _lock(fd: int, alone: bool) -> bool:
    """False where another process holds it. True as well where there is no locking."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return True
    return True
