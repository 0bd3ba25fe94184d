"""Status records of a run that has not started: what it waits for, or why it cannot start."""
from typing import Any, Callable, Dict, Optional

from edge.core import clock
from edge.telemetry.meter import Meter
from edge.telemetry.status.log import RunState, StatusLog, status_record


class StartStatus:
    """For one thread. `over`: the run has started, and writes its own records."""

    def __init__(self, log: Optional[StatusLog], source: str, report: Callable[[str, str], None]) -> None:
        self._log, self._source, self._report = log, source, report
        self._meter, self._began = Meter([], clock.monotonic()), clock.monotonic()
        self._reported = ""  # the last state and reason, without the progress
        self.over = False

    @property
    def waited(self) -> bool:
        return bool(self._reported)

    def write(self, state: str, reason: str) -> Dict[str, Any]:
        """One record now; the journal gets a line where it is of another kind than the one before."""
        kind = "{} {}".format(state, reason.split(": ")[0])
        if kind != self._reported:
            self._reported = kind
            self._report("state", state + (": " + reason if reason else ""))
        now = clock.monotonic()
        run_state = RunState(state, reason, now - self._began, self._source)
        record = status_record(run_state, self._meter.take(now), clock.wall())
        if self._log is not None:
            self._log.write(record)
            self._log.close()  # between two of them another may rotate it
        return record
