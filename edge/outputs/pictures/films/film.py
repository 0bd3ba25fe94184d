"""The file of a film, from before its first frame until it is an ordinary MP4.

While it is written it is an MP4 in fragments, which plays up to the last whole one whatever becomes of us. An older film of
that name stays until the new one has a frame; from then on the new one is written under its own name.
"""
import errno
import os
import stat
import threading
from contextlib import suppress
from typing import Optional

from edge.host.safeopen import Folder, open_new, resolve
from edge.host.waiting import Event
from edge.outputs.pictures.films.mp4 import Fragments, sync

NEEDED, RESERVE = 64 << 20, 16 << 20  # bytes that are free at the start; that are left to others
KEEP_S = 1.0  # between two looks at the disk: what a power cut may take
MOST_COPIED = 16 << 20  # bytes; a larger film gets its index at its end, for a stop is to take two seconds


class Film:
    """Used in one thread; another one watches the disk. All methods raise OSError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.frames: Optional[int] = None  # that play; None where that is not known
        self._folder: Optional[Folder] = None
        self._name = ""
        self._draft = ""  # its name in the folder until it has a frame
        self._fd: Optional[int] = None
        self._fragments: Optional[Fragments] = None  # None for a pipe or device
        self._full = self._over = None  # type: Optional[Event]

    def open(self) -> None:
        """Makes the folders that are missing and proves that a film can be written there; changes nothing."""
        self._folder, self._name = resolve(self.path, make=True)
        found = self._folder.check(self._name) if self._name else None
        if not self._name or found is not None and not stat.S_ISREG(found.st_mode):
            if found is not None and stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._name = ""  # opened by its path
            return
        if found is not None and not self._folder.shared:
            os.close(self._folder.open(self._name, os.O_WRONLY))
        fd, part = self._folder.draft(self._name, "")
        free = _free(fd)
        os.close(fd)
        self._folder.unlink(part)
        if free < NEEDED:
            raise OSError(errno.ENOSPC, "less than {} MB are free".format(NEEDED >> 20))

    def begin(self) -> int:
        """The descriptor that the encoder is to write to."""
        assert self._folder is not None, "begin() before open()"
        if not self._name:
            self._fd = open_new(self.path)
            return self._fd
        self._folder.check(self._name)
        try:
            self._fd = self._folder.make(self._name, flags=os.O_RDWR)
        except FileExistsError:
            self._fd, self._draft = self._folder.draft(self._name, "", flags=os.O_RDWR)
        self._fragments = Fragments(self._fd)
        self._over, self._full = Event(), Event()
        threading.Thread(target=_keep, args=(os.dup(self._fd), self._over, self._full), name="film", daemon=True).start()
        return self._fd

    def look(self) -> Optional[int]:
        """`frames` by now. Raises OSError where the disk has become full."""
        if self._fragments is None:
            return None
        self.frames = self._fragments.look()
        if self._draft and self.frames:
            self._move(self._draft)
            self._draft = ""
        if self._full is not None and self._full.is_set():
            raise OSError(errno.ENOSPC, "less than {} MB are free".format(RESERVE >> 20))
        return self.frames

    def end(self, ticks: int) -> None:
        """The encoder has ended, well or not: leaves an ordinary film of what there is, the last frame for `ticks`.

        Without a frame nothing; where the disk is full the film in fragments, which plays as well.
        """
        if self._fragments is None or self._fd is None:
            return
        with suppress(OSError):  # full: reported already
            self.look()
        if not self.frames:
            self._remove()
            return
        os.ftruncate(self._fd, self._fragments.end)
        try:
            if not self._copied(self._fragments, ticks):
                self._fragments.settle(ticks)
        except OSError:
            os.ftruncate(self._fd, self._fragments.end)

    def _copied(self, fragments: Fragments, ticks: int) -> bool:
        """Whether a film with its index at the beginning has taken its place."""
        assert self._folder is not None and self._fd is not None
        if fragments.end > min(MOST_COPIED, _free(self._fd) - RESERVE):
            return False
        fd, part = self._folder.draft(self._name, "")
        try:
            fragments.copy(fd, ticks)
            sync(fd)
            self._move(part)
            return True
        except OSError:
            self._folder.unlink(part)
            return False
        finally:
            os.close(fd)

    def _remove(self) -> None:
        """What was begun; never a file that replaced it since."""
        assert self._folder is not None and self._fd is not None
        left = self._draft or self._name
        found = self._folder.look(left)
        if found is not None and os.path.samestat(found, os.fstat(self._fd)):
            self._folder.unlink(left)

    def _move(self, part: str) -> None:
        assert self._folder is not None
        self._folder.check(self._name)
        self._folder.replace(part, self._name)

    def close(self) -> None:
        """May be called twice."""
        if self._over is not None:
            self._over.set()
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        if self._folder is not None:
            self._folder.__exit__()


def _free(fd: int) -> int:
    """Bytes on its disk that we may use; many where that is not known."""
    try:
        disk = os.statvfs(fd)
    except OSError:
        return 1 << 62
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else 1 << 62


def _keep(fd: int, over: Event, full: Event) -> None:
    """Once a second: what was written goes to the disk, and there is room on it."""
    size = 0
    try:
        while not over.wait(KEEP_S):
            before, size = size, os.fstat(fd).st_size
            if size != before:
                sync(fd)
            if _free(fd) < RESERVE:
                full.set()
    except OSError:
        return  # the writer gets the same error
    finally:
        os.close(fd)
