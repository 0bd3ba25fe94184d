"""Standard output and standard error, as every command writes to them.

What would steer a terminal, or is not in its encoding, is shown as an escape such as \\u001b: JSON stays JSON. A reader that
has left, as `head` does, changes nothing of what a command does or of its exit code.
"""
import errno
import os
import select
import shutil
import sys
from contextlib import contextmanager, suppress
from typing import Any, Iterator, TextIO

from edge.core import clock, redact
from edge.core.errors import OutputError

LEFT = (errno.EPIPE, errno.EIO)  # of a pipe, and of a terminal that was closed
WIDTH = 100  # characters of a line where there is no terminal
CLEAR, ERASE_REST = "\x1b[H\x1b[2J", "\x1b[K"


class Console:
    """Around a text stream. Each write is one piece and goes out at once. May be used from several threads."""

    def __init__(self, stream: Any, needed: bool = True) -> None:
        """`needed`: write() raises OutputError where nothing can be written, as on a full disk; else that is given up."""
        self._stream, self._needed = stream, needed
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.left = False  # the reader has closed
        self._hushed = False

    @property
    def steers(self) -> bool:
        """A terminal that understands control sequences."""
        return bool(self._stream.isatty()) and os.environ.get("TERM") != "dumb"

    @property
    def width(self) -> int:
        return shutil.get_terminal_size((WIDTH, 24)).columns if self._stream.isatty() else WIDTH

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        return int(self._stream.fileno())

    def write(self, text: str) -> int:
        if not self._hushed:
            self._put(redact.plain(text if self._needed else redact.hide(text)))
        return len(text)

    def draw(self, text: str, before: str = "\r", after: str = ERASE_REST) -> None:
        """`text` between two sequences of ours: only where the terminal can be steered."""
        if self.steers:
            self._put(before + redact.one_line(text)[:self.width - 1] + after)

    def hush(self, hushed: bool = True) -> None:
        """What is written from now on is noise, such as the trace of a module whose loading was interrupted."""
        self._hushed = hushed

    def flush(self) -> None:
        """Of what others have written to the stream itself; nothing is buffered here."""
        self._put("")

    def _put(self, text: str) -> None:
        if self.left:
            return
        try:
            if text:  # even no bytes are too many for a device that is full
                self._stream.write(redact.spelled(text, self.encoding))
            self._flush()
        except OSError as e:
            self._mute()
            if self._needed and e.errno not in LEFT:
                reason = "the disk is full" if e.errno == errno.ENOSPC else e.strerror or str(e)
                raise OutputError("cannot write to standard output: {}".format(reason))

    def _flush(self) -> None:
        while True:
            try:
                self._stream.flush()
                return
            except BlockingIOError:  # a terminal or pipe that another process made non-blocking
                select.select([], [self._stream.fileno()], [])

    def _mute(self) -> None:
        """The interpreter flushes once more when it ends, and must not fail then."""
        self.left = True
        with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())


class ProgressLine:
    """Text that changes: one line that a terminal redraws, and a line now and then in a log. For one thread."""

    def __init__(self, out: Console, log_interval_s: float, redraw_s: float = 0.0, stays: bool = False) -> None:
        """`stays`: end() leaves what was drawn last on the screen, else it is wiped away."""
        self._out, self._log_interval_s, self._redraw_s, self._stays = out, log_interval_s, redraw_s, stays
        self._drawn, self._drawn_at = False, float("-inf")
        self.begin()

    def begin(self) -> None:
        """A log gets its next line a whole interval from now."""
        self._logged_at = clock.monotonic()

    def show(self, text: str) -> None:
        now = clock.monotonic()
        if self._out.steers:
            if now - self._drawn_at >= self._redraw_s:
                self._drawn, self._drawn_at = True, now
                self._out.draw(text)
        elif now - self._logged_at >= self._log_interval_s:
            self._logged_at = now
            self._out.write(redact.one_line(text) + "\n")

    def end(self) -> None:
        """Before something else is written."""
        if not self._drawn:
            return
        self._drawn = False
        if self._stays:
            self._out.write("\n")
        else:
            self._out.draw("")


def on(stream: TextIO) -> Console:
    """The console of a stream that a command was given."""
    return stream if isinstance(stream, Console) else Console(stream)


@contextmanager
def installed() -> Iterator[None]:
    """In the place of sys.stdout and sys.stderr meanwhile: argparse, warnings, logging and Python's own traces write there."""
    before = sys.stdout, sys.stderr
    out, err = (stream or open(os.devnull, "w") for stream in before)  # None: closed by the parent process
    sys.stdout, sys.stderr = Console(out), Console(err, needed=False)  # type: ignore
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
