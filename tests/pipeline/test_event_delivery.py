"""Every event reaches every output that asked for it once and in order, whatever becomes of the frames and of the run."""
import threading
import time

import pytest
from fakes.pipeline import PICTURE, FakeSender, FakeSource, FakeStage, encode, run
from patience import PATIENCE_S, stretch, wait_until

from edge.core.contracts import Output
from edge.core.errors import OutputError
from edge.core.packet import END, Event, Frame, Packet
from edge.outputs.direct import DirectSender
from edge.outputs.sender import Sender

# options of the plan, and how the stages are grouped: whose thread passes what on to whom
THREADS = {"one": (dict(capture_thread=False, output_thread=False), 1), "captured": (dict(output_thread=False), 1),
           "two": (dict(output_thread=False), 2), "three": (dict(output_thread=True), 2)}
BEFORE_IT = 7


def event(number):
    return Event("blink", number, END, 1, 0.0, 0.1, 1.0)


class Telling:
    """Stages of which the last tells one event a frame; `made` are their numbers."""

    def __init__(self, fail_at=None):
        self.made, self.fail_at = [], fail_at

    def before(self, packet):
        if packet.frame.seq == self.fail_at:
            raise ValueError("a bug")
        return packet

    def tell(self, packet):
        number = len(self.made) + 1
        self.made.append(number)
        return packet._replace(events=packet.events + (event(number),))

    def last(self):
        self.made.append(len(self.made) + 1)
        return (event(self.made[-1]),)

    def run(self, threads, senders, source=None, stop=None, **options):
        plan, groups = THREADS[threads]
        stages = [FakeStage("before", self.before), FakeStage("express", self.tell)]
        groups = [stages] if groups == 1 else [stages[:1], stages[1:]]
        return run(source or FakeSource(20), groups, senders, stop, last_events=self.last, **dict(plan, **options))


def told(items):
    """Numbers of the events, as an output gets them."""
    return [one["id"] for item in items for one in item["events"]]


class Keeping(Output):
    """Keeps what it gets; `wait` is called before, and may raise."""

    name, events = "keeping", True

    def __init__(self, wait=lambda item: None, fatal=False, blocking=False):
        self.items, self.wait, self.fatal, self.blocking = [], wait, fatal, blocking

    def open(self):
        pass

    def emit(self, item):
        self.wait(item)
        self.items.append(item)

    def close(self):
        pass


@pytest.mark.parametrize("threads", sorted(THREADS))
def test_at_the_end_of_the_source_all_are_told_and_the_ends_of_what_still_goes(threads):
    sender, telling = FakeSender(events=True), Telling()
    outcome = telling.run(threads, [sender])
    assert outcome.error is None and outcome.frames is not None
    assert told(sender.items) == telling.made == list(range(1, 22))
    assert [len(item["events"]) for item in sender.items] == [1] * 21
    assert sender.items[-1] == {"schema": 1, "events": [dict(event(21)._asdict(), frame=19)]}


@pytest.mark.parametrize("threads", sorted(THREADS))
def test_who_did_not_ask_gets_no_events_and_no_record_of_events_alone(threads):
    asking, sender, picture = FakeSender(events=True), FakeSender(), FakeSender(needs_picture=True, events=True)
    Telling().run(threads, [sender, asking, picture])
    assert len(asking.items) == 21 and [sorted(item) for item in sender.items] == [["faces", "frame"]] * 20
    assert [item.events[0].id for item in picture.items] == list(range(1, 21))


@pytest.mark.parametrize("threads", sorted(THREADS))
@pytest.mark.parametrize("live", [False, True])
def test_a_stop_in_the_middle_loses_none(threads, live):
    stop, telling = threading.Event(), Telling()
    sender = FakeSender(events=True, on_put=lambda item: stop.set() or True if item["events"][-1]["id"] > 9 else True)
    outcome = telling.run(threads, [sender], FakeSource(10 ** 6, live), stop)
    assert outcome.error is None and len(telling.made) > 9 and told(sender.items) == telling.made


@pytest.mark.parametrize("threads", sorted(THREADS))
def test_the_failure_of_a_stage_loses_none(threads):
    sender, telling = FakeSender(events=True), Telling(fail_at=BEFORE_IT)
    outcome = telling.run(threads, [sender])
    assert isinstance(outcome.error, ValueError)
    assert told(sender.items) == telling.made == list(range(1, BEFORE_IT + 2))


@pytest.mark.parametrize("threads", sorted(THREADS))
@pytest.mark.parametrize("failing_first", [True, False])
def test_an_output_that_ends_the_run_takes_none_from_the_others(threads, failing_first):
    def refuse(item):
        if item.get("frame", 99) >= BEFORE_IT:
            failing.error = OutputError("disk full")
            return False
        return True

    sender, telling = FakeSender(events=True), Telling()
    failing = FakeSender("disk", fatal=True, on_put=refuse, events=True)
    outcome = telling.run(threads, [failing, sender] if failing_first else [sender, failing])
    assert isinstance(outcome.error, OutputError) and told(sender.items) == telling.made
    assert told(failing.items) == list(range(1, BEFORE_IT + 1))


@pytest.mark.parametrize("threads", sorted(THREADS))
def test_records_of_every_second_frame_have_the_events_of_all(threads):
    sender, picture, telling = FakeSender(events=True), FakeSender(needs_picture=True, events=True), Telling()
    encoding, deaf = FakeSender(encodes=True, events=True), FakeSender(encodes=True)
    telling.run(threads, [sender, picture, encoding, deaf], halved=lambda: True)
    assert [list(item.events) for item in encoding.items[:-1]] == [item["events"] for item in sender.items[:-1]]
    assert encoding.items[-1] == sender.items[-1] and len(deaf.items) == 10
    assert told(sender.items) == telling.made
    assert [one["frame"] for item in sender.items for one in item["events"]] == list(range(20)) + [19]
    assert [len(item["events"]) for item in sender.items] == [2] * 10 + [1]
    assert [e.id for item in picture.items for e in item.events] == list(range(1, 21))


@pytest.mark.parametrize("threads", sorted(THREADS))
def test_an_output_that_is_too_slow_for_the_frames_gets_every_event(threads):
    output, telling = Keeping(lambda item: time.sleep(0.002)), Telling()
    outcome = telling.run(threads, [Sender(output)], FakeSource(60))
    assert outcome.error is None and told(output.items) == telling.made and len(telling.made) == 61
    assert "frame" not in output.items[-1] and output.items[-2]["frame"] == 59


@pytest.mark.parametrize("kind", [Sender, DirectSender])
def test_a_file_gets_each_with_its_own_frame(kind):
    output, telling = Keeping(fatal=True, blocking=True), Telling()
    telling.run("one", [kind(output)])
    assert told(output.items) == telling.made and [len(item["events"]) for item in output.items] == [1] * 21


def items(count):
    return [encode(Packet(Frame(i, 0.0, 0.0, PICTURE), events=(event(i + 1),)), 0.0, Keeping().parts) for i in range(count)]


def test_what_could_not_be_written_comes_again_before_what_was_dropped_meanwhile(monkeypatch):
    monkeypatch.setattr("edge.outputs.sender.FIRST_RETRY_S", 0.001)
    going, inside, trouble = threading.Event(), threading.Event(), [OutputError("down"), OutputError("still down")]

    def fail(item):
        inside.set()
        assert going.wait(PATIENCE_S)
        if trouble:
            raise trouble.pop(0)

    output = Keeping(fail)
    sender = Sender(output)
    sender.start()
    sent = items(9)
    whole = [dict(item) for item in sent]
    sender.put(sent[0])
    wait_until(inside.is_set)
    for item in sent[1:]:
        sender.put(item)
    going.set()
    wait_until(lambda: sender.stats()["failed"] == 2 and sender.stats()["state"] == "ok")
    assert sender.close(PATIENCE_S) and told(output.items) == list(range(1, 10))
    assert sent == whole, "other senders have the same records"


def test_what_the_last_record_took_down_with_it_comes_alone(monkeypatch):
    monkeypatch.setattr("edge.outputs.sender.FIRST_RETRY_S", 0.001)
    trouble = [OutputError("down")]

    def fail(item):
        if trouble:
            raise trouble.pop()

    output = Keeping(fail)
    sender = Sender(output)
    sender.start()
    sender.put(items(1)[0])
    wait_until(lambda: sender.stats()["failed"] and sender.stats()["state"] == "ok")
    assert sender.close(PATIENCE_S) and output.items == [{"schema": 1, "events": items(1)[0]["events"]}]


def test_what_an_output_that_stays_down_missed_does_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr("edge.outputs.sender.MOST_KEPT", 5)
    going, output = threading.Event(), Keeping(lambda item: going.wait(PATIENCE_S))
    sender = Sender(output)
    sender.start()
    for item in items(20):
        sender.put(item)
    going.set()
    assert sender.close(PATIENCE_S) and told(output.items)[-6:] == list(range(15, 21)) and len(told(output.items)) < 10


def test_a_stage_that_hangs_is_not_asked_what_still_goes(monkeypatch):
    held, telling, stop = threading.Event(), Telling(), threading.Event()

    def hang(packet):
        if packet.frame.seq == BEFORE_IT:
            stop.set()
            assert held.wait(PATIENCE_S)
        return packet

    telling.before = hang
    sender = FakeSender(events=True)
    try:
        outcome = telling.run("two", [sender], FakeSource(9), stop, stop_timeout_s=0.4 * stretch())
    finally:
        held.set()
    assert outcome.summary.late and told(sender.items) == list(range(1, BEFORE_IT + 1))
