"""A process of the program ffmpeg and what comes out of it: lines on its standard error and on one more pipe, bytes on its
standard output. Nothing that it does reaches us: it has a session of its own (the terminal's Ctrl-C is ours), its memory is
limited, its silence has a limit, and lines longer than they can be are dropped. It ends when we do: its pipes break.
"""
import os
import re
import select
import signal
import subprocess
import time
from contextlib import suppress
from typing import Any, Callable, Dict, Optional, Sequence

from edge.core.errors import SourceError
from edge.host.ffmpeg import environment
from edge.host.process import widen

SILENCE_S = 20.0  # after which it hangs
LOOK_S = 0.1  # how soon another thread's give_up() is seen
END_S = 0.5  # for a process that was killed to be gone
GONE_S = 5.0  # for one that has closed its pipes: its exit status shows whether frames are missing
PIECE_BYTES, LINE_BYTES = 1 << 16, 1 << 12
METADATA = re.compile(r"(?:\[info\] )? {4,}(?!Stream #)")  # a title or comment of the film, which may hold any text
PACKETS_PIPE = "pipe:{}"  # the argument that stands for the second pipe
OnLine = Callable[[str], None]


class FfmpegHangs(Exception):
    """It has written nothing for SILENCE_S."""


class GivenUp(EOFError):
    """give_up() was called: missing output does not mean a damaged film."""


class _Lines:
    """Out of one pipe."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line, self._rest, self._skips = on_line, b"", False

    def feed(self, data: bytes) -> None:
        parts = (self._rest + data).split(b"\n")
        self._rest = parts.pop()
        for part in parts:
            line = part[:LINE_BYTES].decode("utf-8", "replace")
            if not self._skips and METADATA.match(line) is None:
                self._on_line(line)
            self._skips = False
        if len(self._rest) > LINE_BYTES:
            self._rest, self._skips = b"", True


class FfmpegChild:
    """Used by one thread; give_up() may come from any. `on_line` gets the lines of its standard error, `on_packet_line` those
    of the pipe that the argument PACKETS_PIPE stands for."""

    def __init__(self, argv: Sequence[str], memory_bytes: int, on_line: OnLine,
                 on_packet_line: Optional[OnLine] = None) -> None:
        """Raises SourceError."""
        self._readable, writable = os.pipe()
        try:
            process: Any = subprocess.Popen(
                [text.format(writable) if text == PACKETS_PIPE else text for text in argv], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, start_new_session=True, env=environment(),
                pass_fds=(writable,))
            self._process = process
        except OSError as e:
            os.close(self._readable)
            raise SourceError("the program {} cannot be started: {}".format(argv[0], e.strerror)) from e
        finally:
            os.close(writable)
        self._out: int = self._process.stdout.fileno()
        self._limit(memory_bytes)
        widen(self._out)
        self._lines: Dict[int, _Lines] = {self._process.stderr.fileno(): _Lines(on_line),
                                          self._readable: _Lines(on_packet_line or on_line)}
        self._all_pipes, self._line_pipes = select.poll(), select.poll()
        for fd in (self._out, *self._lines):
            os.set_blocking(fd, False)
            self._all_pipes.register(fd, select.POLLIN)
        for fd in self._lines:
            self._line_pipes.register(fd, select.POLLIN)
        self._open = {self._out, *self._lines}
        self._given_up = False

    def _limit(self, memory_bytes: int) -> None:
        import resource  # not on Windows, where films are refused, but cameras read

        with suppress(OSError, ValueError, AttributeError):  # not on macOS
            resource.prlimit(self._process.pid, resource.RLIMIT_DATA, (memory_bytes, memory_bytes))

    @property
    def has_packet_lines(self) -> bool:
        """Whether more of those lines may come."""
        return self._readable in self._open

    def pump(self, buffer: Optional[memoryview], lines_first: bool = False) -> int:
        """Wait until something comes: lines go to the callbacks, bytes into `buffer`. How many bytes; -1 at the end of all.

        Without a buffer the bytes wait in their pipe; with `lines_first`, while there are lines. Raises FfmpegHangs where it
        hangs, GivenUp after give_up().
        """
        deadline = time.monotonic() + SILENCE_S  # real time, also where a test has its own
        poll = self._line_pipes if buffer is None else self._all_pipes
        while self._open - ({self._out} if buffer is None else set()):
            if self._given_up:
                raise GivenUp()
            ready = [fd for fd, _ in poll.poll(1000 * LOOK_S)]
            if ready:
                lines = [fd for fd in ready if fd != self._out] if lines_first else []
                return sum(self._read(fd, buffer) for fd in lines or ready)
            if time.monotonic() > deadline:
                raise FfmpegHangs()
        return -1

    def give_up(self) -> None:
        """From any thread: a call of pump() that waits ends."""
        self._given_up = True

    def end(self) -> Optional[int]:
        """Kill it where it still runs. Its exit status, negative for the signal of a crash; None where we killed it."""
        self._given_up = True
        status: Optional[int] = None
        with suppress(subprocess.TimeoutExpired):
            status = self._process.wait(0.0 if self._open - {self._out} else GONE_S)
        if status is None:
            with suppress(OSError):  # it has ended just now
                os.killpg(self._process.pid, signal.SIGKILL)  # with what a script in its place has started
            with suppress(subprocess.TimeoutExpired):  # a disk that does not answer holds it
                self._process.wait(END_S)
        self._process.stdout.close()
        self._process.stderr.close()
        if self._readable >= 0:
            os.close(self._readable)
        self._readable, self._open = -1, set()
        return status

    def _read(self, fd: int, buffer: Optional[memoryview]) -> int:
        try:
            if fd == self._out and buffer is not None:
                count = os.readv(fd, [buffer])
                if count:
                    return count
            elif fd != self._out:
                data = os.read(fd, PIECE_BYTES)
                if data:
                    self._lines[fd].feed(data)
                    return 0
        except BlockingIOError:
            return 0
        self._all_pipes.unregister(fd)  # it was closed
        if fd != self._out:
            self._line_pipes.unregister(fd)
        self._open.discard(fd)
        return 0
