"""The files of the status log: a new one, or one that holds status records and nothing else."""
import os
import re
import stat
from contextlib import suppress
from typing import Iterator, List, Mapping, Optional

from edge.core.errors import ConfigError
from edge.host.ownership import UnsafePath
from edge.host.reading import parse_json
from edge.host.safeopen import Folder, folder_of, resolve

EDGE_BYTES = 65536  # that are looked at, at the beginning and at the end of a file
BEGINNING = b'{"schema":'  # of each record
PRIVATE = 0o600  # of the log of a source that has a secret
MODE = "NANOFACE_STATUS_MODE"  # of the environment: a new log's, whatever the umask, such as 0644
KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"), (stat.S_ISFIFO, "a pipe"),
         (stat.S_ISSOCK, "a socket"))


def names_of(path: str, keep: int) -> List[str]:
    """The files of a log: the one that is written, then the older ones."""
    return [path] + ["{}.{}".format(path, n) for n in range(1, keep + 1)]


def check_status(path: str, keep: int) -> None:
    """Raises ConfigError where something else than a status log would be written into or rotated away."""
    try:
        folder, name = resolve(path)
        with folder:
            _check(path, folder, name)
        with folder_of(os.path.dirname(path) or ".") as beside:
            for older in names_of(path, keep)[1:]:
                _check_older(beside, os.path.basename(older))
    except UnsafePath as e:
        raise ConfigError("--status {}: {}".format(path, e.strerror))
    except OSError:
        return  # StatusLog reports it, and tracking goes on; a missing folder is made


def open_log(path: str, mode: Optional[int]) -> int:
    """For appending and reading. Raises OSError."""
    folder, name = resolve(path, make=True)
    with folder:
        found = folder.check(name) if name else None
        if found is not None or not name:
            fd = folder.open(name, os.O_RDWR | os.O_APPEND) if name else os.open(path, os.O_WRONLY | os.O_APPEND)
            info = os.fstat(fd)
            linked = folder.shared and info.st_nlink > 1  # put there since check()
            if stat.S_ISREG(info.st_mode) and (linked or is_foreign(fd)):
                os.close(fd)
                raise UnsafePath(_foreign(path))
            _restrict(fd, mode)
            return fd
        fd = folder.make(name, 0o644, os.O_RDWR | os.O_APPEND)
        if mode is not None:
            _set_mode(fd, mode)
        return fd


def _restrict(fd: int, mode: Optional[int]) -> None:
    """A file that was there before, and may be another account's."""
    info = os.fstat(fd)
    if mode is not None and stat.S_ISREG(info.st_mode) and stat.S_IMODE(info.st_mode) & ~mode:
        with suppress(PermissionError):
            _set_mode(fd, stat.S_IMODE(info.st_mode) & mode)


def _set_mode(fd: int, mode: int) -> None:
    getattr(os, "fchmod", lambda *_: None)(fd, mode)  # Windows knows no such modes


def rotate(path: str, keep: int) -> None:
    """`path` becomes path.1, and so on; the oldest goes. Raises OSError."""
    names = [os.path.basename(name) for name in names_of(path, keep)]
    with folder_of(os.path.dirname(path) or ".") as folder:
        for older in names[1:]:
            _check_older(folder, older)
        for n in range(keep, 1, -1):
            if folder.look(names[n - 1]) is not None:
                folder.replace(names[n - 1], names[n])
        if keep > 0:
            folder.replace(names[0], names[1])
        else:
            folder.unlink(names[0])


def mode_of(environ: Mapping[str, str]) -> Optional[int]:
    """The mode that the service sets for a new log, so that its owner can read it; None leaves it to the umask."""
    text = environ.get(MODE, "")
    return int(text, 8) if re.match(r"[0-7]{1,4}\Z", text) else None


def is_foreign(fd: int) -> bool:
    """Whether a file holds anything but status records. What a crash or power cut left of one is a record too."""
    known = False
    for line in _lines(fd):
        if not line:
            continue
        if line.strip(b"\0") and not _is_record(line):
            return True
        known = True  # a record, or blocks that a power cut left empty
    return not known and os.fstat(fd).st_size > 0


def _lines(fd: int) -> Iterator[bytes]:
    """Those at the beginning and at the end of a file; the last one may be cut short."""
    size = os.fstat(fd).st_size
    os.lseek(fd, 0, os.SEEK_SET)
    yield from os.read(fd, EDGE_BYTES).split(b"\n")
    if size > EDGE_BYTES:
        os.lseek(fd, max(EDGE_BYTES, size - EDGE_BYTES), os.SEEK_SET)
        yield from os.read(fd, EDGE_BYTES).split(b"\n")[1:]


def _is_record(line: bytes) -> bool:
    try:
        record = parse_json(line, finite=False)
    except ValueError:
        return line.startswith(BEGINNING) or BEGINNING.startswith(line)
    return isinstance(record, dict) and isinstance(record.get("schema"), int) and isinstance(record.get("state"), str)


def _check(path: str, folder: Folder, name: str) -> None:
    found = folder.check(name) if name else os.stat(path)
    if found is None:
        return
    kinds = [text for is_kind, text in KINDS if is_kind(found.st_mode)]
    if kinds or not name:
        raise UnsafePath("it is {} and no file: name a file, or none to write no status log".format("".join(kinds) or "open"))
    _check_older(folder, name)


def _check_older(folder: Folder, name: str) -> None:
    """A link gives its name alone to what is rotated."""
    found, path = folder.look(name), os.path.join(folder.path, name)
    if found is None or stat.S_ISLNK(found.st_mode):
        return
    if not stat.S_ISREG(found.st_mode):
        raise UnsafePath("{} is no file: remove it, or name another status log".format(path))
    fd = folder.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if is_foreign(fd):
            raise UnsafePath(_foreign(path))
    finally:
        os.close(fd)


def _foreign(path: str) -> str:
    return "{} holds something else than status records and stays as it is: name another file".format(path)
