"""A job's process: `nanoface run` in a session of its own, that ends when this process does."""
import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Callable, List, Sequence

from edge.core import clock
from edge.host.child.printed import PrintedLines
from edge.host.process import CODE

POLL_S = 0.1
GRACE_S = 10.0  # for a run to finish its files
BEGIN = ("import signal, sys; sys.path[0] = {!r}; from edge.host.process import follow_parent; "
         "follow_parent(int(sys.argv.pop(1)), signal.SIGTERM); from edge.__main__ import console; console()")


def program() -> List[str]:
    """Our own command, and the number of this process behind it."""
    return [sys.executable, "-c", BEGIN.format(CODE), str(os.getpid())]


class Running:
    """Used in the thread of one event loop."""

    def __init__(self, command: Sequence[str], told: Callable[[str], None]) -> None:
        """Starts it. `told` gets each line that it prints. Raises OSError."""
        self._told, self._printed = told, PrintedLines()
        self._process: "subprocess.Popen[bytes]"
        try:
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=self._printed.writer, stderr=self._printed.writer,
                start_new_session=True)
        except OSError:
            self._printed.close()
            raise
        finally:
            self._printed.close_writer()

    async def ended(self, stopping: Callable[[], bool]) -> int:
        """Its exit code. From when on it is `stopping` it has GRACE_S to finish its files."""
        kill_at = None
        try:
            while self._process.poll() is None:
                self._tell()
                if stopping() and kill_at is None:
                    kill_at = clock.monotonic() + GRACE_S
                    self._process.terminate()
                elif kill_at is not None and clock.monotonic() > kill_at:
                    self.kill()
                await asyncio.sleep(POLL_S)
            self._tell()
            return int(self._process.returncode)
        finally:
            self.kill()
            self._printed.close()

    def kill(self) -> None:
        """It and what it has started, at once."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _tell(self) -> None:
        for line in self._printed.pop():
            if line.strip():
                self._told(line)
