"""A page's connection to our socket.io server: it lasts over many requests of long polling, or is one WebSocket."""
import asyncio
import secrets
from typing import Any, Dict, Iterator, List, Optional, Sequence

from edge.outputs.live.socketio import frames
from edge.outputs.live.web.receivers import Message, Peer, WebSocketPeer, message

INTERVAL_S, TIMEOUT_S = 25.0, 20.0  # of pings, as socket.io 3 and 4 have them
JOIN_S = 10.0  # a session that has joined no namespace by then, ends
PROBE_S = 0.1  # how long a poll waits while the client changes to a WebSocket: it does not until the poll is answered
MOST_SESSIONS = 32
MOST_WAITING = 2 * 64  # packets that were not fetched: more are no conversation


def new_id() -> str:
    return secrets.token_urlsafe(15)


class Session(Peer):
    def __init__(self, generation: int, now: float) -> None:
        self.sid = new_id()
        self.generation = generation  # of Engine.IO
        self.began_at = self.heard_at = self.pinged_at = now
        self.joined = False  # the namespace
        self.over = False
        self.transport: Any = None  # of its WebSocket
        self.probing = False
        self._socket: Optional[WebSocketPeer] = None
        self._packets: List[str] = []  # for the next poll
        self._poll: Any = None  # a future, while one waits

    def busy(self) -> bool:
        return bool(self._packets) if self._socket is None else self._socket.busy()

    def send(self, messages: Sequence[Message]) -> None:
        if self._socket is not None:
            self._socket.send(messages)
        else:
            self._packets += [one.text for one in messages]
            self._wake()

    def say(self, *texts: str) -> None:
        """An answer of the protocol's."""
        if len(self._packets) > MOST_WAITING:
            self.cut_off()
        self.send([message(text) for text in texts])

    def cut_off(self) -> None:
        self.over = True
        self._wake()
        if self._socket is not None:
            self._socket.cut_off()

    async def poll(self) -> List[str]:
        """The packets for a request that asks for some, when there are any; NOOP where another request came after it."""
        self._wake()
        if not self._packets and not self.over:
            mine = self._poll = asyncio.get_event_loop().create_future()
            await asyncio.wait([mine], timeout=PROBE_S if self.probing else INTERVAL_S + TIMEOUT_S)
            if self._poll is not mine:
                return [frames.NOOP]
            self._poll = None
        taken, self._packets = self._packets[:frames.MOST_PACKETS], self._packets[frames.MOST_PACKETS:]
        return taken or [frames.CLOSE if self.over else frames.NOOP]

    def _wake(self) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def probe(self) -> None:
        """It is about to change to a WebSocket, as soon as its poll is answered."""
        self.probing = True
        self._wake()

    def over_websocket(self, transport: Any) -> None:
        self.transport, self.probing = transport, False
        self._socket = WebSocketPeer(transport)
        waiting, self._packets = self._packets, []
        self.send([message(text) for text in waiting])
        self._wake()


class Sessions:
    """By their ids, the oldest first."""

    def __init__(self) -> None:
        self.refused = 0  # sessions, for want of room
        self._all: Dict[str, Session] = {}

    def get(self, sid: str) -> Optional[Session]:
        return self._all.get(sid)

    def begin(self, generation: int, now: float) -> Optional[Session]:
        """None: there are too many. One that has joined nothing yet gives way."""
        if len(self._all) >= MOST_SESSIONS:
            self.refused += 1
            idle = next((one for one in self._all.values() if not one.joined), None)
            if idle is None:
                return None
            self.end(idle)
        session = Session(generation, now)
        self._all[session.sid] = session
        return session

    def end(self, session: Session) -> None:
        session.cut_off()
        self._all.pop(session.sid, None)

    def clear(self) -> None:
        """Their loop has ended."""
        self._all.clear()

    def look_after(self, now: float) -> Iterator[Session]:
        """Ping those who want it; gives those who have gone."""
        for one in list(self._all.values()):
            silent = now - one.heard_at > INTERVAL_S + TIMEOUT_S
            if one.over or silent or not one.joined and now - one.began_at > JOIN_S:
                yield one
            elif one.generation == 4 and now - one.pinged_at >= INTERVAL_S:
                one.pinged_at = now
                one.say(frames.PING)
