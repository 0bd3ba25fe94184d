"""What waits for the relay: the newest frame, and the events of all that gave way to newer ones."""
import errno
import socket
import threading
from typing import Any, List, Optional, Tuple

import numpy as np

from edge.core import clock
from edge.core.packet import Packet
from edge.core.records import SCHEMA
from edge.outputs.relay import messages, packed
from edge.outputs.sender import MOST_KEPT

MOST_AT_ONCE = 200  # events in one message


class Outbox:
    """For any thread. Nothing here waits: what the socket does not take stays, until something newer comes."""

    def __init__(self, points: bool, events: bool, points68: bool = False) -> None:
        """Which of these the outputs want."""
        self._points, self._events, self._points68 = points, events, points68
        self._lock = threading.Lock()
        self._link: Optional[socket.socket] = None
        self._newest: Optional[Packet] = None
        self._kept: List[Any] = []
        self._ending = False
        self.coarse: Tuple[str, ...] = ()  # names of shapes; told to each relay before its first frame
        self._knows: Tuple[str, ...] = ()  # what the one that runs was told
        self.finished = False  # the relay was told to end
        self._handed = 0
        self.dropped = 0  # frames that gave way, since the run began

    def attach(self, link: socket.socket) -> None:
        """To a relay that has started."""
        with self._lock:
            self._link, self._handed, self._knows = link, 0, ()

    def detach(self) -> int:
        """It is gone; how many frames were handed to it."""
        with self._lock:
            self._link = None
            return self._handed

    def put(self, packet: Packet) -> bool:
        """Its events are event records. False: it is not sent yet."""
        with self._lock:
            if self._newest is not None:
                self.dropped += 1
            self._newest = packet
            if packet.events and self._events:
                self._keep(packet.events)
            if self._send():
                return True
            image = np.empty(packet.frame.image.shape[:2] + (0,), np.uint8)  # what waits holds no picture
            self._newest = packet._replace(frame=packet.frame._replace(image=image))
            return False

    def put_last(self, record: Any) -> bool:
        """Events that no frame comes for any more, or one of the last frames."""
        if isinstance(record, Packet):
            return self.put(record)
        with self._lock:
            self._keep(record["events"])
            self._ending = True
            return self._flushed()

    def flush(self) -> bool:
        """Send what waits; False where the socket does not take all of it."""
        with self._lock:
            return self._flushed()

    def _flushed(self) -> bool:
        while self._newest is not None or self._ending and self._kept:
            if not self._send():
                return False
        return True

    def finish(self, timeout_s: float) -> bool:
        """Everything, and then that the relay is to end within that time. False: not yet. May be called until it is True."""
        with self._lock:
            if self._link is None or not self._flushed():
                return self.finished
            if not self.finished:
                try:
                    self._link.send(messages.pack(messages.CLOSE, max(0.0, timeout_s)))
                    self.finished = True
                except OSError:
                    pass
            return self.finished

    def give_up(self) -> None:
        """What waits is lost, and counted."""
        with self._lock:
            self.dropped += self._newest is not None
            self._newest, self._kept = None, []

    def _keep(self, events: Any) -> None:
        self._kept = (self._kept + list(events))[-MOST_KEPT:]

    def _send(self) -> bool:
        if self._link is None:
            return False
        now, events = clock.monotonic(), self._kept[:MOST_AT_ONCE]
        try:
            if self._knows != self.coarse:
                self._link.send(messages.pack(messages.KNOW, self.coarse))
                self._knows = self.coarse
            if self._newest is None:
                self._link.send(messages.pack(messages.LAST, now, {"schema": SCHEMA, "events": events}))
            else:
                self._send_frame(self._link, now, self._newest, events)
                self._handed += 1
        except OSError:  # it has no room, or the other end is gone
            return False
        self._kept, self._newest = self._kept[MOST_AT_ONCE:], None
        return True

    def _send_frame(self, link: socket.socket, now: float, packet: Packet, events: List[Any]) -> None:
        try:
            link.send(packed.pack(packet, events, now, self._points, self._points68))
        except OSError as e:
            if e.errno != errno.EMSGSIZE:
                raise
            link.send(packed.pack(packet, events, now, False, self._points68))  # those of dozens of faces
