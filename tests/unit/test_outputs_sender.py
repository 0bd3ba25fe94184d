"""The thread in front of an output: slow, failing and hanging outputs hurt nobody but themselves."""
import threading
import time

import pytest
from patience import PATIENCE_S, wait_until

from edge.core.contracts import Output
from edge.core.errors import OutputError
from edge.host import waiting
from edge.outputs import sender as module
from edge.outputs.sender import Sender


class Recorder(Output):
    """Keeps what it gets; `emit_with` and the events script what goes wrong."""

    name = "recorder"

    def __init__(self, blocking=False, fatal=True, open_error=None, errors=(), gate=None):
        self.blocking, self.fatal = blocking, fatal
        self.open_error, self.errors, self.gate = open_error, list(errors), gate
        self.items, self.calls, self.threads = [], [], set()
        self.emitting = threading.Event()
        self.closed = False

    def note(self, call):
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)

    def open(self):
        self.note("open")
        if self.open_error:
            raise self.open_error

    def emit(self, item):
        self.note("emit")
        self.emitting.set()
        if self.gate is not None:
            assert self.gate.wait(PATIENCE_S)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.items.append(item)

    def close(self):
        self.note("close")


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    left = [t for t in threading.enumerate() if t.name.startswith("output ")]
    for thread in left:
        thread.join(PATIENCE_S)
    assert not [t.name for t in left if t.is_alive()]


def started(output, **kwargs):
    sender = Sender(output, **kwargs)
    sender.start()
    return sender


@pytest.mark.parametrize("blocking", [True, False])
def test_what_is_taken_is_written_in_order_in_one_thread_of_its_own(blocking):
    output = Recorder(blocking)
    sender = started(output, capacity=50)
    assert all(sender.put(i) for i in range(50))
    assert sender.close(PATIENCE_S) and sender.close(PATIENCE_S)
    assert output.items == list(range(50))
    assert sender.stats() == {"sent": 50, "failed": 0, "dropped": 0, "state": "closed"}
    assert output.calls[0] == "open" and output.calls[-1] == "close" and output.calls.count("close") == 1
    assert output.threads == {"output recorder"}


def test_a_slow_output_loses_the_oldest_and_counts_it():
    gate = threading.Event()
    output = Recorder(gate=gate)
    sender = started(output)
    sender.put(0)
    assert output.emitting.wait(PATIENCE_S)
    for i in range(1, 6):
        assert sender.put(i)  # returns at once
    gate.set()
    assert sender.close(PATIENCE_S)
    assert output.items == [0, 5] and sender.stats()["dropped"] == 4 and sender.stats()["sent"] == 2


def test_a_blocking_output_makes_the_caller_wait_and_loses_nothing():
    gate = threading.Event()
    output = Recorder(blocking=True, gate=gate)
    sender = started(output, capacity=4)
    done = []

    feeder = threading.Thread(target=lambda: done.extend(sender.put(i) for i in range(10)))
    feeder.start()
    wait_until(lambda: len(done) == 5)  # one being written, four waiting
    gate.set()
    feeder.join(PATIENCE_S)
    assert sender.close(PATIENCE_S)
    assert output.items == list(range(10)) and sender.stats()["dropped"] == 0


def test_close_lets_a_waiting_caller_go():
    gate = threading.Event()
    sender = started(Recorder(blocking=True, gate=gate), capacity=1)
    taken = []
    feeder = threading.Thread(target=lambda: taken.extend(sender.put(i) for i in range(3)))
    feeder.start()
    wait_until(lambda: len(taken) == 2)
    assert not sender.close(0.01)
    feeder.join(PATIENCE_S)
    assert taken == [True, True, False]
    gate.set()


@pytest.mark.parametrize("fatal", [True, False])
def test_an_output_that_does_not_open_raises_in_the_caller(fatal):
    error = OutputError("output x: no such place")
    sender = Sender(Recorder(fatal=fatal, open_error=error))
    with pytest.raises(OutputError, match="no such place"):
        sender.start()
    assert sender.error is error and not sender.put(1)
    assert sender.stats()["state"] == "failed: output x: no such place"
    assert sender.close(PATIENCE_S)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_file_that_fails_ends_and_says_so(blocking):
    reported = []
    output = Recorder(blocking, errors=[None, OutputError("disk full")])
    sender = started(output, capacity=4, on_event=lambda: reported.append(sender.error))
    while sender.put("x"):
        time.sleep(0.001)
    assert sender.close(PATIENCE_S)
    assert str(sender.error) == "disk full" and [str(e) for e in reported] == ["disk full"]
    stats = sender.stats()
    assert (stats["sent"], stats["failed"], stats["state"]) == (1, 1, "failed: disk full")
    assert output.calls[-1] == "close"


def test_an_error_while_the_last_items_are_flushed_is_kept():
    gate = threading.Event()
    output = Recorder(blocking=True, gate=gate, errors=[None, OutputError("disk full")])
    sender = started(output, capacity=4)
    for i in range(3):
        sender.put(i)
    gate.set()
    assert sender.close(PATIENCE_S)
    assert str(sender.error) == "disk full" and sender.stats()["sent"] == 1 and sender.stats()["dropped"] == 1


def test_an_error_when_the_file_is_closed_is_kept():
    output = Recorder()

    def fail():
        raise OutputError("the film is not complete")

    output.close = fail
    sender = started(output)
    assert sender.close(PATIENCE_S)
    assert str(sender.error) == "the film is not complete" and sender.stats()["state"].startswith("failed")


def test_an_output_that_may_fail_is_reopened_and_goes_on(monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)
    output = Recorder(fatal=False, errors=[OutputError("gone"), None, OutputError("gone"), OutputError("gone")])
    sender = started(output)

    def fed():
        sender.put("x")
        return len(output.items) >= 3

    wait_until(fed)
    assert sender.error is None and sender.stats()["state"] == "ok"
    assert sender.stats()["failed"] == 3 and output.calls.count("open") == 4
    assert sender.close(PATIENCE_S)


def test_an_output_that_stays_down_is_tried_after_growing_pauses_and_holds_nobody_up(monkeypatch):
    pauses = []
    wait_for = waiting.Condition.wait_for

    def watched(self, predicate, timeout=None):
        if timeout is not None and threading.current_thread().name.startswith("output "):
            pauses.append(timeout)
            timeout = 0.0 if len(pauses) < 10 else timeout
        return wait_for(self, predicate, timeout)

    monkeypatch.setattr(waiting.Condition, "wait_for", watched)
    output = Recorder(blocking=True, fatal=False, errors=[OutputError("gone")])
    sender = started(output)
    output.open_error = OutputError("still gone")
    sender.put(0)
    wait_until(lambda: len(pauses) >= 10)
    assert all(sender.put(i) for i in range(1, 5))  # though it is blocking: the newest waits
    assert sender.stats()["state"] == "down: still gone" and sender.stats()["dropped"] == 3
    assert sender.close(PATIENCE_S)  # does not sit out the pause
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert sender.stats()["dropped"] == 4


def test_an_output_that_hangs_is_left_behind_and_named():
    gate = threading.Event()
    output = Recorder(gate=gate)
    sender = started(output)
    sender.put(0)
    assert output.emitting.wait(PATIENCE_S)
    sender.put(1)
    assert not sender.close(0.01)
    assert sender.stats()["state"] == "hanging" and sender.stats()["dropped"] == 1 and not sender.put(2)
    gate.set()  # it comes back: nothing more is written
    wait_until(lambda: sender.stats()["state"] == "closed")
    assert output.items == [0] and output.calls[-1] == "close"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("where", ["open", "emit", "close"])
def test_a_bug_in_an_output_never_leaves_the_caller_waiting(where, monkeypatch):
    monkeypatch.setattr(threading.Thread, "_invoke_excepthook", lambda *args: None, raising=False)
    output = Recorder(blocking=True, fatal=False)

    def bug(*args):
        raise ZeroDivisionError("a bug")

    setattr(output, where, bug)
    sender = Sender(output)
    if where == "open":
        with pytest.raises(ZeroDivisionError):
            sender.start()
    else:
        sender.start()
    for _ in range(3):
        sender.put(0)
    assert sender.close(PATIENCE_S)
    assert isinstance(sender.error, ZeroDivisionError) and sender.stats()["state"] == "failed: a bug"


def test_a_window_that_was_closed_asks_for_the_stop():
    reported = threading.Event()
    output = Recorder(fatal=False)
    sender = started(output, on_event=reported.set)
    sender.put(0)
    wait_until(lambda: sender.stats()["sent"] == 1)
    assert not sender.stop_wanted and not reported.is_set()
    output.closed = True
    sender.put(1)
    assert reported.wait(PATIENCE_S) and sender.stop_wanted
    assert sender.close(PATIENCE_S)


def test_a_sender_that_was_never_started_closes():
    output = Recorder()
    sender = Sender(output)
    assert sender.close(0.0) and sender.stats()["state"] == "closed" and output.calls == []
    assert not sender.put(0)
