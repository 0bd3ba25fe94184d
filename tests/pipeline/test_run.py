"""A run from start to stop: states, order of opening, flow of a live source, who is late."""
import signal
import subprocess
import sys
import threading
import time

import pytest
from fakes.pipeline import FakeSender, FakeSource, FakeStage, counts, encode, run, wait_for
from patience import PATIENCE_S, stretch, wait_until

from edge.core.contracts import Output
from edge.core.errors import OutputError
from edge.outputs.sender import Sender
from edge.pipeline import ends
from edge.pipeline.pipeline import SWITCH_INTERVAL_S, Pipeline, Plan
from edge.telemetry.meter import Meter

GROUPINGS = [(True, [[0], [1], [2]]), (True, [[0, 1], [2]]), (True, [[0, 1, 2]]), (False, [[0, 1, 2]])]


def grouped(stages, groups):
    return [[stages[i] for i in group] for group in groups]


@pytest.mark.parametrize("threads, groups", GROUPINGS)
def test_every_stage_lives_in_one_thread_and_is_open_before_the_first_frame(threads, groups):
    opened, process_began = [], []

    def on_open():
        time.sleep(0.005)
        opened.append(1)

    def act(packet):
        process_began.append(len(opened))
        return packet

    stages = [FakeStage(name, act, on_open) for name in "abc"]
    outcome = run(FakeSource(5), grouped(stages, groups), capture_thread=threads, output_thread=threads)

    assert outcome.error is None and set(process_began) == {3}
    for stage in stages:
        assert stage.calls == ["open", "process", "close"] and len(stage.threads) == 1
        assert all(name.startswith("nanoface-") and stage.name in name for name in stage.threads)


def test_stages_are_closed_in_reverse_order():
    closed = []
    stages = [FakeStage(name) for name in "abc"]
    for stage in stages:
        stage.close = lambda name=stage.name: closed.append(name)
    run(FakeSource(2), [stages])
    assert closed == ["c", "b", "a"]


@pytest.mark.parametrize("count, limit, captured, reason", [
    (9, None, 9, "end of source"), (9, 4, 4, "frame limit reached"), (3, 4, 3, "end of source"),
    (0, None, 0, "end of source")])
def test_a_recorded_source_is_drained_to_its_end(count, limit, captured, reason):
    outcome = run(FakeSource(count), [[FakeStage("a")], [FakeStage("b")]], limit=limit)

    assert outcome.frames == list(range(captured))
    assert (outcome.summary.captured, outcome.summary.delivered) == (captured, captured)
    assert (outcome.summary.reason, outcome.summary.late) == (reason, ())
    assert [state for state, _ in outcome.states] == ["STARTING", "RUNNING", "STOPPING", "STOPPED"]
    assert outcome.states[-1][1] == reason


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("threads, groups", GROUPINGS)
def test_a_stop_request_ends_the_run_with_nobody_late_and_what_was_captured_written(threads, groups, live):
    stop = threading.Event()

    def act(packet):
        if packet.frame.seq >= 20:
            stop.set()
        time.sleep(0.001)
        return packet

    stages = [FakeStage("a", act), FakeStage("b"), FakeStage("c")]
    source, sender = FakeSource(10 ** 6, live), FakeSender()
    outcome = run(source, grouped(stages, groups), [sender], stop, capture_thread=threads, output_thread=threads)

    assert outcome.summary.late == () and outcome.summary.reason == "stop requested"
    assert outcome.states[-2:] == [("STOPPING", "stop requested"), ("STOPPED", "stop requested")]
    lost = sum(counts(outcome.meter, "dropped").values())
    assert outcome.summary.captured == len(sender.items) + lost
    assert lost == 0 or live
    assert source.calls == ["open", "close"]
    assert sender.calls[0] == "start" and "close" in sender.calls


def test_a_wish_to_stop_while_networks_are_loaded_ends_the_run_without_a_frame():
    stop = threading.Event()
    source, stage = FakeSource(9), FakeStage("a", on_open=stop.set)
    outcome = run(source, [[stage]], stop=stop)

    assert (outcome.summary.captured, stage.calls) == (0, ["open", "close"])
    assert [state for state, _ in outcome.states] == ["STARTING", "STOPPING", "STOPPED"]


def test_an_output_may_ask_to_stop():
    def on_put(item):
        window.stop_wanted = item["frame"] == 3
        return True

    window = FakeSender("window", on_put=on_put)

    def on_read(seq):
        return True if seq < 4 else None

    outcome = run(FakeSource(9, on_read=on_read), [], [window])
    assert outcome.summary.reason == "window was closed"


def test_a_stage_that_hangs_is_named_and_left_behind_and_the_outputs_are_still_closed():
    held, inside, stop = threading.Event(), threading.Event(), threading.Event()

    def hang(packet):
        inside.set()
        wait_for(held)
        return packet

    def stop_when_it_hangs():
        wait_for(inside)
        stop.set()

    asker = threading.Thread(target=stop_when_it_hangs)
    asker.start()
    stage, sender = FakeStage("b", hang), FakeSender()
    try:
        outcome = run(FakeSource(9), [[FakeStage("a")], [stage]], [sender], stop,
                      stop_timeout_s=0.4 * stretch())
    finally:
        held.set()
        asker.join()

    assert outcome.summary.late == ("b",)
    assert outcome.states[-1] == ("STOPPED", "not ended in time: b")
    assert sender.calls == ["start", "close", "close"], "by its worker, and by the pipeline to be sure"


def test_a_source_that_hangs_is_closed_from_outside_and_named():
    class Hanging(FakeSource):
        def __init__(self):
            super().__init__(9)
            self.held, self.hangs = threading.Event(), threading.Event()

        def read(self, timeout_s):
            if self.seq == 3:
                self.hangs.set()
                self.held.wait(PATIENCE_S)
            return super().read(timeout_s)

        def close(self):
            super().close()
            self.held.set()

    stop = threading.Event()
    source = Hanging()

    def act(packet):
        if packet.frame.seq == 2:
            wait_for(source.hangs)
            stop.set()
        return packet

    outcome = run(source, [[FakeStage("a", act)]], stop=stop, stop_timeout_s=PATIENCE_S)
    assert outcome.summary.late == (), "close() freed it in time"
    assert source.calls == ["open", "close", "close"]


@pytest.mark.parametrize("kind, reason", [("lost", "source lost"), ("hangs", "source hangs")])
def test_a_source_that_gives_nothing_is_degraded_until_it_does(kind, reason, monkeypatch):
    monkeypatch.setattr(ends, "HANG_S", 0.05)
    seen, source = threading.Event(), FakeSource(6, live=True)

    def on_read(seq):
        if seq == 3 and not seen.is_set():
            if kind == "lost":
                source.lost_since = time.monotonic()
                return None
            wait_for(seen)
        source.lost_since = None
        return True if seq < 5 or states[-1] == "RUNNING" else None

    states = []

    def on_state(state, why):
        states.append(state)
        if state == "DEGRADED":
            seen.set()

    source.on_read = on_read
    outcome = run(source, [[FakeStage("a")]], on_state=on_state)
    assert outcome.states == [("STARTING", ""), ("RUNNING", ""), ("DEGRADED", reason), ("RUNNING", ""),
                              ("STOPPING", "end of source"), ("STOPPED", "end of source")]


def test_an_output_that_is_down_is_degraded_until_it_is_up():
    sender, source, states = FakeSender("vmc"), FakeSource(6, live=True), []

    def on_read(seq):
        if seq == 2:
            sender.error, sender.state = OutputError("unreachable"), "down: unreachable"
            wait_until(lambda: states[-1] == ("DEGRADED", "output vmc down"))
        if seq == 4:
            sender.state = "ok"
            wait_until(lambda: states[-1] == ("RUNNING", ""))
        return True

    source.on_read = on_read
    outcome = run(source, [], [sender], on_state=lambda state, reason: states.append((state, reason)))
    assert outcome.error is None
    assert [state for state, _ in states] == ["STARTING", "RUNNING", "DEGRADED", "RUNNING", "STOPPING", "STOPPED"]


@pytest.mark.parametrize("live, delivered", [(True, [0, 1, 2, 3, 19]), (False, list(range(20)))])
def test_a_slow_stage_makes_a_live_source_drop_its_oldest_frames_and_a_recorded_one_wait(live, delivered):
    read_all = threading.Event()
    source = FakeSource(20, live)

    def act(packet):
        if packet.frame.seq == 3 and live:
            wait_for(read_all)
        return packet

    def on_read(seq):
        if seq <= 4:
            wait_until(lambda: len(stage.seen) >= seq)  # the first ones are taken one by one
        return True

    source.on_end = read_all.set
    stage, source.on_read = FakeStage("a", act), on_read
    outcome = run(source, [[stage]])

    assert outcome.frames == delivered
    assert outcome.summary.captured == 20
    assert counts(outcome.meter, "dropped") == ({"capture": 20 - len(delivered)} if live else {})


def test_frames_that_the_source_itself_had_to_drop_are_counted():
    class Jumping(FakeSource):
        def read(self, timeout_s):
            self.seq = 6 if self.seq == 4 else self.seq
            return super().read(timeout_s)

    outcome = run(Jumping(9), [])
    assert outcome.frames == [0, 1, 2, 3, 6, 7, 8]
    assert counts(outcome.meter, "dropped") == {"capture": 2}


def test_nothing_ages_behind_a_slow_worker():
    """While the second worker is busy the first one starts one more frame; another would be old by its turn."""
    held, source = threading.Event(), FakeSource(50, live=True)
    first, second = FakeStage("a"), FakeStage("b", lambda packet: wait_for(held) or packet)
    begun = []

    def on_read(seq):
        if seq == 49:
            time.sleep(0.05)  # the first worker had its chance
            begun.extend(first.seen)
            held.set()
        return True

    source.on_read = on_read
    outcome = run(source, [[first], [second]])

    assert len(begun) <= 2
    assert outcome.frames[-1] == 49


def test_a_worker_is_alive_while_it_waits_and_ages_while_a_stage_works():
    inside, held, beats, now = threading.Event(), threading.Event(), {}, [100.0]

    def act(packet):
        inside.set()
        wait_for(held)
        return packet

    def on_tick(delivered):
        if inside.is_set() and not beats:
            now[0] = 130.0
            beats.update(pipeline.heartbeats())
            held.set()

    stages = [FakeStage("a"), FakeStage("b", act), FakeStage("c")]
    source = FakeSource(1, on_read=lambda seq: True)
    pipeline = Pipeline(Plan(source, [stages[:2], stages[2:]], [], encode, Meter(stages, 0.0), clock=lambda: now[0],
                             on_tick=on_tick))
    pipeline.run(threading.Event())
    assert beats == {"capture": 130.0, "a+b": 100.0, "c": 130.0, "output": 130.0}


def test_the_interpreter_switches_quickly_during_a_run_and_as_before_after_it():
    before, during = sys.getswitchinterval(), []
    run(FakeSource(1), [[FakeStage("a", lambda packet: during.append(sys.getswitchinterval()) or packet)]])
    assert during == [pytest.approx(SWITCH_INTERVAL_S)]
    assert sys.getswitchinterval() == before


def test_the_number_of_finished_frames_is_reported_as_it_grows():
    reported, source = [], FakeSource(4)

    def on_read(seq):
        if seq == 3:
            wait_until(lambda: reported and reported[-1] >= 2)
        return True

    source.on_read = on_read
    run(source, [], on_tick=reported.append)
    assert reported == sorted(reported) and reported[-1] == 4


class Collecting(Output):
    """A real output: notes frames, waits for `gate` before the first one."""

    def __init__(self, blocking, gate):
        self.name, self.blocking, self.gate, self.frames = "collect", blocking, gate, []

    def open(self):
        pass

    def emit(self, item):
        wait_for(self.gate)
        self.frames.append(item["frame"])

    def close(self):
        pass


@pytest.mark.parametrize("blocking", [True, False])
def test_a_slow_output_holds_up_a_recorded_source_and_loses_frames_of_a_live_one(blocking):
    gate, source = threading.Event(), FakeSource(12, live=not blocking)
    output = Collecting(blocking, gate)
    sender = Sender(output)

    def on_read(seq):
        if not blocking and 0 < seq:
            wait_until(lambda: len(stage.seen) >= seq)
        if seq == (4 if blocking else 11):
            gate.set()
        return True

    stage, source.on_read = FakeStage("a"), on_read
    summary = run(source, [[stage]], [sender_as_fake(sender)]).summary

    stats = sender.stats()
    assert summary.late == () and summary.delivered == 12
    assert (stats["sent"], stats["dropped"]) == (len(output.frames), 12 - len(output.frames))
    assert output.frames == sorted(output.frames) and output.frames[-1] == 11
    assert (output.frames == list(range(12))) is blocking


def sender_as_fake(sender):
    """run() looks at `items` of the first sender; a real one keeps none."""
    sender.items = []
    return sender


PROGRAM = """
import signal, sys, threading, time
sys.path[:0] = {paths!r}
from fakes.pipeline import FakeSource, FakeStage, run
stop = threading.Event()
signal.signal(getattr(signal, sys.argv[1]), lambda number, frame: threading.Thread(target=stop.set).start())
said = []
def act(packet):
    if not said:
        said.append(sys.stdout.write("running\\n"))
        sys.stdout.flush()
    time.sleep(0.002)
    return packet
outcome = run(FakeSource(10 ** 9, live=True), [[FakeStage("a", act)], [FakeStage("b")]], stop=stop)
print(outcome.summary.reason, outcome.summary.late)
print(sorted(t.name for t in threading.enumerate() if t.name.startswith("nanoface-")))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_a_real_process_with_no_thread_left(name):
    program = PROGRAM.format(paths=[path for path in sys.path if path])
    process = subprocess.Popen([sys.executable, "-c", program, name], stdout=subprocess.PIPE, universal_newlines=True)
    assert process.stdout.readline() == "running\n"

    process.send_signal(getattr(signal, name))

    out, _ = process.communicate(timeout=PATIENCE_S)
    assert out.splitlines() == ["stop requested ()", "[]"]
    assert process.returncode == 0
