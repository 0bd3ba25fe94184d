"""Attacks by the servers of streams, and by films: what was tried, what is refused, and that nobody else was asked."""
import contextlib
import os
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import cv2
import numpy as np
import pytest
from patience import PATIENCE_S

from edge.core.errors import SourceError
from edge.sources.choose import make_source
from edge.sources.live.rtspreplies import Replies
from edge.sources.live.stream import StreamOpener
from edge.sources.origin import Origin, Trust
from edge.sources.spec import SourceOptions

HTTP_LIST = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{}\n#EXT-X-ENDLIST\n"


class Server(socketserver.ThreadingMixIn, HTTPServer):
    """Answers each path with (status, headers, body), from `pages`; notes every request."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, pages, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.asked = pages, []
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that does not trust us leaves

    def stop(self):
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        status, headers, body = self.server.pages.get(self.path, (404, {}, b""))
        begins_at = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
        if begins_at and "Accept-Ranges" in headers:
            headers = dict(headers, **{"Content-Range": "bytes {}-{}/{}".format(begins_at, len(body) - 1, len(body))})
            status, body = 206, body[begins_at:]
        self.send_response(status)
        for name, value in dict({"Content-Length": str(len(body))}, **headers).items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """The same few pictures in two containers."""
    folder, made = tmp_path_factory.mktemp("films"), {}
    for name, code in (("film.avi", "MJPG"), ("film.ts", "mp4v"), ("film.mp4", "mp4v")):
        path = str(folder / name)
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*code), 25, (64, 48))
        for n in range(50):
            writer.write(np.full((48, 64, 3), 4 * n, np.uint8))
        writer.release()
        with open(path, "rb") as f:
            made[name] = f.read()
    return made


@pytest.fixture
def serve():
    running = []

    def start(pages, context=None):
        running.append(Server(pages, context))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def look(url, **trust):
    """Whether a picture comes. Raises what the source would show."""
    opener = StreamOpener(url, trust=Trust(**trust))
    capture = opener.open()
    try:
        return capture.grab() and capture.retrieve()[0]
    finally:
        capture.release()


def test_a_film_and_its_redirection_on_the_same_server_are_read(serve, films):
    server = serve({"/film.avi": (200, {"Content-Type": "video/x-msvideo"}, films["film.avi"])})
    server.pages["/here"] = (302, {"Location": "/film.avi"}, b"")
    for path in ("/film.avi", "/here"):
        assert look("http://127.0.0.1:{}{}".format(server.port, path))


def test_a_film_whose_table_stands_at_its_end_is_read_by_ranges(serve, films):
    film, empty = films["film.mp4"], 4 << 20  # too far to be read through
    table_at = film.index(b"moov") - 4
    assert film.index(b"mdat") < table_at
    film = film[:table_at] + struct.pack(">I4s", empty + 8, b"free") + bytes(empty) + film[table_at:]
    server = serve({"/film.mp4": (200, {"Accept-Ranges": "bytes"}, film)})
    assert look("http://127.0.0.1:{}/film.mp4".format(server.port)) and len(server.asked) > 1


SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
ELSEWHERE = {
    "a playlist": (200, {"Content-Type": "video/mp4"}, HTTP_LIST), "a playlist by its type": (
        200, {"Content-Type": "application/vnd.apple.mpegurl"}, HTTP_LIST),
    "a playlist behind a tag": (200, {}, "ID3\x04\x00\x00\x00\x00\x00\x0a" + "\0" * 10 + HTTP_LIST),
    "a script of pieces": (200, {}, "ffconcat version 1.0\nfile {}\n"), "a description of a session": (200, {}, SDP),
    "a film of pieces (DASH)": (
        200, {}, '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{}</BaseURL></MPD>'),
    "parts that describe a session": (200, {"Content-Type": "multipart/x-mixed-replace; boundary=x"}, "--x\n" + SDP),
    "a description behind a picture": (200, {}, "\xff\xd8\xff\n" + SDP),
    "a page": (200, {"Content-Type": "text/html"}, "<html>{}</html>"),
    "another server": (302, {"Location": "{}"}, ""), "another for good": (301, {"Location": "{}"}, ""),
    "a file": (302, {"Location": "file:///etc/passwd"}, ""), "the same by TLS": (307, {"Location": "https:{}"}, ""),
    "nowhere": (302, {}, ""), "a playlist with a status of its own": (699, {}, HTTP_LIST),
    "a playlist with a redirection that is none": (305, {"Location": "/live"}, HTTP_LIST),
    "a playlist in another coding": (200, {"Content-Encoding": "identity, gzip"}, "\xff\xd8\xff" + HTTP_LIST),
    "a description far behind a picture": (200, {}, "\xff\xd8\xff" + "x" * 9000 + "\n" + SDP),
    "a description far behind parts": (200, {"Content-Type": "multipart/mixed"},
                                       "--x\r\nContent-Type: image/png\r\n\r\n" + "x" * 9000 + "\n" + SDP),
}


@pytest.mark.parametrize("attack", sorted(ELSEWHERE))
def test_a_server_cannot_make_us_ask_another(serve, films, attack):
    other = serve({"/film.avi": (200, {}, films["film.avi"])})
    address = "http://127.0.0.1:{}/film.avi".format(other.port)
    status, headers, body = ELSEWHERE[attack]
    server = serve({})
    server.pages["/live"] = (status, {name: value.format(address) for name, value in headers.items()},
                             body.replace("{}", address).encode("latin-1"))
    with pytest.raises(SourceError) as caught:
        look("http://me:hunter22@127.0.0.1:{}/live".format(server.port))
    assert other.asked == [] and len(server.asked) <= 9
    assert "hunter22" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("words", ["x" * 60000, "a://" * 15000, "b://me:hunter22@" * 4000], ids=["long", "schemes", "logins"])
@pytest.mark.parametrize("page", [
    lambda words: (302, {"Location": "http://127.0.0.1:9/" + words}, b""), lambda words: (200, {"Content-Type": words}, b"x"),
    lambda words: (200, {}, "#EXTM3U\nftp://" + words)], ids=["redirection", "type", "playlist"])
def test_what_a_server_says_at_length_is_reported_in_short_and_soon(serve, page, words):
    """In the capture process, whose messages have a limited size."""
    server = serve({"/x.m3u8": page(words), "/x": page(words)})
    for path in ("/x", "/x.m3u8"):
        source = make_source(SourceOptions("http://127.0.0.1:{}{}".format(server.port, path), process="child"))
        began = time.process_time()
        with pytest.raises(SourceError) as refused:
            source.open()
        assert len(str(refused.value)) < 2000 and "hunter" not in str(refused.value) and time.process_time() - began < 10.0


def test_a_playlist_that_is_named_as_one_is_read_with_what_it_names(serve, films):
    other = serve({"/film.ts": (200, {}, films["film.ts"])})
    server = serve({"/near.ts": (200, {}, films["film.ts"])})
    for name, piece in (("/near.m3u8", "near.ts"), ("/far.m3u8", "http://127.0.0.1:{}/film.ts".format(other.port))):
        server.pages[name] = (200, {"Content-Type": "application/vnd.apple.mpegurl"}, HTTP_LIST.format(piece).encode())
        assert look("http://127.0.0.1:{}{}".format(server.port, name)), name
    assert other.asked


@pytest.mark.parametrize("listed", ["file:///etc/passwd", "http:127.0.0.1/x.ts", "data:text/plain,x", "concat:a.ts|b.ts",
                                    "a.ts\n#EXT-X-KEY:METHOD=AES-128,URI=\"http:/127.0.0.1/key\""])
def test_a_playlist_that_names_files_is_refused(serve, listed):
    server = serve({"/x.m3u8": (200, {}, HTTP_LIST.format(listed).encode())})
    with pytest.raises(SourceError, match="another address"):
        look("http://127.0.0.1:{}/x.m3u8".format(server.port))


@pytest.mark.parametrize("name, text", [("film.mp4", HTTP_LIST), ("x.mkv", SDP), ("film", "\n\n#EXTM3U\n{}"), (
    "film.avi", "ffconcat version 1.0\nfile b.avi\n"), ("film.ts", "ID3\x04\0\0\0\0\0\0#EXTM3U\n{}\n")])
def test_a_film_that_is_a_list_of_others_is_refused(tmp_path, serve, films, name, text):
    other = serve({"/film.avi": (200, {}, films["film.avi"])})
    (tmp_path / "b.avi").write_bytes(films["film.avi"])
    path = tmp_path / name
    path.write_text(text.replace("{}", "http://127.0.0.1:{}/film.avi".format(other.port)))
    with pytest.raises(SourceError, match="list of other files"):
        make_source(SourceOptions(str(path))).open()
    assert other.asked == []


# TLS: certificates made on the spot
def made_by_openssl(folder, name, names, signer=None):
    key, certificate = str(folder / (name + ".key")), str(folder / (name + ".pem"))
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
           "-subj", "/CN=" + name]
    extension = folder / (name + ".ext")
    extension.write_text("subjectAltName={}\n".format(names))
    if signer is None:
        subprocess.check_call(new + ["-x509", "-days", "2", "-out", certificate, "-addext", "subjectAltName=" + names],
                              stderr=subprocess.DEVNULL)
        return key, certificate
    request = str(folder / (name + ".csr"))
    subprocess.check_call(new + ["-out", request], stderr=subprocess.DEVNULL)
    subprocess.check_call(["openssl", "x509", "-req", "-in", request, "-CA", signer[1], "-CAkey", signer[0], "-CAcreateserial",
                           "-days", "2", "-extfile", str(extension), "-out", certificate], stderr=subprocess.DEVNULL)
    return key, certificate


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = made_by_openssl(folder, "authority", "DNS:authority")
    return {"authority": authority, "self-signed": made_by_openssl(folder, "selfsigned", "IP:127.0.0.1"),
            "signed": made_by_openssl(folder, "signed", "IP:127.0.0.1,DNS:localhost", authority),
            "another's": made_by_openssl(folder, "another", "DNS:bank.example", authority)}


def tls(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair[1], pair[0])
    return context


@pytest.mark.parametrize("certificate, trusted, how, works", [
    ("self-signed", None, "verify", False), ("signed", None, "verify", False), ("another's", "authority", "verify", False),
    ("signed", "authority", "verify", True), ("self-signed", "self-signed", "verify", True),
    ("self-signed", None, "insecure", True), ("another's", "authority", "insecure", True),
])
@pytest.mark.parametrize("scheme", ["https", "rtsps"])
@pytest.mark.parametrize("by", ["ca_file", "SSL_CERT_FILE"])
def test_a_certificate_is_verified(serve, films, certificates, monkeypatch, scheme, certificate, trusted, how, works, by):
    context = tls(certificates[certificate])
    if scheme == "https":
        server = serve({"/film.avi": (200, {}, films["film.avi"])}, context)
    else:
        server = RtspCamera(films["film.ts"], context)
    url = "{}://me:hunter22@127.0.0.1:{}/film.avi".format(scheme, server.port)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    named = certificates[trusted][1] if trusted else None
    if named and by == "SSL_CERT_FILE":
        monkeypatch.setenv("SSL_CERT_FILE", named)
    trust = {"tls": how, "ca_file": named if by == "ca_file" else None}
    try:
        if works:
            assert look(url, **trust)
            return
        with pytest.raises(SourceError, match=r"is not trusted \(.+\): .*source.ca_file, or set source.tls: insecure"):
            look(url, **trust)
        assert server.asked == []
    finally:
        if scheme == "rtsps":
            server.stop()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_no_certificate_is_one_line(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SourceError, match="source.ca_file .*ca.pem cannot be used"):
        look("https://127.0.0.1:9/x", ca_file=str(path))


class RtspCamera:
    """A camera that sends a transport stream on its RTSP connection; or answers every request with `instead`."""

    def __init__(self, film, context=None, instead=None):
        self._film, self._context, self._instead = film, context, instead
        self.asked = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(8)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection):
        with contextlib.suppress(OSError):
            connection.settimeout(PATIENCE_S)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            requests = connection.makefile("rb")
            while True:
                head = list(iter(lambda: requests.readline().strip(), b""))
                if not head:
                    break
                self.asked.append(head[0])
                sequence = next(line for line in head if line.startswith(b"CSeq"))
                connection.sendall(self._reply(head[0].split()[0], sequence))
                if head[0].startswith(b"PLAY"):
                    self._play(connection)
                    break
        connection.close()

    def _reply(self, method, sequence):
        if self._instead is not None:
            return self._instead.replace(b"CSEQ", sequence)
        body, more = b"", b""
        if method == b"DESCRIBE":
            body = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track1\r\n"
            more = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n" % len(body)
        if method == b"SETUP":
            more = b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 12345\r\n"
        if method == b"OPTIONS":
            more = b"Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
        return b"RTSP/1.0 200 OK\r\n" + sequence + b"\r\n" + more + b"\r\n" + body

    def _play(self, connection):
        size = 7 * 188
        for n, at in enumerate(range(0, len(self._film), size)):
            packet = struct.pack(">BBHII", 0x80, 33, n, 3600 * n, 7) + self._film[at:at + size]
            connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)


def test_pictures_of_rtsp_come_through(films):
    camera = RtspCamera(films["film.ts"])
    try:
        assert look("rtsp://me:hunter22@127.0.0.1:{}/live".format(camera.port))
    finally:
        camera.stop()
    assert camera.asked[-1].startswith((b"PLAY", b"TEARDOWN"))


@pytest.mark.parametrize("head", [
    b"RTSP/1.0 302 Moved\r\nCSEQ\r\nLocation: OTHER\r\n\r\n", b"RTSP/1.0 0302 x\r\nCSEQ\r\nLocation: OTHER\r\n\r\n",
    b"RTSP/1.0 301 x\nCSEQ\nLocation: OTHER\n\n\r\n\r\n", b"RTSP/9 +302 x\r\nCSEQ\r\nLocation: OTHER\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Length: 90\r\nContent-Length: 0\r\n\r\n"
    b"RTSP/1.0 302 x\r\nCSEQ\r\nLocation: OTHER\r\n\r\n",
    b"RTSP/1.0 200 OK\r\n$\0\0\x04\r\nCSEQ\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Length : 90\r\n\r\nRTSP/1.0 302 x\r\nCSEQ\r\nLocation: OTHER\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Length: 1_0\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSEQ\r\nContent-Length: -30\r\n\r\n",
    b" RTSP/1.0 302 x\r\nCSEQ\r\nLocation: OTHER\r\n\r\n", b"\r\nRTSP/1.0 302 x\r\nCSEQ\r\nLocation: OTHER\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSEQ\r\n\r\r\nRTSP/1.0 302 x\r\nCSEQ\r\nLocation: OTHER\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSEQ\r\n\0\r\nRTSP/1.0 302 x\r\nCSEQ\r\nLocation: OTHER\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSEQ\r\nX: $\0\xff\xff\r\nContent-Length: -8\r\n\r\n"
    b"RTSP/1.0 302 x\r\nCSEQ\r\nLocation: OTHER\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSEQ\r\nTransport: RTP/AVP;unicast;source=10.9.9.9;server_port=9-10\r\n\r\n",
])
def test_an_rtsp_server_cannot_send_us_on(films, head):
    other = RtspCamera(films["film.ts"])
    address = "rtsp://127.0.0.1:{}/live".format(other.port).encode()
    camera = RtspCamera(b"", instead=head.replace(b"OTHER", address))
    try:
        with pytest.raises(SourceError):
            look("rtsp://me:hunter22@127.0.0.1:{}/live".format(camera.port))
    finally:
        camera.stop()
        other.stop()
    assert other.asked == [] and camera.asked


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
def test_replies_pass_as_they_are_in_whatever_pieces(piece):
    said = b"RTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc$\0\0\x05RTSP/RTSP/1.0 401 Unauthorized\r\n\r\n$\1\0\0"
    replies = Replies(Origin("rtsp", "h", 554))
    assert b"".join(replies.checked(said[at:at + piece]) for at in range(0, len(said), piece)) == said


def test_a_password_that_cuts_the_address_is_one_line_with_the_cure():
    with pytest.raises(SourceError, match="%2F") as caught:
        look("rtsp://me:hunt/er22@cam/live")
    assert "er22" not in str(caught.value)
    assert os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS") is None
