"""Files of GitHub repositories over https, with time-outs short enough for a machine that has no network."""
import http.client
import io
import socket
import ssl
import textwrap
import urllib.error
import urllib.request
from typing import Any, Callable, Iterator, Optional, Tuple
from urllib.parse import quote

from edge.core import clock

RAW = "https://raw.githubusercontent.com/{origin}/{commit}/{path}"
CONNECT_S, READ_S = 4.0, 15.0
HEAD_S, LEAST_RATE = 60.0, 10000.0  # the longest that a file may take, with so many bytes a second
BLOCK = 1 << 16

# before Python 3.7 a certificate of another host is a ValueError
_BROKEN = (OSError, http.client.HTTPException, ssl.CertificateError)


class WebError(Exception):
    """What the host does, to be read after its name. `host_down`: another file of it need not be tried."""

    def __init__(self, reason: str, host_down: bool) -> None:
        super().__init__(reason)
        self.host_down = host_down


def url_of(origin: str, commit: str, path: str) -> str:
    return RAW.format(origin=origin, commit=commit, path=quote(path))


def _connect(
    address: Tuple[str, int], timeout: Any = None, source_address: Optional[Tuple[str, int]] = None
) -> socket.socket:
    """One try for IPv6 and one for IPv4: eight addresses behind a firewall must not take eight time-outs."""
    tried, last = set(), OSError("it has no address")
    for family, kind, protocol, _, target in socket.getaddrinfo(address[0], address[1], 0, socket.SOCK_STREAM):
        if family in tried:
            continue
        tried.add(family)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(CONNECT_S)
            sock.connect(target)
            return sock
        except OSError as e:
            sock.close()
            last = e
    raise last


class _InTime(io.RawIOBase):
    """What a socket receives, until a deadline: a server that sends a byte now and then would never run into a time-out."""

    def __init__(self, stream: Any, sock: Any, give_up_at: float) -> None:
        super().__init__()
        self._stream, self._sock, self._give_up_at = stream, sock, give_up_at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        left_s = self._give_up_at - clock.monotonic()
        if left_s <= 0:
            raise socket.timeout("timed out")
        self._sock.settimeout(min(READ_S, left_s))
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Timed:
    """Of a connection: its answers come in time, or fail."""

    limit_s = 0.0

    def connect(self) -> None:
        self._create_connection = _connect
        self.give_up_at = clock.monotonic() + self.limit_s
        super().connect()  # type: ignore

    def response_class(self, sock: Any, *args: Any, **more: Any) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(sock, *args, **more)
        response.fp = io.BufferedReader(_InTime(response.fp.detach(), sock, self.give_up_at))  # type: ignore
        return response


class _Http(_Timed, http.client.HTTPConnection):  # type: ignore
    pass


class _Https(_Timed, http.client.HTTPSConnection):  # type: ignore
    pass


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, limit_s: float) -> None:
        super().__init__()
        self._kind: Any = type("_HttpInTime", (_Http,), {"limit_s": limit_s})

    def http_open(self, request: Any) -> Any:
        return self.do_open(self._kind, request)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, limit_s: float) -> None:
        super().__init__()
        self._kind: Any = type("_HttpsInTime", (_Https,), {"limit_s": limit_s})

    def https_open(self, request: Any) -> Any:
        return self.do_open(self._kind, request)


def _reason(error: Exception) -> str:
    """What went wrong, in a few words, without the layers that wrapped it."""
    while isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, socket.timeout):
        return "no answer in time"
    if isinstance(error, (ssl.SSLError, ssl.CertificateError)):
        detail = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
        return "its certificate is not accepted ({})".format(textwrap.shorten(detail, 100))
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def blocks(url: str, size: int, progress: Callable[[int], None]) -> Iterator[bytes]:
    """The file of `size` bytes, block by block, and no more than one byte behind it; `progress` gets the bytes so far.

    Raises WebError, also where it does not come in time. What the consumer of a block raises is its own, and passes through.
    """
    limit_s = HEAD_S + size / LEAST_RATE
    opener = urllib.request.build_opener(_HttpHandler(limit_s), _HttpsHandler(limit_s))
    request = urllib.request.Request(url, headers={"User-Agent": "nanoface"})
    try:
        response = opener.open(request, timeout=CONNECT_S)
    except urllib.error.HTTPError as e:
        raise WebError("answers {} {}".format(e.code, e.reason), False) from e
    except _BROKEN as e:
        raise WebError("cannot be reached: {}".format(_reason(e)), True) from e
    done = 0
    with response:
        while done <= size:
            try:
                block = response.read(min(BLOCK, size + 1 - done))
            except _BROKEN as e:
                raise WebError("broke off the transfer: {}".format(_reason(e)), True) from e
            if not block:
                return
            done += len(block)
            progress(done)
            yield block
