"""The governor at work in a pipeline: the rate is kept, the records say what they lack, and the status says why."""
import threading
import time

import kills
import pytest
from fakes.pipeline import FakeSender, FakeSource, FakeStage, counts, run
from fakes.tracker import IMAGE, Tracker

from edge.app.chain import Stages, steps_of
from edge.core.contracts import Source
from edge.core.packet import LEFT_OUT, Face, Frame, Packet, Roi
from edge.outputs.record import encode
from edge.pipeline import governor
from edge.pipeline.ends import Delivery
from edge.pipeline.governor import Governor, Steering, Switch, Work
from edge.pipeline.pipeline import Pipeline, Plan
from edge.telemetry.meter import Meter
from edge.telemetry.status.table import render

FPS = 100.0


class Camera(Source):
    """Frames at a steady rate, whether or not they are taken."""

    live, name = True, "camera"

    def __init__(self, seconds):
        self.total = self.first = int(seconds * FPS)

    def open(self):
        self.began, self.seq = time.monotonic(), 0

    def read(self, timeout_s):
        if self.seq >= self.total:
            raise EOFError
        due = self.began + self.seq / FPS
        time.sleep(max(0.0, due - time.monotonic()))
        self.seq = max(self.seq, int((time.monotonic() - self.began) * FPS)) + 1
        self.first = min(self.first, self.seq - 1)
        return Frame(self.seq - 1, time.monotonic(), (self.seq - 1) / FPS, IMAGE)

    def close(self):
        pass


def governed(tracker, seconds, while_at=lambda level: None):
    """Records, levels, meter and the number of frames of a run of the real stages over a camera."""
    stages = Stages(tracker.detect, tracker.align, tracker.pose, tracker.iris, tracker.express)
    halve, levels, meter = Switch(), [], Meter(tracker.stages, time.monotonic())
    steps = steps_of(stages, halve)

    def changed():
        levels.append(steering.record())
        while_at(levels[-1]["level"])

    steering = Steering(Governor(FPS, len(steps)), steps, on_change=changed)
    sender = FakeSender()
    camera = Camera(seconds)
    plan = Plan(camera, [tracker.stages], [sender], encode, meter,
                on_work=steering.on_work, halved=halve)
    Pipeline(plan).run(threading.Event())
    return sender.items, levels, meter, camera.seq - camera.first


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr("edge.pipeline.pipeline.TICK_S", 0.02)
    monkeypatch.setattr(governor, "WINDOW_S", 0.1)
    monkeypatch.setattr(governor, "GIVE_UP_AFTER_S", 0.2)
    monkeypatch.setattr(governor, "TAKE_BACK_AFTER_S", 0.4)


def test_irises_that_take_too_long_are_left_out_of_every_second_frame_and_the_rate_is_kept(quickly):
    tracker = Tracker()
    answer = tracker.answers["iris"]

    def slow():
        time.sleep(0.04)  # far too long for a hundred frames a second
        return answer

    def at(level):
        if level == 4:
            tracker.answers["iris"] = answer

    tracker.answers["iris"] = slow
    records, levels, meter, frames = governed(tracker, 4.0, at)
    assert [state["level"] for state in levels[:4]] == [1, 2, 3, 4] and levels[-1]["level"] < 4
    assert levels[0]["given_up"] == ["irises in every second frame only"]
    assert "a frame takes" in levels[0]["reason"] and levels[3]["given_up"][3] == "records of every second frame only"
    assert [r["frame"] for r in records] == sorted({r["frame"] for r in records})
    lacking = [f for r in records for f in r["faces"] if f["missing"].get("iris") == LEFT_OUT]
    assert lacking and all("iris" not in f and "gaze" not in f and "pose" in f for f in lacking)
    dropped, skipped = counts(meter, "dropped"), counts(meter, "skipped")
    assert set(dropped) == {"capture"} and skipped["output"] > 0
    assert len(records) + dropped["capture"] + skipped["output"] == frames, "nothing is lost without being counted"


def packet(lacking, faces=1):
    face = Face(1, Roi(0, 0, 1, 0), 1.0, (0, 0, 1, 1), missing={"iris": LEFT_OUT} if lacking else {})
    return Packet(Frame(0, 0.0, 0.0, IMAGE), (face,) * faces)


@pytest.mark.parametrize("kinds, delivered", [
    ("CCCCCCCC", "-C-C-C-C"), ("CLCLCLCL", "--C-C-C-"), ("LCLCLCLC", "-C-C-C-C"), ("CCLCLCL", "-C-C-C-"),
    ("CLLLLL", "--L--L"), ("CLCCLCLC", "--C--C-C"),
])
def test_of_halved_records_those_stay_that_lack_nothing(kinds, delivered):
    sender = FakeSender()
    stage = Delivery([sender], lambda *_: {}, time.monotonic, lambda: 1.0, lambda: True)
    passed = "".join(kind if stage.process(packet(kind == "L")) is not None else "-" for kind in kinds)
    assert passed == delivered
    assert len(sender.items) == len(delivered.replace("-", "")) and stage.counters() == {"skipped": delivered.count("-")}


def test_a_run_that_keeps_up_counts_nothing_as_skipped():
    outcome = run(FakeSource(9), [[FakeStage("a")]])
    assert "skipped" not in outcome.meter.summary(time.monotonic())["stages"]["output"]


def test_what_the_governor_gets_is_what_was_done(monkeypatch):
    monkeypatch.setattr("edge.pipeline.pipeline.TICK_S", 0.01)
    reported = []

    def slow(packet):
        time.sleep(0.01)
        return packet

    source = FakeSource(30)
    read = source.read

    def with_gaps(timeout_s):
        frame = read(timeout_s)
        return frame._replace(seq=2 * frame.seq)
    source.read = with_gaps
    run(source, [[FakeStage("a", slow)], [FakeStage("b")]], on_work=reported.append)

    last = reported[-1]
    assert isinstance(last, Work) and last.offered > 20 and last.offered % 2, "also what the source lost itself"
    frames, busy_s = last.workers["a"]
    assert busy_s / frames >= 0.01 and last.workers["b"][1] < busy_s
    assert all(a.at <= b.at and a.offered <= b.offered for a, b in zip(reported, reported[1:]))


@pytest.mark.parametrize("words, governed_too", [(["--realtime"], True), (["--every-frame"], False)])
def test_a_camera_is_governed_and_a_file_is_tracked_whole(tmp_path, words, governed_too):
    pytest.importorskip("yaml")
    process = kills.start(str(tmp_path), words + ["--max-frames", "20"])
    _, reported = process.communicate(timeout=kills.PATIENCE_S)

    assert process.returncode == 0, reported
    last = kills.status(str(tmp_path))
    assert last.get("governor") == ({"level": 0, "given_up": [], "reason": ""} if governed_too else None)


def test_the_table_says_what_is_given_up_and_why():
    record = {"state": "RUNNING", "source": "0", "governor": {
        "level": 1, "given_up": ["irises in every second frame only"], "reason": "a frame takes 40.0 ms"}}
    assert "given up irises in every second frame only (a frame takes 40.0 ms)" in render(record)
    record["governor"] = {"level": 0, "given_up": [], "reason": ""}
    assert "given up" not in render(record)
