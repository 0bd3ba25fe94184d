"""An output in the pipeline's own thread: what it is given is written when put() returns, and an error is the run's."""
import os
import threading

import pytest
from patience import PATIENCE_S, wait_until

from edge.app.ends import make_senders
from edge.config.load import load_config
from edge.core.contracts import Output
from edge.core.errors import OutputError
from edge.outputs.direct import DirectSender
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_outputs


class Recorder(Output):
    name, fatal, blocking, landmarks = "recorder", True, True, True

    def __init__(self, error_at=None, end_error=None):
        self.items, self.threads, self.calls = [], set(), []
        self.error_at, self.end_error, self.gate = error_at, end_error, None

    def open(self):
        self.calls.append("open")

    def emit(self, item):
        self.threads.add(threading.current_thread().name)
        if self.gate is not None:
            self.gate.wait(PATIENCE_S)
        if item == self.error_at:
            raise OutputError("disk full")
        self.items.append(item)

    def close(self):
        self.calls.append("close")
        if self.end_error is not None:
            raise self.end_error


def started(output):
    sender = DirectSender(output)
    sender.start()
    return sender


def test_each_record_is_written_by_the_thread_that_gives_it():
    output = Recorder()
    sender = started(output)
    for i in range(5):
        assert sender.put(i) and output.items[-1] == i
    assert output.threads == {threading.current_thread().name}
    assert sender.stats() == {"sent": 5, "failed": 0, "dropped": 0, "state": "ok"}
    assert sender.close(PATIENCE_S) and not sender.put(5)
    assert sender.stats() == {"sent": 5, "failed": 0, "dropped": 1, "state": "closed"}
    assert (sender.name, sender.landmarks, sender.needs_picture, sender.fatal) == ("recorder", True, False, True)


def test_its_first_error_is_kept_and_nothing_more_is_written():
    output = Recorder(error_at=2, end_error=OutputError("and again"))
    sender = started(output)
    assert [sender.put(i) for i in range(4)] == [True, True, False, False]
    assert sender.close(PATIENCE_S) and str(sender.error) == "disk full"
    assert sender.stats() == {"sent": 2, "failed": 1, "dropped": 1, "state": "failed: disk full"}


def test_an_error_at_the_end_is_one_too():
    sender = started(Recorder(end_error=OutputError("disk full")))
    assert sender.put(0) and sender.close(PATIENCE_S)
    assert str(sender.error) == "disk full" and sender.stats()["state"] == "failed: disk full"


def test_close_from_another_thread_waits_for_a_record_that_is_being_written():
    output = Recorder()
    output.gate = threading.Event()
    sender = started(output)
    writer = threading.Thread(target=sender.put, args=(0,))
    writer.start()
    wait_until(lambda: output.threads)
    assert not sender.close(0.0) and output.calls == ["open"]
    output.gate.set()
    assert sender.close(PATIENCE_S) and output.items == [0] and output.calls == ["open", "close"]
    writer.join()


@pytest.mark.parametrize("live, direct, expected", [(False, True, True), (True, True, False), (False, False, False)])
def test_records_in_files_are_written_directly_where_a_recorded_source_asks_for_it(tmp_path, live, direct, expected):
    os.mkfifo(str(tmp_path / "pipe"))
    (tmp_path / "older.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "older.csv")
    source = type("source", (), {"live": live, "fps": 30.0, "name": "film", "stills": False})

    def kinds(*texts):
        specs = parse_outputs([text.format(tmp_path) for text in texts])
        return {type(sender) for sender in make_senders(specs, load_config(None, {}, None), source, direct=direct)}

    written = {DirectSender if expected else Sender}
    assert kinds("jsonl:{}/new.jsonl", "csv:{}/older.csv") == kinds("csv:{}/link.csv") == written
    assert kinds("jsonl:{}/pipe", "jsonl:-", "csv:/dev/null", "video:{}/a.mp4", "image:{}/a.jpg") == {Sender}
    assert kinds("jsonl:{}/points.jsonl?landmarks=true", "csv:{}/points.csv?landmarks=true") == {Sender}
