"""Where a password could be read by others, place by place: each is looked at, and the password is not there."""
import base64
import io
import json
import logging
import os
import socket
import stat
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout

import pytest
from patience import PATIENCE_S

from edge.cli import main as cli
from edge.config.load import load_config
from edge.core.errors import EdgeError, SourceError
from edge.core.redact import SOURCE_VARIABLE
from edge.doctor import examine, machine, packages
from edge.sources.child.parent import ChildBackend
from edge.sources.choose import make_source
from edge.sources.live.device import DEFAULT_TIMEOUTS
from edge.sources.live.stream import StreamOpener
from edge.sources.picture import FrameTransform
from edge.sources.spec import SourceOptions
from edge.telemetry.notify import Notifier
from edge.telemetry.status.log import RunState, StatusLog, status_record
from engines.report.privacy import Privacy

SECRET = "hunt!er'2 2/@x"  # what a password is not meant to hold, and holds
ENCODED = "hunt%21er%272%202%2F%40x"
SPECS = {
    "address": "rtsp://me:{}@127.0.0.1:1/live".format(SECRET), "encoded": "http://me:{}@127.0.0.1:1/x.mjpg".format(ENCODED),
    "query": "http://127.0.0.1:1/x?user=me&pwd={}&n=1".format(ENCODED),
    "token": "https://127.0.0.1:1/x?access_token=" + ENCODED,
    "wrong scheme": "rstp://me:{}@127.0.0.1:1/live".format(SECRET),
    "file that is not there": "clip?password={}.mp4".format(ENCODED),
    "pipeline": 'gst:rtspsrc location=rtsp://127.0.0.1:1/x user-id=me user-pw="{}" ! decodebin'.format(SECRET),
    "address in a pipeline": 'gst:rtspsrc location="rtsp://me:{}@127.0.0.1:1/x" ! decodebin'.format(SECRET),
}
FORMS = (SECRET, ENCODED, "hunt!er", "hunt%21er", "2/@x", base64.b64encode(SECRET.encode()).decode())


@pytest.fixture
def written(tmp_path):
    """A spec -> the path of a configuration that has it."""
    def write(spec):
        path = tmp_path / "nanoface.yaml"
        path.write_text(json.dumps({"source": {"spec": spec}, "status": {"path": str(tmp_path / "s.jsonl")}}))
        path.chmod(0o600)
        return str(path)
    return write


def tells(text):
    return [form for form in FORMS if form in text]


@pytest.mark.parametrize("place", sorted(SPECS))
@pytest.mark.parametrize("words", [
    ["run", "--source", "SPEC", "--fps", "5", "--loop"], ["run", "SPEC"], ["run", "--sorce", "SPEC"],
    ["run", "--source=SPEC", "--start", "5"], ["run", "--set", "source.spec=SPEC", "--end", "-1"],
    ["status", "SPEC"], ["doctor", "--set", "source.spec=SPEC"], ["doctor", "--json", "--set", "source.spec=SPEC"], ["SPEC"],
], ids=" ".join)
def test_what_the_command_line_says(place, words, monkeypatch, written):
    monkeypatch.setenv("NANOFACE_CONFIG", written("portrait"))
    logging.getLogger().handlers = [h for h in logging.getLogger().handlers if "Warnings" not in type(h).__name__]
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        cli.main([word.replace("SPEC", SPECS[place]) for word in words])
    assert output.getvalue() and not tells(output.getvalue())


@pytest.mark.parametrize("place", sorted(SPECS))
def test_what_a_source_says_of_itself_and_of_its_end(place):
    try:
        source = make_source(SourceOptions(SPECS[place], process="thread"))
    except EdgeError as e:
        assert not tells(str(e) + repr(e))
        return
    assert not tells(source.name)
    with pytest.raises(SourceError) as caught:
        source.open()
    assert not tells(str(caught.value))


@pytest.mark.parametrize("place", sorted(set(SPECS) - {"file that is not there"}))  # it makes no run
def test_status_record_service_manager_doctor_and_report(place, written):
    config = load_config(written(SPECS[place]), {}, {})
    reason = "{} is lost: [rtsp @ 0x55] 401 for me:{}".format(SPECS[place], SECRET)
    record = json.dumps(status_record(RunState("DEGRADED", reason, source=SPECS[place]), {}, 0.0))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0nanoface-attacks-{}".format(os.getpid()))
        manager.settimeout(PATIENCE_S)
        Notifier({"NOTIFY_SOCKET": "@nanoface-attacks-{}".format(os.getpid())}).status(reason)
        reported = manager.recv(4096).decode("utf-8")
    found = examine.examine(config, machine.Machine({"PATH": ""}), packages.this_software())
    report = Privacy("", "", "").hide(reason)
    for text in (record, reported, "\n".join(examine.lines(found)), json.dumps(examine.as_json(found)), report):
        assert text and not tells(text)


@pytest.mark.parametrize("mode", [0o600, None])
@pytest.mark.parametrize("before", [False, True], ids=["a new file", "one that is there"])
def test_the_status_log_of_such_a_source_is_its_owners_alone(tmp_path, mode, before):
    path = tmp_path / "s.jsonl"
    if before:
        path.write_text('{"schema": 1, "state": "RUNNING"}\n')
        path.chmod(0o644)
    log = StatusLog(str(path), max_bytes=100, keep=2, mode=mode)
    for _ in range(5):
        assert log.write({"schema": 1, "state": "RUNNING", "filler": "x" * 60})
    log.close()
    modes = {stat.S_IMODE(os.stat(str(tmp_path / name)).st_mode) for name in os.listdir(str(tmp_path))}
    assert len(os.listdir(str(tmp_path))) == 3 and (mode is None or modes == {mode})


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
@pytest.mark.parametrize("place", ["address", "encoded", "query", "pipeline"])
def test_the_capture_process_shows_it_to_nobody(place, monkeypatch):
    monkeypatch.setenv(SOURCE_VARIABLE, SPECS[place])
    asked, listener = threading.Event(), socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)

    def wait_for_it():
        listener.accept()[0].recv(1)
        asked.set()

    threading.Thread(target=wait_for_it, daemon=True).start()
    url = "http://me:{}@127.0.0.1:{}/x".format(ENCODED, listener.getsockname()[1])
    feed = ChildBackend(StreamOpener(url), FrameTransform(SourceOptions(), True), DEFAULT_TIMEOUTS)
    try:
        feed.begin()
        assert asked.wait(PATIENCE_S)  # by now the process knows its source
        for name in ("cmdline", "environ", "comm"):
            with open("/proc/{}/{}".format(feed.pid, name), "rb") as f:
                assert not tells(f.read().decode("utf-8", "replace")), name
    finally:
        feed.close()
        listener.close()
