"""Network streams: a real server over HTTP, lost and found again; FFmpeg's options; passwords."""
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

import cv2
import numpy as np
import pytest
from patience import PATIENCE_S, stretch

from edge.core.errors import SourceError
from edge.sources.live.source import LiveSource
from edge.sources.live.stream import OPTIONS, STREAM_TIMEOUTS, StreamOpener, ffmpeg_options
from edge.sources.picture import FrameTransform
from edge.sources.spec import SourceOptions


class Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    running = True


class MotionJpeg(BaseHTTPRequestHandler):
    """Thirty pictures a second as multipart/x-mixed-replace, as network cameras send them."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", np.full((96, 128, 3), 120, np.uint8))[1].tobytes()
        try:
            while self.server.running:
                head = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                self.wfile.write(head + jpeg + b"\r\n")
                time.sleep(1 / 30.0)
        except OSError:
            pass

    def log_message(self, *_):
        pass


def serve(port=0):
    server = Server(("127.0.0.1", port), MotionJpeg)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def stop(server):
    server.running = False
    server.shutdown()
    server.server_close()


def first(source, condition):
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        frame = source.read(0.1)
        if condition(frame):
            return frame
    raise AssertionError("it never came")


def test_a_stream_is_read_lost_and_found_again():
    server = serve()
    port = server.server_address[1]
    timeouts = STREAM_TIMEOUTS._replace(silence_s=0.3 * stretch(), retry_s=0.05, retry_max_s=0.2)
    opener = StreamOpener("http://127.0.0.1:{}/video.mjpg".format(port))
    source = LiveSource(opener, FrameTransform(SourceOptions(width=64), True), timeouts)
    try:
        source.open()
        before = first(source, lambda frame: frame is not None)
        assert before.image.shape == (48, 64, 3) and abs(int(before.image[20, 20, 0]) - 120) < 4
        stop(server)
        first(source, lambda frame: frame is None and source.lost_since is not None)
        server = serve(port)
        after = first(source, lambda frame: frame is not None)
        assert after.seq > before.seq and source.lost_since is None
    finally:
        source.close()
        stop(server)
    assert OPTIONS not in os.environ


def test_a_server_that_is_not_there(capfd):
    server = serve()
    port = server.server_address[1]
    stop(server)
    opener = StreamOpener("http://me:secret@127.0.0.1:{}/x".format(port))
    source = LiveSource(opener, FrameTransform(SourceOptions(), True), STREAM_TIMEOUTS)
    with pytest.raises(SourceError, match="is the server running") as error:
        source.open()
    assert "secret" not in str(error.value) and capfd.readouterr().err == ""


@pytest.mark.parametrize("url, avformat, options", [
    ("rtsp://h/s", "58.31.101", "rtsp_transport;tcp|stimeout;5000000"),
    ("rtsp://h/s", "59.27.100", "rtsp_transport;tcp|timeout;5000000"),
    ("RTSPS://h/s", "61.1.100", "rtsp_transport;tcp|timeout;5000000"),
    ("rtsp://h/s", "", "rtsp_transport;tcp|stimeout;5000000"),
    ("http://h/s", "59.27.100", "rw_timeout;5000000"),
])
def test_the_time_out_goes_by_the_name_that_this_ffmpeg_knows(url, avformat, options):
    information = "      avformat:                  YES ({})\n".format(avformat) if avformat else ""
    assert ffmpeg_options(url, information) == options


def fake(seen):
    class Capture:
        def __init__(self, url, api):
            seen.append(os.environ.get(OPTIONS))

        def isOpened(self):
            return True

        def get(self, _):
            return 25.0
    return Capture


@pytest.mark.parametrize("users, during", [(None, "rtsp_transport;tcp|"), ("rtsp_transport;udp", "rtsp_transport;udp")])
def test_the_environment_is_as_before_and_the_users_options_win(monkeypatch, users, during):
    if users is None:
        monkeypatch.delenv(OPTIONS, raising=False)
    else:
        monkeypatch.setenv(OPTIONS, users)
    seen = []
    StreamOpener("rtsp://h/s", fake(seen)).open()
    assert seen[0].startswith(during) and os.environ.get(OPTIONS) == users
