"""The machine that all checks of `nanoface doctor` look at, and what a check finds.

Every path is taken below `Machine.root`, so that tests look at a tree of their own.
"""
import os
import shutil
import subprocess
from typing import Callable, Mapping, NamedTuple, Optional

from edge.core import clock
from edge.sources.live.v4l2 import Camera, look
from edge.telemetry.board import files as boardfiles

OK, WARN, FAIL = "ok", "warn", "fail"
GIB = float(1 << 30)
COMMAND_S = 10.0  # for a command to answer
VIDEO_GROUP = "sudo usermod -aG video $USER, then log out and in again"


class Finding(NamedTuple):
    """One line of the report. `cure` is what to do, "" where nothing is wrong."""

    name: str
    state: str  # OK, WARN: it runs, less well; FAIL: nothing can run
    text: str
    cure: str = ""


class Answer(NamedTuple):
    """The result of a command."""

    code: Optional[int]  # its exit code; None where it did not end in time
    text: str  # of both its streams


class Machine(NamedTuple):
    """Where the checks look; tests replace it."""

    environ: Mapping[str, str]
    root: str = "/"
    ask_camera: Callable[[str], Optional[Camera]] = look
    may_use: Callable[[str], bool] = lambda path: os.access(path, os.R_OK | os.W_OK)
    wall: Callable[[], float] = clock.wall

    def path(self, absolute: str) -> str:
        return os.path.join(self.root, absolute.lstrip("/"))

    def read(self, absolute: str) -> str:
        """The text of a small file; "" where it is absent or may not be read."""
        return boardfiles.read_text(self.root, absolute)

    def exists(self, absolute: str) -> bool:
        return os.path.lexists(self.path(absolute))

    def command(self, *argv: str, timeout_s: float = COMMAND_S) -> Optional[Answer]:
        """Ask a program of the PATH; None where it is not there."""
        program = shutil.which(argv[0], path=self.environ.get("PATH", ""))
        if program is None:
            return None
        try:
            done = subprocess.run([program] + list(argv[1:]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, env=dict(self.environ, LC_ALL="C"), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return Answer(None, "")
        except OSError:
            return None
        return Answer(done.returncode, done.stdout.decode("utf-8", "replace").strip())


def is_jetson(machine: Machine) -> bool:
    return boardfiles.is_jetson(machine.root)
