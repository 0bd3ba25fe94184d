"""Processes of their own that get a signal to end, in whatever state they are, or are killed."""
import os
import time

import kills
import pytest
from patience import stretch
from quick_program import LOADING, TROUBLE

MOST_S = 2.0  # beside what a busy machine makes of it: see kills.slowness_s
pytest.importorskip("yaml")


def wait_for_state(folder, process, state):
    """Until the status log's newest record has it. Fails where the process ends before."""
    end = time.monotonic() + kills.PATIENCE_S
    while True:
        records, _ = kills.read(os.path.join(folder, kills.STATUS))
        if records and records[-1]["state"] == state and (state != "RUNNING" or "latency_ms" in records[-1]):
            return
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "it did not become {}".format(state)
        time.sleep(0.01)


@pytest.mark.parametrize("trouble, state, reason", [
    ("load", "STARTING", "detect"), ("", "RUNNING", "stop requested"), ("source", "DEGRADED", "capture"),
    ("stage", "DEGRADED", "detect"),
])
def test_sigterm_ends_the_process_within_two_seconds_in_every_state(tmp_path, trouble, state, reason):
    folder = str(tmp_path)
    process = kills.start(folder, **({TROUBLE: trouble} if trouble else {}))
    try:
        wait_for_state(folder, process, state)
        while trouble == "load" and not os.path.exists(os.path.join(folder, LOADING)):
            time.sleep(0.01)
        took_s = kills.terminated(process)
    finally:
        process.kill()

    assert took_s < MOST_S * stretch() + kills.slowness_s() and process.returncode == 0
    last = kills.status(folder)
    assert last["state"] == "STOPPED" and reason in last["reason"], "who was late is named"


def test_sigterm_ends_a_process_whose_reader_reads_no_more(tmp_path):
    folder, pipe = str(tmp_path), str(tmp_path / "pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    process = kills.start(folder, output="jsonl:pipe")
    try:
        wait_for_state(folder, process, "DEGRADED")  # the stages wait for the output, which waits for its reader
        took_s = kills.terminated(process)
    finally:
        process.kill()
        os.close(reader)

    assert took_s < MOST_S * stretch() + kills.slowness_s()
    assert "output jsonl:pipe" in kills.status(folder)["reason"]


def test_kill_9_at_any_moment_leaves_readable_files_and_the_next_start_is_clean(tmp_path):
    killed = kills.kill_often(str(tmp_path), 6, 9)

    assert killed.faults == []
    assert killed.kills == 6 and killed.while_tracking > 0 and "6 processes" in killed.line()
