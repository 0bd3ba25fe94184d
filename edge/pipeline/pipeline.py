"""The run, from the first thread to the last."""
import gc
import logging
import sys
import threading
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from edge.core import clock as core_clock
from edge.core.contracts import Sender, Source, Stage
from edge.core.roles import CAPTURE, DEGRADED, FAILED, RUNNING, STARTING, STOPPED, STOPPING
from edge.host.waiting import Event
from edge.pipeline.ends import HANG_S, Capture, Delivery, Encode, End, unfinished
from edge.pipeline.governor import Work
from edge.pipeline.link import Link
from edge.pipeline.worker import Control, Item, Job, Worker
from edge.telemetry.meter import Meter

log = logging.getLogger(__name__)

TICK_S = 0.2  # how often the run is looked at while its workers have nothing to report
SWITCH_INTERVAL_S = 0.0005  # after which a busy thread lets a waiting one go on; by default 5 ms, a sixth of a frame
FLUSH_S = 60.0  # for outputs to be written to their end where no stop was requested
Watch = Callable[[str, str, Mapping[str, float], int, bool], None]
DRAIN, FINISH = 0.6, 0.8  # shares of the stop's time: then what waits is given up; then outputs are closed from outside


class Plan(NamedTuple):
    """What to run. `groups` are stages in their order; each group has a thread of its own."""

    source: Source
    groups: Sequence[Sequence[Stage]]
    senders: Sequence[Sender]
    encode: Encode  # called once for a frame, for each variant of the record that some sender wants
    meter: Meter
    clock: Callable[[], float] = core_clock.monotonic  # for spans; deadlines are in real time
    stop_timeout_s: float = 1.4  # the process is to be gone after two seconds, and has to leave, too
    on_state: Callable[[str, str], None] = lambda state, reason: None  # called in run()'s thread, at every change
    on_tick: Callable[[int], None] = lambda delivered: None  # called in run()'s thread, about five times a second
    # the same from the first moment on, and at every change: state, reason, heartbeats, frames delivered, and whether the
    # source is known to give none
    on_watch: Watch = lambda state, reason, heartbeats, delivered, absent: None
    on_open: Callable[[str], None] = lambda part: None  # called in the workers' threads, before each part is opened
    on_work: Callable[[Work], None] = lambda work: None  # called in run()'s thread, about five times a second
    halved: Callable[[], bool] = lambda: False  # asked for each frame: whether only every second one goes to the outputs
    reasons: Callable[[], Sequence[str]] = lambda: ()  # why the run is DEGRADED, beside what is seen here
    limit: Optional[int] = None  # frames after which the run ends as if the source did
    capture_thread: bool = True  # False: the first group reads the source itself; then only the source can drop
    output_thread: bool = True  # False: the last group feeds the senders itself
    last_events: Callable[[], Sequence[Any]] = tuple  # Events: the ends of what still goes when the last frame is done


class Summary(NamedTuple):
    """How a run went that did not fail."""

    captured: int  # frames
    delivered: int  # frames that reached the outputs
    elapsed_s: float  # from RUNNING to the end
    reason: str  # why it ended
    late: Tuple[str, ...]  # workers and outputs that did not end in time; their threads are left behind


class Pipeline:
    """Runs once. Threads meet only in links and in `Control`; nothing here touches a packet."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._control = Control()
        self._deadline: Optional[float] = None  # real time at which the stop is over
        self._stop: Any = Event()
        self._state = self._reason = ""
        self._late: Tuple[str, ...] = ()
        self._capture = Capture(plan.source, self._ended, plan.meter, plan.clock)
        self._capture.limit = plan.limit
        self._end = End(plan.meter)
        self._links: List[Link] = []
        self._workers = self._build()

    @property
    def delivered(self) -> int:
        """Frames that have reached the outputs so far."""
        return self._end.delivered

    def heartbeats(self) -> Dict[str, float]:
        """When each worker was last seen alive: now where it waits, else when the stage that it is in began."""
        now = self._plan.clock()
        return {worker.name: worker.heartbeat(now) for worker in self._workers}

    def run(self, stop: Any) -> Summary:
        """Start, run until the source ends, something fails, or `stop` (it has is_set()) is set. Raises the failure."""
        self._stop = stop
        switch_interval_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        began = core_clock.monotonic()
        try:
            self._become(STARTING, "")
            if self._start():
                began = core_clock.monotonic()
                self._serve()
        finally:
            self._finish()
            sys.setswitchinterval(switch_interval_s)
            _thaw()
        failure = self._control.failure
        if failure is not None:
            self._become(FAILED, _text(failure))
            raise failure
        why = self._reason
        self._become(STOPPED, "not ended in time: " + ", ".join(self._late) if self._late else why)
        return Summary(self._capture.captured, self._end.delivered, core_clock.monotonic() - began, why, self._late)

    def _build(self) -> List[Worker]:
        plan = self._plan
        delivery = Delivery(plan.senders, plan.encode, plan.clock, self._time_left, plan.halved, plan.last_events,
                            lambda timeout_s: self._control.wait(self._control.settled, timeout_s), self._ending)
        self._missed = delivery.missed
        plan.meter.also_counts(delivery)
        groups = [list(group) for group in plan.groups if group]
        if plan.output_thread or not groups:
            groups.append([])
        groups[-1].append(delivery)
        if plan.capture_thread:
            groups.insert(0, [])
        self._links = [Link() for _ in groups[1:]]
        if plan.capture_thread and plan.source.live:
            self._links[0] = Link(latest=True, on_drop=self._dropped)
        workers = []
        for i, stages in enumerate(groups):
            first, last = i == 0, i == len(groups) - 1
            names = ([CAPTURE] if first else []) + [stage.name for stage in stages]
            job = Job("+".join(names), self._capture if first else self._links[i - 1], stages,
                      self._end if last else self._links[i], plan.source if first else None,
                      (delivery,) if last else ())
            workers.append(Worker(job, self._control, plan.meter, plan.clock, plan.on_open, delivery.missed))
        return workers

    def _dropped(self, item: Item) -> None:
        self._plan.meter.left(item[1].spans, dropped_by=CAPTURE)

    def _start(self) -> bool:
        """True when everything is open. Outputs and the source come first, in whatever thread they are: they are quick,
        and they are where a user's mistake shows; networks take seconds."""
        self._control.expected = len(self._workers)
        for worker in self._workers:
            worker.start()
        while self._control.opened < len(self._workers):
            if self._wants_stop():
                return False
            self._watch()
            self._control.wait(lambda: self._control.opened >= len(self._workers) or self._control.troubled(), TICK_S)
        return not self._wants_stop()

    def _serve(self) -> None:
        _freeze()
        self._plan.meter.start(self._plan.clock())
        self._become(RUNNING, "")
        self._control.go()
        while not self._control.wait(self._control.troubled, TICK_S):
            self._plan.on_tick(self._end.delivered)
            if self._wants_stop():
                return
            self._show_health()
            self._watch()
            self._plan.on_work(self._work())
        self._plan.on_tick(self._end.delivered)
        if not self._wants_stop() and self._capture.finished:
            self._become(STOPPING, self._end_reason())

    def _work(self) -> Work:
        return Work(self._plan.clock(), self._capture.offered, {worker.name: worker.work for worker in self._workers})

    def _wants_stop(self) -> bool:
        """Looks for a reason to end early; the reason is kept."""
        self._look_at_outputs()
        if self._control.failure is not None:
            return True
        asking = [s.name for s in self._plan.senders if s.stop_wanted]
        if self._stop.is_set() or asking:
            self._become(STOPPING, "stop requested" if self._stop.is_set() else "{} was closed".format(asking[0]))
            return True
        left = [s.name for s in self._plan.senders if s.reader_left]
        if left and len(left) == len(self._plan.senders):
            self._become(STOPPING, "the reader of {} has left".format(left[0]))
            return True
        return False

    def _look_at_outputs(self) -> None:
        """An output that cannot be done without fails between two frames, too."""
        for sender in self._plan.senders:
            if sender.fatal and sender.error is not None and self._control.failure is None:
                self._control.fail("output " + sender.name, sender.error)

    def _show_health(self) -> None:
        if self._capture.finished:
            self._become(STOPPING, self._end_reason())
            return
        now = self._plan.clock()
        reasons = [self._capture.lost()]
        reasons += ["{} hangs".format(name) for name, at in sorted(self.heartbeats().items()) if now - at > HANG_S]
        for sender in self._plan.senders:
            reasons += ["output {} down".format(name) for name in sender.down()]
        reasons += self._plan.reasons()
        reason = ", ".join(text for text in reasons if text)
        self._become(DEGRADED if reason else RUNNING, reason)

    def _end_reason(self) -> str:
        limited = self._plan.limit is not None and self._capture.captured >= self._plan.limit
        return "frame limit reached" if limited else "end of source"

    def _ending(self) -> bool:
        """Whether nothing more is read."""
        return self._capture.finished or self._control.failure is not None or self._ended()

    def _ended(self) -> bool:
        """Asked by the capture before every read."""
        return self._control.halted or self._stop.is_set()

    def _time_left(self) -> float:
        return FLUSH_S if self._deadline is None else max(0.0, self._deadline - core_clock.monotonic())

    def _finish(self) -> None:
        """All workers and outputs share one deadline; those that miss it are named and left behind."""
        timeout_s = self._plan.stop_timeout_s
        began = core_clock.monotonic()
        self._deadline = began + timeout_s
        self._control.halt()
        self._become(STOPPING, _text(self._control.failure) or (self._reason if self._state == STOPPING else ""))
        if not self._control.wait(self._control.idle, DRAIN * timeout_s):
            for link in self._links:
                self._abort(link)
            if self._workers[0].name in self._control.running():
                _in_background("nanoface-close-source", self._plan.source.close)  # may free a hanging read, or hang
            self._control.wait(self._control.idle, began + FINISH * timeout_s - core_clock.monotonic())
        late = [self._close_output(s) for s in self._plan.senders]
        self._look_at_outputs()
        for worker in self._workers:
            worker.await_end(self._time_left())
        self._late = tuple(self._control.running() + [name for name in late if name])
        if self._late:
            log.warning("not ended within %.1f s: %s", timeout_s, ", ".join(self._late))

    def _close_output(self, sender: Sender) -> str:
        """Its name where it is late; one that matters, and whose thread did not come to say so, fails the run."""
        allowed_s = self._time_left()
        if sender.close(allowed_s):
            return ""
        if sender.fatal and self._control.failure is None:
            self._control.fail("output " + sender.name, unfinished(sender, allowed_s))
        return "output " + sender.name

    def _abort(self, link: Link) -> None:
        for item in link.abort():
            spans = item[1].spans
            self._plan.meter.left(spans, dropped_by=spans[-1].stage)
            self._missed(item[1])

    def _become(self, state: str, reason: str) -> None:
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            log.info("%s%s", state, ": " + reason if reason else "")
            self._plan.on_state(state, reason)
            self._watch()

    def _watch(self) -> None:
        self._plan.on_watch(self._state, self._reason, self.heartbeats(), self._end.delivered, bool(self._capture.lost()))


def _text(failure: Optional[BaseException]) -> str:
    return "" if failure is None else str(failure) or type(failure).__name__


def _in_background(name: str, action: Callable[[], None]) -> None:
    """Call what may hang in a thread of its own."""
    threading.Thread(target=action, name=name, daemon=True).start()


def _freeze() -> None:
    """What was loaded stays: the garbage collector need not look at it again in the middle of a frame (Python 3.7+)."""
    gc.collect()
    freeze = getattr(gc, "freeze", None)
    if freeze is not None:
        freeze()


def _thaw() -> None:
    unfreeze = getattr(gc, "unfreeze", None)
    if unfreeze is not None:
        unfreeze()
