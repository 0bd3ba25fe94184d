"""In the place of the node server of OpenVtuber or DLVYF: their pages connect here and get `result_download`."""
import asyncio
import json
from typing import Any, Dict, Optional

from edge.core import clock
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.output import AvatarOutput, peers
from edge.outputs.live.signals import Signals
from edge.outputs.live.socketio import frames
from edge.outputs.live.socketio.payload import payload
from edge.outputs.live.socketio.sessions import INTERVAL_S, TIMEOUT_S, Session, Sessions, new_id
from edge.outputs.live.web.receivers import Receivers, message
from edge.outputs.live.web.server import WebServer, line

PATH = "/socket.io"
WHAT = "nanoface: the socket.io server of OpenVtuber and DLVYF; their pages connect to it, namespace /kizuna"
MOST_BODY = 16384  # of a POST
BODY_S, LOOK_S = 5.0, 1.0
LONGEST_NAMESPACE = 64
# the errors of Engine.IO
NO_TRANSPORT, NO_SESSION, BAD_REQUEST, NO_VERSION = (
    {"code": 0, "message": "Transport unknown"}, {"code": 1, "message": "Session ID unknown"},
    {"code": 3, "message": "Bad request"}, {"code": 5, "message": "Unsupported protocol version"})


class SocketioServer(AvatarOutput):
    """Sends nothing while no face is seen, as the trackers do that these pages know. What other trackers send here is
    counted and goes to no page."""

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        assert spec.address is not None
        self._server = WebServer("output " + self.name, spec.address, self._serve, spec.keys.get("origin", ()), MOST_BODY)
        self._sessions, self._receivers = Sessions(), Receivers()
        self._unasked = 0

    def open(self) -> None:
        self._server.open()
        self._server.loop.spawn(self._look_after())

    @property
    def port(self) -> int:
        return self._server.port

    def show(self, signals: Signals, now: float) -> None:
        if len(self._receivers):
            newest = message(frames.event(frames.BROADCAST, payload(signals))) if signals.tracked else None
            events = [message(frames.event(frames.OWN_EVENT, told)) for told in signals.events]
            self._server.loop.call(self._receivers.tell, newest, events, now)

    @property
    def condition(self) -> str:  # type: ignore[override]
        return peers(len(self._receivers))

    def more_counts(self) -> Dict[str, int]:
        refused = self._server.refused + self._sessions.refused
        return dict(self._receivers.counts(), refused=refused, unasked=self._unasked)

    def close(self) -> None:
        self._server.close()
        self._sessions.clear()
        self._receivers.clear()

    # in the loop's thread

    async def _look_after(self) -> None:
        while True:
            for session in self._sessions.look_after(clock.monotonic()):
                self._end(session)
            await asyncio.sleep(LOOK_S)

    def _end(self, session: Session) -> None:
        self._sessions.end(session)
        self._receivers.discard(session)

    async def _serve(self, request: Any) -> Any:
        if request.path == "/" and request.method == "GET":
            return line(200, WHAT)
        if request.path.rstrip("/") != PATH:
            return line(404, "there is nothing here but / and {}/".format(PATH))
        if request.method == "OPTIONS":
            return _answer(request, 204, "")
        query = request.query
        session = self._sessions.get(query["sid"]) if "sid" in query else None
        if query.get("EIO") not in ("3", "4"):
            return self._wrong(request, NO_VERSION)
        if session is None and "sid" in query:
            return self._wrong(request, NO_SESSION)
        kind = (query.get("transport"), request.method)
        if kind == ("websocket", "GET") and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request, session)
        if kind == ("polling", "GET"):
            return await self._poll(request, session)
        if kind == ("polling", "POST") and session is not None:
            return await self._post(request, session)
        return self._wrong(request, BAD_REQUEST if kind[0] in ("websocket", "polling") else NO_TRANSPORT)

    def _wrong(self, request: Any, error: Dict[str, Any], status: int = 400) -> Any:
        self._server.refused += 1
        return _answer(request, status, json.dumps(error), "application/json")

    def _begin(self, request: Any, upgrades: bool) -> Optional[Session]:
        session = self._sessions.begin(int(request.query["EIO"]), clock.monotonic())
        if session is not None:
            session.say(frames.opening(session.sid, INTERVAL_S, TIMEOUT_S, MOST_BODY, upgrades))
            if session.generation == 3:
                session.say(frames.packet(frames.CONNECT))
        return session

    async def _poll(self, request: Any, session: Optional[Session]) -> Any:
        if session is None:
            session = self._begin(request, True)
            if session is None:
                return self._wrong(request, BAD_REQUEST, 503)
        elif session.transport is not None:
            return self._wrong(request, BAD_REQUEST)
        session.heard_at = clock.monotonic()
        return _answer(request, 200, frames.joined(await session.poll(), session.generation))

    async def _post(self, request: Any, session: Session) -> Any:
        body = b""
        try:
            while not request.content.at_eof():
                body += await asyncio.wait_for(request.content.readany(), BODY_S)
            packets = frames.split(body, session.generation)
        except (ValueError, asyncio.TimeoutError):
            return self._wrong(request, BAD_REQUEST)
        for one in packets:
            self._hear(session, one)
        return _answer(request, 200, "ok")

    async def _websocket(self, request: Any, session: Optional[Session]) -> Any:
        transport = request.transport
        own = session or self._begin(request, False)
        if own is None:
            return self._wrong(request, BAD_REQUEST, 503)

        def begun() -> None:
            if session is None:
                own.over_websocket(transport)

        def heard(said: Any) -> None:
            if own.transport is transport:
                self._hear(own, said)
            elif said == frames.PING + frames.PROBE:
                transport.write(message(frames.PONG + frames.PROBE).frame)
                own.probe()
            elif said == frames.UPGRADE and own.transport is None:
                own.over_websocket(transport)
            else:
                self._unasked += 1
        try:
            return await self._server.websocket(request, begun, heard)
        finally:
            if session is None or own.transport is transport:
                self._end(own)

    def _hear(self, session: Session, said: Any) -> None:
        """A packet of Engine.IO."""
        session.heard_at = clock.monotonic()
        kind = said[:1] if isinstance(said, str) else ""
        if kind == frames.PING:
            session.say(frames.PONG)
        elif kind == frames.CLOSE:
            self._end(session)
        elif kind == frames.MESSAGE:
            self._hear_message(session, said[1:])
        elif kind != frames.PONG:
            self._unasked += 1

    def _hear_message(self, session: Session, said: str) -> None:
        """A packet of Socket.IO."""
        try:
            told = frames.read(said)
        except ValueError:
            self._unasked += 1
            return
        known = told.namespace in (frames.ROOT, frames.NAMESPACE)
        if told.kind == frames.CONNECT and known:
            if told.namespace == frames.NAMESPACE:
                session.joined = True
                self._receivers.add(session)
            if session.generation == 4:
                session.say(frames.packet(frames.CONNECT, told.namespace, {"sid": new_id()}))
            elif told.namespace == frames.NAMESPACE:
                session.say(frames.packet(frames.CONNECT, told.namespace))
        elif told.kind == frames.CONNECT:
            why = "Invalid namespace"
            session.say(frames.packet(frames.ERROR, told.namespace[:LONGEST_NAMESPACE],
                                      {"message": why} if session.generation == 4 else why))
        elif told.kind == frames.DISCONNECT and told.namespace == frames.NAMESPACE:
            session.joined = False
            self._receivers.discard(session)
        else:
            self._unasked += 1


def _answer(request: Any, status: int, text: str, kind: str = "text/plain") -> Any:
    """With what a page of another origin needs, which the web server let pass."""
    from aiohttp import web

    headers = {"Cache-Control": "no-store"}
    origin = request.headers.get("Origin")
    if origin is not None:
        headers.update({"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
                        "Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "Content-Type"})
    if "Access-Control-Request-Private-Network" in request.headers:
        headers["Access-Control-Allow-Private-Network"] = "true"
    return web.Response(status=status, text=text, headers=headers, content_type=kind, charset="utf-8")


make = SocketioServer
