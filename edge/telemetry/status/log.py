"""The status log: one JSON object a line, in files of limited size; a reader finds whole lines only."""
import datetime
import json
import logging
import os
import re
import stat
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Mapping, NamedTuple, Optional

from edge.core import clock
from edge.core.redact import hide
from edge.host import waiting
from edge.telemetry.status.file import open_log, rotate

log = logging.getLogger(__name__)

SCHEMA = 1
WAITING = 64  # records that wait for a disk that hangs; older ones are given up
HANG_S = 10.0  # a write that takes longer hangs
AT_FORMAT = "%Y-%m-%dT%H:%M:%S.%f"
FIRST_BYTES = 400  # of a file: its first record's time is among them
CLOCK_SET_S = 1.5e9  # wall-clock time (2017); before it the clock was never set


class RunState(NamedTuple):
    """The fields of the status record that the meter does not measure. All but `state` may be unknown."""

    state: str
    reason: str = ""
    uptime_s: float = 0.0
    source: str = ""
    outputs: Mapping[str, Mapping[str, Any]] = {}  # name -> Sender.stats()
    board: Optional[Mapping[str, Any]] = None


def status_record(run_state: RunState, measured: Mapping[str, Any], wall_s: float) -> Dict[str, Any]:
    """The status record of output-schema.md; `measured` is what Meter.take() or Meter.summary() returned."""
    at = datetime.datetime.fromtimestamp(wall_s, datetime.timezone.utc)  # its text: AT_FORMAT, and Z
    record: Dict[str, Any] = {"schema": SCHEMA}
    record["at"] = at.strftime("%Y-%m-%dT%H:%M:%S.") + "{:03d}Z".format(at.microsecond // 1000)
    record["uptime_s"] = round(run_state.uptime_s, 1)
    record.update(state=run_state.state, reason=hide(run_state.reason), source=hide(run_state.source))
    record.update(measured)
    record["outputs"] = {name: dict(stats) for name, stats in run_state.outputs.items()}
    if run_state.board:
        record["board"] = dict(run_state.board)
    return record


class StatusLog:
    """Appends records. A file that would grow beyond `max_bytes`, or is older than `max_age_s`, becomes `path.1`, and so
    on to `path.<keep>`.

    A disk that is full or cannot be written to does not stop the run: the records are dropped and counted, the next ones
    are tried again, and `problem` says what is wrong. Used from one thread at a time.
    """

    def __init__(self, path: str, max_bytes: int = 1000000, keep: int = 3, max_age_s: Optional[float] = None,
                 wall: Callable[[], float] = clock.wall, now: Callable[[], float] = clock.monotonic,
                 mode: Optional[int] = None) -> None:
        """`mode`: of a new file, whatever the umask; of one that is there no more than that."""
        self.path = path
        self.written = self.failed = 0  # records
        self.problem = ""
        self._max_bytes, self._keep, self._mode = max_bytes, keep, mode
        self._max_age_s, self._wall, self._now = max_age_s, wall, now
        self._began = 0.0  # of the file, on the monotonic clock
        self._fd: Optional[int] = None

    def write(self, *records: Mapping[str, Any]) -> bool:
        """All of them in one write: the number of writes wears a card. False where they were dropped."""
        lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
        try:
            self._append(lines.encode("utf-8"))
        except OSError as e:
            self.close()
            self.failed += len(records)
            self._report("{}: {}".format(self.path, e.strerror or e))
            return False
        self.written += len(records)
        self._report("")
        return True

    def close(self) -> None:
        """May be called twice; write() opens again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                os.close(fd)
            except OSError as e:  # network file systems report a full disk only here
                self._report("{}: {}".format(self.path, e.strerror or e))

    def _append(self, lines: bytes) -> None:
        fd = self._open()
        info = os.fstat(fd)
        if stat.S_ISREG(info.st_mode) and info.st_size and (info.st_size + len(lines) > self._max_bytes or self._old()):
            self.close()
            rotate(self.path, self._keep)
            fd = self._open()
            info = os.fstat(fd)
        written = os.write(fd, lines)  # one call: a process that is killed leaves at most one line short
        if written < len(lines):
            if stat.S_ISREG(info.st_mode):
                os.ftruncate(fd, info.st_size)
            raise OSError("no space for a whole line")

    def _old(self) -> bool:
        return self._max_age_s is not None and self._now() - self._began > self._max_age_s

    def _open(self) -> int:
        """The file at `path`, also where the one that was open was moved or deleted."""
        if self._fd is not None and not _is_at(self._fd, self.path):
            self.close()
        if self._fd is None:
            self._fd = open_log(self.path, self._mode)
            _end_line(self._fd)
            first_at = _first_at(self._fd) or 0.0
            # a board without a battery starts in the past until it reaches a time server; its clock may also have been ahead
            age_s = self._wall() - first_at if first_at >= CLOCK_SET_S else 0.0
            self._began = self._now() - max(0.0, age_s)
        return self._fd

    def _report(self, problem: str) -> None:
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


def _first_at(fd: int) -> Optional[float]:
    """Wall-clock time of a file's first record; None where there is none."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return None
    os.lseek(fd, 0, os.SEEK_SET)
    found = re.search(rb'"at":"([^"]+)Z"', os.read(fd, FIRST_BYTES))
    try:
        at = datetime.datetime.strptime(found.group(1).decode("ascii") if found else "", AT_FORMAT)
    except ValueError:
        return None
    return at.replace(tzinfo=datetime.timezone.utc).timestamp()


class StatusWriter:
    """Writes a record every `interval_s` and at every changed(), in a thread of its own: no disk holds up a frame."""

    def __init__(self, status_log: StatusLog, snapshot: Callable[[], Mapping[str, Any]], interval_s: float,
                 gather_s: float = 0.0) -> None:
        """`snapshot` makes a record; called from this thread and from those that call changed(), one at a time.
        `gather_s`: how long records wait in memory to be written together; a change of state is never made to wait.
        """
        self._log, self._snapshot, self._interval_s, self._gather_s = status_log, snapshot, interval_s, gather_s
        self._waiting: Deque[Mapping[str, Any]] = deque(maxlen=WAITING)
        self._newest: Optional[Mapping[str, Any]] = None
        self._closing = self._urgent = False
        self._gathering_since: Optional[float] = None
        self._writing_since: Optional[float] = None
        self._given_up = 0
        self._making = threading.Lock()
        self._wake = waiting.Condition()
        self._thread = threading.Thread(target=self._run, name="nanoface-status", daemon=True)

    @property
    def problem(self) -> str:
        """Why the log is not written, or ""."""
        since = self._writing_since
        if since is not None and clock.monotonic() - since > HANG_S:
            return "{}: its disk hangs".format(self._log.path)
        return self._log.problem

    def counts(self) -> Dict[str, int]:
        """Records that were written, and those that were given up."""
        return {"written": self._log.written, "failed": self._log.failed + self._given_up}

    def start(self) -> None:
        self._thread.start()

    def changed(self) -> None:
        """The state has changed: a record of this moment will be written."""
        self._add(urgent=True)

    def close(self, timeout_s: float) -> bool:
        """Write what waits and end the thread; False where the disk does not let it."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.ident is not None:
            waiting.join(self._thread, timeout_s)
        return not self._thread.is_alive()

    def _add(self, urgent: bool) -> None:
        with self._making:
            record = self._snapshot()
            if record is self._newest:  # a run that has ended has no new record
                return
            self._newest = record
            with self._wake:
                self._given_up += len(self._waiting) == WAITING
                self._waiting.append(record)
                self._urgent = self._urgent or urgent
                if self._gathering_since is None:
                    self._gathering_since = clock.monotonic()
                self._wake.notify()

    def _run(self) -> None:
        due = clock.monotonic() + self._interval_s
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closing or self._ready(), max(0.0, due - clock.monotonic()))
                records = self._take()
                if not records and self._closing:
                    break
            if records:
                self._writing_since = clock.monotonic()
                self._log.write(*records)
                self._writing_since = None
            if clock.monotonic() >= due:
                due = clock.monotonic() + self._interval_s
                self._add(urgent=False)
        self._log.close()

    def _ready(self) -> bool:
        """There is something that is to be written now."""
        since = self._gathering_since
        if since is None:
            return False
        full = len(self._waiting) >= WAITING // 2
        return self._urgent or full or clock.monotonic() - since >= self._gather_s

    def _take(self) -> List[Mapping[str, Any]]:
        if not (self._closing or self._ready()):
            return []
        records = list(self._waiting)
        self._waiting.clear()
        self._urgent, self._gathering_since = False, None
        return records
