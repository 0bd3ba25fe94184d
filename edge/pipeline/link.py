"""The hand-over between two workers. At most one packet waits in it: old frames are worth nothing."""
import threading
from typing import Any, Callable, List, Optional

from edge.host.waiting import Condition


class LinkClosed(Exception):
    """Nothing will come any more, or there is no reader any more. Ends a worker."""


class Link:
    """One item from one thread to another, in order. Waits are on a condition."""

    def __init__(self, latest: bool = False, on_drop: Optional[Callable[[Any], None]] = None) -> None:
        """`latest`: put() never waits, a newer item replaces the one that waits, and `on_drop` gets the old one."""
        self.dropped = 0
        self._latest, self._on_drop = latest, on_drop
        self._item: Any = None  # None: nothing waits
        self._closed = False
        self._lock = threading.Lock()
        self._filled = Condition(self._lock)
        self._emptied = Condition(self._lock)

    def put(self, item: Any, timeout_s: Optional[float] = None) -> bool:
        """Leave `item` (not None). False: there was no room within `timeout_s` (None: no limit). Raises LinkClosed."""
        with self._lock:
            if not self._latest and not self._await_room(timeout_s):
                return False
            if self._closed:
                raise LinkClosed()
            replaced, self._item = self._item, item
            self.dropped += replaced is not None
            self._filled.notify()
        if replaced is not None and self._on_drop is not None:
            self._on_drop(replaced)
        return True

    def wait_room(self, timeout_s: Optional[float] = None) -> bool:
        """True when put() would not wait.

        A worker asks before it takes a packet, so that it starts on the newest one and nothing ages behind it.
        """
        with self._lock:
            room = self._latest or self._await_room(timeout_s)
            if self._closed:
                raise LinkClosed()
            return room

    def get(self, timeout_s: Optional[float] = None) -> Any:
        """Take the item; None when none came in time. After close() what waits still comes, then LinkClosed."""
        with self._lock:
            if self._item is None and not self._closed:
                self._filled.wait_for(self._readable, timeout_s)
            item, self._item = self._item, None
            if item is None and self._closed:
                raise LinkClosed()
            self._emptied.notify()
            return item

    def close(self) -> None:
        """No more will come. Wakes all waiting threads."""
        with self._lock:
            self._close()

    def abort(self) -> List[Any]:
        """There is no reader any more: close, and return what was still waiting."""
        with self._lock:
            item, self._item = self._item, None
            self._close()
            return [] if item is None else [item]

    def _close(self) -> None:
        self._closed = True
        self._filled.notify_all()
        self._emptied.notify_all()

    def _await_room(self, timeout_s: Optional[float]) -> bool:
        return self._writable() or self._emptied.wait_for(self._writable, timeout_s)

    def _readable(self) -> bool:
        return self._item is not None or self._closed

    def _writable(self) -> bool:
        return self._item is None or self._closed
