"""`nanoface calibrate neutral`: guiding a person through the capture, in this process or in the one that holds the camera."""
import sys
from typing import Any, TextIO

from edge.app import calibrate
from edge.app.neutral import keep, profiles
from edge.cli.options import config_of
from edge.core import clock
from edge.core.errors import SourceError
from edge.host import commands, console
from edge.host.stop import Stop
from edge.store import lock, requests
from edge.store.models import home_dir
from edge.store.profiles import Profiles, checked_name

GUIDE = "Sit as you usually do, look into the lens, relax your face and keep still. Blinking is fine."
REDRAW_S = 0.1
TELL_S = 2.0  # of a source's time: between two lines where there is no terminal
ANSWER_S, SILENT_S, POLL_S = 3.0, 15.0, 0.2


class Guide:
    """One line that changes on a terminal, else a line for each new reason."""

    def __init__(self) -> None:
        self._out = console.on(sys.stderr)
        self._line = console.ProgressLine(self._out, TELL_S, REDRAW_S)
        self._said, self._said_at = "", float("-inf")

    def __call__(self, done: float, reason: str) -> None:
        if done < 0.0:
            self._line.show("starting in {:.0f} s".format(0.5 - done))
            return
        self._line.show("[{:<20}] {:3.0f} %  {}".format("=" * int(20 * done), 100 * done, reason))
        if reason and reason != self._said and not self._out.steers and clock.monotonic() - self._said_at >= TELL_S:
            self._said, self._said_at = reason, clock.monotonic()
            self._out.write(reason + "\n")

    def end(self) -> None:
        self._line.end()


def take(args: Any, name: str, seconds: float, countdown_s: float, out: TextIO) -> int:
    """Raises EdgeErrors; SourceError where no face could be taken."""
    checked_name(name)
    config, stored, guide = config_of(args), profiles(), Guide()
    stored.ready(name)
    asked, unnamed = calibrate.Asked(name, seconds, countdown_s), config.source.spec is None
    console.on(sys.stderr).write(GUIDE + "\n")
    try:
        if unnamed and lock.in_use(home_dir()) and _of_tracker(stored, asked, guide):
            return _by_tracker(stored, name, guide, out)
        taken = calibrate.take_neutral(config, asked, args.report, guide)
    except calibrate.NotOpened:
        if not unnamed or not _of_tracker(stored, asked, guide):
            raise
        return _by_tracker(stored, name, guide, out)
    finally:
        guide.end()
    keep(stored, taken)
    out.write("the neutral face was taken from {}{}\n".format(
        "one picture" if taken.frames == 1 else "{} {}".format(taken.frames, "frames" if taken.seconds else "pictures"),
        " in {:.1f} s".format(taken.seconds) if taken.seconds else ""))
    if taken.frames > 1:
        out.write("its points rest within {:.2f} mm, the head within {:.1f} degrees\n".format(
            taken.spread_mm, taken.turned_deg))
    return _tell(stored, name, out)


def _by_tracker(stored: Profiles, name: str, guide: Guide, out: TextIO) -> int:
    guide.end()
    out.write("the running tracker took the neutral face\n")
    return _tell(stored, name, out)


def undo(name: str, out: TextIO) -> int:
    if profiles().undo(name):
        out.write("the profile {} is again what it was before\n".format(name))
    else:
        out.write("there was no profile {} before: it is gone, and no profile is used in its place\n".format(name))
    return 0


def _tell(stored: Profiles, name: str, out: TextIO) -> int:
    suffix = "" if name == "me" else " --name " + name
    out.write("kept as {}, and used by every run from now on, also by one that is going\n".format(stored.path(name)))
    out.write("not any more: {}; the one before: {}\n".format(
        commands.command("profile use none"), commands.command("calibrate neutral --undo" + suffix)))
    return 0


def _of_tracker(stored: Profiles, asked: calibrate.Asked, guide: Guide) -> bool:
    """Have the tracker that holds the camera take it. False where none answers: the caller tries by itself."""
    stop, until = Stop(), clock.monotonic() + asked.countdown_s
    while clock.monotonic() < until:
        guide(clock.monotonic() - until, "")
        stop.wait(POLL_S)
    request = requests.put(stored.folder, asked.name, asked.seconds)
    try:
        return _answered(stored, request, guide, stop)
    except KeyboardInterrupt:  # the tracker would keep a face that nobody wants
        requests.cancel(stored.folder, request)
        raise


def _answered(stored: Profiles, request: requests.Request, guide: Guide, stop: Stop) -> bool:
    asked_at = answered_at = clock.monotonic()
    last = None
    while True:
        stop.wait(POLL_S)
        found, now = requests.read_reply(stored.folder, request), clock.monotonic()
        if found is None:
            if now - asked_at > ANSWER_S and requests.withdraw(stored.folder):
                return False
        elif found != last:
            last, answered_at = found, now
            guide(float(found["done"]), "" if found.get("over") else found["text"])
        if found is not None and found.get("over"):
            if found.get("failed"):
                raise SourceError("the neutral face was not taken: {}".format(found["text"]))
            return True
        if now - answered_at > SILENT_S:
            requests.cancel(stored.folder, request)
            raise SourceError("the running tracker took the request and does not answer any more: " + commands.run("status"))
