"""Writing to disk so that a reader never gets a part: whole lines, whole pictures."""
import errno
import os
import select
import stat
import sys
from contextlib import suppress
from typing import Optional

from edge.core.errors import OutputError
from edge.host.ownership import UnsafePath
from edge.host.safeopen import Folder, open_new, resolve
from edge.outputs.kinds import STDOUT, OutputSpec


class ReaderLeft(OutputError):
    """The reader of a pipe or terminal has closed it, as `head` does: an output's normal end."""


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
    """A file, pipe or standard output that is written in whole lines, or pieces, each with one call to the system.

    So a process that is killed leaves whole lines. So does a full disk: what there is of the last line is taken back. An older
    file stays until the first record replaces it. All methods raise OutputError.
    """

    def __init__(self, spec: OutputSpec, header: str = "", whole: bool = False) -> None:
        """`header`: lines before the first record. `whole`: a file gets the room of a piece before the piece, so that a kill
        in the midst of it, which the kernel heeds from page to page, leaves zeros and no part."""
        self._spec, self._header, self._whole = spec, header, whole
        self._fd: Optional[int] = None
        self._due = False  # the file is made by the first record
        self._regular = False

    def open(self) -> None:
        """Makes the folders that are missing, and the file where there is none."""
        try:
            if self._spec.target == STDOUT:
                sys.stdout.flush()
                self._fd = os.dup(1)
            else:
                self._due = self._is_there()
                if self._due:
                    return
                self._fd = open_new(self._spec.target, make=True)
            self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
            self._write(encoded(self._header))
        except OSError as e:
            raise failure(self._spec, e)

    def _is_there(self) -> bool:
        """A file that may be replaced."""
        folder, name = resolve(self._spec.target, make=True)
        with folder:
            found = folder.check(name) if name else None
            if found is None or not stat.S_ISREG(found.st_mode):
                return False
            if folder.shared:
                prove(folder, name)
            else:
                os.close(folder.open(name, os.O_WRONLY))
            return True

    def write(self, lines: str) -> None:
        """`lines` ends with a newline."""
        self.write_bytes(encoded(lines))

    def write_bytes(self, piece: bytes) -> None:
        try:
            if self._due:
                self._due, self._regular = False, True
                self._replace(encoded(self._header) + piece)
            else:
                self._write(piece)
        except OSError as e:
            raise failure(self._spec, e)

    def _replace(self, piece: bytes) -> None:
        """The older file by one with this piece; it stays where that does not go well."""
        folder, name = resolve(self._spec.target, make=True)
        with folder:
            found = folder.check(name)
            try:
                self._fd, part = folder.draft(name, "")
            except PermissionError:
                if folder.shared:
                    raise
                self._overwrite(folder, name, piece)  # a file that may be written to, in a folder that may not
                return
            try:
                if found is not None and not folder.shared:
                    _make_like(self._fd, found)
                self._write(piece)
                folder.replace(part, name)
            except OSError as e:
                folder.unlink(part)
                if e.errno != errno.EBUSY:
                    raise
                os.close(self._fd)
                self._overwrite(folder, name, piece)  # mounted there by a container

    def _overwrite(self, folder: Folder, name: str, piece: bytes) -> None:
        self._fd = folder.open(name, os.O_WRONLY | os.O_TRUNC)
        self._write(piece)

    def _write(self, piece: bytes) -> None:
        data = memoryview(piece)
        written = 0
        try:
            if self._whole and self._regular and self._fd is not None:
                os.ftruncate(self._fd, os.lseek(self._fd, 0, os.SEEK_CUR) + len(data))
            while written < len(data):
                written += self._write_some(data[written:])
        except OSError:
            self._take_back(written)
            raise

    def _write_some(self, data: memoryview) -> int:
        assert self._fd is not None, "write() before open()"
        try:
            return os.write(self._fd, data)
        except BlockingIOError:  # a pipe that somebody else made non-blocking
            select.select([], [self._fd], [])
            return 0

    def _take_back(self, written: int) -> None:
        if (written or self._whole) and self._regular and self._fd is not None:
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


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # names are bytes


def prove(folder: Folder, name: str) -> None:
    """Raises OSError where no file can be made there."""
    fd, part = folder.draft(name, "")
    os.close(fd)
    folder.unlink(part)


def _make_like(fd: int, older: os.stat_result) -> None:
    """With the owner and the permissions of the older file."""
    os.fchmod(fd, stat.S_IMODE(older.st_mode))
    with suppress(OSError):  # only root gives files away
        os.fchown(fd, older.st_uid, older.st_gid)


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
