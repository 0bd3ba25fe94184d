"""An HTTP and WebSocket server of an output: whoever connects is bounded in number, bytes and time.

aiohttp reads the requests; this file accepts the connections, so that none of them costs anything before it has said what it
wants: a web page of a stranger, a name that was made to lead here (DNS rebinding), a request that never ends.
"""
import asyncio
import logging
import socket
from importlib import import_module
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from edge.core import clock
from edge.core.errors import OutputError
from edge.core.rules import Address
from edge.host.reading import reason
from edge.outputs.live.loop import Loop
from edge.outputs.live.web.allowance import Allowance
from edge.outputs.live.web.origin import host_is_ours, origin_is_allowed

MOST_CONNECTIONS = 128  # the oldest that has asked for nothing yet gives way to a new one
HANDSHAKE_S = 5.0  # for the head of a request, and between two requests
MOST_HEAD = 16384  # bytes of it
AHEAD = 1 << 20  # bytes of a body that may come with the head, before its request is looked at
SEND_BUFFER = 65536  # bytes that the kernel holds for a peer: what lies there is old when it is read
BACKLOG, PAUSE_S, START_S, CLOSE_S = 128, 0.1, 5.0, 1.0
# of WebSockets: what a peer may say, in bytes and messages, and how often it is asked whether it is there
LARGEST_MESSAGE, SAID_AT_ONCE, SAID_A_SECOND, HEARTBEAT_S = 4096, 100.0, 10.0, 30.0
Handler = Callable[[Any], Any]  # a coroutine function: aiohttp's request -> response


class _Connection(asyncio.Protocol):
    """Hands on to aiohttp's protocol what may come: `allowance` bytes, until `timer` ends it."""

    def __init__(self, server: "WebServer", inner: Any) -> None:
        self._server, self._inner = server, inner
        self.transport: Any = None
        self.timer: Any = None
        self.allowance: Optional[int] = MOST_HEAD
        self.asked = False  # a request of it is being answered
        self.known = False  # it has asked for something that it may have
        self.patient = False  # what it asked for is long, and whoever writes it bounds the time

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._server.made(self)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.allowance is not None:
            self.allowance -= len(data)
            if self.allowance < 0:
                self._server.refuse(self)
                return
        self._inner.data_received(data)

    def eof_received(self) -> Any:
        return self._inner.eof_received()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._server.lost(self)
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """It does not read what it asked for."""
        if self.allowance is not None and not self.patient:
            self._server.refuse(self)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


class WebServer:
    """Opened and closed by the thread of its output, once or again; all else happens in the thread of its loop."""

    def __init__(self, name: str, address: Address, handler: Handler, origins: Iterable[str] = (), body: int = 0) -> None:
        """`name`: in errors. `handler` gets the requests whose Host and Origin are right; `body`: bytes of one at most."""
        self.refused = 0  # connections and requests, for whatever reason
        self.port = 0
        self.loop = Loop(name)
        self._name, self._address, self._handler = name, address, handler
        self._origins, self._body = tuple(origins), body
        self._socket: Optional[socket.socket] = None
        self._http: Any = None  # aiohttp's
        self._connections: Dict[Any, _Connection] = {}  # by transport, the oldest first

    def open(self) -> None:
        """Raises OutputError."""
        import_module("aiohttp.web")  # takes seconds on a board
        self._socket = self._bound()
        self.port = int(self._socket.getsockname()[1])
        self.loop = Loop(self._name).start()
        try:
            self.loop.run(self._begin(), START_S)
        except TimeoutError as e:
            self.close()
            raise OutputError("{}: {}".format(self._name, e))

    def close(self) -> None:
        """May be called twice."""
        if self._socket is not None:
            try:
                self.loop.run(self._end(), 1.0)
            except TimeoutError:
                pass
            self.loop.close(0.5)
            self._socket.close()
            self._socket = None
            self._connections.clear()

    def _bound(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._address.host, self._address.port, 0, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as e:
            raise OutputError("{}: there is no host {}: {}".format(self._name, self._address.host, reason(e)))
        family, kind, protocol, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(place)
            made.listen(BACKLOG)
            made.setblocking(False)
        except OSError as e:
            made.close()
            raise OutputError("{} cannot listen at {}: {}".format(self._name, self._address.text, reason(e)))
        return made

    async def _begin(self) -> None:
        from aiohttp import web

        server = self

        class Handler(web.RequestHandler):  # type: ignore[misc]
            """aiohttp's own page shows what was sent, four characters a byte."""

            __slots__ = ()

            def handle_error(self, request: Any, status: int = 500, exc: Any = None, message: Any = None) -> Any:
                return server.refusal(status, "this is no request")

        loop = asyncio.get_event_loop()
        silent = logging.Logger("peers", logging.CRITICAL + 1)  # what they do wrong is counted
        self._http = web.Server(self._handle)
        options: Dict[str, Any] = dict(loop=loop, logger=silent, access_log=None, lingering_time=0.0, auto_decompress=False,
                                       keepalive_timeout=HANDSHAKE_S)
        self.loop.spawn(self._accept(loop, lambda: Handler(self._http, **options)))

    async def _accept(self, loop: Any, handler: Callable[[], Any]) -> None:
        while True:
            try:
                peer, _ = await loop.sock_accept(self._socket)
            except OSError:  # no descriptor is left, or it has gone again
                await asyncio.sleep(PAUSE_S)
                continue
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if len(self._connections) >= MOST_CONNECTIONS:
                unasked = (one for one in self._connections.values() if not one.asked)
                idle = min(unasked, key=lambda one: one.known, default=None)
                self.refuse(idle)
                if idle is None:
                    peer.close()
                    continue
            try:
                await loop.connect_accepted_socket(lambda: _Connection(self, handler()), peer)
            except OSError:
                peer.close()

    async def _end(self) -> None:
        for one in list(self._connections.values()):
            one.transport.abort()
        await asyncio.sleep(0)
        await self._http.shutdown(0.5)

    # of a connection

    def made(self, one: _Connection) -> None:
        self._connections[one.transport] = one
        self._wait_for_request(one)

    def lost(self, one: _Connection) -> None:
        one.timer.cancel()
        self._connections.pop(one.transport, None)

    def refuse(self, one: Optional[_Connection]) -> None:
        self.refused += 1
        if one is not None:
            one.transport.abort()
            self._connections.pop(one.transport, None)

    def _wait_for_request(self, one: _Connection) -> None:
        one.asked, one.allowance, one.patient = False, MOST_HEAD + min(self._body, AHEAD), False
        one.timer = asyncio.get_event_loop().call_later(HANDSHAKE_S, self.refuse, one)

    # of a request

    async def _handle(self, request: Any) -> Any:
        one = self._connections.get(request.transport)
        if one is None:
            return line(503, "closed")
        one.timer.cancel()
        one.asked, one.allowance = True, MOST_HEAD + self._body
        try:
            if not host_is_ours(request.headers.get("Host"), self._own_names(request.transport)):
                return self.refusal(403, "this machine is not called that: use its address")
            if not origin_is_allowed(request.headers, self._origins):
                return self.refusal(403, "pages of this origin may not connect: name it with origin=")
            one.known = True
            return _named(await self._handler(request))
        finally:
            if request.transport in self._connections:
                self._wait_for_request(one)

    async def send(self, request: Any, response: Any, pieces: Iterable[bytes], stalled_s: float) -> Any:
        """A response whose body may be long, for a peer that has `stalled_s` to take each piece of it."""
        one = self._connections.get(request.transport)
        if one is None:
            return response
        one.patient = True
        try:
            await _named(response).prepare(request)
            for piece in pieces:
                await asyncio.wait_for(response.write(piece), stalled_s)
            await asyncio.wait_for(response.write_eof(), stalled_s)
        except (asyncio.TimeoutError, OSError):  # also one that is gone
            self.refuse(one)
        return response

    def refusal(self, status: int, text: str) -> Any:
        self.refused += 1
        return line(status, text)

    def _own_names(self, transport: Any) -> List[str]:
        """What people may call this machine: the address that was named, that of this connection, and its host's name."""
        name = socket.gethostname()
        place: Tuple[Any, ...] = transport.get_extra_info("sockname") or ("",)
        return [self._address.host, str(place[0]).replace("::ffff:", ""), name, name + ".local"]

    async def websocket(self, request: Any, joined: Callable[[], Any], heard: Callable[[Any], Any]) -> Any:
        """The response, when it is over. `joined` is called as it begins, `heard` with each message, text or bytes. Both must
        not wait. A peer that says more than SAID_A_SECOND for long is cut off."""
        from aiohttp import WSMsgType, web

        response = web.WebSocketResponse(timeout=CLOSE_S, autoping=False, heartbeat=HEARTBEAT_S, compress=False,
                                         max_msg_size=LARGEST_MESSAGE)
        try:
            await _named(response).prepare(request)
        except web.HTTPException:
            return self.refusal(400, "this is no WebSocket's beginning")
        one = self._connections.get(request.transport)
        if one is None:
            return response
        one.allowance = None
        joined()
        allowance = Allowance(SAID_AT_ONCE, SAID_A_SECOND, clock.monotonic())
        while True:
            message = await response.receive()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return response
            if not allowance.spend(clock.monotonic()):
                self.refuse(one)
                return response
            if message.type == WSMsgType.PING and one.transport.get_write_buffer_size() == 0:
                await response.pong(message.data)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                heard(message.data)


def line(status: int, text: str, headers: Optional[Mapping[str, str]] = None) -> Any:
    """A response of one line; the connection ends with it."""
    from aiohttp import web

    response = web.Response(status=status, text=text + "\n", headers=headers)
    response.force_close()
    return _named(response)


def _named(response: Any) -> Any:
    """In the place of the versions of all that takes part."""
    if not response.prepared:
        response.headers["Server"] = "nanoface"
    return response
