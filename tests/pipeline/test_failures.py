"""What goes wrong is counted, raised or named; nothing hangs and nothing is left behind."""
import logging
import threading

import pytest
from fakes.pipeline import FakeSender, FakeSource, FakeStage, counts, run, wait_for
from patience import PATIENCE_S, stretch

from edge.core.contracts import Output
from edge.core.errors import FrameError, ModelError, OutputError, SourceError
from edge.outputs.direct import DirectSender
from edge.pipeline import droplog

# a thread for the capture, one for the outputs, and the stages of each thread between
GROUPINGS = [(True, True, [[0], [1], [2]]), (True, True, [[0, 1], [2]]), (True, True, [[0, 1, 2]]),
             (True, False, [[0, 1, 2]]), (False, True, [[0, 1, 2]]), (False, False, [[0, 1, 2]])]


def three(act=None, which=1, **kinds):
    made = [FakeStage(name) for name in "abc"]
    made[which] = FakeStage("abc"[which], act, **kinds)
    return made


def outcome_of(stages, grouping, source=None, **options):
    capture, output, groups = grouping
    return run(source or FakeSource(30), [[stages[i] for i in group] for group in groups],
               capture_thread=capture, output_thread=output, **options)


def raising(error, when=lambda seq: True):
    def act(packet):
        if when(packet.frame.seq):
            raise error
        return packet
    return act


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_a_frame_that_cannot_be_processed_is_dropped_counted_and_logged_once(grouping, caplog):
    stages = three(raising(FrameError("too dark"), lambda seq: seq % 3 == 0))

    with caplog.at_level(logging.WARNING):
        outcome = outcome_of(stages, grouping)

    assert outcome.error is None
    assert outcome.frames == [seq for seq in range(30) if seq % 3]
    assert counts(outcome.meter, "dropped") == {"b": 10}
    assert counts(outcome.meter, "count") == {"capture": 30, "a": 30, "b": 20, "c": 20, "output": 20}
    assert [r.getMessage() for r in caplog.records] == ["b: frame dropped: too dark"]


def test_suppressed_lines_are_counted_in_the_next_one(caplog):
    times = iter([0.0, 1.0, 9.0, droplog.LOG_INTERVAL_S, droplog.LOG_INTERVAL_S + 1.0])
    drop_log = droplog.DropLog(lambda: next(times))

    with caplog.at_level(logging.WARNING):
        for stage in ("a", "a", "a", "a", "b"):
            drop_log.add(stage, FrameError("dark"))

    assert [r.getMessage() for r in caplog.records] == [
        "a: frame dropped: dark", "a: frame dropped: dark (2 more before it)", "b: frame dropped: dark"]


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_a_stage_may_swallow_a_packet(grouping):
    outcome = outcome_of(three(lambda packet: packet if packet.frame.seq % 2 else None), grouping)

    assert outcome.error is None
    assert outcome.frames == list(range(1, 30, 2))
    assert counts(outcome.meter, "dropped") == {}
    assert counts(outcome.meter, "count")["b"] == 30


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("error", [ModelError("plan is broken"), ZeroDivisionError("a bug"), SystemExit(3)])
def test_anything_else_is_the_failure_of_the_run_and_every_stage_is_closed(error, which, grouping):
    stages = three(raising(error, lambda seq: seq == 7), which)
    source, sender = FakeSource(1000), FakeSender()

    try:
        outcome = outcome_of(stages, grouping, source, senders=[sender])
    except SystemExit as e:
        assert e is error
    else:
        assert outcome.error is error
        assert outcome.states[-1] == ("FAILED", str(error))
    assert all(stage.calls == ["open", "process", "close"] for stage in stages)
    assert source.calls == ["open", "close"] and "close" in sender.calls
    assert [item["frame"] for item in sender.items] == list(range(7))[:len(sender.items)]


def test_the_first_failure_is_kept():
    second = threading.Event()

    def close():
        second.set()
        raise ValueError("while closing")

    stages = three(raising(ModelError("first")))
    stages[1].close = close
    outcome = outcome_of(stages, GROUPINGS[0])

    assert second.is_set()
    assert str(outcome.error) == "first"


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("which", [0, 2])
def test_a_stage_that_cannot_be_opened_fails_the_run_before_a_frame_is_read(which, grouping):
    def on_open():
        raise ModelError("no such network")

    stages = three(None, which, on_open=on_open)
    source = FakeSource(30)
    outcome = outcome_of(stages, grouping, source)

    assert str(outcome.error) == "no such network"
    assert source.seq == 0
    assert [state for state, _ in outcome.states] == ["STARTING", "STOPPING", "FAILED"]
    assert all(stage.calls == ["open", "close"] for stage in stages if stage.calls)
    assert stages[which].calls == ["open", "close"], "also what was opened half-way is closed"


class BadSource(FakeSource):
    def open(self):
        super().open()
        raise SourceError("no camera")


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_a_source_that_cannot_be_opened_is_reported_before_networks_are_loaded(grouping):
    stages = three()
    outcome = outcome_of(stages, grouping, BadSource(3))

    assert str(outcome.error) == "no camera"
    assert all(stage.calls == [] for stage in stages)


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_a_source_that_breaks_fails_the_run_with_its_own_error(grouping):
    def on_read(seq):
        if seq == 5:
            raise SourceError("the file is damaged")
        return True

    outcome = outcome_of(three(), grouping, FakeSource(30, on_read=on_read))

    assert str(outcome.error) == "the file is damaged"
    assert outcome.frames == [0, 1, 2, 3, 4], "what was read before is written"


def test_a_picture_that_cannot_be_read_is_dropped_and_counted():
    source = FakeSource(6)

    def on_read(seq):
        if seq == 2:
            source.seq += 1
            raise FrameError("not a picture")
        return True

    source.on_read = on_read
    outcome = run(source, [three()])

    assert outcome.frames == [0, 1, 3, 4, 5]
    assert counts(outcome.meter, "dropped")["capture"] == 1, "by its number, and not by the gap again"


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_an_output_that_the_run_is_for_fails_it(grouping):
    def on_put(item):
        if item["frame"] == 4:
            sender.error = OutputError("disk full")
            return False
        return True

    sender = FakeSender(fatal=True, on_put=on_put)
    outcome = outcome_of(three(), grouping, senders=[sender])

    assert (outcome.error, outcome.frames) == (sender.error, [0, 1, 2, 3])
    assert outcome.error.exit_code == 5


def test_an_output_that_fails_while_no_frame_comes_fails_the_run():
    sender = FakeSender(fatal=True)

    def on_read(seq):
        if seq == 3:
            sender.error = OutputError("disk full")
            return None
        return True

    outcome = run(FakeSource(9, on_read=on_read), [three()], [sender])

    assert outcome.error is sender.error


def test_an_output_that_cannot_be_finished_fails_the_run():
    class BadEnd(FakeSender):
        def close(self, timeout_s):
            self.error = OutputError("disk full")
            return True

    other = FakeSender()
    outcome = run(FakeSource(3), [three()], [BadEnd(fatal=True), other])

    assert str(outcome.error) == "disk full"
    assert "close" in other.calls


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_an_output_that_is_not_opened_fails_the_run_before_networks_are_loaded(grouping):
    class BadStart(FakeSender):
        def start(self):
            raise OutputError("no such folder")

    stages = three()
    outcome = outcome_of(stages, grouping, FakeSource(3), senders=[BadStart()])

    assert str(outcome.error) == "no such folder"
    assert all(stage.calls == [] for stage in stages)


@pytest.mark.parametrize("fatal, error", [(False, None), (True, OutputError)])
def test_an_output_that_never_gets_done_is_named_and_fails_the_run_where_it_matters(fatal, error, monkeypatch):
    monkeypatch.setattr("edge.pipeline.pipeline.FLUSH_S", 0.01)

    class Endless(FakeSender):
        def close(self, timeout_s):
            return False

    outcome = run(FakeSource(3), [three()], [Endless("disk", fatal=fatal)], stop_timeout_s=0.2 * stretch())

    if error is None:
        assert outcome.summary.late == ("output disk",)
        assert outcome.states[-1] == ("STOPPED", "not ended in time: output disk")
    else:
        assert isinstance(outcome.error, error) and "disk" in str(outcome.error)


def test_a_file_that_hangs_in_the_thread_of_the_stages_fails_the_run_that_is_to_stop():
    inside, held, stop = threading.Event(), threading.Event(), threading.Event()

    class Hanging(Output):
        name, fatal, blocking = "jsonl:film.jsonl", True, True

        def open(self):
            pass

        def emit(self, item):
            inside.set()
            wait_for(held)

        def close(self):
            pass

    asker = threading.Thread(target=lambda: inside.wait(PATIENCE_S) and stop.set())
    asker.start()
    try:
        outcome = run(FakeSource(9), [three()], [DirectSender(Hanging())], stop, capture_thread=False, output_thread=False,
                      stop_timeout_s=0.4 * stretch())
    finally:
        held.set()
        asker.join()
    assert isinstance(outcome.error, OutputError) and "output jsonl:film.jsonl: not written to its end" in str(outcome.error)


def test_a_stage_that_waits_for_one_that_failed_is_released():
    released, waiting = threading.Event(), threading.Event()

    def wait_for_the_loop(packet):
        if packet.frame.seq == 1:
            waiting.set()
            wait_for(released)
        return packet

    def fail(packet):
        wait_for(waiting)
        raise ModelError("lost the device")

    first, second = FakeStage("detect", wait_for_the_loop), FakeStage("align", fail)
    second.close = released.set
    outcome = run(FakeSource(9), [[first], [second]], stop_timeout_s=PATIENCE_S)

    assert str(outcome.error) == "lost the device"
    assert first.calls == ["open", "process", "close"]
