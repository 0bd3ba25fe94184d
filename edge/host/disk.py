"""Files that are whole or not there, one builder at a time, and one clear line when a write fails."""
import errno
import hashlib
import os
import shlex
import shutil
import sys
from contextlib import contextmanager
from types import TracebackType
from typing import Callable, Iterator, Optional, Type

from edge.core.errors import ModelError
from edge.host.ownership import Exposed, UnsafePath, account, ours
from edge.host.safeopen import Folder, folder_of, random_word

PART = ".part"  # ends the name of what is not finished yet
LOCK = ".lock"

_NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)

_MAKE_ROOM = "make room there or set NANOFACE_HOME to a folder on another disk"


class StorageError(ModelError):
    """A write failed, so that another network is no alternative."""


def storage_error(path: str, error: OSError) -> StorageError:
    reason = error.strerror or str(error)
    if isinstance(error, UnsafePath):
        return StorageError(_as_root(error) if isinstance(error, Exposed) else reason)
    if error.errno in _NO_SPACE:
        cure = _MAKE_ROOM
    elif error.errno in _REFUSED:
        cure = "set NANOFACE_HOME to a folder that you may write to"
    else:
        cure = "check the disk or set NANOFACE_HOME to another folder"
    return StorageError("{} cannot be written ({}): {}".format(path, reason, cure))


def _as_root(exposed: Exposed) -> str:
    if exposed.uid in ours():
        return "{}, so root writes nothing there: sudo chmod go-w {}, or set NANOFACE_HOME to another folder".format(
            exposed.strerror, shlex.quote(exposed.path))
    home = os.environ.get("NANOFACE_HOME")
    program = sys.argv[0] if os.path.basename(sys.argv[0]) == "nanoface" else "nanoface"
    argv = ["sudo", "-u", account(exposed.uid)] + (["NANOFACE_HOME=" + home] if home else []) + [program] + sys.argv[1:]
    return "{}, so root writes nothing there: {}".format(exposed.strerror, " ".join(shlex.quote(word) for word in argv))


def own_folder(path: str) -> Folder:
    """Made where it is missing. Root writes only where no other account can put something in its way. Raises OSError."""
    return folder_of(path, make=True, alone=hasattr(os, "geteuid") and os.geteuid() == 0)


def no_room(folder: str, size: int) -> StorageError:
    """`size` in bytes."""
    return StorageError("{} has no room for {:.0f} MB: {}".format(folder, size / 1e6, _MAKE_ROOM))


class Draft:
    """A file that appears at `path` only when the block ends well; until then, and after a kill, a .part beside it.

    As a context manager. `mode` and `group` of the file, as they are; else what the umask makes of 0666. Raises StorageError.
    """

    def __init__(self, path: str, mode: Optional[int] = None, group: int = -1) -> None:
        self.path = path
        self._mode, self._group = mode, group
        self._folder: Optional[Folder] = None
        self._part = ""
        self._fd = -1
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._digest.hexdigest()

    def __enter__(self) -> "Draft":
        where, name = os.path.split(self.path)
        try:
            self._folder = own_folder(where or ".")
            self._fd, self._part = self._folder.draft(name, PART, 0o666 if self._mode is None else 0o600)
        except OSError as e:
            if self._folder is not None:
                self._folder.__exit__()
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
        assert self._folder is not None, "a Draft is a context manager"
        with self._folder as folder:
            try:
                self._finish(folder, kind is None)
            except OSError as e:
                if kind is None:
                    raise storage_error(self.path, e) from e
            finally:
                try:
                    folder.unlink(self._part)
                except OSError:
                    pass  # it was renamed, or stays for the next run to remove

    def _finish(self, folder: Folder, keep: bool) -> None:
        try:
            if keep and self._mode is not None:
                os.fchown(self._fd, -1, self._group)
                os.fchmod(self._fd, self._mode)
            if keep:
                os.fsync(self._fd)  # a power cut must not leave a name without its content
        finally:
            os.close(self._fd)
        if keep:
            folder.replace(self._part, os.path.basename(self.path))
            _sync_folder(os.path.dirname(self.path) or ".")


def write_whole(path: str, content: bytes, mode: Optional[int] = None, group: int = -1) -> str:
    """Write a file atomically; returns its sha256. See Draft. Raises StorageError."""
    with Draft(path, mode, group) as draft:
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
        if os.path.isdir(path) and not os.path.islink(path):
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
    part = ".{}.{}{}".format(name, random_word(), PART)
    path = os.path.join(parent, part)
    try:
        with own_folder(parent) as folder:
            os.mkdir(folder.at(part), dir_fd=folder.fd)
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
    that is read-only) nothing is locked. Raises StorageError where the lock is a link, or another account's as root.
    """
    fd = _locked(folder, waiting)
    try:
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _locked(folder: str, waiting: Callable[[], None]) -> Optional[int]:
    try:
        import fcntl
        with own_folder(folder) as place:
            try:
                fd = place.open(LOCK, os.O_RDWR | os.O_CREAT)
            except PermissionError:  # of another user: reading is enough for a lock
                fd = place.open(LOCK, os.O_RDONLY)
    except UnsafePath as e:
        raise storage_error(folder, e) from e
    except (ImportError, OSError):
        return None  # a later write raises the error with its cure
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError:
        pass
    return fd
