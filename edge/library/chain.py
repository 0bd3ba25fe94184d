"""The stages of a run in the caller's thread: a frame in, faces out.

What a program gets is read from the frame record that `nanoface run` would write of the frame, so both give the same numbers.
"""
import ctypes
import logging
import os
import threading
from collections import deque
from contextlib import ExitStack
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from edge.app.chain import ReplayStages, Stages, make_stages, replay_stages
from edge.app.neutral import named
from edge.config.load import Config
from edge.core import clock
from edge.core.contracts import Stage
from edge.core.errors import ConfigError, FrameError, StateError
from edge.core.packet import Frame, Packet
from edge.core.parts import Parts
from edge.core.records import Event, Face, read_event, read_face
from edge.outputs.record import encode
from edge.store import lock
from edge.store.models import home_dir

log = logging.getLogger(__name__)

OURS = "edge"  # the logger above all of ours
MOST_EVENTS = 10000  # that wait to be taken; then the oldest go
Found = Tuple[Frame, List[Face]]
Report = Callable[[str, str], None]  # event ("note", "warning", "progress"), one line of text


def to_log(event: str, text: str) -> None:
    """The `report` of a program that passed none."""
    log.log(logging.WARNING if event == "warning" else logging.INFO, "%s", text)


def reporter(report: Optional[Report]) -> Report:
    """Raises ConfigError."""
    if report is not None and not callable(report):
        raise ConfigError("report={!r}: it is a function of two texts, event and line".format(report))
    return report or to_log


def never_free(inherited: Any) -> None:
    """What a fork has inherited is the parent's. OpenVINO waits for its threads when it is freed, even at the end of the
    process, and only the parent has them.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


def quiet() -> None:
    """Keep our log off the standard error of a program that does not log: without a handler, logging prints warnings there."""
    logger = logging.getLogger(OURS)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


class StageChain:
    """Every stage of one kind of frames. Opened by its first frame, and from then on of that thread.

    On a GPU the context is the thread's: what was opened there is closed there, or it stays until the process ends.
    """

    def __init__(self, config: Config, stills: bool, live: bool, report: Report,
                 facts: Optional[Mapping[str, Any]] = None) -> None:
        """`facts`: where the frames are those of a recording, what it says of itself.

        Raises ModelError for networks that are not there, EngineError where nothing runs them."""
        quiet()
        self._replays = facts is not None
        self._parts = Parts(True, config.output.any_shapes, config.output.events, config.output.coarse_shapes)
        stages: Union[Stages, ReplayStages] = replay_stages(config, facts, report) if facts is not None else make_stages(
            config, stills, report, live, self._parts, lambda network: named(config, network, report))
        self._last_events, self._coarse = stages.express.last_events, stages.express.coarse
        self._packet: Optional[Packet] = None  # the newest, without its picture, where events are wanted
        self._events: Deque[Event] = deque(maxlen=MOST_EVENTS)
        self.stages: Tuple[Stage, ...] = tuple(
            stage for group in stages.groups(config.pipeline.groups()) for stage in group)
        self._report, self._process = report, os.getpid()
        self._thread: Optional[int] = None  # that opened it
        self._closing = ExitStack()
        self._over = ""  # why it cannot be used any more

    @property
    def over(self) -> bool:
        return bool(self._over)

    def open(self) -> None:
        """Nothing where it is open. Raises StateError in another thread, or process, than that which may use it."""
        if self._over:
            raise StateError("the tracker cannot be used any more, {}: make a new one".format(self._over))
        if self._process != os.getpid():
            raise StateError("the tracker belongs to the process that made it, from which this one was forked: make one here")
        if self._thread is None:
            self._open()
        elif self._thread != threading.get_ident():
            raise StateError("the tracker belongs to the thread that gave its first picture: make one for each thread")

    def found(self, frame: Frame) -> Optional[Found]:
        """Of this frame, or, where smoothing waits for later ones, of an earlier one, or None.

        Raises FrameError for a frame that cannot be looked at; the next one can. Any other error ends the chain, as does an
        interruption: its stages may be left waiting for each other.
        """
        whole = False
        try:
            found = self._through(Packet(frame), self.stages)
            whole = True
        except FrameError:
            whole = True
            raise
        finally:
            if not whole:
                self.close("it was interrupted in the middle of a picture")
        return found

    def rest(self) -> List[Found]:
        """At the end: of the frames that are still waited with."""
        found = []
        for i, stage in enumerate(self.stages):
            for packet in stage.last() if stage.holds else ():
                one = self._through(packet, self.stages[i + 1:])
                found += [] if one is None else [one]
        return found

    def close(self, why: str = "it was closed") -> None:
        """May be called twice, and from any thread while no frame is looked at."""
        first, self._over = not self._over, self._over or why
        if first and self._parts.events:
            self.rest()  # for their events
        if first and self._packet is not None:
            last = self._packet._replace(events=tuple(self._last_events()))
            self._events.extend(map(read_event, encode(last, clock.monotonic(), self._parts)["events"]))
        (closing, self._closing), (stages, self.stages) = (self._closing, ExitStack()), (self.stages, ())
        if self._process != os.getpid():
            never_free((closing, stages))
        elif self._thread == threading.get_ident():
            closing.close()
        # else what it holds goes with it

    def take_events(self) -> List[Event]:
        """Those since the last call, in order; after close() the ends of what was still going, too."""
        taken = []
        while self._events:
            taken.append(self._events.popleft())
        return taken

    def backends(self) -> Dict[str, str]:
        """Stage -> what runs its network, and the network's name; once it is open."""
        return {stage.name: ", ".join("{} {}".format(runner.model, runner.backend).strip() for runner in stage.runners)
                for stage in self.stages if stage.runners}

    def _open(self) -> None:
        with ExitStack() as closing:
            if not self._replays:
                closing.enter_context(lock.tracking(home_dir(), self._waiting, lambda: False))
            for stage in self.stages:
                closing.callback(stage.close)
                stage.open()
            self._thread, self._closing = threading.get_ident(), closing.pop_all()

    def _waiting(self) -> None:
        self._report("note", "waiting for the engines, which nanoface build makes now")

    def _through(self, packet: Packet, stages: Sequence[Stage]) -> Optional[Found]:
        for stage in stages:
            done = stage.process(packet)
            if done is None:
                return None if stage.holds else (packet.frame, [])
            packet = done
        record = encode(packet, clock.monotonic(), self._parts, as_lists=False, coarse=self._coarse)
        if self._parts.events:
            self._packet = packet.bare()
            self._events.extend(map(read_event, record["events"]))
        return packet.frame, [read_face(face) for face in record["faces"]]
