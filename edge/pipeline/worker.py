"""A thread that runs one or more consecutive stages, and the state that it shares with the pipeline."""
import logging
import threading
from contextlib import suppress
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from edge.core import clock
from edge.core.contracts import Source, Stage
from edge.core.errors import EdgeError, FrameError
from edge.core.packet import Packet, Span
from edge.core.roles import CAPTURE
from edge.host import waiting
from edge.pipeline.link import LinkClosed
from edge.telemetry.meter import Meter

log = logging.getLogger(__name__)

LOG_INTERVAL_S = 10.0
Item = Tuple[float, Packet]  # what links carry: since when the packet waits, and the packet


class Control:
    """Where workers and the thread that runs the pipeline meet. The first failure is kept, those it causes are not."""

    def __init__(self) -> None:
        self.failure: Optional[BaseException] = None
        self.opened = 0  # workers that have opened everything
        self.expected = 0  # workers there will be
        self._prepared = 0  # workers that have opened what comes before the networks
        self._running: Set[str] = set()
        self._working: Set[str] = set()  # those that may still pass something on
        self._go = self._halted = False
        self._changed = waiting.Condition()

    def entered(self, worker: str) -> None:
        with self._changed:
            self._running.add(worker)
            self._working.add(worker)

    def prepared(self) -> bool:
        """A worker has opened what comes before the networks. Waits for the others; False where one of them failed."""
        with self._changed:
            self._prepared += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._prepared >= self.expected or self._halted)
            return not self._halted

    def ready(self) -> bool:
        """A worker has opened its stages. Waits for the others; False where the run ends before it began."""
        with self._changed:
            self.opened += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._go or self._halted)
            return not self._halted

    def fail(self, where: str, error: BaseException) -> None:
        with self._changed:
            first = self.failure is None
            if first:
                self.failure = error
            self._changed.notify_all()
        if isinstance(error, EdgeError):
            log.info("%s: %s", where, error)  # run() raises the first one; most often it is the cause of the others
        else:
            log.log(logging.INFO if first else logging.ERROR, "%s failed", where, exc_info=error)

    def passed_on(self, worker: str) -> None:
        """Nothing comes of it any more; its stages are still to be closed."""
        with self._changed:
            self._working.discard(worker)
            self._changed.notify_all()

    def settled(self) -> bool:
        """For wait(): no stage has a frame in work. A source that hangs is none."""
        return self._working <= {CAPTURE}

    def left(self, worker: str) -> None:
        with self._changed:
            self._running.discard(worker)
            self._changed.notify_all()

    def go(self) -> None:
        with self._changed:
            self._go = True
            self._changed.notify_all()

    def halt(self) -> None:
        """The run ends: the source is to be read no more."""
        with self._changed:
            self._halted = True
            self._changed.notify_all()

    @property
    def halted(self) -> bool:
        return self._halted

    def running(self) -> List[str]:
        """Names of the workers that have not left."""
        with self._changed:
            return sorted(self._running)

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Sleep until `condition`, which is looked at whenever a worker reports something."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def idle(self) -> bool:
        """For wait(): every worker has left."""
        return not self._running

    def troubled(self) -> bool:
        """For wait(): every worker has left, or one has failed."""
        return not self._running or self.failure is not None


class Job(NamedTuple):
    """What a worker does. `intake` has get() -> Item and abort(); `outlet` has wait_room(), put(Item) and close()."""

    name: str
    intake: Any
    stages: Sequence[Stage]
    outlet: Any
    source: Optional[Source] = None  # opened before the stages and closed after them, in the worker's thread
    early: Sequence[Stage] = ()  # of the stages: opened before those of every other worker, as the source is


class Worker:
    """Opens its stages, processes, and closes them in reverse order, all in its own thread, whatever happens.

    Whichever way it ends, it closes the link behind it and aborts the one before it; so an end of the source runs down
    the pipeline with nothing lost, and a failure reaches every other worker through the links.
    """

    def __init__(self, job: Job, control: Control, meter: Meter, now: Callable[[], float],
                 on_open: Callable[[str], None] = lambda part: None,
                 on_lost: Callable[[Packet], None] = lambda packet: None) -> None:
        """`on_open` gets the name of each part before it is opened, `on_lost` each packet that has no reader any more; in the
        worker's thread."""
        self.name = job.name
        self._job, self._control, self._meter, self._now = job, control, meter, now
        self._on_open, self._on_lost = on_open, on_lost
        self.work = (0, 0.0)  # frames it took so far, and how long it was busy with them; read by others
        self._busy_since: Optional[float] = None
        self._drop_log = DropLog()
        self._thread = threading.Thread(target=self._run, name="nanoface-" + job.name, daemon=True)

    def start(self) -> None:
        self._control.entered(self.name)
        self._thread.start()

    def await_end(self, timeout_s: float) -> None:
        if self._thread.ident is not None:
            waiting.join(self._thread, timeout_s)

    def heartbeat(self, now: float) -> float:
        """When it was last seen alive: when the stage that it is in began; `now` while it waits for work or room."""
        busy_since = self._busy_since
        return now if busy_since is None else busy_since

    def _run(self) -> None:
        opened: List[Any] = []
        try:
            if self._open(opened) and self._control.ready():
                self._work()
        except LinkClosed:
            log.debug("%s is done", self.name)
        except (Exception, SystemExit) as e:  # whatever a stage raises fails the pipeline, not only this thread
            self._control.fail(self.name, e)
        finally:
            self._let_go()
            self._close_links()
            self._control.passed_on(self.name)
            self._close(opened)
            self._control.left(self.name)

    def _open(self, opened: List[Any]) -> bool:
        """False where the run ends before everything is open."""
        early: List[Any] = list(self._job.early)
        if self._job.source is not None:
            early.append(self._job.source)
        self._open_parts(early, opened)
        if not self._control.prepared():
            return False
        self._open_parts([stage for stage in self._job.stages if stage not in early], opened)
        return True

    def _open_parts(self, parts: Sequence[Any], opened: List[Any]) -> None:
        for part in parts:
            self._busy_since = self._now()
            self._on_open(part.name)
            opened.append(part)  # also one whose open() fails half-way has something to close
            part.open()
        self._busy_since = None

    def _work(self) -> None:
        intake, outlet = self._job.intake, self._job.outlet
        while True:
            outlet.wait_room()
            queued_at, packet = intake.get()
            began = self._now()
            item = self._through(queued_at, packet, self._job.stages)
            self._busy_since = None
            frames, busy_s = self.work
            self.work = (frames + 1, busy_s + self._now() - began)
            if item is not None:
                self._pass_on(outlet, item)

    def _let_go(self) -> None:
        """However the end came, what stages hold goes through those behind them."""
        try:
            for i, stage in enumerate(self._job.stages):
                for packet in stage.last() if stage.holds else ():
                    now = self._now()
                    held = Span(stage.name, packet.spans[-1].finished_at if packet.spans else now, now, now)
                    packet = packet._replace(spans=packet.spans + (held,))
                    item = self._through(now, packet, self._job.stages[i + 1:])
                    if item is not None:
                        with suppress(LinkClosed):  # it was counted as lost
                            self._pass_on(self._job.outlet, item)
        except Exception as e:  # of a stage; the first failure is kept
            self._control.fail(self.name, e)
        self._busy_since = None

    def _through(self, queued_at: float, packet: Packet, stages: Sequence[Stage]) -> Optional[Item]:
        """The packet after all of these stages, or an earlier one that was held; None where one of them dropped, skipped or
        holds it."""
        now = self._now
        spans: List[Span] = []
        for stage in stages:
            if spans and (stage.holds or stage in self._job.early):  # an output shows what the stages before it cost
                packet, spans = packet._replace(spans=packet.spans + tuple(spans)), []
            self._busy_since = started_at = now()
            try:
                result = stage.process(packet)
            except FrameError as e:
                self._drop_log.add(stage.name, e)
                self._meter.left(packet.spans + tuple(spans), dropped_by=stage.name)
                return None
            finished_at = now()
            if stage.holds:
                if result is None:
                    return None
                queued_at = result.spans[-1].finished_at if result.spans else started_at  # since when that packet waited
            spans.append(Span(stage.name, queued_at, started_at, finished_at))
            queued_at = finished_at
            if result is None:
                self._meter.left(packet.spans + tuple(spans))
                return None
            packet = result
        return queued_at, packet._replace(spans=packet.spans + tuple(spans)) if spans else packet

    def _pass_on(self, outlet: Any, item: Item) -> None:
        try:
            outlet.put(item)
        except LinkClosed:
            self._lost(item)
            raise

    def _lost(self, item: Item) -> None:
        """The packet has no reader any more: counted where it was."""
        self._meter.left(item[1].spans, dropped_by=item[1].spans[-1].stage if item[1].spans else self.name)
        self._on_lost(item[1])

    def _close_links(self) -> None:
        """Neighbours first: closing a stage may take long, and a stage may be waiting for one of another worker."""
        self._job.outlet.close()
        for item in self._job.intake.abort():
            self._lost(item)

    def _close(self, opened: List[Any]) -> None:
        parts: List[Any] = [self._job.source] + list(self._job.stages)
        for part in reversed([part for part in parts if part in opened]):
            self._busy_since = self._now()
            try:
                part.close()
            except Exception as e:  # the others are still to be closed
                self._control.fail(self.name, e)
        self._busy_since = None


class DropLog:
    """Logs the first FrameError of a stage, then at most one line in a while with the number that came in between."""

    def __init__(self, now: Optional[Callable[[], float]] = None) -> None:
        self._now = now or (lambda: clock.monotonic())
        self._last_at: Dict[str, float] = {}
        self._suppressed: Dict[str, int] = {}

    def add(self, stage: str, error: FrameError) -> None:
        now, last_at = self._now(), self._last_at.get(stage)
        if last_at is not None and now - last_at < LOG_INTERVAL_S:
            self._suppressed[stage] = self._suppressed.get(stage, 0) + 1
            return
        self._last_at[stage] = now
        suppressed = self._suppressed.pop(stage, 0)
        log.warning("%s: frame dropped: %s%s", stage, error, " ({} more before it)".format(suppressed) if suppressed else "")
