"""Reading the status log while another process writes, rotates or truncates it."""
import os
from typing import Any, BinaryIO, Dict, Iterator, List, Optional

from edge.core.errors import ConfigError
from edge.host import commands
from edge.host.ownership import UnsafePath
from edge.host.reading import parse_json
from edge.host.safeopen import open_read

POLL_S = 0.25
TAIL_BYTES = LONGEST_LINE = 65536  # about twenty records


def read_last(path: str) -> Dict[str, Any]:
    """The newest whole record. Raises ConfigError where there is none."""
    for candidate in (path, path + ".1"):  # just after a rotation the newest one is in the old file
        records = _tail(candidate)
        if records:
            return records[-1]
    if os.path.exists(path):
        raise ConfigError("{} holds no status record yet: is it the status log of a running nanoface?".format(path))
    raise ConfigError("there is no status log {}: start `{}`, or name the log that it writes".format(
        path, commands.command("run")))


def follow(path: str, stop: Any, poll_s: float = POLL_S) -> Iterator[Dict[str, Any]]:
    """The newest record, then each one that is written, in order, until `stop` is set. The file may come later.

    A line that is not complete is waited for; a rotated file is read to its end before the next one is opened.
    `stop` has is_set() and wait().
    """
    reader = _Reader(path)
    try:
        for record in reader.newest():
            yield record
        while not stop.is_set():
            for record in reader.read():
                yield record
            stop.wait(poll_s)
    finally:
        reader.close()


class _Reader:
    """The records that were appended since the last look."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: Optional[BinaryIO] = None
        self._short = b""  # the beginning of a line

    def newest(self) -> List[Dict[str, Any]]:
        """The last record that is there, if any; read() goes on behind it."""
        self._open(self._path)
        records: List[Dict[str, Any]] = []
        if self._file is not None:
            self._file.seek(max(0, os.fstat(self._file.fileno()).st_size - TAIL_BYTES))
            records = list(self._rest())
        return (records or _tail(self._path + ".1"))[-1:]

    def read(self) -> Iterator[Dict[str, Any]]:
        if self._file is None:
            self._open(self._path)
        while self._file is not None:
            successor = self._successor()  # looked up first: what went into our file before that is still read
            yield from self._rest()
            if successor is None:
                break
            self._open(successor)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rest(self) -> Iterator[Dict[str, Any]]:
        assert self._file is not None, "called with a file open"
        if os.fstat(self._file.fileno()).st_size < self._file.tell():  # truncated
            self._file.seek(0)
            self._short = b""
        for piece in iter(lambda: self._file.read(TAIL_BYTES) if self._file is not None else b"", b""):
            lines = (self._short + piece).split(b"\n")
            self._short = lines.pop()[-LONGEST_LINE:]  # the end of a longer line is no record either
            yield from _parsed(lines)

    def _successor(self) -> Optional[str]:
        """The file that was begun after ours; None where ours is still the one that is written."""
        assert self._file is not None, "called with a file open"
        ours, newer = os.fstat(self._file.fileno()), None
        names, n = [self._path], 1
        while os.path.exists("{}.{}".format(self._path, n)):
            names.append("{}.{}".format(self._path, n))
            n += 1
        for name in names:
            try:
                if os.path.samestat(os.stat(name), ours):
                    return newer
            except FileNotFoundError:
                continue
            newer = name
        return newer  # ours is gone: begin with the oldest that is left

    def _open(self, path: str) -> None:
        self.close()
        self._short = b""
        try:
            self._file = os.fdopen(open_read(path), "rb")
        except UnsafePath as e:
            raise _not_read(path, e)
        except OSError:
            self._file = None  # between a rotation and the first line after it; looked for again


def _tail(path: str) -> List[Dict[str, Any]]:
    """The last records of a file, none where there is none. Raises ConfigError for one that is not to be read."""
    try:
        with os.fdopen(open_read(path), "rb") as f:
            begin = max(0, os.fstat(f.fileno()).st_size - TAIL_BYTES)
            f.seek(begin)
            lines = f.read(TAIL_BYTES).split(b"\n")
    except UnsafePath as e:
        raise _not_read(path, e)
    except PermissionError:
        raise ConfigError("the status log {} may not be read by this user: put sudo before the command".format(path))
    except OSError:
        return []
    return _parsed(lines[1 if begin else 0:-1])


def _not_read(path: str, error: UnsafePath) -> ConfigError:
    return ConfigError("the status log {} is not read: {}".format(path, error.strerror))


def _parsed(lines: List[bytes]) -> List[Dict[str, Any]]:
    """Status records; lines that a crash left short and whatever else is no status record are skipped."""
    records = []
    for line in lines:
        try:
            record = parse_json(line, finite=False)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("state"), str):
            records.append(record)
    return records
