"""Where a run's progress, notes and warnings go."""
import logging
import os
import sys
from typing import Mapping, TextIO

from edge.host import console

LOG_EVERY_S = 10.0  # between two lines of progress where there is no terminal


class Reporter:
    """Writes to standard error; progress is one line of a terminal."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._out = console.on(sys.stderr)
        self._line = console.ProgressLine(self._out, LOG_EVERY_S, stays=True)
        self._journal = _is_journal(sys.stderr, os.environ)  # which keeps every line: the states, and no progress

    def __call__(self, event: str, text: str) -> None:
        if self._quiet and event != "loss" or event in ("progress", "state") and self._journal != (event == "state"):
            return
        text = " ".join(text.split("\n")).strip()
        if event == "progress":
            self._line.show(text)
        else:
            self._line.end()
            self._out.write("{}{}\n".format("warning: " if event in ("warning", "loss") else "", text))

    def end_line(self) -> None:
        self._line.end()


class Warnings(logging.Handler):
    """Shows what is logged as a warning; what is logged as an error is raised as well, and is shown then."""

    def __init__(self, report: Reporter) -> None:
        super().__init__()
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            self._report("warning", record.getMessage())


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """By systemd's variable, compared with the stream: programs that a desktop's service starts inherit the variable."""
    try:
        info = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == "{}:{}".format(info.st_dev, info.st_ino)
