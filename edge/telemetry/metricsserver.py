"""The HTTP of the metrics: one thread for all clients, none of which it ever waits for.

A scrape has a total limit, from the connection to the last byte of its answer; a new client takes the place of the oldest
where too many hold one. So neither slow clients nor many of them cost more than their few descriptors.
"""
import logging
import selectors
import socket
import threading
from typing import Callable, List, NamedTuple, Optional, Tuple

from edge.core import clock
from edge.core.errors import OutputError

log = logging.getLogger(__name__)

SCRAPE_S = 2.0  # from the connection to the end of the answer
MOST_CLIENTS = 16
MOST_A_SECOND = 400  # connections that are taken; more wait in the kernel's queue
HEADER_BYTES = 8192
PAGE_S = 0.5  # how long a rendered page is served: many clients cost no more than few
FAULTS = (ValueError, LookupError, TypeError, AttributeError, RuntimeError)  # of a record that changes while it is read
HINT = b"nanoface: the metrics are at /metrics\n"
PLAIN = "text/plain; charset=utf-8"


class Page(NamedTuple):
    """What is served at /metrics."""

    render: Callable[[], bytes]
    kind: str  # its Content-Type


class _Client:
    def __init__(self, connection: socket.socket, now: float) -> None:
        self.connection, self.ends_at = connection, now + SCRAPE_S
        self.request = b""
        self.answer = b""


class Server:
    """Serves from construction to close(), which waits for no client."""

    def __init__(self, address: Tuple[str, int], page: Page) -> None:
        """Raises OutputError where nothing can listen there."""
        self._page = page
        self._listener = _listen(address)
        self.address: Tuple[str, int] = self._listener.getsockname()[:2]
        self._clients: List[_Client] = []  # the oldest first
        self._text, self._text_ends_at = b"", float("-inf")
        self._window_ends_at, self._taken = float("-inf"), 0
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="nanoface-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """May be called twice."""
        self._wake.close()
        self._thread.join()

    def _run(self) -> None:
        listening = True
        while True:
            now = clock.monotonic()
            if self._may_take(now) != listening:
                listening = not listening
                if listening:
                    self._selector.register(self._listener, selectors.EVENT_READ)
                else:
                    self._selector.unregister(self._listener)
            due = [client.ends_at for client in self._clients[:1]] + ([] if listening else [self._window_ends_at])
            ready = self._selector.select(max(0.0, min(due) - now) if due else None)
            if any(key.fileobj is self._woken for key, _ in ready):
                break
            for key, events in ready:
                if key.data is not None and key.data in self._clients:
                    self._serve(key.data, events)
            if any(key.fileobj is self._listener for key, _ in ready):
                self._take()
            now = clock.monotonic()
            for client in [c for c in self._clients if c.ends_at <= now]:
                self._drop(client)
        for client in list(self._clients):
            self._drop(client)
        self._selector.close()
        self._listener.close()
        self._woken.close()

    def _may_take(self, now: float) -> bool:
        if now >= self._window_ends_at:
            self._window_ends_at, self._taken = now + 1.0, 0
        return self._taken < MOST_A_SECOND

    def _take(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # the client has gone, or this process has no descriptor left
            self._taken += 1
            return
        self._taken += 1
        connection.setblocking(False)
        if len(self._clients) >= MOST_CLIENTS:
            self._drop(self._clients[0])
        client = _Client(connection, clock.monotonic())
        self._clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _serve(self, client: _Client, events: int) -> None:
        try:
            if events & selectors.EVENT_READ and not self._read(client):
                return
            sent = client.connection.send(client.answer)
            client.answer = client.answer[sent:]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._drop(client)
            return
        if not client.answer:
            self._drop(client)

    def _read(self, client: _Client) -> bool:
        """Whether the request is whole and its answer is there."""
        data = client.connection.recv(HEADER_BYTES)
        client.request += data
        end = client.request.find(b"\r\n\r\n")
        if not data:
            self._drop(client)
        elif end >= 0 or len(client.request) > HEADER_BYTES:
            client.answer = self._answer(client.request[:end] if 0 <= end <= HEADER_BYTES else None)
            self._selector.modify(client.connection, selectors.EVENT_WRITE, client)
        return bool(client.answer)

    def _answer(self, request: Optional[bytes]) -> bytes:
        if request is None:
            return _response("431 Request Header Fields Too Large", PLAIN, b"the request is too long\n")
        parts = request.split(b"\r\n")[0].split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            return _response("400 Bad Request", PLAIN, b"this is no request of HTTP/1\n")
        if parts[0] not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", PLAIN, b"GET or HEAD\n", "Allow: GET, HEAD\r\n")
        response = self._of_path(parts[1].split(b"?")[0])
        return response if parts[0] == b"GET" else response[:response.index(b"\r\n\r\n") + 4]

    def _of_path(self, path: bytes) -> bytes:
        if path == b"/":
            return _response("200 OK", PLAIN, HINT)
        if path != b"/metrics":
            return _response("404 Not Found", PLAIN, HINT)
        now = clock.monotonic()
        if now >= self._text_ends_at:
            try:
                self._text = self._page.render()
            except FAULTS:
                log.debug("the metrics could not be put together", exc_info=True)
                return _response("500 Internal Server Error", PLAIN, b"try again\n")
            self._text_ends_at = now + PAGE_S
        return _response("200 OK", self._page.kind, self._text)

    def _drop(self, client: _Client) -> None:
        self._clients.remove(client)
        self._selector.unregister(client.connection)
        client.connection.close()


def _response(status: str, kind: str, body: bytes, more: str = "") -> bytes:
    head = "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n".format(
        status, kind, len(body), more)
    return head.encode("ascii") + body


def _listen(address: Tuple[str, int]) -> socket.socket:
    host, port = address
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    except OSError as e:
        raise OutputError("metrics.address: {} is no address of this machine ({})".format(host, e.strerror or e))
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(socket.SOMAXCONN)
        listener.setblocking(False)
    except OSError as e:
        listener.close()
        raise OutputError("metrics.address: nothing can listen at {}:{} ({}): take another port, or stop the program that "
                          "has it".format(host, port, e.strerror or e))
    return listener
