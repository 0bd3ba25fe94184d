"""Between FFmpeg and the server of a stream: FFmpeg connects to 127.0.0.1 alone, and this connects to the server.

The server's certificate is verified here: the FFmpeg in OpenCV's packages checks none by default, some versions never the
host name, and OpenCV 4.11.0 passes no option on to it. A server that leads elsewhere is refused, whether by a
redirection or by a playlist, in the very answer that FFmpeg gets.
"""
import http.client
import re
import select
import socket
import ssl
import threading
from itertools import chain
from typing import Any, Dict, List
from urllib.parse import urljoin, urlsplit, urlunsplit

from edge.core.errors import SourceError
from edge.sources.live.rtspreplies import Replies
from edge.sources.origin import ELSEWHERE, PORTS, Origin, Trust, shown
from edge.sources.playlist import HEAD_BYTES, Rest, is_film, is_playlist

LOOPBACK = "127.0.0.1"
SILENCE_S = 5.0  # after which a server counts as lost
PIECE = LONGEST_HEAD = 1 << 16
LONGEST_LIST = 1 << 20
MOST_OTHERS = 8  # servers that a playlist may name: each is a port and a thread
LISTS = (".m3u8", ".m3u")
PASSED = ("content-type", "content-range", "accept-ranges", "www-authenticate", "set-cookie")
REDIRECTIONS = (301, 302, 303, 307, 308)  # that FFmpeg follows; it takes the answer of any other for a film
OTHER_SCHEME = re.compile(r"(?:^|URI=\"?)[ \t]*(?!https?://)[A-Za-z][A-Za-z0-9+.-]*:", re.MULTILINE | re.IGNORECASE)
FAULTS = (OSError, ValueError, http.client.HTTPException)  # of a server, or of FFmpeg that has closed


class Tunnel:
    """Serves one server's addresses on a port of this machine alone, in threads of its own, until close()."""

    def __init__(self, origin: Origin, trust: Trust, playlists: bool = False) -> None:
        """`playlists`: those are allowed, and what they name goes through tunnels too. Raises SourceError."""
        self._origin, self._trust, self._playlists = origin, trust, playlists
        self._context = trust.context() if origin.scheme in ("https", "rtsps") else None
        self.trouble = ""  # why the server was refused
        self._others: Dict[Origin, "Tunnel"] = {}
        self._open: List[socket.socket] = []
        self._lock = threading.Lock()
        self._closed = False
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind((LOOPBACK, 0))
        self._listener.listen(8)
        threading.Thread(target=self._accept, name="tunnel", daemon=True).start()

    def url(self, url: str) -> str:
        """Of the same server, as FFmpeg is to open it."""
        parts = urlsplit(url)
        scheme = "rtsp" if self._origin.scheme.startswith("rtsp") else "http"
        login = parts.netloc.rpartition("@")[0]
        netloc = "{}{}:{}".format(login + "@" if login else "", LOOPBACK, self._listener.getsockname()[1])
        return urlunsplit(parts._replace(scheme=scheme, netloc=netloc))

    def close(self) -> None:
        """Waits for nothing. May be called twice."""
        with self._lock:
            self._closed = True
            others, held = list(self._others.values()), list(self._open)
        for one in held + [self._listener]:
            _shut(one)
        for other in others:
            other.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                self._listener.close()
                return
            if not self._keep(client):
                return
            threading.Thread(target=self._serve, args=(client,), name="tunnel", daemon=True).start()

    def _keep(self, one: socket.socket) -> bool:
        """False, and the socket is closed, after close()."""
        with self._lock:
            if not self._closed:
                self._open.append(one)
                return True
        one.close()
        return False

    def _serve(self, client: socket.socket) -> None:
        try:
            client.settimeout(SILENCE_S)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._origin.scheme.startswith("rtsp"):
                self._relay_rtsp(client)
            else:
                self._answer(client)
        except SourceError as e:
            self.trouble = str(e)
        except (ssl.SSLError, ssl.CertificateError) as e:
            self.trouble = self._trust.refusal(self._origin, e)
        except FAULTS:
            pass  # FFmpeg sees the connection end
        finally:
            _shut(client)
            client.close()
            with self._lock:
                self._open.remove(client)

    def _connect(self) -> socket.socket:
        server: socket.socket = socket.create_connection((self._origin.host, self._origin.port), SILENCE_S)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            try:
                server = self._context.wrap_socket(server, server_hostname=self._origin.host)
            except (OSError, ValueError):
                server.close()
                raise
        if not self._keep(server):
            raise ConnectionError("closed")
        return server

    def _relay_rtsp(self, client: socket.socket) -> None:
        """RTSP, in both directions."""
        server, replies = self._connect(), Replies(self._origin)
        try:
            while True:
                waiting = isinstance(server, ssl.SSLSocket) and server.pending() > 0
                ready = [server] if waiting else select.select([client, server], [], [], None)[0]
                for one in ready:
                    data = one.recv(PIECE)
                    if not data:
                        return
                    (client if one is server else server).sendall(replies.checked(data) if one is server else data)
        finally:
            self._release(server)

    def _release(self, server: socket.socket) -> None:
        server.close()
        with self._lock:
            self._open.remove(server)

    def _answer(self, client: socket.socket) -> None:
        """HTTP: one request and its answer."""
        lines = _head(client).decode("latin-1").split("\r\n")
        method, path = lines[0].split(" ")[:2]
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        headers.pop("Host", None)
        connection = http.client.HTTPConnection(self._origin.shown, self._origin.port)
        connection.sock = self._connect()
        server: Any = connection.sock
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in dict(headers, Connection="close").items():
                connection.putheader(name, value)
            connection.endheaders()
            self._pass(client, path, headers.get("Range", ""), connection.getresponse())
        finally:
            self._release(server)

    def _pass(self, client: socket.socket, path: str, range_: str, response: http.client.HTTPResponse) -> None:
        """Raises SourceError for an answer that leads elsewhere, or is no film."""
        here = "{}://{}:{}".format(self._origin.scheme, self._origin.shown, self._origin.port)
        headers = ["{}: {}".format(name, " ".join(value.split())) for name, value in response.getheaders()
                   if name.lower() in PASSED]
        if not 200 <= response.status < 300:
            headers += self._no_film(here + path, response)
            client.sendall(_answer_head(response.status, headers + ["Content-Length: 0"]))
            return
        first = self._checked_head(here + path, response) if range_ in ("", "bytes=0-") else b""
        length = response.getheader("Content-Length")
        if self._playlists and first.startswith(b"#EXTM3U"):
            first = self._rewritten(here + path, first + response.read(LONGEST_LIST))
            length = str(len(first))
        headers += ["Content-Length: " + length] if length is not None and not response.chunked else []
        client.sendall(_answer_head(response.status, headers))
        rest = Rest()
        for data in chain([first], iter(lambda: response.read1(PIECE), b"")):
            if not self._playlists and rest.is_list(data):
                raise _list_refused(here + path)
            client.sendall(data)

    def _no_film(self, url: str, response: http.client.HTTPResponse) -> List[str]:
        """Headers for a redirection on the same server, or none for an error status; never a body."""
        if 400 <= response.status < 600:
            return []
        if response.status not in REDIRECTIONS:
            raise SourceError("{} answers with the status {}, which is no film".format(shown(url), response.status))
        target = urljoin(url, response.getheader("Location") or "")
        if urlsplit(target).scheme not in PORTS or Origin.of(target) != self._origin:
            more = ": if it is right, name it as the source, " + shown(target)
            raise SourceError(ELSEWHERE.format(urlunsplit(urlsplit(url)._replace(path="", query="")), more))
        return ["Location: " + urlunsplit(urlsplit(target)._replace(scheme="", netloc=""))]

    def _checked_head(self, url: str, response: http.client.HTTPResponse) -> bytes:
        """The answer's beginning."""
        first = b""
        while len(first) < HEAD_BYTES:
            piece = response.read1(HEAD_BYTES)
            first += piece
            if not piece or (len(first) >= 64 and b"\r\n\r\n" in first):  # the first part of a multipart stream is there
                break
        kind = response.getheader("Content-Type") or ""
        coding = (response.getheader("Content-Encoding") or "identity").strip().lower()
        if coding != "identity":
            raise SourceError("{} answers with what is packed ({}), which was not asked for".format(shown(url), shown(coding)))
        listed = is_playlist(first) and not (self._playlists and first.startswith((b"#EXTM3U", b"ID3")))
        if is_film(first, kind) or (self._playlists and not listed):
            return first
        if listed or "mpegurl" in kind.lower():
            raise _list_refused(url)
        raise SourceError("{} answers with {}, which is no film and no stream of pictures".format(
            shown(url), shown(kind) or "something"))

    def _rewritten(self, url: str, text: bytes) -> bytes:
        """Every address of a playlist, as one of ours."""
        def ours(found: "re.Match[str]") -> str:
            target = urljoin(url, found.group())
            if urlsplit(target).scheme not in ("http", "https"):
                raise SourceError(ELSEWHERE.format(shown(url), ": " + shown(target)))
            return self._other(Origin.of(target)).url(target)
        lines = re.sub(r"(?:[A-Za-z][A-Za-z0-9+.-]{0,20}:)?//[^\s\",]+", ours, text.decode("utf-8", "replace"))
        other = OTHER_SCHEME.search(lines)
        if other is not None:
            raise SourceError(ELSEWHERE.format(shown(url), " (" + shown(other.group().strip()) + ")"))
        return lines.encode("utf-8")

    def _other(self, origin: Origin) -> "Tunnel":
        if origin == self._origin:
            return self
        with self._lock:
            if origin not in self._others:
                if len(self._others) >= MOST_OTHERS:
                    raise SourceError("{} names more than {} other servers".format(self._origin.shown, MOST_OTHERS))
                self._others[origin] = Tunnel(origin, self._trust, playlists=True)
            return self._others[origin]


def _head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(PIECE)
        if not data or len(head) > LONGEST_HEAD:
            raise ConnectionError("no request")
        head += data
    return head[:head.index(b"\r\n\r\n")]


def _answer_head(status: int, lines: List[str]) -> bytes:
    return "HTTP/1.1 {} Answer\r\n{}\r\n\r\n".format(status, "\r\n".join(lines + ["Connection: close"])).encode("latin-1")


def _list_refused(url: str) -> SourceError:
    return SourceError("{} answers with a list of other addresses, which are not opened: name a playlist (.m3u8) as the "
                       "source to have that".format(shown(url)))


def _shut(one: socket.socket) -> None:
    try:
        socket.socket.shutdown(one, socket.SHUT_RDWR)  # of one with TLS, too, which may be in use by its thread
    except OSError:
        pass  # closed already


def through(url: str, trust: Trust) -> Tunnel:
    """Raises SourceError."""
    return Tunnel(server_of(url), trust, is_list(url))


def server_of(url: str) -> Origin:
    """Raises SourceError."""
    try:
        return Origin.of(url)
    except ValueError:  # its text may hold a part of a password
        cure = "write / ? # @ and blanks in a password as %2F %3F %23 %40 %20"
        raise SourceError("{} is no address: {}".format(shown(url), cure)) from None


def is_list(url: str) -> bool:
    """Whether this address names a playlist, so that the user wants one."""
    return urlsplit(url).path.lower().endswith(LISTS)
