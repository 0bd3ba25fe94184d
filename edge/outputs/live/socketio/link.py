"""A connection to a socket.io server, over a WebSocket, in an event loop. Which generation it is the server's answers tell:
one of Engine.IO 3 says that the root is connected before it is asked, and wants to be pinged; one of 4 pings."""
import asyncio
import socket
from collections import deque
from typing import Any, Coroutine, Deque, Optional, Sequence

from edge.core import clock
from edge.core.rules import Address
from edge.host.reading import reason
from edge.outputs.live.loop import unreached
from edge.outputs.live.socketio import frames
from edge.outputs.live.web.allowance import Allowance

PATH = "http://{}/socket.io/?EIO=4&transport=websocket"
LARGEST_MESSAGE = 65536  # that is read
SEND_BUFFER = 65536  # bytes of the kernel's: what lies there is old when it is read
MOST_EVENTS = 200  # that wait: the newest
STALLED_S, GOODBYE_S = 10.0, 0.5
SHORTEST_PING_S = 0.1
HEARD_AT_ONCE, HEARD_A_SECOND = 2000.0, 500.0  # messages: what other trackers send comes here too


class LinkError(Exception):
    """Why there is no connection, as the end of a sentence."""


class Link:
    """In one loop's thread, but for what is read of it: `lost`, `skipped`, `generation`, `behind`."""

    def __init__(self, address: Address) -> None:
        self.lost = ""  # why it ended
        self.skipped = 0  # frames that were not sent because a newer one came
        self.generation = 4  # of Engine.IO
        self.behind = False  # the server does not read what is sent
        self._address = address
        self._session: Any = None
        self._ws: Any = None
        self._interval_s = self._timeout_s = 0.0
        self._frame: Optional[str] = None
        self._events: Deque[str] = deque(maxlen=MOST_EVENTS)
        self._wake: Any = None
        self._allowance = Allowance(HEARD_AT_ONCE, HEARD_A_SECOND, clock.monotonic())

    async def connect(self) -> None:
        """Raises LinkError. Ends when the namespace is joined."""
        import aiohttp

        self._wake = asyncio.Event()
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse)
        self._session = aiohttp.ClientSession(trace_configs=[trace], cookie_jar=aiohttp.DummyCookieJar())
        try:
            self._ws = await self._session.ws_connect(PATH.format(self._address.text), max_msg_size=LARGEST_MESSAGE,
                                                      autoping=False)
        except aiohttp.WSServerHandshakeError as e:
            raise LinkError("no socket.io server: it answers with status {}".format(e.status))
        except aiohttp.ClientConnectorError as e:
            raise LinkError("not reached: {}; is its server running?".format(unreached(e)))
        except (aiohttp.ClientError, OSError) as e:
            raise LinkError("no socket.io server: {}".format(reason(e)))
        peer = self._ws.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        try:
            self._interval_s, self._timeout_s = frames.read_opening(await self._text(STALLED_S))
            await self._ws.send_str(frames.packet(frames.CONNECT, frames.NAMESPACE))
            while not await self._joined(await self._text(STALLED_S)):
                pass
        except ValueError as e:
            raise LinkError("no socket.io server: {}".format(e))

    async def _joined(self, text: str) -> bool:
        if text == frames.PING:
            await self._ws.send_str(frames.PONG)
        if not text.startswith(frames.MESSAGE):
            return False
        said = frames.read(text[1:])
        if said.kind == frames.CONNECT and said.namespace == frames.ROOT:
            self.generation = 3
        if said.namespace == frames.NAMESPACE and said.kind in (frames.ERROR, frames.DISCONNECT):
            raise LinkError("a socket.io server without {}: it is not OpenVtuber's or DLVYF's".format(frames.NAMESPACE))
        return said.kind == frames.CONNECT and said.namespace == frames.NAMESPACE

    async def _text(self, limit_s: float) -> str:
        """The next text message; others are left out."""
        from aiohttp import WSMsgType

        while True:
            try:
                message = await self._ws.receive(limit_s)
            except asyncio.TimeoutError:
                raise LinkError("silent for {:g} s".format(limit_s))
            if not self._allowance.spend(clock.monotonic()):
                raise LinkError("gone: it sends too much")
            if message.type == WSMsgType.TEXT:
                return str(message.data)
            if message.type == WSMsgType.PING:
                await self._ws.pong(message.data)
            elif message.type not in (WSMsgType.BINARY, WSMsgType.PONG):
                raise LinkError("gone: it closed the connection")

    def offer(self, frame: Optional[str], events: Sequence[str]) -> None:
        """To be sent: the newest frame, all events."""
        if frame is not None:
            self.skipped += self._frame is not None
            self._frame = frame
        self._events.extend(events)
        self._wake.set()

    async def read(self) -> None:
        """Until the connection ends."""
        await self._until_lost(self._read())

    async def write(self) -> None:
        await self._until_lost(self._write())

    async def ping(self) -> None:
        """What a server of Engine.IO 3 waits for."""
        while self.generation == 3:
            await asyncio.sleep(max(SHORTEST_PING_S, self._interval_s))
            self.offer(None, [frames.PING])

    async def _until_lost(self, working: Coroutine[Any, Any, None]) -> None:
        from aiohttp import ClientError

        try:
            await working
        except LinkError as e:
            self.lost = self.lost or str(e)
        except (ClientError, OSError, RuntimeError) as e:  # aiohttp tells a write after the end with any of them
            self.lost = self.lost or "gone: {}".format(reason(e))

    async def _read(self) -> None:
        while True:
            text = await self._text(self._interval_s + self._timeout_s)
            if text == frames.PING:
                self.offer(None, [frames.PONG])
            elif text == frames.CLOSE or text.startswith(frames.MESSAGE + frames.DISCONNECT + frames.NAMESPACE):
                raise LinkError("gone: it ended the connection")

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            texts = ([] if self._frame is None else [self._frame]) + list(self._events)
            self._frame = None
            self._events.clear()
            for text in texts:
                sending = asyncio.ensure_future(self._ws.send_str(text))
                done, _ = await asyncio.wait([sending], timeout=1.0)
                self.behind = not done
                try:
                    await asyncio.wait_for(sending, STALLED_S)
                except asyncio.TimeoutError:
                    raise LinkError("not reading what is sent")
                self.behind = False

    async def close(self) -> None:
        if self._ws is not None:
            try:
                await asyncio.wait_for(self._ws.close(), GOODBYE_S)
            except asyncio.TimeoutError:
                pass
        if self._session is not None:
            await self._session.close()


async def _refuse(session: Any, context: Any, about: Any) -> None:
    raise LinkError("no socket.io server: it leads elsewhere")
