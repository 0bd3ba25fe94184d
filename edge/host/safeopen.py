"""Folders by their descriptors, and opening files in them; the rule is that of ownership.py."""
import errno
import os
import stat
from contextlib import ExitStack
from typing import List, Optional, Tuple

from edge.host.ownership import Exposed, UnsafePath, account, check_link, is_shared, link_refused, others, ours

MOST_KEPT = 200  # bytes of a file's name in that of its draft
MOST_LINKS = 40  # the kernel's own limit
BY_DESCRIPTOR = hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY") and os.open in os.supports_dir_fd
_FOLDER = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_OURS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
PROC = "/proc"


class Folder:
    """A folder by its descriptor: what is done to its entries happens in it, whatever becomes of its path.

    As a context manager. All methods raise OSError.
    """

    def __init__(self, path: str, fd: Optional[int], shared: bool = False) -> None:
        self.path, self.fd, self.shared = "" if path == "." else path, fd, shared

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *_: object) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def at(self, name: str) -> str:
        """To be used with dir_fd=folder.fd."""
        return name if self.fd is not None else os.path.join(self.path, name)

    def look(self, name: str) -> Optional[os.stat_result]:
        """Of an entry itself; None where there is none."""
        try:
            return os.stat(self.at(name), dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def make(self, name: str, mode: int = 0o666, flags: int = os.O_WRONLY) -> int:
        """A new file: nothing is followed, nothing that is there is opened."""
        return os.open(self.at(name), flags | os.O_CREAT | os.O_EXCL | _NO_LINK | _OURS, mode, dir_fd=self.fd)

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """An entry that is no link, or is made."""
        try:
            return os.open(self.at(name), flags | _NO_LINK | _OURS, mode, dir_fd=self.fd)
        except OSError as e:
            if e.errno == errno.ELOOP:
                raise link_refused(os.path.join(self.path, name))
            raise

    def draft(self, name: str, end: str, mode: int = 0o666, flags: int = os.O_WRONLY) -> Tuple[int, str]:
        """A new file with a random name: its descriptor and its name."""
        kept = os.fsdecode(os.fsencode(name)[:MOST_KEPT])  # a name may be as long as the system allows
        part = ".{}.{}{}".format(kept, random_word(), end)
        return self.make(part, mode, flags), part

    def replace(self, part: str, name: str) -> None:
        """A link at `name` is replaced and not followed."""
        os.replace(self.at(part), self.at(name), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def unlink(self, name: str) -> None:
        os.unlink(self.at(name), dir_fd=self.fd)

    def check(self, name: str) -> Optional[os.stat_result]:
        """What is there, if it may be written to or replaced. Raises UnsafePath. Call it for what is no link."""
        found = self.look(name)
        if found is None or not self.shared:
            return found
        path = os.path.join(self.path, name)
        there = os.stat(self.path if self.fd is None else self.fd)
        if there.st_mode & stat.S_ISVTX and found.st_uid not in ours() | {there.st_uid}:
            raise UnsafePath("{} belongs to {}, in a folder where everybody can put files: remove it, or choose a folder "
                             "of your own".format(path, account(found.st_uid)))
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            raise UnsafePath("{} is a hard link to a file that has another name as well, in a folder where {} can put "
                             "files: remove it, or choose a folder of your own".format(path, others(there)))
        return found


def random_word() -> str:
    return "".join("{:02x}".format(byte) for byte in os.urandom(8))


def folder_of(path: str, make: bool = False, alone: bool = False) -> Folder:
    """The folder at `path`, by a walk that follows no link of another account's. With `make` those that are missing are made.

    With `alone` raises Exposed where another account could exchange what leads there or what lies in it.
    """
    if not BY_DESCRIPTOR:
        if make:
            os.makedirs(path, exist_ok=True)
        return Folder(path, None)
    with ExitStack() as failed:
        walk = _Walk(make, alone)
        failed.callback(walk.close)
        walk.go(path if os.path.isabs(path) else os.path.join(os.getcwd(), path))
        info = os.fstat(walk.fd)
        if alone and is_shared(info):
            raise Exposed(path, info.st_uid)
        failed.pop_all()
    return Folder(path, walk.fd, is_shared(info))


class _Walk:
    """From the root down, one name after the other."""

    def __init__(self, make: bool, alone: bool) -> None:
        self._make, self._alone = make, alone
        self.fd = os.open("/", _FOLDER)
        self._links, self._at = 0, "/"
        self._proc = _proc_device()

    def go(self, path: str) -> None:
        todo = _words(path)
        while todo:
            name = todo.pop()
            here, shown = os.fstat(self.fd), os.path.join(self._at, name)
            kernels = here.st_dev == self._proc
            if self._alone:
                self._check(here, name)
            found = self._found(name)
            if kernels or not stat.S_ISLNK(found.st_mode):
                self._enter(os.open(name, _FOLDER | (0 if kernels else _NO_LINK), dir_fd=self.fd), shown)
                continue
            check_link(shown, found, here)
            self._links += 1
            if self._links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(name, dir_fd=self.fd)
            if target.startswith("/"):
                self._enter(os.open("/", _FOLDER), "/")
            todo += _words(target)

    def _check(self, here: os.stat_result, name: str) -> None:
        """A sticky folder keeps what is ours where it is; what is made there is ours."""
        if not is_shared(here):
            return
        if here.st_uid not in ours() or not here.st_mode & stat.S_ISVTX:
            raise Exposed(self._at, here.st_uid)
        there = Folder(self._at, self.fd).look(name)
        if there is not None and there.st_uid not in ours():
            raise Exposed(os.path.join(self._at, name), there.st_uid)

    def _found(self, name: str) -> os.stat_result:
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            if not self._make:
                raise
            try:
                os.mkdir(name, dir_fd=self.fd)
            except FileExistsError:
                pass  # another process was quicker
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)

    def close(self) -> None:
        os.close(self.fd)

    def _enter(self, fd: int, shown: str) -> None:
        os.close(self.fd)
        self.fd, self._at = fd, shown


def _proc_device() -> int:
    """Links of /proc lead where only the kernel knows."""
    return os.stat(PROC).st_dev if os.path.isdir(PROC) else -1


def _words(path: str) -> List[str]:
    """The names of a path, the last one first."""
    return [name for name in path.split("/") if name not in ("", ".")][::-1]


def resolve(path: str, make: bool = False) -> Tuple[Folder, str]:
    """The folder and the name that `path` leads to, links of ours followed to their end.

    The name is "" where the kernel alone knows what it leads to (/dev/stdout). With `make` folders that are missing are made.
    """
    for _ in range(MOST_LINKS):
        parent, name = os.path.split(path.rstrip("/") or "/")
        if name in ("", ".", ".."):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        with ExitStack() as left:
            folder = left.enter_context(folder_of(parent or ".", make))
            found = folder.look(name)
            if folder.fd is None or found is None or not stat.S_ISLNK(found.st_mode):
                left.pop_all()
                return folder, name
            here = os.fstat(folder.fd)
            check_link(path, found, here)
            if here.st_dev == _proc_device():
                left.pop_all()
                return folder, ""
            path = os.path.join(folder.path, os.readlink(name, dir_fd=folder.fd))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def open_new(path: str, make: bool = False) -> int:
    """For writing, from the beginning: what is there is replaced. With `make` folders that are missing are made."""
    folder, name = resolve(path, make)
    with folder:
        if not name:
            return os.open(path, os.O_WRONLY | os.O_TRUNC | _OURS)
        found = folder.check(name)
        if not folder.shared:
            return folder.open(name, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
        if found is not None and not stat.S_ISREG(found.st_mode):
            return _same_kind(folder.open(name, os.O_WRONLY), path)
        if found is not None:
            folder.unlink(name)  # and never opened: it may by now be another file
        return folder.make(name)


def _same_kind(fd: int, path: str) -> int:
    """A pipe or device, and not the file that was put into its place meanwhile."""
    if stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnsafePath("{} was exchanged while it was opened: choose a folder of your own".format(path))
    return fd


def open_read(path: str) -> int:
    """A regular file, for reading: no pipe that makes us wait, no link of another account's."""
    folder, name = resolve(path)
    with folder:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
        fd = folder.open(name, flags) if name else os.open(path, flags | _OURS)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnsafePath("{} is no regular file".format(path))
    return fd
