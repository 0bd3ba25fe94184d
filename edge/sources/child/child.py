"""The process that reads one live device; edge/sources/child/parent.py starts it and describes their messages.

A driver that hangs blocks this process and nothing else. The device is released at the parent's request, and when the
other end of the socket is closed; the next one is opened in the same process.
"""
import os
import pickle
import queue
import signal
import socket
import sys
import threading
from typing import Any, Dict, List, Optional, Tuple

import cv2
import numpy as np

from edge.core.errors import SourceError
from edge.host.process import follow_parent
from edge.host.ring import RingWriter
from edge.host.waiting import Event
from edge.sources.live.device import Opener, Reader, Timeouts
from edge.sources.picture import FrameTransform

RELEASE_S = 0.7  # for the device to be released when the parent is gone
LARGEST_MESSAGE = 1 << 16
SEND_S = 5.0  # a message that the other end does not receive within this is dropped
OPEN, RELEASE = "open", "release"  # what the parent sends
# what the child sends
PREPARING, OPENING, OPENED, FAILED, RELEASED = "preparing", "opening", "opened", "failed", "released"
FRAME, DAMAGED = "frame", "damaged"  # the same, for each picture


class OpenRequest:
    """A device to be opened, and read until `over` is set."""

    def __init__(self, number: int, opener: Opener, transform: FrameTransform, timeouts: Timeouts) -> None:
        self.number, self.opener, self.transform, self.timeouts = number, opener, transform, timeouts
        self.over = Event()


class Child:
    """The main thread reads the device, where it may hang; another one receives requests, and ends the process if it must."""

    def __init__(self, link: socket.socket, ring: RingWriter) -> None:
        self._link, self._ring = link, ring
        self._requests: "queue.Queue[Optional[OpenRequest]]" = queue.Queue()
        self._current: Optional[OpenRequest] = None
        self._done = Event()
        self._may_hold = True  # a device that must be released
        self._number = 0

    def run(self) -> None:
        """Serve requests until the other end is closed."""
        threading.Thread(target=self._receive_all, name="listen", daemon=True).start()
        try:
            for request in iter(self._requests.get, None):
                self._serve(request)
        finally:
            self._done.set()

    def _serve(self, request: OpenRequest) -> None:
        self._number = 0
        if request.opener.preparation:
            self._send(PREPARING, request)
            self._may_hold = False
            request.opener.prepare()
            self._may_hold = True
        self._send(OPENING, request)
        try:
            capture = request.opener.open()
            try:
                self._send(OPENED, request, fps=request.opener.fps, notes=list(request.opener.notes))
                reader: Reader = Reader(request.opener, request.transform, request.timeouts,
                                        lambda at, image, size: self._frame(request, reader, at, image, size))
                reader.run(capture, request.over)
            finally:
                capture.release()
        except SourceError as e:
            self._send(FAILED, request, error=e)
        self._send(RELEASED, request)

    def _frame(self, request: OpenRequest, reader: Reader, captured_at: float, image: Optional[np.ndarray],
               size: Tuple[int, int]) -> None:
        message = {"kind": DAMAGED, "request": request.number, "number": self._number}
        self._number += 1
        if image is not None:
            message.update(self._ring.put(image), kind=FRAME, captured_at=captured_at, size=size,
                           worked_s=reader.worked_s)
        try:
            os.write(self._link.fileno(), pickle.dumps(message, 2))  # does not wait, as the socket has a time-out
        except OSError:
            pass  # the other end is busy with something else, and will want the next one; or it is gone

    def _send(self, kind: str, request: OpenRequest, **more: Any) -> None:
        try:
            self._link.send(pickle.dumps(dict(more, kind=kind, request=request.number), 2))
        except OSError:
            pass  # closed, as the receiving thread has noticed; or not read for SEND_S

    def _receive_all(self) -> None:
        """Whatever ends this thread ends the process."""
        try:
            for data in iter(self._next_message, b""):
                self._receive(pickle.loads(data))
        finally:
            if self._current is not None:
                self._current.over.set()
            self._requests.put(None)
            if not self._done.wait(RELEASE_S if self._may_hold else 0.0):
                os._exit(1)

    def _next_message(self) -> bytes:
        """b"" once the other end is closed."""
        while True:
            try:
                return self._link.recv(LARGEST_MESSAGE)
            except socket.timeout:
                continue
            except OSError:
                return b""

    def _receive(self, message: Dict[str, Any]) -> None:
        if message["kind"] == OPEN:
            self._current = OpenRequest(message["request"], message["opener"], message["transform"], message["timeouts"])
            self._requests.put(self._current)
        elif self._current is not None and self._current.number == message["request"]:
            self._current.over.set()


def main(argv: List[str]) -> int:
    """`argv`: descriptors of the socket and the ring, the parent's process number."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the parent, which closes the socket
        signal.signal(number, signal.SIG_IGN)
    # a stopped process continues when the parent ends, and finds the socket closed; killed at once it would leave the sensor
    # locked in the board's camera daemon
    follow_parent(int(argv[2]), signal.SIGCONT)
    cv2.setNumThreads(1)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, int(argv[0]))
    link.settimeout(SEND_S)
    Child(link, RingWriter(int(argv[1]))).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
