"""Files of GitHub repositories over https, with time-outs short enough for a machine that has no network."""
import http.client
import socket
import ssl
import textwrap
import urllib.error
import urllib.request
from typing import Any, Callable, Iterator, Optional, Tuple
from urllib.parse import quote

RAW = "https://raw.githubusercontent.com/{origin}/{commit}/{path}"
CONNECT_S, READ_S = 4.0, 15.0
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


class _Http(http.client.HTTPConnection):
    def connect(self) -> None:
        self._create_connection = _connect
        super().connect()
        self.sock.settimeout(READ_S)


class _Https(http.client.HTTPSConnection):
    def connect(self) -> None:
        self._create_connection = _connect
        super().connect()
        self.sock.settimeout(READ_S)


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, request: Any) -> Any:
        return self.do_open(_Http, request)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: Any) -> Any:
        return self.do_open(_Https, request)


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


def blocks(url: str, progress: Callable[[int], None]) -> Iterator[bytes]:
    """The file, block by block; `progress` gets the bytes so far. Raises WebError.

    What the consumer of a block raises is its own, and passes through.
    """
    opener = urllib.request.build_opener(_HttpHandler, _HttpsHandler)
    request = urllib.request.Request(url, headers={"User-Agent": "nanoface"})
    try:
        response = opener.open(request, timeout=CONNECT_S)
    except urllib.error.HTTPError as e:
        raise WebError("answers {} {}".format(e.code, e.reason), False) from e
    except _BROKEN as e:
        raise WebError("cannot be reached: {}".format(_reason(e)), True) from e
    done = 0
    with response:
        while True:
            try:
                block = response.read(BLOCK)
            except _BROKEN as e:
                raise WebError("broke off the transfer: {}".format(_reason(e)), True) from e
            if not block:
                return
            done += len(block)
            progress(done)
            yield block
