"""Many WebSocket clients that get the same messages, each at its own pace: what one does not read, no other waits for.

Messages are made once for all, as frames that go into each client's transport. One whose transport has not sent the last
ones gets nothing but the newest message when it has, and the events of all; one that stands still for long is cut off.
"""
import struct
from collections import deque
from typing import Any, Deque, Dict, Optional, Sequence

STALLED_S = 10.0
MOST_EVENTS = 200  # that wait for one client: the newest


def text_frame(text: str) -> bytes:
    """A whole unmasked text message of RFC 6455, as a server sends it."""
    data = text.encode("utf-8")
    size = len(data)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + data
    return (struct.pack("!BBH", 0x81, 126, size) if size < 65536 else struct.pack("!BBQ", 0x81, 127, size)) + data


class _Receiver:
    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.message: Optional[bytes] = None
        self.events: Deque[bytes] = deque(maxlen=MOST_EVENTS)
        self.behind_since: Optional[float] = None


class Receivers:
    """Lives in the thread of the loop that their transports belong to; the counts are for any thread."""

    def __init__(self) -> None:
        self.skipped = 0  # messages that a client did not get because a newer one came
        self.cut_off = 0  # clients
        self._all: Dict[Any, _Receiver] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, transport: Any) -> None:
        self._all[transport] = _Receiver(transport)

    def discard(self, transport: Any) -> None:
        self._all.pop(transport, None)

    def tell(self, message: Optional[bytes], events: Sequence[bytes], now: float) -> None:
        """Frames, see text_frame(); without any it goes on with what waits."""
        for one in list(self._all.values()):
            if message is not None:
                self.skipped += one.message is not None
                one.message = message
            one.events.extend(events)
            self._send(one, now)

    def _send(self, one: _Receiver, now: float) -> None:
        if one.transport.get_write_buffer_size() == 0:
            one.behind_since = None
            waiting = ([] if one.message is None else [one.message]) + list(one.events)
            if waiting and not one.transport.is_closing():
                one.transport.write(b"".join(waiting))
            one.message = None
            one.events.clear()
        elif one.behind_since is None:
            one.behind_since = now
        elif now - one.behind_since > STALLED_S:
            self.cut_off += 1
            one.transport.abort()
            self.discard(one.transport)
