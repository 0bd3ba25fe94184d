"""What one relay says and does, from its start to its end: a thread of the tracker reads and judges it."""
import select
import socket
import subprocess
import time
from typing import Callable, Sequence

from edge.core import clock
from edge.host.child.printed import PrintedLines
from edge.host.child.start import how_ended
from edge.outputs.relay import messages
from edge.outputs.relay.ledger import Ledger
from edge.outputs.relay.outbox import Outbox
from edge.outputs.sender import DOWN

START_S = 30.0  # for a process to load what it needs, from a slow card
HANG_S = 6.0  # without a word it hangs
QUIET_S = 2.0  # without a word it is looked at
STEP_S, PACE_S = 0.2, 0.02  # how long is waited for a message; between two readings: who says too much costs no more
MOST_READ = 32  # messages in one reading
REAP_S = 0.5
HANGS, STOPPED, LATE = "the relay hangs", "the relay is stopped", "not done in time"


class Watch:
    """`tell(event, text)` gets warnings and notes, `changed(rows)` what the relay said of its outputs."""

    def __init__(self, link: socket.socket, process: "subprocess.Popen[bytes]", printed: PrintedLines, ledger: Ledger,
                 outbox: Outbox, tell: Callable[[str, str], None], changed: Callable[[Sequence[messages.Row]], None]) -> None:
        self._link, self._process, self._printed, self._ledger, self._outbox = link, process, printed, ledger, outbox
        self._tell, self._changed = tell, changed
        self._outputs = len(ledger.names)
        self._over = False

    def run(self, late: Callable[[], bool]) -> str:
        """Until the relay has ended, by itself or because it had to; says why, "" where it was told to. `late`: whether it
        should have ended by now."""
        silent_s, patience_s, before = 0.0, START_S, clock.monotonic()
        why = ""
        while not why and not self._over:
            if self._listen():
                silent_s, patience_s = 0.0, HANG_S
            now = clock.monotonic()
            silent_s += min(now - before, 2.0 * STEP_S)  # a time in which this process was stopped itself does not count
            before = now
            if late():
                why = LATE
            elif silent_s > QUIET_S and _is_stopped(self._process.pid):
                silent_s = QUIET_S
                self._ledger.become("{}: {}".format(DOWN, STOPPED))
            elif silent_s > patience_s:
                why = HANGS
            self._outbox.flush()
        return self._end(why)

    def _listen(self) -> bool:
        """Whether it said how its outputs are."""
        heard = False
        self._printed.take()
        if select.select([self._link], [], [], STEP_S)[0]:
            for _ in range(MOST_READ):
                try:
                    data = self._link.recv(messages.LARGEST_STATUS + 1)
                except (BlockingIOError, InterruptedError):
                    break
                except OSError:
                    data = b""
                if not data:
                    self._over = True
                    return heard
                heard = self._read(data) or heard
            time.sleep(PACE_S)
        return heard

    def _read(self, data: bytes) -> bool:
        try:
            told = messages.read(data, self._outputs)
        except ValueError as e:
            self._tell(messages.WARNING, "the relay said what it cannot say: {}".format(e))
            return False
        if told.kind != messages.STATUS:
            self._tell(told.kind, told.text)
            return False
        self._ledger.told(told.rows)
        self._changed(told.rows)
        return True

    def _end(self, why: str) -> str:
        if not why:
            try:
                self._process.wait(REAP_S)
            except subprocess.TimeoutExpired:
                pass
        if self._process.poll() is None:
            self._process.kill()
        try:
            self._process.wait(REAP_S)
        except subprocess.TimeoutExpired:  # hangs in the kernel
            pass
        printed = [line for line in self._printed.lines() if line.strip()]
        self._printed.close()
        if why or self._process.returncode == 0 and self._outbox.finished:
            return why
        said = ": " + " ".join(printed[-1].split()) if printed and self._process.returncode == 1 else ""
        return "the relay has ended ({}){}".format(how_ended(self._process.returncode), said)


def _is_stopped(pid: int) -> bool:
    """By a signal or a debugger, which is on purpose."""
    try:
        with open("/proc/{}/stat".format(pid), "rb") as f:
            return f.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False
