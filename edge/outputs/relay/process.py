"""The relay's process: takes what was tracked, makes records of it, and serves all live outputs with them.

It ends when the tracker's end of the socket is closed, however that comes; a signal of a terminal is the tracker's business.
"""
import logging
import os
import select
import signal
import socket
import sys
from collections import deque
from typing import Any, Deque, List, Optional, Set, Tuple

from edge.core import clock
from edge.core.redact import hide, learn
from edge.host.process import follow_parent
from edge.outputs.relay import messages
from edge.outputs.relay.packed import FRAME, Sent
from edge.outputs.relay.served import Row, Served

FRESH_S = 0.2  # a frame that lay in the socket for longer gives way to the next one,
HOLD_S = 0.1  # which is waited for so long
MOST_READ = 64  # messages in a row
STATUS_S, LOOK_S = 1.0, 0.2  # between two messages of status; sooner where a state has changed
END_S = 2.0  # for the outputs to close where the tracker is gone
WATCH_S = 120  # the kernel ends this process where its main thread hangs for so long, and no tracker is there to do it
NICE = 2  # a frame is tracked before the last one is sent
MOST_TOLD = 200  # different texts of warnings and notes


class Relay:
    """The main thread: the outputs have threads of their own, so nothing here waits but for the next message."""

    def __init__(self, link: socket.socket, served: Served, log: "Log") -> None:
        self._link, self._served, self._log = link, served, log
        self._held: Optional[Tuple[float, Sent]] = None  # a frame that may be too old, until when
        self._events: List[Any] = []  # of frames that gave way
        self._given_way = 0
        self._status_at = self._look_at = 0.0
        self._states: List[str] = []
        self._told: Set[str] = set()
        self._over = False

    def run(self) -> None:
        self._served.start()
        while not self._over:
            self._wait()
            for _ in range(MOST_READ):
                data = self._next()
                if data is None or self._over:
                    break
                if data == b"":
                    self._end(END_S)
                else:
                    self._take(*messages.unpack(data))
            if self._held is not None and clock.monotonic() >= self._held[0]:
                self._pass_on()
            self._tell()

    def _wait(self) -> None:
        until = min(self._look_at, self._held[0]) if self._held is not None else self._look_at
        select.select([self._link], [], [], max(0.0, until - clock.monotonic()))

    def _next(self) -> Optional[bytes]:
        """None: nothing there. b"": the other end is closed."""
        try:
            return self._link.recv(messages.LARGEST_MESSAGE)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def _take(self, kind: str, value: Any, record: Any = None) -> None:
        if kind == messages.CLOSE:
            self._pass_on()
            self._end(value)
        elif kind == messages.KNOW:
            self._served.coarse = frozenset(value)
        elif kind == messages.LAST:
            self._pass_on()
            self._served.put_last(record)
        elif kind == FRAME:
            now = clock.monotonic()
            if self._held is not None:  # there is a newer one
                self._events += self._held[1].packet.events
                self._given_way += 1
            self._held = (now + HOLD_S, value)
            if now - value.at <= FRESH_S:
                self._pass_on()
            else:
                self._status_at = 0.0  # the tracker may have a newer one, and learns that we read again

    def _pass_on(self) -> None:
        if self._held is not None:
            sent = self._held[1]
            self._served.put(self._served.encode(sent.packet, self._events + list(sent.packet.events), sent.points))
            self._held, self._events = None, []

    def _end(self, timeout_s: float) -> None:
        """Let the outputs write what waits; then say how far they came."""
        self._over = True
        signal.alarm(int(timeout_s) + 2)
        self._served.close(timeout_s)
        self._status_at = self._look_at = 0.0

    def _tell(self) -> None:
        now = clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        rows = self._rows()
        states = [row["state"] for row in rows]
        if states != self._states or now >= self._status_at:
            self._states, self._status_at = states, now + STATUS_S
            if not self._over:
                signal.alarm(WATCH_S)
                self._served.mend()
            self._send(messages.status(rows))
        for kind, text in [(messages.NOTE, note) for note in self._served.notes()] + self._log.take():
            if text not in self._told and len(self._told) < MOST_TOLD:
                self._told.add(text)
                self._send(messages.line(kind, text))

    def _rows(self) -> List[Row]:
        return [dict(row, dropped=row["dropped"] + self._given_way) for row in self._served.rows()]

    def _send(self, data: bytes) -> None:
        try:
            self._link.send(data)
        except OSError:
            pass  # the tracker is busy, and will want the next one; or gone, as _next() sees


class Log(logging.Handler):
    """What is logged as a warning, for the tracker. The newest are kept until they are taken."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: Deque[str] = deque(maxlen=20)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(hide(record.getMessage()))
        except (TypeError, ValueError):
            self.handleError(record)

    def take(self) -> List[Tuple[str, str]]:
        taken = []
        while self._lines:
            taken.append((messages.WARNING, self._lines.popleft()))
        return taken


def main(argv: List[str]) -> int:
    """`argv`: descriptor of the socket, the tracker's process number."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the tracker, which closes the socket
        signal.signal(number, signal.SIG_IGN)
    follow_parent(int(argv[1]), signal.SIGCONT)  # a stopped process continues when it ends, and finds the socket closed
    os.nice(NICE)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # a record that comes takes the processor from nobody
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, int(argv[0]))
    link.setblocking(False)
    select.select([link], [], [])
    data = link.recv(messages.LARGEST_MESSAGE)
    if data:
        _, specs, options = messages.unpack(data)
        for spec in specs:
            learn(spec.text)
        log = Log()
        logging.getLogger().addHandler(log)
        Relay(link, Served(specs, options), log).run()
    sys.stderr.flush()
    os._exit(0)  # a thread that hangs in an output is not waited for
