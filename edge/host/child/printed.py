"""What a process of ours prints, libraries above all: kept to its end, and never waited for."""
import os
from collections import deque
from typing import Deque, List

KEPT_LINES, LONGEST_LINE = 50, 300
CHUNK = 1 << 14


class PrintedLines:
    """The last lines that a process printed. `writer` is for its standard output and error; what is not read in time is lost,
    and the process never waits. Not to be used by two threads at once."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        for descriptor in (self._reader, self.writer):
            os.set_blocking(descriptor, False)
        self._lines: Deque[str] = deque(maxlen=KEPT_LINES)
        self._rest = b""

    def close_writer(self) -> None:
        """The process has it."""
        os.close(self.writer)

    def close(self) -> None:
        os.close(self._reader)

    def forget(self) -> None:
        """What was printed until now is of no interest any more."""
        self.take()
        self._lines.clear()

    def take(self) -> None:
        """Empty the pipe; bounded, as a process may print without end."""
        for _ in range(8):
            try:
                data = os.read(self._reader, CHUNK)
            except OSError:  # nothing there
                return
            if not data:
                return
            lines = (self._rest + data).split(b"\n")
            self._rest = lines.pop()[-LONGEST_LINE:]
            self._lines.extend(line.decode("utf-8", "replace") for line in lines)

    def pop(self) -> List[str]:
        """The whole lines since the last time, as many as are kept."""
        self.take()
        lines = list(self._lines)
        self._lines.clear()
        return lines

    def lines(self) -> List[str]:
        """All that are kept, and what has no end yet."""
        self.take()
        return list(self._lines) + [self._rest.decode("utf-8", "replace")]
