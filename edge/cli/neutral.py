"""`nanoface calibrate neutral`: guiding a person through the capture, in this process or in the one that holds the camera."""
import os
import sys
from typing import Any, TextIO

from edge.app import calibrate
from edge.app.neutral import profiles
from edge.cli.options import config_of
from edge.core import clock
from edge.core.errors import SourceError
from edge.face.capture import WARMING
from edge.face.neutral import Taken, facts_of
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
        text = "" if reason == WARMING else reason
        self._line.show("[{:<20}] {:3.0f} %  {}".format("=" * int(20 * done), 100 * done, text))
        if text and text != self._said and not self._out.steers and clock.monotonic() - self._said_at >= TELL_S:
            self._said, self._said_at = text, clock.monotonic()
            self._out.write(text + "\n")

    def end(self) -> None:
        self._line.end()


def take(args: Any, name: str, seconds: float, countdown_s: float, out: TextIO) -> int:
    """Raises EdgeErrors; SourceError where no face could be taken."""
    checked_name(name)
    config, stored = config_of(args), profiles()
    console.on(sys.stderr).write(GUIDE + "\n")
    guide = Guide()
    try:
        if config.source.spec is None and lock.in_use(home_dir()) and _of_tracker(stored, name, seconds, countdown_s, guide):
            guide.end()
            out.write("the running tracker took the neutral face and uses it from now on, as the profile {}\n".format(name))
            return _tell(stored, name, out)
        asked = calibrate.Asked(name, seconds, countdown_s)
        taken = calibrate.take_neutral(config, asked, Stop(), args.report, guide)
    except SourceError as e:
        raise SourceError("{}{}".format(e, "" if config.source.spec else _holder()))
    finally:
        guide.end()
    return keep(stored, taken, out)


def keep(stored: Profiles, taken: Taken, out: TextIO) -> int:
    name = taken.neutral.name
    stored.save(name, facts_of(taken))
    stored.use(name)
    out.write("the neutral face was taken from {} frames in {:.1f} s: its points rest within {:.2f} mm, the head within "
              "{:.1f} degrees\n".format(taken.frames, taken.seconds, taken.spread_mm, taken.turned_deg))
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


def _of_tracker(stored: Profiles, name: str, seconds: float, countdown_s: float, guide: Guide) -> bool:
    """Have the tracker that holds the camera take it. False where it does not answer: the caller tries by itself."""
    stop, until = Stop(), clock.monotonic() + countdown_s
    while clock.monotonic() < until:
        guide(clock.monotonic() - until, "")
        stop.wait(POLL_S)
    request = requests.put(stored.folder, name, seconds)
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
            raise SourceError("the running tracker took the request and does not answer any more: " + commands.run("status"))


def _holder() -> str:
    """How to have the service take the face, where it is installed and this is not its program: it may hold the camera."""
    if commands.is_installed() or not os.path.exists(commands.INSTALLED):
        return ""
    return "; where the service holds the camera: sudo -u {} {} calibrate neutral".format(commands.USER, commands.INSTALLED)
