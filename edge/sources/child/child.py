"""The process that reads one live device; edge/sources/child/parent.py starts it and says what the two tell each other.

A driver that hangs takes this process with it and nothing else. It lets go of the device when it is told to, and when the
other end of the socket is gone; it opens the next one without being started anew.
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

LET_GO_S = 0.7  # for the device to be released when nobody is left who wants its pictures
LARGEST_ORDER = 1 << 16
TOLD_WITHIN_S = 5.0  # a word that the other end does not take for so long is lost
OPEN, RELEASE = "open", "release"  # what the parent says
# what the child says
PREPARING, OPENING, OPENED, FAILED, RELEASED = "preparing", "opening", "opened", "failed", "released"
FRAME, DAMAGED = "frame", "damaged"  # the same, for each picture


class Order:
    """One device to be opened, until it is to be let go of."""

    def __init__(self, number: int, opener: Opener, shape: FrameTransform, timeouts: Timeouts) -> None:
        self.number, self.opener, self.shape, self.timeouts = number, opener, shape, timeouts
        self.over = Event()


class Child:
    """The main thread works with the device, where it may hang; another one listens, and ends the process if it must."""

    def __init__(self, link: socket.socket, ring: RingWriter) -> None:
        self._link, self._ring = link, ring
        self._orders: "queue.Queue[Optional[Order]]" = queue.Queue()
        self._current: Optional[Order] = None
        self._done = Event()
        self._may_hold = True  # a device, which is to be let go of
        self._number = 0

    def run(self) -> None:
        """Serve orders until the other end is gone."""
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        try:
            for order in iter(self._orders.get, None):
                self._serve(order)
        finally:
            self._done.set()

    def _serve(self, order: Order) -> None:
        self._number = 0
        if order.opener.preparation:
            self._tell(PREPARING, order)
            self._may_hold = False
            order.opener.prepare()
            self._may_hold = True
        self._tell(OPENING, order)
        try:
            capture = order.opener.open()
            try:
                self._tell(OPENED, order, fps=order.opener.fps, notes=list(order.opener.notes))
                reader: Reader = Reader(order.opener, order.shape, order.timeouts,
                                        lambda at, image, size: self._frame(order, reader, at, image, size))
                reader.run(capture, order.over)
            finally:
                capture.release()
        except SourceError as e:
            self._tell(FAILED, order, error=e)
        self._tell(RELEASED, order)

    def _frame(self, order: Order, reader: Reader, captured_at: float, image: Optional[np.ndarray],
               size: Tuple[int, int]) -> None:
        word = {"word": DAMAGED, "order": order.number, "number": self._number}
        self._number += 1
        if image is not None:
            word.update(self._ring.put(image), word=FRAME, captured_at=captured_at, size=size,
                        worked_s=reader.worked_s)
        try:
            os.write(self._link.fileno(), pickle.dumps(word, 2))  # does not wait, as the socket has a time-out
        except OSError:
            pass  # the other end is busy with something else, and will want the next one; or it is gone

    def _tell(self, word: str, order: Order, **more: Any) -> None:
        try:
            self._link.send(pickle.dumps(dict(more, word=word, order=order.number), 2))
        except OSError:
            pass  # the listening thread has noticed, or nobody reads for very long

    def _listen(self) -> None:
        """Whatever ends this thread ends the process."""
        try:
            for data in iter(self._next_words, b""):
                self._told(pickle.loads(data))
        finally:
            if self._current is not None:
                self._current.over.set()
            self._orders.put(None)
            if not self._done.wait(LET_GO_S if self._may_hold else 0.0):
                os._exit(1)

    def _next_words(self) -> bytes:
        """b"" where the other end is gone."""
        while True:
            try:
                return self._link.recv(LARGEST_ORDER)
            except socket.timeout:
                continue
            except OSError:
                return b""

    def _told(self, said: Dict[str, Any]) -> None:
        if said["word"] == OPEN:
            self._current = Order(said["order"], said["opener"], said["shape"], said["timeouts"])
            self._orders.put(self._current)
        elif self._current is not None and self._current.number == said["order"]:
            self._current.over.set()


def main(argv: List[str]) -> int:
    """`argv`: descriptors of the socket and the ring, the parent's process number."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the parent, which tells us
        signal.signal(number, signal.SIG_IGN)
    # where it was stopped it wakes when the parent ends, and finds the end of the socket; to kill it at once would leave a
    # sensor with the board's camera daemon that nobody releases
    follow_parent(int(argv[2]), signal.SIGCONT)
    cv2.setNumThreads(1)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, int(argv[0]))
    link.settimeout(TOLD_WITHIN_S)
    Child(link, RingWriter(int(argv[1]))).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
