"""Live outputs in this process: a Sender for each, the parts that each asked for, and its row of the status."""
import os
import traceback
from typing import AbstractSet, Any, Dict, List, Optional, Sequence

from edge.core import clock
from edge.core.packet import Packet
from edge.core.parts import Parts
from edge.core.redact import hide
from edge.host import packages
from edge.outputs.kinds import KINDS, OutputOptions, OutputSpec, make_output
from edge.outputs.record import encode, without
from edge.outputs.sender import FAILED, FIRST_RETRY_S, LONGEST_RETRY_S, Sender

CAPACITY = 3  # frames that wait for an output: a thread that gets no turn for a tenth of a second loses none
Row = Dict[str, Any]


class Served:
    """All outputs of a run. To be used from one thread; rows() from any.

    No failure of one is another's: an error of its peer is tried again by its Sender, a fault of its code by a new one.
    """

    def __init__(self, specs: Sequence[OutputSpec], options: OutputOptions) -> None:
        self._lines = [_Line(spec, options) for spec in specs]
        self._parts = Parts(*(any(wanted) for wanted in zip(*[line.parts for line in self._lines])))
        self.coarse: AbstractSet[str] = frozenset()  # the shapes that only who wants them gets

    def start(self) -> None:
        """Does not wait for any of them."""
        packages.load(KINDS[line.spec.kind].package for line in self._lines)
        for line in self._lines:
            line.sender.start()

    def encode(self, packet: Packet, events: List[Any], points: bool) -> Dict[str, Any]:
        """The record with all that any of them asked for, for put(). `events`: their records; `points`: it has them."""
        wanted = self._parts._replace(events=False, landmarks=points and self._parts.landmarks)
        record = encode(packet, clock.monotonic(), wanted, as_lists=False, coarse=self.coarse)
        if self._parts.events:
            record["events"] = events
        return record

    def put(self, record: Dict[str, Any]) -> None:
        """Never waits."""
        variants: Dict[Parts, Dict[str, Any]] = {}
        for line in self._lines:
            if line.parts not in variants:
                variants[line.parts] = without(record, line.parts, self.coarse)
            line.sender.put(variants[line.parts])

    def put_last(self, record: Dict[str, Any]) -> None:
        """Events that no frame comes for any more."""
        for line in self._lines:
            line.put_last(without(record, line.parts, self.coarse))

    def mend(self) -> None:
        """Start anew what a fault of its own code has ended; to be called about once a second."""
        for line in self._lines:
            line.mend()

    def rows(self) -> List[Row]:
        """In the order of the specs."""
        return [line.row() for line in self._lines]

    def notes(self) -> List[str]:
        """What one would not expect of those that are open."""
        return ["output {} {}".format(line.name, hide(line.sender.note)) for line in self._lines if line.sender.note]

    def close(self, timeout_s: float) -> bool:
        """Write what waits and close all, at the same time. False where that takes longer."""
        deadline = clock.monotonic() + timeout_s
        for line in self._lines:
            line.sender.finish()
        return all([line.sender.close(max(0.0, deadline - clock.monotonic())) for line in self._lines])


class _Line:
    """One output: its Sender, and what those before it have counted."""

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        self.name = hide(spec.text)
        self.spec, self._options = spec, options
        self._earlier: Dict[str, int] = {}
        self._pause_s = FIRST_RETRY_S
        self._again_at: Optional[float] = None
        self._make()

    def _make(self) -> None:
        output = make_output(self.spec, self._options)
        self.parts = output.parts
        self.sender = Sender(output, CAPACITY, keep_trying=True)

    def put_last(self, record: Dict[str, Any]) -> None:
        if self.parts.events and record.get("events"):
            self.sender.put_last(record)

    def mend(self) -> None:
        if not self._has_failed():
            return
        now = clock.monotonic()
        if self._again_at is None:
            self._again_at = now + self._pause_s
            self._pause_s = min(LONGEST_RETRY_S, 2.0 * self._pause_s)
        elif now >= self._again_at:
            self._earlier, self._again_at = self._counts(), None
            self._make()
            self.sender.start()

    def row(self) -> Row:
        state = self.sender.stats()["state"]
        error = self.sender.error
        if self._has_failed() and error is not None:
            state = "{}: {}".format(FAILED, _where(error))
        return dict(self._counts(), state=hide(str(state)))

    def _has_failed(self) -> bool:
        return str(self.sender.stats()["state"]).partition(":")[0] == FAILED

    def _counts(self) -> Dict[str, int]:
        counts = {key: value for key, value in self.sender.stats().items() if key != "state"}
        return {key: counts.get(key, 0) + self._earlier.get(key, 0) for key in list(counts) + list(self._earlier)}


def _where(error: BaseException) -> str:
    """What kind of fault it is, and the innermost line of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " ({}:{})".format(os.path.basename(frames[-1][0]), frames[-1][1]) if frames else ""
    return "{}: {}{}".format(type(error).__name__, error, place)
