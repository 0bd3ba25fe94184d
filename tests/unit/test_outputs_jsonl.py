"""Lines of JSON survive what happens to files, pipes and processes."""
import errno
import json
import os
import signal
import subprocess
import sys

import pytest
from patience import wait_until

from edge.core.errors import OutputError
from edge.core.parts import Parts
from edge.host.safeopen import Folder
from edge.outputs.files.jsonl import JsonlOutput
from edge.outputs.spec import parse_output

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RECORD = {"schema": 1, "frame": 0, "faces": [{"landmarks": [[1.25, 2.5, -3.75]] * 468}]}


def opened(target):
    output = JsonlOutput(parse_output("jsonl:" + str(target)), False)
    output.open()
    return output


def start(code, **options):
    environ = dict(os.environ, PYTHONPATH=ROOT)
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environ, **options)


def test_each_record_is_one_line_that_reads_back_the_same(tmp_path):
    path = tmp_path / "new" / "folder" / "a.jsonl"
    output = opened(path)
    for i in range(3):
        output.emit(dict(RECORD, frame=i))
        assert len(path.read_text().splitlines()) == i + 1  # nothing stays in a buffer
    output.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [dict(RECORD, frame=i) for i in range(3)]


def test_an_event_is_a_line_of_its_own_behind_its_frame(tmp_path):
    output = JsonlOutput(parse_output("jsonl:" + str(tmp_path / "a.jsonl")), False, Parts(events=True))
    output.open()
    output.emit({"frame": 0, "events": []})
    output.emit({"frame": 1, "events": [{"event": "blink"}, {"event": "nod"}]})
    output.emit({"schema": 1, "events": [{"event": "away"}]})
    output.close()
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [
        {"frame": 0}, {"frame": 1}, {"event": "blink"}, {"event": "nod"}, {"event": "away"}]


def test_an_older_file_stays_until_there_is_a_record(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("old\n" * 1000)
    path.chmod(0o640)
    opened(path).close()
    assert path.read_text() == "old\n" * 1000
    output = opened(path)
    assert path.read_text() == "old\n" * 1000
    for i in range(2):
        output.emit({"frame": i})
    output.close()
    assert path.read_text() == '{"frame":0}\n{"frame":1}\n' and path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(str(tmp_path)) == ["a.jsonl"]


def test_an_older_file_stays_where_the_first_record_does_not_fit(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text("old\n")
    output = opened(path)

    def full(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match="free some space"):
        output.emit(RECORD)
    output.close()
    assert path.read_text() == "old\n" and os.listdir(str(tmp_path)) == ["a.jsonl"]


@pytest.mark.parametrize("call, number", [("make", errno.EACCES), ("replace", errno.EBUSY)],
                         ids=["its folder may not be written to", "it is mounted there"])
def test_a_file_that_cannot_be_replaced_is_written_into(tmp_path, monkeypatch, call, number):
    path = tmp_path / "a.jsonl"
    path.write_text("old\n" * 100)
    output = opened(path)

    def refuse(*args, **more):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Folder, call, refuse)
    for i in range(2):
        output.emit({"frame": i})
    output.close()
    assert path.read_text() == '{"frame":0}\n{"frame":1}\n' and os.listdir(str(tmp_path)) == ["a.jsonl"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_one_clear_line():
    output = opened("/dev/full")
    with pytest.raises(OutputError, match="free some space"):
        output.emit(RECORD)
    output.close()


LIMITED = """
import resource, signal, sys
from edge.core.errors import OutputError
from edge.outputs.files.jsonl import JsonlOutput
from edge.outputs.spec import parse_output
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
output = JsonlOutput(parse_output("jsonl:" + sys.argv[1]), False)
output.open()
try:
    for i in range(10000):
        output.emit({"frame": i, "faces": ["x" * 1000]})
except OutputError as e:
    sys.exit(str(e))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system has no limit on the size of files")
def test_a_line_that_did_not_fit_is_taken_back(tmp_path):
    path = tmp_path / "a.jsonl"
    child = subprocess.Popen([sys.executable, "-c", LIMITED, str(path)], cwd=ROOT, stderr=subprocess.PIPE,
                             env=dict(os.environ, PYTHONPATH=ROOT))
    message = child.communicate()[1].decode()
    assert child.returncode == 1 and "a.jsonl" in message and "Traceback" not in message
    text = path.read_text()
    assert text.endswith("\n") and [json.loads(line)["frame"] for line in text.splitlines()] == list(range(9))


ENDLESS = """
from edge.outputs.files.jsonl import JsonlOutput
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_output
sender = Sender(JsonlOutput(parse_output({target!r}), True), capacity=4)
sender.start()
i = 0
while sender.put({{"frame": i, "faces": [{{"landmarks": [[1.25, 2.5, -3.75]] * 468}}]}}):
    i += 1
sender.close(60.0)
raise SystemExit("{{state}}, error {{error}}".format(error=sender.error, **sender.stats()))
"""


def test_kill_9_leaves_whole_lines_but_perhaps_the_last(tmp_path):
    path = tmp_path / "a.jsonl"
    child = start(ENDLESS.format(target="jsonl:" + str(path)))
    try:
        wait_until(lambda: path.exists() and path.stat().st_size > 500000)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    lines = path.read_text().split("\n")
    assert len(lines) > 30
    assert [json.loads(line)["frame"] for line in lines[:-1]] == list(range(len(lines) - 1))


def test_a_closed_pipe_is_reported_and_is_no_error():
    child = start(ENDLESS.format(target="jsonl:-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = json.loads(child.stdout.readline().decode())
    child.stdout.close()
    message = child.stderr.read().decode()
    child.stderr.close()
    assert child.wait() == 1 and first["frame"] == 0
    assert message.strip() == "its reader has left, error None"
