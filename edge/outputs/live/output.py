"""What all live outputs share: how often something is sent, what happens while no frame or no face comes, and mirroring.

A protocol's file has a pure encoder (Signals or a record in, bytes or messages out) and a thin class that sends them.
"""
from abc import abstractmethod
from typing import Any, List, Mapping, Optional

from edge.core import clock
from edge.core.contracts import Output
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.signals import Follower, Signals

TICK_S = 0.1  # how often a live output is asked to go on while no frame comes
EARLY = 0.25  # share of the gap between two frames by which one may come early: cameras are not exact
Record = Mapping[str, Any]


class LiveOutput(Output):
    """One that wants records as they are. It is never what makes the tracker wait, and its failure ends no run: open() may
    raise OutputError at any time, and is tried again after growing pauses.

    send() is called in the output's own thread, of the relay's process; it may wait for its peer, at most some seconds.
    """

    tick_s = TICK_S

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        self.spec, self.name = spec, spec.text
        self.landmarks, self.landmarks68 = options.landmarks, options.landmarks68
        self.shapes, self.events = (bool(spec.keys.get(part, True)) for part in ("shapes", "events"))
        self._gap_s = 1.0 / spec.keys["rate"] if spec.keys.get("rate") else 0.0
        self._due_at = float("-inf")
        self._events: List[Record] = []

    def emit(self, item: Any) -> None:
        now, events = clock.monotonic(), list(item.get("events", ()))
        if "frame" not in item:  # events alone, at the end
            self._pass_on(None, events, now)
        elif now >= self._due_at - EARLY * self._gap_s:
            next_s = self._due_at + self._gap_s
            self._due_at = next_s if next_s > now else now + self._gap_s
            self._pass_on(item, events, now)
        else:
            self._events += events

    def tick(self) -> None:
        """No frame came for `tick_s`."""
        self._pass_on(None, [], clock.monotonic())

    def _pass_on(self, record: Optional[Record], events: List[Record], now: float) -> None:
        self.send(record, self._events + events, now)
        self._events = []  # where send() raises, those of the item come again with the next one

    @abstractmethod
    def send(self, record: Optional[Record], events: List[Record], now: float) -> None:
        """`record`: of a frame; None where none came. `events`: those since the last call. Raises OutputError."""


class AvatarOutput(LiveOutput):
    """One that wants one face, whole, and eased to rest while it is lost."""

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        self.landmarks, self.landmarks68, self.coarse = False, False, True
        self._follower = Follower(spec.keys.get("mirror", options.mirror))

    def send(self, record: Optional[Record], events: List[Record], now: float) -> None:
        self.show(self._follower.follow(record, now, events), now)

    @abstractmethod
    def show(self, signals: Signals, now: float) -> None:
        """Send it. Also while no face is seen, or no frame comes: then some ten times a second. Raises OutputError."""


def peers(count: int) -> str:
    """For `condition`: how many receive it."""
    return "nobody receives it" if count == 0 else "1 receiver" if count == 1 else "{} receivers".format(count)

