"""A run of the tracker for a report: some seconds on the user's source, or on the demo where there is no camera."""
import os
import resource
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from edge.app import run as app
from edge.config.load import Config
from edge.core import clock
from edge.core.errors import SourceError
from edge.core.roles import OFF
from edge.doctor.machine import Machine
from edge.host.stop import Stop
from edge.telemetry.board.files import Reading
from edge.telemetry.status import table
from engines.progress import Report
from engines.report import readings

DEMO = "portrait"
LOOK_S = 1.0  # between two looks at the board
WIDTH = 140  # the table with its networks and runtimes
KIB = 1024.0


class RunResult(NamedTuple):
    record: Dict[str, Any]  # the status record of the whole run
    notes: Sequence[str]  # messages of the run
    readings: Sequence[Reading]


class Watch:
    """Ends a run some seconds after its first frames, and looks at the board meanwhile. Takes the place of a Stop."""

    def __init__(self, seconds: float, stop: Stop, machine: Machine, report: Report) -> None:
        self.notes: List[str] = []
        self.readings: List[Reading] = []
        self._seconds, self._stop, self._machine, self._report = seconds, stop, machine, report
        self._began: Optional[float] = None
        self._looked_at = float("-inf")

    def is_set(self) -> bool:
        over = self._began is not None and clock.monotonic() - self._began >= self._seconds
        return over or self._stop.is_set()

    def on_report(self, event: str, text: str) -> None:
        """The run's report; the seconds count from its first progress."""
        if event == "state":
            return
        if event != "progress":
            self.notes.append("{}: {}".format(event, text))
            return
        now = clock.monotonic()
        if self._began is None:
            self._began = now
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self.readings.append(readings.read(self._machine))
        self._report.show("    {:.0f} of {:.0f} s: {}".format(now - self._began, self._seconds, text))


def track(config: Config, watch: Watch) -> RunResult:
    """Raises EdgeErrors. What is written goes nowhere, so that the run costs what a user's would."""
    quiet = config._replace(outputs=("jsonl:" + os.devnull,), status=config.status._replace(path=OFF),
                            output=config.output._replace(window=False))
    try:
        record = app.run(quiet, watch, watch.on_report)
    except SourceError as e:
        if config.source.spec is not None:
            raise
        watch.notes.append("no camera ({}): the built-in demo instead, played like a camera at 30 fps".format(e))
        demo = quiet.source._replace(spec=DEMO, loop=True, pace="realtime")
        record = app.run(quiet._replace(source=demo), watch, watch.on_report)
    return RunResult(record, watch.notes, watch.readings)


def run_lines(ran: RunResult) -> List[str]:
    text = list(ran.notes) + [""] + table.render(ran.record, WIDTH).split("\n")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB
    return text + ["", "memory of this process, at most: {:.0f} MB".format(most)]


def board_lines(ran: RunResult) -> List[str]:
    """The board while it tracked."""
    if not ran.readings:
        return ["the run was over before the board was looked at"]
    signs = readings.throttling(ran.readings) or ["no sign of throttling"]
    head = "{:24} {:>8} {:>8} {:>8}   ({} looks)".format("", "least", "median", "most", len(ran.readings))
    return signs + [head] + readings.over_time(ran.readings)
