"""Which packets of a film gave no picture because they could not be decoded, derived from what goes into the decoder and what
comes out of it: the packets' times, the frames' times, and its complaints.

Frames come in the order of their times, so a packet that is passed over gave none. That is no loss where a codec hides
packets (VP8's alternate references, the second field of a pair) or a film begins in the middle of something: a loss is
counted only once there was a complaint, and of codecs that hide packets no more than there were complaints.
"""
import heapq
import re
from typing import List, NamedTuple, Optional

COPY = ["-c", "copy", "-copyinkf", "-copypriorss", "1", "-flush_packets", "1", "-f", "framecrc"]  # prints a line per packet
DISCARD = 4  # flag: only there for others to be decoded, as an edit list has it
TICK = re.compile(r"#tb \d+: (\d+)/(\d+)")
PACKET = re.compile(r"\d+, *(-?\d+|NOPTS), *(-?\d+|NOPTS), *-?\d+, *[1-9]\d*, *\w+(?:, *F=0x([0-9A-Fa-f]+))?")  # not empty
NO_TIME = -1 << 63
HIDING = ("vp8", "vp9")  # codecs with packets that are not shown
OFTEN = 3  # after more frames than this with packets passed over another codec counts as one
MOST, MOST_EARLY = 1 << 17, 64  # packets that wait for their frame, and frames for their packet; no decoder has so many
Times = List[Optional[float]]


class Packet(NamedTuple):
    """Seconds of the container's time at which it is shown and decoded, where it has them."""

    time_s: Optional[float]
    decoded_at_s: Optional[float]
    hidden: bool


class PacketLines:
    """What ffmpeg's muxer framecrc writes."""

    def __init__(self) -> None:
        self._tick_s = 0.0

    def read(self, line: str) -> Optional[Packet]:
        """`stream, dts, pts, duration, size, checksum, F=flags`, the flags only where they are not those of a key frame."""
        tick = TICK.match(line)
        if tick is not None:
            self._tick_s = int(tick.group(1)) / max(1.0, float(tick.group(2)))
        packet = PACKET.match(line)
        if packet is None:
            return None
        decoded_at, shown_at, flags = packet.groups()
        return Packet(self._time_s(shown_at), self._time_s(decoded_at), bool(int(flags or "0", 16) & DISCARD))

    def _time_s(self, field: str) -> Optional[float]:
        return None if field == "NOPTS" or int(field) == NO_TIME else int(field) * self._tick_s


class Packets:
    """Of one pass from the beginning, or from some later place: then what comes before the first frame counts as seen."""

    def __init__(self, codec: str, from_start: bool = True) -> None:
        self.seen = 0  # packets
        self.complained = False
        self.discarded = False  # some were hidden
        self._hides = codec in HIDING
        self._waiting: List[float] = []  # times of packets, a heap
        self._early: List[float] = []  # times of frames whose packets were not read yet
        self._timed = True
        self._newest = float("-inf")  # decoding time
        self._complaints = 0  # without those that were taken for one lost packet
        self._fresh = 0  # packets that the decoder refused since the last frame
        self._frames = self._lost = self._quiet = self._often = 0
        self._from_start = from_start

    def packet(self, packet: Packet) -> None:
        time_s = packet.time_s
        if packet.decoded_at_s is not None:
            self._newest = max(self._newest, packet.decoded_at_s)
        if packet.hidden:
            self.discarded = True
            return
        self.seen += 1
        if time_s is None:
            self._timed = False
        elif time_s in self._early:
            self._early.remove(time_s)
        elif len(self._waiting) < MOST:
            heapq.heappush(self._waiting, time_s)

    def complaint(self, refused: bool) -> None:
        """`refused`: by the decoder, a whole packet."""
        self.complained = True
        self._complaints += 1
        self._fresh += refused

    def knows_before(self, time_s: float) -> bool:
        """Whether every packet that is shown before `time_s` was read: no later one is decoded after it is shown."""
        return not self._timed or self._newest >= time_s

    def between(self, after_s: Optional[float], before_s: Optional[float], frames: int) -> Optional[float]:
        """The time of the first packet that waits between these two, where so many frames came between them."""
        after = float("-inf") if after_s is None else after_s
        before = float("inf") if before_s is None else before_s
        times = sorted(time_s for time_s in self._waiting if after < time_s < before)
        return None if len(times) < frames else times[0 if before_s is None else -frames]

    def frame(self, time_s: Optional[float], next_s: Optional[float]) -> Times:
        """A frame came: the times of those lost before it. One that is later than the next has a damaged time."""
        self._frames += 1
        passed = self._passed(time_s, next_s)
        if self._frames == 1 and not self._from_start:
            self._quiet += len(passed)
            return []
        if not self.complained:
            self._quiet += len(passed)
            self._often += bool(passed)
            self._hides = self._hides or self._often > OFTEN
            return []
        return self._counted(passed)

    def end(self) -> Times:
        """The times of those lost behind the last frame."""
        left: Times = [heapq.heappop(self._waiting) for _ in range(len(self._waiting))]
        missing = self.seen - self._frames - self._lost - self._quiet
        if not self.complained or missing <= 0:
            return []
        left = left[-missing:]
        nowhere: Times = [None] * (missing - len(left))
        return self._counted(nowhere + left)

    def _passed(self, time_s: Optional[float], next_s: Optional[float]) -> Times:
        if time_s is None or not self._timed:
            fresh, self._fresh = self._fresh, 0
            return [None] * max(0, min(fresh, self.seen - self._frames - self._lost - self._quiet))
        passed: Times = []
        until_s = time_s if next_s is None else min(time_s, next_s)
        while self._waiting and self._waiting[0] < until_s:
            passed.append(heapq.heappop(self._waiting))
        if self._waiting and self._waiting[0] == time_s:
            heapq.heappop(self._waiting)
        elif until_s < time_s and time_s in self._waiting:
            self._waiting.remove(time_s)
            heapq.heapify(self._waiting)
        elif passed:
            passed.pop()  # its own, which had another time
        elif self._quiet > 0 and not self._hides:
            self._quiet -= 1  # its own was passed over
        else:
            self._early = self._early[1 - MOST_EARLY:] + [time_s]
        return self._without_early(passed)

    def _without_early(self, passed: Times) -> Times:
        """A frame of a damaged time came without a packet: one of those that are passed over is its own."""
        both = min(len(passed), len(self._early))
        self._early = self._early[both:]
        return passed[both:]

    def _counted(self, passed: Times) -> Times:
        if self._hides:
            kept = passed[:self._complaints]
            self._quiet += len(passed) - len(kept)
            self._complaints -= len(kept)
            passed = kept
        self._lost += len(passed)
        self._fresh = max(0, self._fresh - len(passed))
        return passed
