"""The state of one run: the pipeline reports to it, the status log and the final table read it."""
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from edge.core import clock
from edge.core.contracts import Sender, Source, Stage
from edge.core.roles import ENDED, RUNNING, STARTING, STOPPING
from edge.telemetry.meter import Meter
from edge.telemetry.status.log import RunState, StatusLog, StatusWriter, status_record
from edge.telemetry.status.progress import Progress

LOG_LOST, THROTTLED = "status log not written", "throttled"


class Run:
    """Called by the thread that runs the pipeline; snapshot() by that of the status log, too."""

    def __init__(self, source: Source, limit: Optional[int], senders: Sequence[Sender], meter: Meter,
                 stages: Sequence[Stage], report: Callable[[str, str], None]) -> None:
        """`limit`: frames after which the run ends by itself."""
        self._stages = stages
        self._source, self._senders, self._meter, self._report = source, senders, meter, report
        self._limit = limit
        self._began = clock.monotonic()
        self._state, self._reason = STARTING, ""
        self._progress: Optional[Progress] = None
        self._warned = ""
        self.hint = ""  # reported once frames come
        self.unfit = ""  # why engines are not used that should be
        self._writer: Optional[StatusWriter] = None
        self._newest: Dict[str, Any] = {}
        self._last: Dict[str, Any] = {}  # the record of the run that has ended
        self._stopping_at: Optional[float] = None
        self.governor: Optional[Callable[[], Dict[str, Any]]] = None  # its record(), where there is one
        self.profile: Callable[[], Mapping[str, str]] = dict  # the `profile` of the status record
        self.board: Callable[[], Optional[Mapping[str, Any]]] = lambda: None  # the `board` of the status record

    def start_log(self, log: StatusLog, interval_s: float, gather_s: float = 0.0) -> None:
        """Write the status log from now on."""
        self._writer = StatusWriter(log, self.snapshot, interval_s, gather_s)
        self._writer.start()

    def close(self, timeout_s: float) -> None:
        """The last record was made: write what waits."""
        if self._writer is not None:
            self._writer.close(timeout_s)

    def on_state(self, state: str, reason: str) -> None:
        if self._state == STARTING != state:
            of_outputs = ["output {} {}".format(s.name, s.note) for s in self._senders if s.note]
            for note in unexpected(self._stages) + of_outputs:
                self._report("note", note)
        if state == RUNNING and self.hint:
            self._report("note", self.hint)
            self.hint = ""
        if state == STOPPING and self._stopping_at is None:
            self._stopping_at = clock.monotonic()
        if state in ENDED:  # first: the log's thread takes no interval for the run's last record
            self._warn()
            if self._meter.pending():  # frames that were on their way when the run began to stop
                self.changed()
            self._last = self._whole(state, reason)
        self._state, self._reason = state, reason
        self._report("state", state + (": " + reason if reason else ""))
        self.changed()

    def changed(self) -> None:
        """Something has changed that is worth a record."""
        if self._writer is not None:
            self._writer.changed()

    def on_tick(self, delivered: int) -> None:
        """A line of progress, and the source's warning when it has a new one."""
        self._warn()
        now = clock.monotonic()
        if self._progress is None:
            known = [n for n in (self._limit, None if self._source.live else self._source.frame_count) if n is not None]
            self._progress = Progress(min(known) if known else None, now)
        self._report("progress", self._progress.line(delivered, now))

    def _warn(self) -> None:
        warning = self._source.warning
        if warning and warning != self._warned:
            self._report("loss" if self._source.lost else "warning", warning)
        self._warned = warning

    def throttled(self) -> bool:
        """Whether the board is slower than it can be, as far as it is known."""
        return bool((self.board() or {}).get("throttled"))

    def reasons(self) -> List[str]:
        """Why the run is degraded, beside what the pipeline sees itself."""
        doubt = self._source.doubt
        found = [text for text in (doubt, self.unfit) if text]
        if self.throttled():
            found.append(THROTTLED)
        if self._writer is not None and self._writer.problem:
            found.append(LOG_LOST)
        return found

    def snapshot(self) -> Dict[str, Any]:
        """The status record of the interval that ends now; of the whole run once that has ended."""
        self._newest = self._last or self._record(self._meter.take(clock.monotonic()), self._state, self._reason)
        return self._newest

    def newest(self) -> Dict[str, Any]:
        """The newest status record. Where none is written, that of the interval since this was last asked."""
        return self._newest if self._writer is not None and self._newest else self.snapshot()

    def final(self) -> Dict[str, Any]:
        """The status record over the whole run; reports a warning that the source set when it was closed."""
        self._warn()
        return self._last or self._whole(self._state, self._reason)

    def _whole(self, state: str, reason: str) -> Dict[str, Any]:
        """A live source's time counts until the stop, also without frames."""
        now = clock.monotonic() if self._stopping_at is None else self._stopping_at
        return self._record(self._meter.summary(now, self._source.live), state, reason)

    def _record(self, measured: Dict[str, Any], state: str, reason: str) -> Dict[str, Any]:
        outputs = {name: row for sender in self._senders for name, row in sender.rows().items()}
        uptime_s = clock.monotonic() - self._began
        run_state = RunState(state, reason, uptime_s, self._source.name, outputs, self.board())
        record = status_record(run_state, measured, clock.wall())
        log = self._writer.counts() if self._writer is not None else {}
        if log.get("failed"):
            record["log"] = log
        if self._source.lost:
            record["lost"] = self._source.lost
        if self.governor is not None:
            record["governor"] = self.governor()
        profile = self.profile()
        if profile:
            record["profile"] = dict(profile)
        return record


def unexpected(stages: Sequence[Stage]) -> List[str]:
    """Why a stage's network does not run as one would expect, a line for each reason."""
    reasons: Dict[str, List[str]] = {}
    for stage in stages:
        for runner in stage.runners:
            if runner.note:
                reasons.setdefault(runner.note, []).append(stage.name)
    return ["{}: {}".format(", ".join(names), note) for note, names in reasons.items()]
