"""The two ends of the pipeline: packets come from a source, and go to senders."""
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Set, Tuple

from edge.core import clock
from edge.core.contracts import Sender, Source, Stage
from edge.core.errors import FrameError, OutputError
from edge.core.packet import LEFT_OUT, NO_IMAGE, Event, Frame, Packet, Span
from edge.core.parts import Parts
from edge.core.records import SCHEMA
from edge.core.roles import CAPTURE, OUTPUT
from edge.pipeline.droplog import DropLog
from edge.pipeline.link import LinkClosed
from edge.pipeline.worker import Item
from edge.telemetry.meter import Meter

READ_TIMEOUT_S = 0.2  # how soon the end of the run is seen while no frame comes
RECEIVER_S = 2.0  # for the last frames to leave through an output that the run can do without
HANG_S = 3.0  # a read that ignores its time-out for so long hangs
# (packet, now, parts, as_lists=True) -> frame record
Encode = Callable[..., Dict[str, Any]]
Variant = Tuple[Parts, bool]  # of a record: which parts, and whether points are arrays
EVENTS_ONLY = Parts(events=True)
SETTLE = 0.25  # share of the time left that the stages may take to be done with their last frame


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
    """The last stage: makes the frame record once for all that want the same parts; a sender gets it, or the packet where it
    needs the picture. No event is lost with its frame: it comes with the next one, or at the end."""

    name = OUTPUT

    def __init__(self, senders: Sequence[Sender], encode: Encode, now: Callable[[], float],
                 time_left: Callable[[], float], halved: Callable[[], bool] = lambda: False,
                 last_events: Callable[[], Sequence[Event]] = tuple,
                 settled: Callable[[float], bool] = lambda timeout_s: True,
                 ending: Callable[[], bool] = lambda: False) -> None:
        """`time_left`: how long close() may take, seconds. `halved`: whether every second frame is to be skipped.
        `last_events`: the ends of what is still going, once `settled` has waited for every other stage to be done.
        `ending`: whether what comes are the last frames, which are fewer than would fill memory."""
        self._halved = halved
        self._skipped_in_a_row = 0
        self._skipped = 0
        self._senders, self._encode, self._now, self._time_left = senders, encode, now, time_left
        self._wanted = [(s, None if s.needs_picture or s.encodes else (s.parts, s.arrays and s.landmarks)) for s in senders]
        self._variants: Set[Variant] = {variant for _, variant in self._wanted if variant is not None}
        self._last_events, self._settled, self._ending = last_events, settled, ending
        self._with_events = any(s.events for s in senders)
        self._with_event_records = any(s.events and s.encodes for s in senders)
        self._missed: Deque[Packet] = deque()  # bare, in their order
        self._last: Tuple[Any, ...] = ()  # number and times of the newest frame that came

    def open(self) -> None:
        for sender in self._senders:
            sender.start()

    def process(self, packet: Packet) -> Optional[Packet]:
        if self._halved() and self._superfluous(packet):
            self._skipped_in_a_row += 1
            self._skipped += 1
            self.missed(packet)
            return None
        self._skipped_in_a_row = 0
        now = self._now() if self._variants else 0.0
        records = {(parts, arrays): self._encode(packet, now, parts, as_lists=False) if arrays else
                   self._encode(packet, now, parts) for parts, arrays in self._variants}
        shown = to_encode = packet
        if self._with_events:
            earlier, self._last = self._take_missed() if self._missed else [], packet.frame[:3]
            told = self._encoded(earlier) if earlier else []
            if earlier:
                shown = packet._replace(events=sum((p.events for p in earlier + [packet]), ()))
                for variant in self._variants:
                    if variant[0].events:
                        records[variant]["events"] = told + records[variant]["events"]
            if self._with_event_records and (earlier or packet.events):
                event_records: Any = told + self._encoded([packet])
                to_encode = packet._replace(events=tuple(event_records))
        failed, ending = None, self._ending()
        for sender, wanted in self._wanted:
            put = sender.put_last if ending else sender.put
            taken = put(to_encode if sender.encodes else shown if wanted is None else records[wanted])
            if not taken and sender.fatal and sender.error is not None:
                failed = failed or sender.error
        if failed is not None:
            raise failed
        return packet

    def missed(self, packet: Packet) -> None:
        """It does not come here, or no further. For any thread."""
        if self._with_events and packet.events:
            self._missed.append(packet.bare())

    def _take_missed(self) -> List[Packet]:
        taken = []
        while self._missed:
            taken.append(self._missed.popleft())
        return taken

    def _encoded(self, packets: Sequence[Packet]) -> List[Dict[str, Any]]:
        return [event for packet in packets for event in self._encode(packet, self._now(), EVENTS_ONLY)["events"]]

    def _superfluous(self, packet: Packet) -> bool:
        """Of two frames the second; where other things are left out in every second one, that which lacks them."""
        lacking = any(LEFT_OUT in face.missing.values() for face in packet.faces)
        return self._skipped_in_a_row < (2 if lacking else 1)

    def counters(self) -> Dict[str, int]:
        return {"skipped": self._skipped} if self._skipped else {}

    def close(self) -> None:
        """Write what waits. Raises OutputError where an output that matters did not get done."""
        try:
            self._tell_last()
        finally:
            unfinished = [error for error in [self._finish(sender) for sender in self._senders] if error is not None]
        if unfinished:
            raise unfinished[0]

    def _tell_last(self) -> None:
        """The events that no frame comes for any more."""
        if not self._last:
            return
        settled = self._settled(SETTLE * self._time_left())
        packets = self._take_missed()
        if settled:  # else a stage that hangs still owns what it knows
            last = packets[-1].frame if packets else Frame(*(self._last + (NO_IMAGE,)))
            packets.append(Packet(last, events=tuple(self._last_events())))
        events = self._encoded(packets)
        for sender in self._senders if events else ():
            if sender.events and not sender.needs_picture:
                sender.put_last({"schema": SCHEMA, "events": events})

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
