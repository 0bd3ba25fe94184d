"""A backend that is a process of its own (edge/sources/child/child.py): a driver that hangs or crashes does so there.

The two share a socket that keeps messages apart: requests one way, events and the places of pictures the other way.
Pictures lie in a ring of shared memory, copied in once and out once, which on a PC takes less than a tenth of what decoding
one takes. The process is started with the first opening, which the pipeline does before any network is opened; again only
when it was killed, by a fork that turns into another program at once and so never touches the parent's CUDA.
"""
import pickle
import select
import socket
import subprocess
import threading
from typing import Any, Dict, List, Optional

from edge.core import clock
from edge.core.errors import SourceError
from edge.host.child.start import how_ended, start
from edge.host.ring import RingReader, shared_file
from edge.sources.child.child import DAMAGED, FAILED, FRAME, OPEN, OPENED, OPENING, PREPARING, RELEASE, RELEASED
from edge.sources.child.printed import CameraLines
from edge.sources.live.backend import MAX_HUNG, CaptureBackend, Picture
from edge.sources.live.device import Opener, Timeouts
from edge.sources.picture import FrameTransform

MODULE = "edge.sources.child.child"
LARGEST_MESSAGE = 1 << 16
START_S = 10.0  # for a process to load what it needs, from a slow card
REAP_S = 0.2  # a killed process that is still there later hangs in the kernel
END_S = 0.9  # for a process to end by itself; it gives its device 0.7 s
ENDED = "the capture process of {} has ended ({})"


class ChildBackend(CaptureBackend):
    """The parent's end. A process that does not release its device in time is killed, and the next opening starts another."""

    def __init__(self, opener: Opener, transform: FrameTransform, timeouts: Timeouts) -> None:
        self._opener, self._transform, self._timeouts = opener, transform, timeouts
        self._lock = threading.Lock()  # close() against all others
        self._process: Optional["subprocess.Popen[bytes]"] = None
        self._link: Optional[socket.socket] = None
        self._printed: Optional[CameraLines] = None
        self._unreaped: List["subprocess.Popen[bytes]"] = []
        self._file = self._ring = None  # type: Any
        self._request = 0
        self._open = False  # OPEN was sent, and no RELEASE
        self._held = False  # the process has or may have the device
        self._gave_up_at = 0.0
        self._base = self._number = 0  # of this opening's first picture; of the next one
        self._waiting: Optional[Dict[str, Any]] = None  # the message of the newest picture
        self._closed = False

    @property
    def pid(self) -> Optional[int]:
        return None if self._process is None else self._process.pid

    @property
    def hung(self) -> int:  # type: ignore
        self._unreaped = [p for p in self._unreaped if p.poll() is None]
        return len(self._unreaped)

    def begin(self) -> None:
        with self._lock:
            if self._closed:
                return
            self.error, self.damaged, self.began_at, self.preparing = None, 0, clock.monotonic(), False
            self._request, self._base, self._waiting = self._request + 1, self._number, None
            if self._printed is not None:
                self._printed.forget()
            self._open = self._held = True
            if self._process is None:
                self.began_at += START_S
                self._start()
            self._send(OPEN, opener=self._opener, transform=self._transform, timeouts=self._timeouts)

    def fetch(self, timeout_s: float) -> Optional[Picture]:
        with self._lock:
            if self._closed:
                return None
            self._receive(timeout_s)
            message, self._waiting = self._waiting, None
            if message is None or not self._open:
                return None
            image = self._ring.take(message)
            return None if image is None else Picture(
                self._base + message["number"], message["captured_at"], image, tuple(message["size"]), message["worked_s"])

    def give_up(self) -> None:
        with self._lock:
            if self._open and not self._closed:
                self._open, self._gave_up_at = False, clock.monotonic()
                self._send(RELEASE)

    def ready(self) -> bool:
        with self._lock:
            self._receive(0.0)
            if self._held and clock.monotonic() - self._gave_up_at > self._timeouts.answer_s:
                self._kill()
            return not self._held and self.hung < MAX_HUNG

    def printed_reason(self) -> str:
        with self._lock:
            return "" if self._printed is None else self._printed.reason()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._link is not None:
                self._link.close()  # which ends the process
                self._link = None
            process, self._process = self._process, None
            if process is not None:
                try:
                    process.wait(END_S)
                except subprocess.TimeoutExpired:
                    self._end(process)
            if self._file is not None:
                self._ring.close()
                self._file.close()
                self._file = None
            if self._printed is not None:
                self._printed.close()
                self._printed = None

    def _start(self) -> None:
        if self._file is None:
            self._file = shared_file()
            self._ring = RingReader(self._file.fileno())
        if self._printed is not None:
            self._printed.close()
        self._printed = CameraLines()
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.setblocking(False)
        try:
            self._process = start(MODULE, (theirs.fileno(), self._file.fileno()), self._printed)
        except OSError as e:
            self._failed(SourceError("the capture process of {} cannot be started: {}".format(
                self._opener.name, e.strerror)))
            self._hang_up()
        finally:
            theirs.close()

    def _send(self, kind: str, **more: Any) -> None:
        if self._link is None:
            return
        try:
            self._link.send(pickle.dumps(dict(more, kind=kind, request=self._request), 2))
        except OSError:
            pass  # it has ended, as _receive() will notice; or it does not answer, and will be killed

    def _receive(self, timeout_s: float) -> None:
        """Handle all messages that came; waits for the first one only."""
        if self._printed is not None:
            self._printed.take()
        while self._link is not None:
            if not select.select([self._link], [], [], timeout_s)[0]:
                return
            timeout_s = 0.0
            try:
                data = self._link.recv(LARGEST_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._gone()
                return
            self._handle(pickle.loads(data))

    def _handle(self, message: Dict[str, Any]) -> None:
        if message["request"] != self._request:
            return
        kind = message["kind"]
        if kind in (FRAME, DAMAGED):
            self._number = self._base + message["number"] + 1
            if kind == FRAME:
                self._waiting = message
            else:
                self.damaged += 1
        elif kind == PREPARING:
            self.preparing, self.began_at = True, clock.monotonic()
        elif kind == OPENING:
            now = clock.monotonic()
            self.preparing, self.began_at = False, now if self.preparing else min(self.began_at, now)
        elif kind == OPENED:
            self._opener.fps, self._opener.notes = message["fps"], message["notes"]
        elif kind == FAILED:
            self._failed(message["error"])
        elif kind == RELEASED:
            self._held = False

    def _failed(self, error: SourceError) -> None:
        if self._open and self.error is None:
            self.error = error

    def _gone(self) -> None:
        """Its end of the socket is closed: it has ended, or is just about to."""
        process = self._process
        self._hang_up()
        if process is None:
            return
        self._end(process)
        self._failed(SourceError(ENDED.format(self._opener.name, how_ended(process.returncode))))

    def _kill(self) -> None:
        process = self._process
        self.killed += 1
        self._hang_up()
        if process is not None:
            self._end(process)

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = self._process = None
        self._held = False

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            process.wait(REAP_S / 2)
        except subprocess.TimeoutExpired:
            process.kill()
        try:
            process.wait(REAP_S)
        except subprocess.TimeoutExpired:
            self._unreaped.append(process)
