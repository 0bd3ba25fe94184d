"""The two ends of the pipeline: packets come from a source, and go to senders."""
from typing import Any, Callable, Dict, List, Optional, Sequence

from edge.core import clock
from edge.core.contracts import Sender, Source, Stage
from edge.core.errors import FrameError, OutputError
from edge.core.packet import LEFT_OUT, Frame, Packet, Span
from edge.core.roles import CAPTURE, OUTPUT
from edge.pipeline.link import LinkClosed
from edge.pipeline.worker import DropLog, Item
from edge.telemetry.meter import Meter

READ_TIMEOUT_S = 0.2  # how soon the end of the run is seen while no frame comes
RECEIVER_S = 2.0  # for the last frames to leave through an output that the run can do without
HANG_S = 3.0  # a read that ignores its time-out for so long hangs
Encode = Callable[[Packet, float, bool], Dict[str, Any]]  # (packet, now, landmarks) -> frame record


class Capture:
    """Where the first worker's packets come from: reads the source to its end, `limit` frames, or the end of the run.

    Span of a recorded source: started when read() was called, so that the work is decoding. Of a live one: queued when
    the driver handed the frame over, started when read() gave it to us; the time for which the camera had nothing is in
    neither.
    """

    def __init__(self, source: Source, ended: Callable[[], bool], meter: Meter, now: Callable[[], float]) -> None:
        self.captured = 0
        self.limit: Optional[int] = None
        self.finished = False  # the source came to its end, or `limit` was reached
        self._source, self._ended, self._meter, self._now = source, ended, meter, now
        self._drop_log = DropLog()
        self._next_seq: Optional[int] = None
        self._reading_since: Optional[float] = None

    def get(self) -> Item:
        """The next frame as a packet. Raises LinkClosed at the end, SourceError."""
        while not self._ended():
            if self.limit is not None and self.captured >= self.limit:
                self.finished = True
                break
            called_at = self._now()
            frame = self._read()
            if frame is not None:
                return self._packed(frame, called_at)
        raise LinkClosed()

    def abort(self) -> List[Item]:
        """Nothing waits here."""
        return []

    @property
    def offered(self) -> int:
        """Frames that the source has given so far, with those that it had to drop itself. For any thread."""
        return self._next_seq or 0

    def lost(self) -> str:
        """Why no frames come, or "". Asked from the pipeline's thread."""
        reading_since = self._reading_since
        trouble = self._source.trouble
        if self._source.lost_since is not None:
            return "source lost" + (": " + trouble if trouble else "")
        if self._source.absent:
            return trouble or "source absent"
        if reading_since is not None and clock.monotonic() - reading_since > HANG_S:
            return "source hangs"
        return ""

    def _read(self) -> Optional[Frame]:
        self._reading_since = clock.monotonic()
        try:
            return self._source.read(READ_TIMEOUT_S)
        except EOFError:
            self.finished = True
            self._count_to(self._source.taken)
            raise LinkClosed()
        except FrameError as e:
            self._drop_log.add(CAPTURE, e)
            self._meter.missed(CAPTURE, 1)
            if self._next_seq is not None:
                self._next_seq += 1  # its number was used up: the gap is counted already
            return None
        finally:
            self._reading_since = None

    def _count_to(self, seq: Optional[int]) -> None:
        """The source itself had to drop some before this one; a recording also before its first frame."""
        expected = 0 if self._next_seq is None and self._source.taken is not None else self._next_seq
        if seq is not None and expected is not None and seq > expected:
            self._meter.missed(CAPTURE, seq - expected)
            self._next_seq = seq

    def _packed(self, frame: Frame, called_at: float) -> Item:
        returned_at = self._now()
        self._count_to(frame.seq)
        self._next_seq = frame.seq + 1
        self.captured += 1
        if self._source.live:
            span = Span(CAPTURE, min(frame.captured_at, returned_at), returned_at, self._now())
        else:
            span = Span(CAPTURE, called_at, called_at, returned_at)
        return span.finished_at, Packet(frame, (), (span,))


class Delivery(Stage):
    """The last stage: makes the frame record once, with and without the points where both are wanted; a sender gets it, or
    the packet where it needs the picture."""

    name = OUTPUT

    def __init__(self, senders: Sequence[Sender], encode: Encode, now: Callable[[], float],
                 time_left: Callable[[], float], halved: Callable[[], bool] = lambda: False) -> None:
        """`time_left`: how long close() may take, seconds. `halved`: whether every second frame is to be skipped."""
        self._halved = halved
        self._skipped_in_a_row = 0
        self._skipped = 0
        self._senders, self._encode, self._now, self._time_left = senders, encode, now, time_left
        self._variants = {s.landmarks for s in senders if not s.needs_picture}

    def open(self) -> None:
        for sender in self._senders:
            sender.start()

    def process(self, packet: Packet) -> Optional[Packet]:
        if self._halved() and self._superfluous(packet):
            self._skipped_in_a_row += 1
            self._skipped += 1
            return None
        self._skipped_in_a_row = 0
        now = self._now() if self._variants else 0.0
        records = {landmarks: self._encode(packet, now, landmarks) for landmarks in self._variants}
        for sender in self._senders:
            taken = sender.put(packet if sender.needs_picture else records[sender.landmarks])
            if not taken and sender.fatal and sender.error is not None:
                raise sender.error
        return packet

    def _superfluous(self, packet: Packet) -> bool:
        """Of two frames the second; where other things are left out in every second one, that which lacks them."""
        lacking = any(LEFT_OUT in face.missing.values() for face in packet.faces)
        return self._skipped_in_a_row < (2 if lacking else 1)

    def counters(self) -> Dict[str, int]:
        return {"skipped": self._skipped} if self._skipped else {}

    def close(self) -> None:
        """Write what waits. Raises OutputError where an output that matters did not get done."""
        unfinished = [error for error in [self._finish(sender) for sender in self._senders] if error is not None]
        if unfinished:
            raise unfinished[0]

    def _finish(self, sender: Sender) -> Optional[BaseException]:
        allowed_s = self._time_left() if sender.fatal else min(RECEIVER_S, self._time_left())
        in_time = sender.close(allowed_s)
        if not sender.fatal:
            return None
        return unfinished(sender, allowed_s) if sender.error is None and not in_time else sender.error


def unfinished(sender: Sender, allowed_s: float) -> OutputError:
    return OutputError("output {}: not written to its end within {:.0f} s: its disk or receiver hangs".format(
        sender.name, allowed_s))


class End:
    """What the last worker passes packets on to: they are counted, and gone."""

    def __init__(self, meter: Meter) -> None:
        self.delivered = 0
        self._meter = meter

    def wait_room(self) -> bool:
        return True

    def put(self, item: Item) -> bool:
        self.delivered += 1
        self._meter.finished(item[1], item[0])
        return True

    def close(self) -> None:
        """There is no link behind it."""
