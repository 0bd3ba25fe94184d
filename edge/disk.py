"""Files that are whole or not there, one builder at a time, and one clear line when the disk refuses."""
import errno
import hashlib
import os
import shutil
from contextlib import contextmanager
from types import TracebackType
from typing import Callable, Iterator, Optional, Type

from edge.errors import ModelError

PART = ".part"  # ends the name of what is not finished yet
LOCK = ".lock"

_NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)

_MAKE_ROOM = "make room there or set NANOFACE_HOME to a folder on another disk"


class StorageError(ModelError):
    """The disk is full or refuses. Another network would fare no better."""


def storage_error(path: str, error: OSError) -> StorageError:
    reason = error.strerror or str(error)
    if error.errno in _NO_SPACE:
        cure = _MAKE_ROOM
    elif error.errno in _REFUSED:
        cure = "set NANOFACE_HOME to a folder that you may write to"
    else:
        cure = "check the disk or set NANOFACE_HOME to another folder"
    return StorageError("{} cannot be written ({}): {}".format(path, reason, cure))


def no_room(folder: str, size: int) -> StorageError:
    """`size` in bytes."""
    return StorageError("{} has no room for {:.0f} MB: {}".format(folder, size / 1e6, _MAKE_ROOM))


class Draft:
    """A file that appears at `path` only when the block ends well; until then, and after a kill, a .part beside it.

    As a context manager. Raises StorageError.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        folder, name = os.path.split(path)
        self._folder = folder
        self._part = os.path.join(folder, ".{}.{}{}".format(name, os.getpid(), PART))
        self._fd = -1
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._digest.hexdigest()

    def __enter__(self) -> "Draft":
        try:
            os.makedirs(self._folder, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
            self._fd = os.open(self._part, flags, 0o666)
        except OSError as e:
            raise storage_error(self.path, e) from e
        return self

    def write(self, block: bytes) -> None:
        try:
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(self._fd, rest):]
        except OSError as e:
            raise storage_error(self.path, e) from e
        self._digest.update(block)
        self.size += len(block)

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            self._finish(kind is None)
        except OSError as e:
            if kind is None:
                raise storage_error(self.path, e) from e
        finally:
            _remove(self._part)

    def _finish(self, keep: bool) -> None:
        try:
            if keep:
                os.fsync(self._fd)  # a power cut must not leave a name without its content
        finally:
            os.close(self._fd)
        if keep:
            os.replace(self._part, self.path)
            _sync_folder(self._folder)


def write_whole(path: str, content: bytes) -> str:
    """Write a file atomically; returns its sha256. Raises StorageError."""
    with Draft(path) as draft:
        draft.write(content)
    return draft.sha256


def _sync_folder(folder: str) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows cannot, and need not
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as e:
        if e.errno != errno.EINVAL:  # some network file systems cannot
            raise
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    try:
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.remove(path)
    except OSError:
        pass  # it was renamed, or stays for the next run to remove


def remove_leftovers(folder: str) -> int:
    """Remove what killed runs left below `folder`; returns how many. Call it with the lock held."""
    count = 0
    for root, folders, files in os.walk(folder):
        for name in [n for n in folders + files if n.startswith(".") and n.endswith(PART)]:
            _remove(os.path.join(root, name))
            count += 1
        folders[:] = [n for n in folders if not n.endswith(PART)]
    return count


@contextmanager
def part_folder(parent: str, name: str) -> Iterator[str]:
    """A folder for what is in the making, removed at the end. Raises StorageError."""
    path = os.path.join(parent, ".{}.{}{}".format(name, os.getpid(), PART))
    _remove(path)
    try:
        os.makedirs(path)
    except OSError as e:
        raise storage_error(path, e) from e
    try:
        yield path
    finally:
        _remove(path)


@contextmanager
def one_builder(folder: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of `folder`; calls `waiting` once if another process has it.

    The system frees it when a process dies. Where there is no locking (Windows, some network file systems, a folder
    that is read-only) nothing is locked.
    """
    fd = _locked(folder, waiting)
    try:
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _lock_file(path: str) -> int:
    """One that another user made may only be read, which is enough for a lock. Raises OSError."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY)


def _locked(folder: str, waiting: Callable[[], None]) -> Optional[int]:
    try:
        import fcntl
        os.makedirs(folder, exist_ok=True)
        fd = _lock_file(os.path.join(folder, LOCK))
    except (ImportError, OSError):
        return None  # whoever then writes gets the error with its cure
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError:
        pass
    return fd
