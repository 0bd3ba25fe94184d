"""What each stage cost: of the interval since the last status record, and of the whole run.

The hot path is one call a frame that keeps the packet's spans; the arithmetic is done when a record is made, or at once
for many frames. Memory does not grow with the run.
"""
import threading
from collections import defaultdict
from typing import Any, Callable, DefaultDict, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from edge.core.contracts import Runner, Stage
from edge.core.packet import Packet, Span
from edge.core.roles import CAPTURE, OUTPUT
from edge.telemetry.histogram import Histogram

BATCH = 512  # frames whose spans are kept before they are counted
Spans = Tuple[Span, ...]


class Totals(NamedTuple):
    """Of each stage by its name."""

    latency: Histogram
    times: Mapping[str, Mapping[str, Histogram]]  # stage -> wait, work and device -> seconds
    dropped: Mapping[str, int]
    counters: Mapping[str, Mapping[str, int]]


class Meter:
    """Thread-safe. Times are seconds of one monotonic clock, the same that the spans were taken with."""

    def __init__(self, stages: Sequence[Stage], now: float) -> None:
        """`stages` in their order, without capture and output; their counters, runtimes and networks are reported."""
        self._stages = {stage.name: stage for stage in stages}
        self._names = [CAPTURE] + [stage.name for stage in stages] + [OUTPUT]
        self._batch: List[Tuple[Spans, Optional[float]]] = []  # spans and, of a frame that arrived, its latency
        self._dropped: Dict[str, int] = {}
        self._faces: Optional[int] = None
        self._adding, self._reading = threading.Lock(), threading.Lock()
        self.start(now)

    def start(self, now: float) -> None:
        """Everything is loaded: rates are counted from here."""
        with self._reading:
            self._run, self._interval = _Tally(now), _Tally(now)
            self._counters: Dict[str, Dict[str, int]] = {}  # of each stage, at the end of the last interval

    def also_counts(self, stage: Stage) -> None:
        """`stage` stands at one of the two ends: its counters are reported, too. Before the first frame."""
        self._stages[stage.name] = stage

    def finished(self, packet: Packet, at: float) -> None:
        """A frame reached the end of the pipeline."""
        with self._adding:
            self._batch.append((packet.spans, at - packet.frame.captured_at))
            self._faces = len(packet.faces)
            full = len(self._batch) >= BATCH
        if full:
            self._count()

    def left(self, spans: Spans, dropped_by: Optional[str] = None) -> None:
        """A frame did not get further than `spans`: it was swallowed, or dropped by the stage that is named."""
        with self._adding:
            self._batch.append((spans, None))
            if dropped_by is not None:
                self._dropped[dropped_by] = self._dropped.get(dropped_by, 0) + 1
            full = len(self._batch) >= BATCH
        if full:
            self._count()

    def missed(self, stage: str, frames: int) -> None:
        """Frames were dropped before they became packets."""
        with self._adding:
            self._dropped[stage] = self._dropped.get(stage, 0) + frames

    def take(self, now: float) -> Dict[str, Any]:
        """fps, faces, latency_ms and stages of the status record since the last call, or start()."""
        self._count()
        with self._reading:
            interval, self._interval = self._interval, _Tally(now)
            self._run.merge(interval)
            before, self._counters = self._counters, self._read_counters()
            return self._record(interval, now - interval.since, _growth(self._counters, before))

    def pending(self) -> bool:
        """Whether frames came since the last take()."""
        self._count()
        with self._reading:
            return any(stage.work.count or stage.dropped for stage in self._interval.stages.values())

    def summary(self, now: float, to_now: bool = False) -> Dict[str, Any]:
        """The same over the whole run, up to the last frame that arrived where there is one. Ends no interval.

        With `to_now` a time at the end counts in which none arrived.
        """
        self._count()
        with self._reading:
            run = self._so_far()
            until = now if run.last_at is None else max(run.last_at, now) if to_now else run.last_at
            return self._record(run, until - run.since, self._read_counters())

    def totals(self) -> "Totals":
        """Everything since start(), for a reader that takes differences itself. Ends no interval."""
        self._count()
        with self._reading:
            run = self._so_far()
            times = {name: {"wait": t.wait, "work": t.work, "device": t.device} for name, t in run.stages.items()}
            return Totals(run.latency, times, {name: t.dropped for name, t in run.stages.items()}, self._read_counters())

    def _so_far(self) -> "_Tally":
        """The whole run, the present interval included. With `_reading` held."""
        run = _Tally(self._run.since)
        run.merge(self._run)
        run.merge(self._interval)
        return run

    def _count(self) -> None:
        """Sort what came in since the last time into the interval."""
        with self._reading:
            with self._adding:
                batch, self._batch = self._batch, []
                dropped, self._dropped = self._dropped, {}
            self._interval.add(batch, dropped)
            for name, stage in self._stages.items():
                for runner in stage.runners:
                    self._interval.stage(name).device.extend([ms / 1000.0 for ms in runner.take_device_ms()])

    def _read_counters(self) -> Dict[str, Dict[str, int]]:
        return {name: stage.counters() for name, stage in self._stages.items()}

    def _record(self, tally: "_Tally", elapsed_s: float, counters: Mapping[str, Mapping[str, int]]) -> Dict[str, Any]:
        record: Dict[str, Any] = {}
        if elapsed_s > 0.0:
            captured, arrived = tally.stage(CAPTURE).work.count, tally.latency.count
            record["fps"] = {"capture": round(captured / elapsed_s, 2), "output": round(arrived / elapsed_s, 2)}
        if self._faces is not None:
            record["faces"] = self._faces
        _put(record, "latency_ms", tally.latency.as_ms())
        names = self._names + sorted(set(tally.stages) - set(self._names))
        record["stages"] = {name: self._row(name, tally.stage(name), counters.get(name, {})) for name in names}
        return record

    def _row(self, name: str, tally: "_StageTally", counters: Mapping[str, int]) -> Dict[str, Any]:
        row: Dict[str, Any] = {"count": tally.work.count, "dropped": tally.dropped}
        row.update(counters)
        _put(row, "wait_ms", tally.wait.as_ms())
        _put(row, "work_ms", tally.work.as_ms())
        _put(row, "device_ms", tally.device.as_ms())
        runners = self._stages[name].runners if name in self._stages else ()
        row["backend"] = _joined(runners, lambda runner: runner.backend)
        _put(row, "model", _joined(runners, lambda runner: runner.model) or None)
        stage_note = self._stages[name].note if name in self._stages else ""
        _put(row, "note", _joined(runners, lambda runner: runner.note) or stage_note or None)
        return row


class _StageTally:
    """One stage."""

    def __init__(self) -> None:
        self.wait, self.work, self.dropped = Histogram(), Histogram(), 0
        self.device = Histogram()  # share of `work` in which the runtime's device was busy, where that is measured


class _Tally:
    """All stages over some time."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.last_at: Optional[float] = None  # when the last frame arrived
        self.latency = Histogram()
        self.stages: Dict[str, _StageTally] = {}

    def stage(self, name: str) -> _StageTally:
        if name not in self.stages:
            self.stages[name] = _StageTally()
        return self.stages[name]

    def add(self, batch: Sequence[Tuple[Spans, Optional[float]]], dropped: Mapping[str, int]) -> None:
        durations: DefaultDict[str, Tuple[List[float], List[float]]] = defaultdict(lambda: ([], []))
        for passed, latency_s in batch:
            for name, queued_at, started_at, finished_at in passed:
                waits, works = durations[name]
                waits.append(started_at - queued_at)
                works.append(finished_at - started_at)
            if latency_s is not None and passed:
                self.last_at = passed[-1].finished_at
        for name, (waits, works) in durations.items():
            tally = self.stage(name)
            tally.wait.extend(waits)
            tally.work.extend(works)
        self.latency.extend([latency_s for _, latency_s in batch if latency_s is not None])
        for name, frames in dropped.items():
            self.stage(name).dropped += frames

    def merge(self, other: "_Tally") -> None:
        for name, theirs in other.stages.items():
            ours = self.stage(name)
            ours.wait.merge(theirs.wait)
            ours.work.merge(theirs.work)
            ours.device.merge(theirs.device)
            ours.dropped += theirs.dropped
        self.latency.merge(other.latency)
        self.last_at = other.last_at if other.last_at is not None else self.last_at


def _put(record: Dict[str, Any], key: str, value: Any) -> None:
    """What is not known is absent."""
    if value is not None:
        record[key] = value


def _growth(now: Mapping[str, Mapping[str, int]], before: Mapping[str, Mapping[str, int]]) -> Dict[str, Dict[str, int]]:
    return {name: {key: value - before.get(name, {}).get(key, 0) for key, value in counters.items()}
            for name, counters in now.items()}


def _joined(runners: Sequence[Runner], text: Callable[[Runner], str]) -> str:
    """One text for a stage that may have several runners."""
    return " + ".join(sorted({text(runner) for runner in runners} - {""}))
