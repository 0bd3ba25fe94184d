"""The command's side of a build: starts a fresh process, receives its events, and turns its end into a result or an error."""
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from edge.core import clock
from edge.core.errors import EngineError, ModelError
from edge.host import commands
from edge.host.disk import StorageError, write_whole
from edge.host.process import CODE
from edge.host.stop import Stop
from engines.build.child import DONE, FAILED, LOG, NOTE, STEP

STEP_S = 0.1
KEPT_LINES = 20
END_S = 5.0  # for a killed process to go: one that hangs in the driver is left behind
REQUEST = "request.json"
CHILD = ("-m", "engines.build.child")
KILLED = ("the system ended it, most likely for want of memory: add 4 GB of swap (sudo fallocate -l 4G /swapfile && sudo "
          "chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile), stop the service and the desktop "
          "(sudo systemctl stop nanoface; sudo systemctl isolate multi-user.target), or try --workspace 128")
OVERDUE = ("it did not end within {} while {}, and was ended: `{}` gives it more, "
           "--workspace 128 or --tactics none may spare it; where that does not help, restart the board")


class Interrupted(KeyboardInterrupt):
    """A signal asks the command to end; the process was ended."""


class Crashed(EngineError):
    """The process ended without sending a result. `by_fault`: it was not killed from outside."""

    def __init__(self, text: str, by_fault: bool) -> None:
        super().__init__(text)
        self.by_fault = by_fault


class BuildCallbacks(NamedTuple):
    """What the command calls for the events of the process."""

    note: Callable[[str], None]  # a line for the user
    tick: Callable[[str, float], None]  # what it does now, and since how many seconds; several times a second
    log: Callable[[str, str], None]  # severity (E or W) and text, from the library


def run_child(request: Mapping[str, Any], folder: str, stop: Stop, callbacks: BuildCallbacks,
              limit_s: float) -> Dict[str, Any]:
    """The result that the process sends at its end. `folder` takes the request; after limit_s the process is ended.

    Raises ModelError or EngineError with the error that it sends, Crashed where it was ended, StorageError where another
    try would fail as well, and Interrupted.
    """
    path = os.path.join(folder, REQUEST)
    write_whole(path, json.dumps(dict(request, parent=os.getpid())).encode("ascii"))
    try:
        child = subprocess.Popen(  # in a session of its own: a Ctrl-C is for the command, which ends it
            (sys.executable,) + CHILD + (path,), cwd=folder, env=_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    except OSError as e:
        raise EngineError("{} cannot be started ({}): see `{}`".format(
            sys.executable, e.strerror or e, commands.command("doctor"))) from e
    events = _Events(callbacks)
    in_time = False
    try:
        in_time = events.read(child, stop, limit_s)
    finally:
        if not in_time:
            _end(child)
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()
    if not in_time:
        raise Crashed(events.overdue(request.get("network", ""), limit_s), False)
    return events.result(child.returncode)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """With whatever it has started: it leads a group of its own."""
    with suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        child.wait(END_S)


def _environment() -> Dict[str, str]:
    """Ours, with the packages that we have: the process starts in a folder of its own."""
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    ours_first = [CODE] + [path for path in paths if path != CODE]  # before a stranger's engines/
    return dict(os.environ, PYTHONPATH=os.pathsep.join(ours_first), PYTHONIOENCODING="utf-8")


class _Events:
    """What one process has sent so far."""

    def __init__(self, callbacks: BuildCallbacks) -> None:
        self._callbacks = callbacks
        self._end: Optional[Dict[str, Any]] = None
        self._step = "starting"
        self._errors: List[str] = []  # the library's
        self._printed: List[str] = []  # the last lines on standard error

    def read(self, child: "subprocess.Popen[bytes]", stop: Stop, limit_s: float) -> bool:
        """Until both streams are closed and the process has ended; False where that took too long. Raises Interrupted."""
        assert child.stdout is not None and child.stderr is not None
        rests = {child.stdout.fileno(): b"", child.stderr.fileno(): b""}
        began_at = clock.monotonic()
        while rests or child.poll() is None:
            if stop.wait(0.0 if rests else STEP_S):
                raise Interrupted()
            readable = select.select(list(rests), [], [], STEP_S)[0] if rests else []
            for fd in readable:
                block = os.read(fd, 1 << 16)
                lines = (rests[fd] + block).split(b"\n")
                rests[fd] = lines.pop()
                for line in lines:
                    self._add(line.decode("utf-8", "replace"), fd == child.stdout.fileno())
                if not block:
                    self._add(rests.pop(fd).decode("utf-8", "replace"), False)
            elapsed_s = clock.monotonic() - began_at
            self._callbacks.tick(self._step, elapsed_s)
            if elapsed_s > limit_s:
                return False
        return True

    def _add(self, line: str, is_event: bool) -> None:
        """`is_event`: from the stream that is for events; else what some library printed."""
        try:
            event = json.loads(line) if is_event else None
        except ValueError:  # printed before the process had taken the stream over
            event = None
        if not isinstance(event, dict) or "event" not in event:
            self._printed = (self._printed + [line.strip()] if line.strip() else self._printed)[-KEPT_LINES:]
            return
        kind = event.pop("event")
        if kind in (DONE, FAILED):
            self._end = dict(event, event=kind)
        elif kind == STEP:
            self._step = event["text"]
        elif kind == NOTE:
            self._callbacks.note(event["text"])
        elif kind == LOG:
            if event["severity"] == "E":
                self._errors = (self._errors + [event["text"]])[-KEPT_LINES:]
            self._callbacks.log(event["severity"], event["text"])

    def overdue(self, network: str, limit_s: float) -> str:
        limit = "{:.0f} min".format(limit_s / 60.0) if limit_s >= 60.0 else "{:.0f} s".format(limit_s)
        if not network:
            return "no answer within {}: restart the board (`dmesg` has the messages of its GPU)".format(limit)
        more = "build --only {} --timeout {}".format(network, min(1440, max(1, int(3 * limit_s / 60.0))))
        return OVERDUE.format(limit, self._step, commands.command(more))

    def result(self, code: int) -> Dict[str, Any]:
        """Raises what run_child() raises. A process that sent its result may end in any way."""
        if self._end is not None and self._end["event"] == DONE:
            return self._end
        if self._end is not None:
            kind = StorageError if self._end["storage"] else ModelError
            raise kind(self._end["text"])
        last = "; ".join(self._errors[-2:]) or "; ".join(self._printed[-1:])
        message = " Its last message: {}".format(last) if last else ""
        if code == -signal.SIGKILL:
            raise Crashed("it was killed while {}; {}.{}".format(self._step, KILLED, message), False)
        if code < 0:
            raise Crashed("it crashed with {} while {}: the timing cache is put away; build it once more, or with --tactics "
                          "none.{}".format(_signal_name(-code), self._step, message), True)
        raise Crashed("it ended with code {} while {}: see `{}`, and report it.{}".format(
            code, self._step, commands.command("doctor"), message), True)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal {}".format(number)
