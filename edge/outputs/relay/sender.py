"""The tracker's end of the relay: one Sender for all live outputs of a run, whatever becomes of their process.

Handing a record over is one message on a socket that never waits. A thread reads what the relay says of its outputs, about
once a second, and starts another one where it has ended or hangs.
"""
import threading
import time
from typing import AbstractSet, Any, Callable, Dict, List, Optional, Sequence, Set

from edge.core import clock, contracts
from edge.core.errors import ConfigError
from edge.core.redact import hide, learn
from edge.host import packages, waiting
from edge.host.child.printed import PrintedLines
from edge.host.child.start import start
from edge.outputs.kinds import KINDS, OutputOptions, OutputSpec, make_output
from edge.outputs.relay import messages
from edge.outputs.relay.changes import Changes
from edge.outputs.relay.ledger import Ledger
from edge.outputs.relay.outbox import Outbox
from edge.outputs.relay.watch import LATE, Watch
from edge.outputs.sender import CLOSED, DOWN, FAILED, FIRST_RETRY_S, HANGING, LONGEST_RETRY_S, OPENING

MODULE = "edge.outputs.relay.process"
NAME = "relay"
LIVED_S = 60.0  # a relay that lived so long is started again soon
REAP_S = 1.0
RETRY_S = 0.01
MARGIN_S = 0.15  # of the time to close: for the relay to say so, and to end
MOST_TOLD = 200  # different texts of warnings
Report = Callable[[str, str], None]


class RelaySender(contracts.Sender):
    """start(), put() and close() are the pipeline's; rows() any thread's."""

    name = NAME
    encodes = True

    def __init__(self, specs: Sequence[OutputSpec], options: OutputOptions, report: Optional[Report] = None) -> None:
        """`report(event, text)` gets "warning" and "note" lines, in the thread of this. Raises ConfigError, OutputError for
        what no trying again will help."""
        self._report = report or (lambda event, text: None)
        for spec in specs:
            learn(spec.text)
            check_package(spec)
        outputs = [make_output(spec, options) for spec in specs]  # also: a mistake shows before anything is opened
        self.landmarks, self.shapes, self.events, self.coarse = (
            any(wanted) for wanted in zip(*[output.parts for output in outputs]))
        self._specs = list(specs)
        # what goes into a message
        self._options = options._replace(blocking=False, fps=_no_fps, title=str, note=None, stamp=dict, camera=None)
        self._outbox, self._ledger = Outbox(self.landmarks, self.events), Ledger(names(specs))
        self._started, self._closing = waiting.Event(), waiting.Event()
        self._deadline = float("inf")
        self._told: Set[str] = set()
        self._changes = Changes(self._ledger.names)
        self._thread = threading.Thread(target=self._supervise, name="output relay", daemon=True)
        self._handed = 0  # frames, to the relay that has ended
        self.pid: Optional[int] = None  # of the relay that runs

    def start(self) -> None:
        """Returns when its process was started, which is before any network is opened; that its outputs are open takes longer,
        and nobody waits for it."""
        self._ledger.become(OPENING)
        self._thread.start()
        self._started.wait(REAP_S)

    def know(self, coarse: AbstractSet[str]) -> None:
        self._outbox.coarse = tuple(sorted(coarse))

    def put(self, item: Any) -> bool:
        return not self._closing.is_set() and self._outbox.put(item)

    def put_last(self, item: Any) -> bool:
        return not self._closing.is_set() and self._outbox.put_last(item)

    def close(self, timeout_s: float) -> bool:
        if self._thread.ident is None:
            self._ledger.become(CLOSED)
            return True
        if not self._closing.is_set():
            self._deadline = clock.monotonic() + timeout_s
            self._closing.set()
        while self._thread.is_alive() and not self._outbox.finish(self._left_s() - MARGIN_S) and self._left_s() > 0.0:
            time.sleep(RETRY_S)  # its socket is full, or it has just been started
        return waiting.join(self._thread, max(0.0, self._left_s()) + REAP_S)

    def _left_s(self) -> float:
        return self._deadline - clock.monotonic()

    def rows(self) -> Dict[str, Dict[str, Any]]:
        return self._ledger.rows(self._outbox.dropped)

    def down(self) -> List[str]:
        return [name for name, row in self.rows().items() if row["state"].partition(":")[0] in (DOWN, FAILED)]

    def stats(self) -> Dict[str, Any]:
        """Of the output that got least."""
        return min(self.rows().values(), key=lambda row: int(row["sent"]))

    def _supervise(self) -> None:
        pause_s = FIRST_RETRY_S
        while not self._closing.is_set():
            began = clock.monotonic()
            self._handed = 0
            why = self._serve()
            if why:
                self._ledger.ended(self._handed, HANGING if why == LATE else "{}: {}".format(DOWN, why))
            if self._closing.is_set():
                break
            self._tell(messages.WARNING, "{}; it is started again".format(why))
            if clock.monotonic() - began > LIVED_S:
                pause_s = FIRST_RETRY_S
            self._closing.wait(pause_s)
            pause_s = min(LONGEST_RETRY_S, 2.0 * pause_s)
        self._outbox.give_up()
        self._ledger.close()

    def _serve(self) -> str:
        """One relay, to its end; says why that came, "" where it was to."""
        ours, theirs = messages.ends()
        printed = PrintedLines()
        try:
            process = start(MODULE, (theirs.fileno(),), printed)
        except OSError as e:
            ours.close()
            printed.close()
            return "the relay cannot be started: {}".format(e.strerror)
        finally:
            theirs.close()
            self._started.set()
        self.pid, watch = process.pid, Watch(
            ours, process, printed, self._ledger, self._outbox, self._tell, self._tell_changes)
        try:
            ours.send(messages.pack(messages.SERVE, self._specs, self._options))
            self._outbox.attach(ours)
            return watch.run(lambda: self._left_s() <= 0.0)
        finally:
            self._handed = self._outbox.detach()
            ours.close()
            self.pid = None

    def _tell_changes(self, rows: Sequence[messages.Row]) -> None:
        for event, text in self._changes.lines(rows, clock.monotonic()):
            self._report(event, hide(text))

    def _tell(self, event: str, text: str) -> None:
        """Each text once."""
        text = hide(text)
        if text not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(text)
            self._report(event, text)


def names(specs: Sequence[OutputSpec]) -> List[str]:
    """What the user wrote, without its secrets; each once."""
    found: List[str] = []
    for spec in specs:
        name, number = hide(spec.text), 1
        while name in found:
            number += 1
            name = "{} ({})".format(hide(spec.text), number)
        found.append(name)
    return found


def check_package(spec: OutputSpec) -> None:
    """Raises ConfigError with the command that installs what it needs."""
    package = KINDS[spec.kind].package
    if package and packages.absent([package]):
        raise ConfigError("output {} needs the package {}, which is missing: {}".format(
            hide(spec.text), package, packages.install(package)))


def _no_fps() -> None:
    """Not known in the relay."""
