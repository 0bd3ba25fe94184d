"""The thread in front of an output, so that writing and drawing never slow the tracking."""
import sys
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional

from edge.core import contracts
from edge.core.errors import OutputError
from edge.core.records import SCHEMA
from edge.host import waiting
from edge.outputs.files.file import ReaderLeft

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 30.0
NEW, OPENING, OK, DOWN, FAILED, CLOSED, HANGING = "new", "opening", "ok", "down", "failed", "closed", "hanging"
LEFT = "its reader has left"
ENDED = (FAILED, CLOSED, LEFT)
TICK = object()  # in the place of an item: nothing came
MOST_KEPT = 10000  # events of what was dropped, the newest: some hours of one face, a few MB


class Sender(contracts.Sender):
    """Opens, feeds and closes one output in a thread of its own; every wait is on one condition.

    A blocking output makes put() wait while `capacity` items are waiting; another loses its oldest one, and counts it.
    An output whose failure ends the run (`fatal`) stops at its first error; another is reopened, after growing pauses, and
    with `keep_trying` also where its first open() fails: then start() does not wait for it, and raises nothing.
    `on_event` is called from the sender's thread when the output has failed for good or its user asks the run to stop.
    """

    def __init__(self, output: contracts.Output, capacity: int = 1, on_event: Optional[Callable[[], None]] = None,
                 keep_trying: bool = False) -> None:
        self.name, self.blocking, self.fatal = output.name, output.blocking, output.fatal
        self.needs_picture, self.arrays = output.needs_picture, output.arrays
        self.ask(output.parts)
        self.error: Optional[BaseException] = None
        self._output, self._capacity, self._on_event = output, max(1, capacity), on_event
        self._waiting: Deque[Any] = deque()
        self._kept: List[Any] = []  # events of items that were dropped, for the next one
        self._changed = waiting.Condition()
        self._state = NEW
        self._keep_trying, self._closing = keep_trying, False
        self._counts = {"sent": 0, "failed": 0, "dropped": 0}
        self._thread = threading.Thread(target=self._run, name="output " + self.name, daemon=True)

    @property
    def stop_wanted(self) -> bool:  # type: ignore
        return self._output.closed

    @property
    def note(self) -> str:  # type: ignore
        return self._output.note

    @property
    def reader_left(self) -> bool:  # type: ignore
        return self._state == LEFT

    def start(self) -> None:
        with self._changed:
            self._state = OPENING
        self._thread.start()
        if self._keep_trying:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._state != OPENING or self._closing)
        if self._state == FAILED and self.error is not None:
            self._thread.join()
            raise self.error

    def put(self, item: Any) -> bool:
        with self._changed:
            if self.blocking:
                self._changed.wait_for(lambda: self._over() or self._state == DOWN or self._has_room())
            if self._over():
                self._counts["dropped"] += 1
                return False
            if not self._has_room():
                self._kept = (self._kept + self._events(self._waiting.popleft()))[-MOST_KEPT:]
                self._counts["dropped"] += 1
            self._waiting.append(item)
            self._changed.notify_all()
            return True

    def put_last(self, item: Any) -> bool:
        with self._changed:
            if self._over():
                return False
            self._waiting.append(item)
            self._changed.notify_all()
            return True

    def finish(self) -> None:
        """Take no more, write what waits and close the output; does not wait for it."""
        with self._changed:
            self._closing = True
            if self._state == NEW:
                self._state = CLOSED
            self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """False: the thread is left behind. `error` is set where the output could not be finished."""
        self.finish()
        if self._thread.ident is None:
            return True
        waiting.join(self._thread, timeout_s)
        with self._changed:
            if self._thread.is_alive():
                self._state = HANGING
                self._drop_all()
                return False
        return True

    def stats(self) -> Dict[str, Any]:
        with self._changed:
            state = self._state if self.error is None or self._state == OK else "{}: {}".format(self._state, self.error)
            if self._state == OK:
                state = self._output.condition or OK
            return dict(self._counts, state=state, **self._output.more_counts())

    def _over(self) -> bool:
        return self._closing or self._state in ENDED

    def _has_room(self) -> bool:
        return len(self._waiting) < self._capacity

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._end()

    def _serve(self) -> None:
        pause_s = FIRST_RETRY_S
        try:
            self._output.open()
        except OutputError as e:
            if not self._keep_trying:
                self._give_up(e)
                return
            pause_s = self._reopen(e, pause_s)
        else:
            self._become(OK, None)
        while not self._output.over:
            item = self._next()
            if item is None:
                return
            try:
                if item is TICK:
                    self._output.tick()
                    continue
                self._output.emit(item)
                pause_s = FIRST_RETRY_S
                self._count("sent")
            except OutputError as e:
                if item is not TICK:
                    self._count("dropped" if isinstance(e, ReaderLeft) else "failed")
                    with self._changed:
                        self._kept = self._events(item) + self._kept
                if self.fatal:
                    self._give_up(e)
                    return
                pause_s = self._reopen(e, pause_s)
            if self.stop_wanted:
                self._notify()

    def _give_up(self, error: OutputError) -> None:
        if isinstance(error, ReaderLeft):
            self._become(LEFT, None)
            self._notify()
        else:
            self._become(FAILED, error)

    def _next(self) -> Any:
        """The oldest item; TICK where the output wants to go on without one; None at the end."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._closing, self._output.tick_s):
                return TICK
            if not self._waiting and self._kept and not self.needs_picture:  # what could not be written before
                self._waiting.append({"schema": SCHEMA, "events": []})
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            if self._kept:
                item, self._kept = self._with(self._kept, item), []
            self._changed.notify_all()
            return item

    def _events(self, item: Any) -> List[Any]:
        if not self.events:
            return []
        return list(item.events if self.needs_picture else item["events"])

    def _with(self, events: List[Any], item: Any) -> Any:
        """The item with events of those before it; others have the item, too, so it stays as it is."""
        events = events + self._events(item)
        return item._replace(events=tuple(events)) if self.needs_picture else dict(item, events=events)

    def _reopen(self, error: OutputError, pause_s: float) -> float:
        """Close and open again after a pause, until that works or close() is called; returns the next pause."""
        while True:
            self._become(DOWN, error)
            try:
                self._output.close()
            except OutputError as e:
                error = e
            with self._changed:
                if self._changed.wait_for(lambda: self._closing, pause_s):
                    self._drop_all()
                    return pause_s
            pause_s = min(LONGEST_RETRY_S, 2.0 * pause_s)
            try:
                self._output.open()
            except OutputError as e:
                error = e
            else:
                self._become(OK, None)
                return pause_s

    def _end(self) -> None:
        """Close the output and set the final state; called in a `finally`, with or without an exception under way."""
        try:
            self._output.close()
        except OutputError as e:
            if self.fatal and self._state != FAILED:
                self._count("failed")
                self._become(FAILED, e)
        finally:
            bug = sys.exc_info()[1]  # not an OutputError: Python reports it when the thread ends
            with self._changed:
                self._drop_all()
                if bug is not None and self._state != FAILED:
                    self._become(FAILED, bug)
                if self._state not in ENDED:
                    self._become(CLOSED, self.error)
            if self._state == FAILED:
                self._notify()

    def _become(self, state: str, error: Optional[BaseException]) -> None:
        with self._changed:
            self._state, self.error = state, error
            self._changed.notify_all()

    def _count(self, what: str) -> None:
        with self._changed:
            self._counts[what] += 1

    def _drop_all(self) -> None:
        """With the condition held."""
        self._counts["dropped"] += len(self._waiting)
        self._waiting.clear()
        self._kept = []
        self._changed.notify_all()

    def _notify(self) -> None:
        if self._on_event is not None:
            self._on_event()
