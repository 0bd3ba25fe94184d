"""The status log: one JSON object a line, in files that do not grow too large, so that a reader meets whole lines."""
import datetime
import json
import logging
import os
import stat
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, Mapping, NamedTuple, Optional

from edge.core import clock

log = logging.getLogger(__name__)

SCHEMA = 1
WAITING = 64  # records that wait for a disk that hangs; older ones are given up


class Situation(NamedTuple):
    """What the status record says beside what the meter measured. All but `state` may be unknown."""

    state: str
    reason: str = ""
    uptime_s: float = 0.0
    source: str = ""
    outputs: Mapping[str, Mapping[str, Any]] = {}  # name -> Sender.stats()
    board: Optional[Mapping[str, Any]] = None


def status_record(situation: Situation, measured: Mapping[str, Any], wall_s: float) -> Dict[str, Any]:
    """The status record of output-schema.md; `measured` is what Meter.take() or Meter.summary() returned."""
    at = datetime.datetime.fromtimestamp(wall_s, datetime.timezone.utc)
    record: Dict[str, Any] = {"schema": SCHEMA}
    record["at"] = at.strftime("%Y-%m-%dT%H:%M:%S.") + "{:03d}Z".format(at.microsecond // 1000)
    record["uptime_s"] = round(situation.uptime_s, 1)
    record.update(state=situation.state, reason=situation.reason, source=situation.source)
    record.update(measured)
    record["outputs"] = {name: dict(stats) for name, stats in situation.outputs.items()}
    if situation.board:
        record["board"] = dict(situation.board)
    return record


class StatusLog:
    """Appends records. A file that would grow beyond `max_bytes` becomes `path.1`, and so on to `path.<keep>`.

    A disk that is full or cannot be written to is nobody's failure: the record is given up and counted, the next one is
    tried again, and `problem` says what is wrong. Used from one thread at a time.
    """

    def __init__(self, path: str, max_bytes: int = 1000000, keep: int = 3) -> None:
        self.path = path
        self.written = self.failed = 0
        self.problem = ""
        self._max_bytes, self._keep = max_bytes, keep
        self._fd: Optional[int] = None

    def write(self, record: Mapping[str, Any]) -> bool:
        """False where the record was given up."""
        line = (json.dumps(record, separators=(",", ":")) + "\n").encode("utf-8")
        try:
            self._append(line)
        except OSError as e:
            self.close()
            self.failed += 1
            self._say("{}: {}".format(self.path, e.strerror or e))
            return False
        self.written += 1
        self._say("")
        return True

    def close(self) -> None:
        """May be called twice; write() opens again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                os.close(fd)
            except OSError as e:  # network file systems report a full disk only here
                self._say("{}: {}".format(self.path, e.strerror or e))

    def _append(self, line: bytes) -> None:
        fd = self._open()
        info = os.fstat(fd)
        if stat.S_ISREG(info.st_mode) and info.st_size and info.st_size + len(line) > self._max_bytes:
            self.close()
            self._rotate()
            fd = self._open()
            info = os.fstat(fd)
        written = os.write(fd, line)  # one call: a process that is killed leaves the whole line or nothing
        if written < len(line):
            if stat.S_ISREG(info.st_mode):
                os.ftruncate(fd, info.st_size)
            raise OSError("no space for a whole line")

    def _open(self) -> int:
        """The file at `path`, also where somebody has moved or deleted the one that was open."""
        if self._fd is not None and not _is_at(self._fd, self.path):
            self.close()
        if self._fd is None:
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            _end_line(self._fd)
        return self._fd

    def _rotate(self) -> None:
        for n in range(self._keep, 1, -1):
            older = "{}.{}".format(self.path, n - 1)
            if os.path.exists(older):
                os.replace(older, "{}.{}".format(self.path, n))
        if self._keep > 0:
            os.replace(self.path, self.path + ".1")
        else:
            os.unlink(self.path)

    def _say(self, problem: str) -> None:
        """Once for each change, not once for each record."""
        if problem != self.problem:
            if problem:
                log.warning("the status log cannot be written, tracking goes on: %s", problem)
            else:
                log.info("the status log is written again: %s", self.path)
            self.problem = problem


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _end_line(fd: int) -> None:
    """A line that a power cut left short gets its end, so that the next one begins a line of its own."""
    info = os.fstat(fd)
    if stat.S_ISREG(info.st_mode) and info.st_size:
        os.lseek(fd, -1, os.SEEK_END)
        if os.read(fd, 1) != b"\n":
            os.write(fd, b"\n")


class StatusWriter:
    """Writes a record every `interval_s` and at every changed(), in a thread of its own: no disk holds up a frame."""

    def __init__(self, status_log: StatusLog, snapshot: Callable[[], Mapping[str, Any]], interval_s: float) -> None:
        """`snapshot` makes a record; called from this thread and from those that call changed(), one at a time."""
        self._log, self._snapshot, self._interval_s = status_log, snapshot, interval_s
        self._waiting: Deque[Mapping[str, Any]] = deque(maxlen=WAITING)
        self._closing = False
        self._making = threading.Lock()
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="nanoface-status", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def changed(self) -> None:
        """The state has changed: a record of this moment will be written."""
        self._add()

    def close(self, timeout_s: float) -> bool:
        """Write what waits and end the thread; False where the disk does not let it."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _add(self) -> None:
        with self._making:
            record = self._snapshot()
            with self._wake:
                self._waiting.append(record)
                self._wake.notify()

    def _run(self) -> None:
        due = clock.monotonic() + self._interval_s
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._closing, max(0.0, due - clock.monotonic()))
                record = self._waiting.popleft() if self._waiting else None
                if record is None and self._closing:
                    break
            if record is not None:
                self._log.write(record)
            if clock.monotonic() >= due:
                due = clock.monotonic() + self._interval_s
                self._add()
        self._log.close()
