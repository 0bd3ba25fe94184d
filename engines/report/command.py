"""`nanoface report`: one text file with all about a board, to be pasted into an issue.

It is written section by section, so that a board that dies on the way leaves the sections before. A section that fails has
the reason instead, and the others follow. Host, user, folders of the user and addresses are left out.
"""
import datetime
import os
import subprocess
from typing import Callable, List, NamedTuple, Optional, TextIO

from edge import __version__
from edge.config.load import Config
from edge.core import clock
from edge.core.errors import EdgeError, EngineError, OutputError
from edge.doctor.examine import examine
from edge.doctor.machine import Machine
from edge.doctor.packages import Software, this_software
from edge.host import commands
from edge.host.safeopen import open_new, open_read
from edge.host.stop import Stop, stopped_by_signals
from edge.store.models import home_dir
from engines.progress import Report
from engines.report import facts, readings
from engines.report.engines import OPTIONAL, REQUIRED, Engines, against_estimate, board_name
from engines.report.privacy import Privacy, of_this_user
from engines.report.recording import Along
from engines.report.run import RunResult, Watch, board_lines, run_lines, track

TITLE = "nanoface field report"
FAULTS = (EdgeError, OSError, ImportError, subprocess.SubprocessError, ValueError, LookupError)  # of one section
INTERRUPTED = 130
PROGRESS_S = 10.0  # between two lines of progress where there is no terminal


class Section(NamedTuple):
    title: str
    lines: Callable[[], List[str]]


class ReportFile:
    """The file, whole up to the last section that was added. Raises OutputError."""

    def __init__(self, path: str, privacy: Privacy) -> None:
        self._path, self._privacy = path, privacy
        self._file: Optional[TextIO] = None

    def __enter__(self) -> "ReportFile":
        try:
            if os.path.exists(self._path) and not self._is_ours():
                raise OutputError("{} is there and is no report: choose another name".format(self._path))
            self._file = os.fdopen(open_new(self._path), "w", encoding="utf-8")
        except OSError as e:
            raise self._refused(e)
        return self

    def _is_ours(self) -> bool:
        with os.fdopen(open_read(self._path), "rb") as f:
            head = f.read(len(TITLE))
        return head in (b"", TITLE.encode("ascii"))

    def _refused(self, error: OSError) -> OutputError:
        return OutputError("the report {} cannot be written ({}): name another place, as in "
                           "`{}`".format(self._path, error.strerror or error, commands.command("report PATH")))

    def add(self, lines: List[str]) -> None:
        assert self._file is not None
        text = "\n".join(self._privacy.hide(line.rstrip()) for line in lines) + "\n"
        try:
            self._file.write(text.encode("ascii", "replace").decode("ascii"))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as e:
            raise self._refused(e)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


class Sections:
    """Makes the sections; later ones use what earlier ones found."""

    def __init__(self, config: Config, machine: Machine, software: Software, watch: Watch) -> None:
        self._config, self._machine, self._software, self._watch = config, machine, software, watch
        self._home = home_dir(machine.environ)
        self._engines = Engines(config, self._home, lambda event, text: self._notes.append("{}: {}".format(event, text)))
        self._notes: List[str] = []
        self._ran: Optional[RunResult] = None

    def all(self) -> List[Section]:
        """The cheap ones first: what comes later may end badly."""
        return [
            Section("software", lambda: facts.software(self._machine, self._software)),
            Section("board", lambda: facts.board(self._machine)),
            Section("doctor", self._doctor),
            Section("plans", lambda: facts.plans(self._home)),
        ] + [Section("network: " + role, self._network(role)) for role in REQUIRED + OPTIONAL] + [
            Section("estimate and actual", self._estimate),
            Section("run", self._run),
            Section("board during the run", self._during),
            Section("board after the run", self._after),
        ]

    def _doctor(self) -> List[str]:
        return ["{:<5} {:<13} {}{}".format(f.state, f.name, f.text, "  -> " + f.cure if f.cure else "")
                for f in examine(self._config, self._machine, self._software)]

    def _network(self, role: str) -> Callable[[], List[str]]:
        def lines() -> List[str]:
            del self._notes[:]
            return self._engines.lines(role) + self._notes
        return lines

    def _estimate(self) -> List[str]:
        return against_estimate(self._engines.timed, self._home, board_name(self._machine))

    def _run(self) -> List[str]:
        self._ran = track(self._config, self._watch)
        return run_lines(self._ran)

    def _during(self) -> List[str]:
        if self._ran is None:
            raise EngineError("there was no run")
        return board_lines(self._ran)

    def _after(self) -> List[str]:
        return readings.lines(readings.read(self._machine))


def run_report(config: Config, path: str, seconds: float, out: TextIO, root: str = "/", recording: str = "") -> int:
    """Write the report to `path` with the progress on `out`; `seconds` of tracking. Main thread only.

    The board's own files are looked for below `root`. `recording`: a file that is described, and copied beside the report.

    Raises OutputError where the file cannot be written, SourceError for what is no recording. A first Ctrl-C ends the run and
    leaves out what follows it.
    """
    report, stop = Report(out, PROGRESS_S), Stop()
    machine, along = Machine(os.environ, root), Along(recording, path) if recording else None
    with stopped_by_signals(stop), ReportFile(path, of_this_user(os.environ)) as file:
        made = Sections(config, machine, this_software(), Watch(seconds, stop, machine, report))
        file.add([TITLE, "{} UTC, nanoface {}, {:g} s of tracking".format(_now(), __version__, seconds)])
        sections = made.all()
        if along is not None:
            along.take()
            sections.insert(0, Section("recording", along.lines))
        for number, section in enumerate(sections, 1):
            if stop.is_set():
                file.add(["", "== interrupted before: {}".format(section.title)])
                report.line("interrupted: {} ends before {}".format(path, section.title))
                return INTERRUPTED
            report.line("{:2}/{} {}".format(number, len(sections), section.title))
            file.add(["", "== " + section.title] + _lines_of(section))
        file.add(["", "== end"])
    report.line("{} is written; it names no user, host or address: paste all of it into an issue".format(path))
    if along is not None:
        report.line("{} goes with it: it has the points of a face, which are somebody's, and no picture".format(along.copy))
    return 0


def _lines_of(section: Section) -> List[str]:
    try:
        return section.lines()
    except FAULTS as e:
        return ["not known: {}".format(" ".join(str(e).split()) or type(e).__name__)]


def _now() -> str:
    return datetime.datetime.fromtimestamp(clock.wall(), datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")
