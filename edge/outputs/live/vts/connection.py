"""The WebSocket to VTube Studio: found, opened, kept, opened again. All of it runs in the event loop's thread."""
import asyncio
import os
from typing import Any, Dict, List, Mapping, Optional

from edge.core import clock
from edge.core.errors import OutputError
from edge.core.rules import Address
from edge.host.reading import reason
from edge.outputs.live.loop import unreached
from edge.outputs.live.phone.requesters import is_near
from edge.outputs.live.udp import UdpListener
from edge.outputs.live.vts import messages, tokens
from edge.outputs.live.vts.parameters import definitions
from edge.outputs.live.vts.session import OFF, Permission, Session, SessionOver
from edge.outputs.live.web.allowance import Allowance

POLL_S = 0.2
TELLS_S = 2.5  # VTube Studio tells of itself every 2 s, to all of a network, and not to a loopback address
CONNECT_S, CLOSE_S = 5.0, 0.8
HEARTBEAT_S = 30.0
LARGEST = 512 * 1024  # of a message: a list of 300 inputs has 60 kB
LARGEST_BROADCAST = 2048
HEARD_AT_ONCE, HEARD_A_SECOND = 2000.0, 500.0  # messages
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
STEADY_S = 30.0  # a connection of such an age makes the next pause short again
START = "start it, and its interface (Start API in its settings)"


class Connection:
    """From one session to the next. `condition` and `counts` may be read in any thread."""

    def __init__(self, name: str, address: Optional[Address], own: bool, tells_at: Optional[Address] = None) -> None:
        """`address` None: that of the first that tells of itself at `tells_at`. With both, whichever answers first. `own`:
        nanoface's inputs are added."""
        self.condition = "waits for VTube Studio"
        self.counts = {"injected": 0, "rejected": 0, "connections": 0}
        self._address, self._own = address, own
        self._listener = None if tells_at is None else UdpListener(name, tells_at, shared=True)
        if self._listener is not None:
            self.counts["refused"] = 0  # what is no program that tells of itself
        self._tried = False
        self._permissions: Dict[str, Permission] = {}
        self._session: Optional[Session] = None
        self._waiting: List[str] = []  # to be sent
        self._wake: Optional[asyncio.Event] = None

    def values(self, values: Mapping[str, float], face_found: bool) -> None:
        """The newest."""
        if self._session is not None and self._session.ready_since is not None:
            self._push(self._session.values(values, face_found, clock.monotonic()))

    async def run(self) -> None:
        import aiohttp
        pause_s = FIRST_PAUSE_S
        while True:
            place, began_at = "VTube Studio", clock.monotonic()
            try:
                address = await self._found()
                place = "VTube Studio at {}".format(address.text)
                await self._connect(address)
            except SessionOver as e:
                self.condition = "{}: {}".format(place, e)
            except aiohttp.WSServerHandshakeError as e:
                self.condition = "{}: what answers there is not VTube Studio ({})".format(place, e.status)
            except (OSError, ValueError, asyncio.TimeoutError, aiohttp.ClientError, OutputError) as e:
                self.condition = "waits for {} ({}): {}".format(place, unreached(e), START)
            finally:
                self._session = None
                if self._listener is not None:
                    self._listener.close()
            pause_s = FIRST_PAUSE_S if clock.monotonic() - began_at > STEADY_S else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2.0 * pause_s)

    async def _found(self) -> Address:
        if self._listener is None:
            assert self._address is not None
            return self._address
        place = "in this network" if self._address is None else "at {}, or to tell of itself".format(self._address.text)
        self.condition = "waits for VTube Studio {}: {}".format(place, START)
        try:
            self._listener.open()
        except OutputError:
            if self._address is None:
                raise
        # what was there, and was not VTube Studio, is not all that is looked for
        try_at, self._tried = clock.monotonic() + (TELLS_S if self._tried else 0.0), True
        while True:
            for data, (host, _) in self._listener.received():
                port = messages.port_of(data) if len(data) <= LARGEST_BROADCAST and is_near(host) else None
                if port:
                    return Address(host, port)
                if port == 0:
                    self.condition = "{}: {}".format(host, OFF)
                self.counts["refused"] += port is None
            self.counts["refused"] += self._listener.refused
            self._listener.refused = 0
            if self._address is not None and clock.monotonic() >= try_at:
                try_at = clock.monotonic() + TELLS_S
                if await _answers(self._address):
                    return self._address
            await asyncio.sleep(POLL_S)

    def _permission(self, host: str) -> Permission:
        if host not in self._permissions:
            path = tokens.path_of(host, os.environ)
            self._permissions[host] = Permission(tokens.kept(path), lambda token: tokens.keep(path, token))
        return self._permissions[host]

    async def _connect(self, address: Address) -> None:
        import aiohttp
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse)  # the permission is this host's
        async with aiohttp.ClientSession(trace_configs=[trace], cookie_jar=aiohttp.DummyCookieJar(),
                                         timeout=aiohttp.ClientTimeout(total=CONNECT_S)) as client:
            link = await client.ws_connect("ws://{}/".format(address.text), max_msg_size=LARGEST, heartbeat=HEARTBEAT_S,
                                           autoping=False)
            self.counts["connections"] += 1
            self._waiting, self._wake = [], asyncio.Event()
            self._session = Session(self._permission(address.host), definitions() if self._own else ())
            self._push(self._session.begin(clock.monotonic()))
            tasks = [asyncio.ensure_future(work) for work in (self._read(link), self._write(link), self._go_on())]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done():
                        task.result()
                raise SessionOver("the connection was closed")
            finally:
                # not wait_for(): before Python 3.12 it forgets that it was cancelled where what it waits for is done just then
                closing = asyncio.ensure_future(link.close())
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks + [closing], timeout=CLOSE_S)
                closing.cancel()

    async def _read(self, link: Any) -> None:
        from aiohttp import WSMsgType
        allowance = Allowance(HEARD_AT_ONCE, HEARD_A_SECOND, clock.monotonic())
        async for message in link:
            if not allowance.spend(clock.monotonic()):
                raise SessionOver("it sends too much")
            if message.type == WSMsgType.PING:
                await link.pong(message.data)
            if message.type in (WSMsgType.PING, WSMsgType.PONG):
                continue
            if message.type == WSMsgType.ERROR:
                raise SessionOver("the connection broke ({})".format(reason(message.data)))
            if message.type != WSMsgType.TEXT:
                raise SessionOver("what answers there is not VTube Studio")
            self._push(self._current().received(message.data, clock.monotonic()))

    async def _write(self, link: Any) -> None:
        assert self._wake is not None
        while True:
            await self._wake.wait()
            self._wake.clear()
            texts, self._waiting = self._waiting, []
            for text in texts:
                await link.send_str(text)  # where nobody reads, nobody answers, which ends the session

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self._push(self._current().idle(clock.monotonic()))

    def _current(self) -> Session:
        assert self._session is not None
        return self._session

    def _push(self, texts: List[str]) -> None:
        session = self._current()
        self.condition = session.condition
        for name, count in session.counts.items():
            self.counts[name] += count
            session.counts[name] = 0
        if texts and self._wake is not None:
            self._waiting += texts
            self._wake.set()


async def _answers(address: Address) -> bool:
    """Whether something listens there."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address.host, address.port), CONNECT_S)
    except (OSError, asyncio.TimeoutError):
        return False
    writer.close()
    return True


async def _refuse(session: Any, context: Any, about: Any) -> None:
    raise SessionOver("what answers there leads elsewhere, and is not VTube Studio")
