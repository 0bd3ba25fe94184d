"""Many clients that get the same messages, each at its own pace: what one does not read, no other waits for.

A message is made once for all. A client that has not taken the last ones gets nothing but the newest when it has, and the
events of all; one that stands still for long is cut off.
"""
import struct
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Sequence

STALLED_S = 10.0
MOST_EVENTS = 200  # that wait for one client: the newest


class Message(NamedTuple):
    text: str
    frame: bytes  # a whole unmasked text message of RFC 6455, as a server sends it


def message(text: str) -> Message:
    data = text.encode("utf-8")
    size = len(data)
    head = (struct.pack("!BB", 0x81, size) if size < 126 else struct.pack("!BBH", 0x81, 126, size) if size < 65536
            else struct.pack("!BBQ", 0x81, 127, size))
    return Message(text, head + data)


class Peer(ABC):
    """One client, in the loop's thread."""

    @abstractmethod
    def busy(self) -> bool:
        """It has not taken what it was sent."""

    @abstractmethod
    def send(self, messages: Sequence[Message]) -> None:
        """Without waiting."""

    @abstractmethod
    def cut_off(self) -> None:
        """At once."""


class WebSocketPeer(Peer):
    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def busy(self) -> bool:
        return int(self._transport.get_write_buffer_size()) > 0

    def send(self, messages: Sequence[Message]) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"".join(one.frame for one in messages))

    def cut_off(self) -> None:
        self._transport.abort()


class _Waiting:
    """For one client."""

    def __init__(self) -> None:
        self.newest: Optional[Message] = None
        self.events: Deque[Message] = deque(maxlen=MOST_EVENTS)
        self.behind_since: Optional[float] = None

    def take(self) -> List[Message]:
        taken = ([] if self.newest is None else [self.newest]) + list(self.events)
        self.newest, self.behind_since = None, None
        self.events.clear()
        return taken


class Receivers:
    """Lives in the loop's thread; how many there are, and the counts, are for any."""

    def __init__(self) -> None:
        self.skipped = 0  # messages that a client did not get because a newer one came
        self.cut_off = 0  # clients
        self._all: Dict[Peer, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, peer: Peer) -> None:
        self._all.setdefault(peer, _Waiting())

    def discard(self, peer: Peer) -> None:
        self._all.pop(peer, None)

    def tell(self, newest: Optional[Message], events: Sequence[Message], now: float) -> None:
        """Without any it goes on with what waits."""
        for peer, waiting in list(self._all.items()):
            if newest is not None:
                self.skipped += waiting.newest is not None
                waiting.newest = newest
            waiting.events.extend(events)
            self._send(peer, waiting, now)

    def _send(self, peer: Peer, waiting: _Waiting, now: float) -> None:
        if not peer.busy():
            messages = waiting.take()
            if messages:
                peer.send(messages)
        elif waiting.behind_since is None:
            waiting.behind_since = now
        elif now - waiting.behind_since > STALLED_S:
            self.cut_off += 1
            peer.cut_off()
            self.discard(peer)

    def clear(self) -> None:
        self._all.clear()

    def counts(self) -> Dict[str, int]:
        return {"skipped": self.skipped, "cut_off": self.cut_off}
