"""Writing to disk so that a reader never meets half of something: whole lines, whole pictures."""
import errno
import os
import select
import stat
import sys
from typing import Optional

from edge.core.safeopen import open_new, resolve
from edge.core.strangers import UnsafePath
from edge.errors import OutputError
from edge.outputs.spec import STDOUT, OutputSpec


class ReaderLeft(OutputError):
    """Whoever read a pipe or terminal wants no more, as `head`: an output's normal end."""


def failure(spec: OutputSpec, error: OSError) -> OutputError:
    """One line with the cure where it is known."""
    if isinstance(error, BrokenPipeError):
        return ReaderLeft("output {}: its reader has left".format(spec.text))
    if isinstance(error, UnsafePath):
        return OutputError("output {}: {}".format(spec.text, error.strerror))
    cures = {
        PermissionError: "choose a place you may write to, or change its permissions",
        IsADirectoryError: "it is a folder; add a file name",
        NotADirectoryError: "part of the path is a file; choose another path",
        FileExistsError: "part of the path is a file; choose another path",
    }
    reason = error.strerror or str(error) or type(error).__name__
    known = [text for kind, text in cures.items() if isinstance(error, kind)]
    cure = known[0] if known else "free some space or choose another place"
    return OutputError("output {}: {}: {}".format(spec.text, reason, cure))


class LineFile:
    """A text file, pipe or standard output that is written in whole lines, each with one call to the system.

    So a process that is killed leaves whole lines. So does a full disk: what there is of the last line is taken back.
    All methods raise OutputError.
    """

    def __init__(self, spec: OutputSpec) -> None:
        self._spec = spec
        self._fd: Optional[int] = None
        self._regular = False

    def open(self) -> None:
        """Makes the folders that are missing; an existing file is replaced."""
        try:
            if self._spec.target == STDOUT:
                sys.stdout.flush()
                self._fd = os.dup(1)
            else:
                self._fd = open_new(self._spec.target, make=True)
            self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        except OSError as e:
            raise failure(self._spec, e)

    def write(self, lines: str) -> None:
        """`lines` ends with a newline."""
        data = memoryview(lines.encode("utf-8", "surrogateescape"))  # names are bytes
        written = 0
        try:
            while written < len(data):
                written += self._write_some(data[written:])
        except OSError as e:
            self._take_back(written)
            raise failure(self._spec, e)

    def _write_some(self, data: memoryview) -> int:
        assert self._fd is not None, "write() before open()"
        try:
            return os.write(self._fd, data)
        except BlockingIOError:  # a pipe that somebody else made non-blocking
            select.select([], [self._fd], [])
            return 0

    def _take_back(self, written: int) -> None:
        if written and self._regular and self._fd is not None:
            try:
                os.ftruncate(self._fd, os.lseek(self._fd, -written, os.SEEK_CUR))
            except OSError:
                return  # the first error is the one to report

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                os.close(fd)
            except OSError as e:  # network file systems report a full disk only here
                raise failure(self._spec, e)


def write_whole(spec: OutputSpec, path: str, data: Optional[bytes]) -> None:
    """Put `data` at `path`: either all of it or what was there before; None only proves that it could be done.

    Makes the folders that are missing. Raises OutputError.
    """
    try:
        folder, name = resolve(path, make=True)
        with folder:
            found = folder.check(name)
            if found is not None and stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            fd, part = folder.draft(name, "")
            try:
                with os.fdopen(fd, "wb") as f:
                    f.write(data or b"")
                if data is not None:
                    folder.replace(part, name)
            finally:
                if folder.look(part) is not None:
                    folder.unlink(part)
    except OSError as e:
        raise failure(spec, e)
