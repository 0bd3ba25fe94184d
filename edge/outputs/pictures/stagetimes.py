"""The panel of stage times: what each stage worked on this frame, and how old the result was."""
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.core.packet import Packet
from edge.core.roles import ROLES
from edge.outputs.pictures import text

WHITE, GREY, INK, BAR = (250, 250, 250), (178, 176, 172), (28, 24, 22), (190, 170, 84)  # blue, green, red
TOTAL = "end to end"
MOST = 0.55  # of the picture's sides: where the panel would take more, the face is worth more


class StageTime(NamedTuple):
    """Milliseconds of work of one stage."""

    stage: str
    work_ms: float


def of_packet(packet: Packet) -> List[StageTime]:
    """The stages in their order, and from capture to the end of the last one."""
    times = [StageTime(span.stage, (span.finished_at - span.started_at) * 1000.0) for span in packet.spans]
    if times:
        end = max(span.finished_at for span in packet.spans)
        times.append(StageTime(TOTAL, (end - packet.frame.captured_at) * 1000.0))
    return times


class SteadyTimes:
    """A running mean of the stage times: numbers that change thirty times a second cannot be read."""

    def __init__(self, weight: float = 0.06) -> None:
        self._weight = weight
        self._means: Dict[str, float] = {}
        self._count = 0

    def update(self, packet: Packet) -> List[StageTime]:
        """Take in one packet's times; returns the means."""
        self._count += 1
        weight = max(self._weight, 1.0 / self._count)
        for time in of_packet(packet):
            mean = self._means.get(time.stage, time.work_ms)
            self._means[time.stage] = mean + weight * (time.work_ms - mean)
        return self.means(packet)

    def means(self, packet: Packet) -> List[StageTime]:
        """The means of the stages that `packet` went through."""
        return [time._replace(work_ms=self._means.get(time.stage, time.work_ms)) for time in of_packet(packet)]


class FrameRate:
    """Frames a second, steady: of a camera as they come, of a film as they are taken."""

    def __init__(self, weight: float = 0.06) -> None:
        self._weight, self._count = weight, 0
        self._last_at: Optional[float] = None
        self._mean_s = 0.0

    def update(self, packet: Packet) -> None:
        last_at, self._last_at = self._last_at, packet.frame.captured_at
        if last_at is not None and self._last_at > last_at:
            self._count += 1
            self._mean_s += max(self._weight, 1.0 / self._count) * (self._last_at - last_at - self._mean_s)

    @property
    def fps(self) -> Optional[float]:
        """None before the second frame."""
        return 1.0 / self._mean_s if self._count else None


def draw_rate(canvas: np.ndarray, times: Sequence[StageTime], fps: Optional[float], unit: float) -> None:
    """In the top left corner: what the stages with networks took together, and the rate."""
    networks = [time.work_ms for time in times if time.stage in ROLES]
    words = (["infer time: {:.1f} ms".format(sum(networks))] if networks else []) + (
        ["FPS: {:.1f}".format(fps)] if fps is not None else [])
    cap = float(round(max(6.0, 8.0 * unit)))
    if words:
        text.tag(canvas, ", ".join(words), (0.7 * cap, 0.7 * cap), cap, (WHITE, INK))


class _Layout(NamedTuple):
    """Pixels."""

    cap: float  # height of a capital
    pitch: int  # from line to line
    left: int  # of the names
    numbers: int  # right edge of the milliseconds
    bars: int  # longest bar, 0 where the picture is too small for bars
    foot: int  # base line of the first row


def draw_panel(canvas: np.ndarray, times: Sequence[StageTime], unit: float) -> None:
    """Name, milliseconds and a bar for each stage, in the top left corner of `canvas`, in place, where there is room."""
    if not times:
        return
    cap = max(6.0, 7.5 * unit)
    edge, pad, pitch = int(round(0.7 * cap)), int(round(1.2 * cap)), int(round(2.1 * cap))
    columns = zip(("", "000.0"), *(_row(time) for time in times))  # room for a slow frame: the panel must keep its size
    numbers = edge + pad + int(cap) + sum(max(text.width_of(t, cap) for t in column) for column in columns)
    bars = int(round(6.0 * cap)) if canvas.shape[1] > 3.0 * (numbers + 6.0 * cap) else 0
    layout = _Layout(cap, pitch, edge + pad, numbers, bars, edge + pad // 2 + int(round(1.6 * cap)))
    right = numbers + int(cap) + max(bars, text.width_of("ms", cap)) + pad
    foot = edge + pad + pitch * len(times)
    if foot > MOST * canvas.shape[0] or right > MOST * canvas.shape[1]:
        return
    text.plate(canvas, (edge, edge, right, foot), int(0.8 * cap), INK, 0.66)
    longest = max([time.work_ms for time in times if time.stage != TOTAL] + [1e-6])
    for row, time in enumerate(times):
        _draw_row(canvas, layout, row, time, time.work_ms / longest)


def _draw_row(canvas: np.ndarray, layout: _Layout, row: int, time: StageTime, share: float) -> None:
    """`share` 0..1: how much of the longest bar."""
    cap, foot = layout.cap, layout.foot + layout.pitch * row
    total = time.stage == TOTAL
    name, number = _row(time)
    text.put(canvas, name, (layout.left, foot), cap, WHITE if total else GREY)
    text.put(canvas, number, (layout.numbers - text.width_of(number, cap), foot), cap, WHITE)
    left = layout.numbers + int(cap)
    if total:
        text.put(canvas, "ms", (left, foot), cap, GREY)
    elif layout.bars:
        length, thick = int(round(layout.bars * share)), max(2, int(round(0.4 * cap)))
        top = foot - int(round(0.5 * cap)) - thick // 2
        text.plate(canvas, (left, top, left + length, top + thick), thick // 2, BAR, 0.95)


def _row(time: StageTime) -> Tuple[str, str]:
    return time.stage, "{:.1f}".format(time.work_ms)
