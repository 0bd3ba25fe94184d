"""The meter's numbers are those of the spans; percentiles are right to one per cent, whatever came in."""
import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.contracts import Runner, Source, Stage
from edge.core.packet import Frame, Packet, Span
from edge.pipeline.pipeline import Pipeline, Plan
from edge.telemetry import meter as meter_module
from edge.telemetry.histogram import Histogram
from edge.telemetry.meter import Meter

PICTURE = np.zeros((2, 2, 3), np.uint8)
TOLERANCE = 0.01  # of a percentile

durations = st.floats(1e-6, 1e3) | st.sampled_from([0.0, -1.0, 1e-9, 1e-6, 0.001, 0.033, 9999.0])


def nearest_rank(values, percent):
    return sorted(values)[max(1, math.ceil(percent / 100.0 * len(values) - 1e-9)) - 1]


@given(st.lists(durations, min_size=1, max_size=200), st.sampled_from([1.0, 50.0, 90.0, 95.0, 99.0, 100.0]))
def test_a_percentile_is_within_one_per_cent_of_the_exact_one(values, percent):
    histogram = Histogram()
    for start in range(0, len(values), 7):
        histogram.extend(values[start:start + 7])

    exact = max(0.0, nearest_rank(values, percent))
    assert histogram.percentile(percent) == pytest.approx(exact, rel=TOLERANCE, abs=1e-6)
    assert histogram.count == len(values)
    assert histogram.largest == max(0.0, max(values))


@given(st.lists(durations, max_size=40), st.lists(durations, max_size=40))
def test_merged_histograms_are_the_histogram_of_all(first, second):
    merged, together = Histogram(), Histogram()
    for part in (first, second):
        one = Histogram()
        one.extend(part)
        merged.merge(one)
    together.extend(first + second)

    assert merged.as_ms() == together.as_ms()
    assert merged.count == together.count


@pytest.mark.parametrize("values, expected", [
    ([], None), ([0.0], {"p50": 0.0, "p95": 0.0, "max": 0.0}), ([0.031], {"p50": 31.0, "p95": 31.0, "max": 31.0}),
    ([1e9], {"p50": 1e12, "p95": 1e12, "max": 1e12})])
def test_few_or_extreme_durations_are_exact(values, expected):
    histogram = Histogram()
    histogram.extend(values)
    assert histogram.as_ms() == expected


class FakeRunner(Runner):
    def __init__(self, backend, model, note="", device_ms=()):
        self.backend, self.model, self.note = backend, model, note
        self.device_ms = list(device_ms)

    def take_device_ms(self):
        taken, self.device_ms = self.device_ms, []
        return taken

    def open(self):
        pass

    def submit(self, image, crops):
        raise NotImplementedError

    def infer(self, feeds):
        raise NotImplementedError

    def close(self):
        pass


class FakeStage(Stage):
    def __init__(self, name, *runners):
        self.name, self.runners, self.counts = name, runners, {}

    def process(self, packet):
        return packet

    def counters(self):
        return dict(self.counts)


def packet(seq, captured_at, spans, faces=()):
    return Packet(Frame(seq, captured_at, 0.0, PICTURE), faces, tuple(Span(*s) for s in spans))


def feed(meter, frames, at=0.0, work_s=0.010):
    """Frames at 10 per second: 2 ms of capture, 3 ms of waiting, then `work_s` of detect."""
    for seq in range(frames):
        t = at + 0.1 * seq
        spans = [("capture", t, t, t + 0.002), ("detect", t + 0.002, t + 0.005, t + 0.005 + work_s)]
        meter.finished(packet(seq, t, spans, ("face",) * (seq % 3)), t + 0.005 + work_s)


def test_an_interval_sums_up_its_spans():
    meter = Meter([FakeStage("detect", FakeRunner("openvino f32", "yunet_s"))], 0.0)
    feed(meter, 20)

    record = meter.take(2.0)

    assert record["fps"] == {"capture": 10.0, "output": 10.0}
    assert record["faces"] == 1
    assert record["latency_ms"]["p50"] == pytest.approx(15.0, rel=TOLERANCE)
    assert list(record["stages"]) == ["capture", "detect", "output"]
    detect = record["stages"]["detect"]
    assert detect["wait_ms"] == pytest.approx({"p50": 3.0, "p95": 3.0, "max": 3.0}, rel=TOLERANCE)
    assert detect["work_ms"] == pytest.approx({"p50": 10.0, "p95": 10.0, "max": 10.0}, rel=TOLERANCE)
    assert (detect["count"], detect["dropped"]) == (20, 0)
    assert (detect["backend"], detect["model"]) == ("openvino f32", "yunet_s")


def test_the_device_s_time_and_why_it_is_this_runtime_are_reported():
    runner = FakeRunner("tensorrt 8.2 fp16", "yunet_s", "crops on the CPU: no kernel", [2.0, 2.0])
    meter = Meter([FakeStage("detect", runner), FakeStage("align", FakeRunner("openvino", "mesh"))], 0.0)
    feed(meter, 2)
    first = meter.take(1.0)["stages"]
    runner.device_ms = [4.0]
    second, whole = meter.take(2.0)["stages"], meter.summary(2.0)["stages"]

    assert first["detect"]["device_ms"] == {"p50": 2.0, "p95": 2.0, "max": 2.0}
    assert second["detect"]["device_ms"]["max"] == whole["detect"]["device_ms"]["max"] == 4.0
    assert first["detect"]["note"] == "crops on the CPU: no kernel"
    assert "device_ms" not in first["align"] and "note" not in first["align"]


def test_an_interval_forgets_and_the_run_does_not():
    stage = FakeStage("detect")
    meter = Meter([stage], 0.0)
    feed(meter, 20)
    stage.counts = {"skipped": 18}
    meter.left((Span("capture", 0.0, 0.0, 0.002),), dropped_by="detect")
    meter.missed("capture", 2)
    first = meter.take(2.0)
    feed(meter, 10, at=2.0, work_s=0.020)
    stage.counts = {"skipped": 25}

    second, run = meter.take(4.0), meter.summary(4.0)

    assert [r["stages"]["detect"]["count"] for r in (first, second, run)] == [20, 10, 30]
    assert [r["stages"]["capture"]["count"] for r in (first, second, run)] == [21, 10, 31]
    assert [r["stages"]["detect"]["skipped"] for r in (first, second, run)] == [18, 7, 25]
    assert [r["stages"]["detect"]["dropped"] for r in (first, second, run)] == [1, 0, 1]
    assert [r["stages"]["capture"]["dropped"] for r in (first, second, run)] == [2, 0, 2]
    assert [r["fps"]["output"] for r in (first, second)] == [10.0, 5.0]
    assert [r["latency_ms"]["p50"] for r in (first, second, run)] == pytest.approx([15.0, 25.0, 15.0], rel=TOLERANCE)
    assert run["fps"]["output"] == pytest.approx(30 / 2.925, abs=0.01), "up to the last frame that arrived"


def test_asking_for_the_summary_ends_no_interval():
    meter = Meter([FakeStage("detect")], 0.0)
    feed(meter, 5)

    before = meter.summary(1.0)

    assert meter.summary(1.0) == before
    assert meter.take(1.0)["stages"] == before["stages"]


def test_what_is_not_known_is_absent():
    record = Meter([FakeStage("pose"), FakeStage("iris", FakeRunner("a", "x"), FakeRunner("b", "x"))], 1.0).take(1.0)

    assert set(record) == {"stages"}
    assert record["stages"]["pose"] == {"count": 0, "dropped": 0, "backend": ""}
    assert record["stages"]["iris"] == {"count": 0, "dropped": 0, "backend": "a + b", "model": "x"}


def test_rates_are_counted_from_when_everything_was_loaded():
    meter = Meter([FakeStage("detect")], 0.0)
    meter.start(100.0)
    feed(meter, 10, at=100.0)
    assert meter.take(101.0)["fps"]["output"] == 10.0


def test_memory_does_not_grow_with_the_run(monkeypatch):
    monkeypatch.setattr(meter_module, "BATCH", 16)
    meter = Meter([FakeStage("detect")], 0.0)

    for seq in range(100):
        meter.finished(packet(seq, 0.0, [("detect", 0.0, 0.0, 0.01)]), 0.01)
        assert len(meter._batch) < 16

    assert meter.summary(1.0)["stages"]["detect"]["count"] == 100


def test_no_frame_is_lost_between_threads():
    meter = Meter([FakeStage("detect")], 0.0)
    taken = []

    def add():
        for seq in range(1500):
            meter.finished(packet(seq, 0.0, [("detect", 0.0, 0.0, 0.01)]), 0.01)

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken.append(meter.take(1.0)["stages"]["detect"]["count"])
    taken.append(meter.take(1.0)["stages"]["detect"]["count"])

    assert sum(taken) == 4500 == meter.summary(1.0)["stages"]["detect"]["count"]


class Clock:
    """Time passes only where somebody works."""

    def __init__(self):
        self.now = 50.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        self.now += seconds


class TimedSource(Source):
    def __init__(self, clock, live):
        self.clock, self.live, self.seq = clock, live, 0

    def open(self):
        pass

    def read(self, timeout_s):
        if self.seq == 20:
            raise EOFError
        self.clock.work(0.004)
        captured_at = self.clock()
        if self.live:
            self.clock.work(0.001)  # in the driver's queue
        self.seq += 1
        return Frame(self.seq - 1, captured_at, 0.0, PICTURE)

    def close(self):
        pass


class TimedStage(FakeStage):
    def __init__(self, name, clock, work_s):
        super().__init__(name)
        self.clock, self.work_s = clock, work_s

    def process(self, packet):
        self.clock.work(self.work_s)
        return packet


@settings(max_examples=20)
@given(st.floats(1e-4, 0.1), st.floats(1e-4, 0.1), st.booleans())
def test_waits_works_and_the_delay_of_a_run_add_up(detect_s, align_s, live):
    clock = Clock()
    stages = [TimedStage("detect", clock, detect_s), TimedStage("align", clock, align_s)]
    meter = Meter(stages, clock())
    Pipeline(Plan(TimedSource(clock, live), [stages], [], lambda *_: {}, meter, clock, capture_thread=False,
                  output_thread=False)).run(threading.Event())

    summary = meter.summary(clock())
    rows = summary["stages"]
    works = [rows[name]["work_ms"]["p50"] for name in ("capture", "detect", "align", "output")]
    waits = [rows[name]["wait_ms"]["p50"] for name in ("capture", "detect", "align", "output")]
    assert works == pytest.approx([0.0 if live else 4.0, 1e3 * detect_s, 1e3 * align_s, 0.0], rel=TOLERANCE, abs=2e-3)
    assert waits == pytest.approx([1.0 if live else 0.0, 0.0, 0.0, 0.0], rel=TOLERANCE, abs=2e-3)
    delay_ms = 1e3 * (detect_s + align_s) + (1.0 if live else 0.0)
    assert summary["latency_ms"]["p95"] == pytest.approx(delay_ms, rel=TOLERANCE, abs=2e-3)
    total_s = 20 * (0.004 + detect_s + align_s + (0.001 if live else 0.0))
    assert summary["fps"]["output"] == pytest.approx(20.0 / total_s, rel=0.01, abs=0.01)
