"""A stage that holds frames back: at any end of a run they still come out, once, in order, with their events."""
import json
import os
import signal
import threading
import time

import pytest
from fakes.pipeline import FakeSender, FakeSource, FakeStage, counts, run
from patience import wait_until
from whole_runs import finish, whole_program

from edge.bench.measure import SETTLE_S
from edge.core.contracts import Output
from edge.core.errors import FrameError, SourceError
from edge.core.packet import END, Event
from edge.outputs.sender import Sender
from edge.ssi.stream import read_stream
from edge.stages.mean import Mean

NEXT = 3
THREADS = {"one": (dict(capture_thread=False, output_thread=False), 2), "captured": (dict(output_thread=False), 2),
           "all": (dict(output_thread=True), 1)}


class Tells:
    """The stages before: one event a frame; a bug at `fail_at`, a frame that cannot be looked at at `drop_at`."""

    def __init__(self, fail_at=None, drop_at=None):
        self.made, self.fail_at, self.drop_at = [], fail_at, drop_at

    def __call__(self, packet):
        if packet.frame.seq == self.fail_at:
            raise ValueError("a bug")
        if packet.frame.seq == self.drop_at:
            raise FrameError("no picture")
        self.made.append(packet.frame.seq)
        return packet._replace(events=packet.events + (Event("blink", packet.frame.seq, END, 1, 0.0, 0.1, 1.0),))


def go(threads, tells, source, senders=None, stop=None, **options):
    plan, size = THREADS[threads]
    stages = [FakeStage("express", tells), Mean(1, NEXT), FakeStage("behind")]
    groups = [stages] if size == 2 else [stages[:1], stages[1:2], stages[2:]]
    return run(source, groups, senders or [FakeSender(events=True)], stop, **dict(plan, **options))


@pytest.mark.parametrize("threads", sorted(THREADS))
@pytest.mark.parametrize("count, limit", [(20, None), (20, 10), (2, None), (1, None), (0, None), (NEXT, None), (20, 2)])
def test_the_end_of_the_source_and_a_limit(threads, count, limit):
    sender, tells = FakeSender(events=True), Tells()
    done = go(threads, tells, FakeSource(count), [sender], limit=limit)
    wanted = list(range(count if limit is None else limit))
    assert done.error is None and done.frames == tells.made == wanted and done.summary.delivered == len(wanted)
    assert [event["id"] for item in sender.items for event in item["events"]] == wanted
    assert counts(done.meter, "count").get("smooth", 0) == counts(done.meter, "count").get("output", 0) == len(wanted)
    assert counts(done.meter, "dropped") == {}


@pytest.mark.parametrize("threads", sorted(THREADS))
@pytest.mark.parametrize("live", [False, True])
def test_a_stop(threads, live):
    stop, tells = threading.Event(), Tells()
    sender = FakeSender(events=True, on_put=lambda item: item["frame"] < 9 or stop.set() or True)
    done = go(threads, tells, FakeSource(10 ** 6, live), [sender], stop)
    assert done.error is None and done.frames == tells.made and done.frames == sorted(done.frames)


@pytest.mark.parametrize("threads", sorted(THREADS))
def test_the_failure_of_a_stage_before_it(threads):
    sender, tells = FakeSender(events=True), Tells(fail_at=7)
    done = go(threads, tells, FakeSource(20), [sender])
    assert isinstance(done.error, ValueError)
    assert [event["id"] for item in sender.items for event in item["events"]] == list(range(7))
    assert done.frames == list(range(7))


@pytest.mark.parametrize("threads", ["one", "captured"])
def test_the_failure_of_the_source(threads):
    def read(seq):
        if seq == 6:
            raise SourceError("gone")
        return True

    done = go(threads, Tells(), FakeSource(20, on_read=read))
    assert isinstance(done.error, SourceError) and done.frames == list(range(6))


@pytest.mark.parametrize("threads", sorted(THREADS))
def test_a_frame_that_is_dropped_before_it_is_no_part_of_a_mean(threads):
    done = go(threads, Tells(drop_at=4), FakeSource(10))
    assert done.error is None and done.frames == [i for i in range(10) if i != 4]
    assert counts(done.meter, "dropped") == {"express": 1}


def test_the_failure_behind_it_is_told_as_it_is():
    def fails(packet):
        raise ValueError("frame {}".format(packet.frame.seq))

    stages = [Mean(0, NEXT), FakeStage("behind", fails)]
    done = run(FakeSource(20), [stages], [FakeSender()], capture_thread=False)
    assert str(done.error) == "frame 0" and done.frames == []


def test_what_it_waits_for_is_seen_in_the_figures():
    def slow(seq):
        time.sleep(0.01)
        return True

    ages = []

    def put(packet):
        ages.append(time.monotonic() - packet.frame.captured_at)
        return True

    done = go("one", Tells(), FakeSource(12, on_read=slow), [FakeSender(needs_picture=True, on_put=put)])
    row = done.meter.summary(time.monotonic())
    assert min(ages[:-NEXT]) >= NEXT * 0.01, "a result is as old as it is"
    assert row["stages"]["smooth"]["wait_ms"]["p50"] >= NEXT * 10.0 * 0.9 > row["stages"]["behind"]["wait_ms"]["p50"]
    assert row["latency_ms"]["p50"] >= NEXT * 10.0 * 0.9
    assert row["stages"]["smooth"]["note"] == "mean of 5 frames, 3 later"


class Slow(Output):
    """An output that nothing waits for, and that takes longer than the last frames take to come."""

    name, events = "slow", True

    def __init__(self, needs_picture=False):
        self.needs_picture, self.frames, self.told = needs_picture, [], []

    def open(self):
        pass

    def emit(self, item):
        time.sleep(0.03)
        if self.needs_picture:
            self.frames.append(item.frame.seq)
        elif "frame" in item:
            self.frames.append(item["frame"])
        self.told += [event.id if self.needs_picture else event["id"] for event in (
            item.events if self.needs_picture else item["events"])]

    def close(self):
        pass


@pytest.mark.parametrize("threads", sorted(THREADS))
@pytest.mark.parametrize("needs_picture", [False, True])
@pytest.mark.parametrize("stopped", [False, True])
def test_an_output_that_drops_frames_drops_none_of_the_last(threads, needs_picture, stopped):
    stop, tells = threading.Event(), Tells()

    def read(seq):
        if stopped and seq == 10:
            stop.set()
        return True

    output = Slow(needs_picture)
    done = go(threads, tells, FakeSource(10 ** 6 if stopped else 12, live=True, on_read=read), [Sender(output)], stop)
    assert done.error is None and output.frames == sorted(set(output.frames))
    assert output.frames[-NEXT:] == tells.made[-NEXT:] and output.told == tells.made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_loses_no_frame_that_was_taken(number, models_home, tmp_path_factory):
    program = whole_program(models_home, tmp_path_factory)
    folder, process = program.start("run", "portrait", "--loop", "--smoothing", "mean", "--n-next", "7", "--output",
                                    "jsonl:a.jsonl", "--output", "ssi:a.stream", "--status", "s.jsonl")
    path = os.path.join(folder, "a.jsonl")
    wait_until(lambda: process.poll() is not None or os.path.exists(path) and os.path.getsize(path) > 9000, "records")
    process.send_signal(number)
    done = finish(folder, process)
    frames, stages = [record["frame"] for record in done.records("a.jsonl")], done.records("s.jsonl")[-1]["stages"]
    assert done.code == 0 and frames == list(range(stages["express"]["count"])) and len(frames) > NEXT
    assert len(read_stream(done.path("a.stream"), 937).values) == len(frames)


def test_a_measurement_waits_for_no_frame_that_is_held(models_home, tmp_path_factory):
    program = whole_program(models_home, tmp_path_factory)
    done = program.call("bench", "portrait", "--frames", "3", "--rounds", "1", "--json", "--set", "smoothing.kind=mean",
                        "--set", "smoothing.n_next=2")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["wall_ms"]["median"] < 1e3 * SETTLE_S / 3
