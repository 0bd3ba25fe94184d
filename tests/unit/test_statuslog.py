"""The status log keeps whole lines and never stops anything; its reader survives all that can happen to a file."""
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from patience import PATIENCE_S, wait_until

from edge.core.errors import ConfigError
from edge.telemetry.status import log as statuslog
from edge.telemetry.status.log import RunState, StatusLog, StatusWriter, status_record
from edge.telemetry.status.read import follow, read_last


def record(n):
    return {"schema": 1, "state": "RUNNING", "n": n}


def lines_of(path):
    with open(str(path), "rb") as f:
        return f.read().split(b"\n")


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it is being rotated
        return 0


def numbers_of(path):
    return [json.loads(line.decode("utf-8"))["n"] for line in lines_of(path) if line]


def test_the_record_has_the_keys_of_the_schema_and_the_board_only_where_it_is_known():
    measured = {"fps": {"capture": 30.0, "output": 29.9}, "faces": 1, "stages": {}}
    run_state = RunState("DEGRADED", "source lost", 125.04, "/dev/video0", {"vmc": {"sent": 150, "state": "ok"}})

    made = status_record(run_state, measured, 1795231211.402)

    assert list(made) == ["schema", "at", "uptime_s", "state", "reason", "source", "fps", "faces", "stages", "outputs"]
    assert made["at"] == "2026-11-21T03:20:11.402Z"
    assert (made["uptime_s"], made["state"], made["reason"]) == (125.0, "DEGRADED", "source lost")
    assert status_record(run_state._replace(board={"model": "Nano"}), measured, 0.0)["board"] == {"model": "Nano"}


def test_records_are_appended_as_lines_and_the_folder_is_made(tmp_path):
    path = tmp_path / "logs" / "status.jsonl"
    for n in (0, 1):  # a restarted service goes on behind what is there
        log = StatusLog(str(path))
        assert log.write(record(n)) is True
        log.close()
    assert numbers_of(path) == [0, 1]
    assert read_last(str(path)) == record(1)


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_the_log_is_rotated_by_size_and_only_so_many_old_files_stay(tmp_path, keep):
    path = tmp_path / "status.jsonl"
    log = StatusLog(str(path), max_bytes=200, keep=keep)
    for n in range(60):
        assert log.write(record(n))
    log.close()

    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["status.jsonl"] + ["status.jsonl.{}".format(k) for k in range(1, keep + 1)]
    numbers = [n for name in names[1:][::-1] + names[:1] for n in numbers_of(tmp_path / name)]
    assert numbers == list(range(60))[-len(numbers):]
    assert all(p.stat().st_size <= 200 for p in tmp_path.iterdir())


def test_a_record_larger_than_the_limit_is_written_all_the_same(tmp_path):
    log = StatusLog(str(tmp_path / "s.jsonl"), max_bytes=10, keep=1)
    assert [log.write(record(n)) for n in range(3)] == [True] * 3
    assert numbers_of(tmp_path / "s.jsonl") == [2]


def test_a_line_that_a_power_cut_left_short_stays_alone(tmp_path):
    path = tmp_path / "status.jsonl"
    path.write_bytes(b'{"schema":1,"state":"RUNNING","n":0}\n{"schema":1,"sta')
    assert read_last(str(path)) == record(0)

    StatusLog(str(path)).write(record(1))

    assert lines_of(path)[1:] == [b'{"schema":1,"sta', b'{"schema":1,"state":"RUNNING","n":1}', b""]
    assert read_last(str(path)) == record(1)


@pytest.mark.parametrize("what", ["removed", "moved"])
def test_the_log_comes_back_where_somebody_took_the_file_away(tmp_path, what):
    path = tmp_path / "status.jsonl"
    log = StatusLog(str(path))
    log.write(record(0))
    path.unlink() if what == "removed" else path.rename(tmp_path / "elsewhere")

    assert log.write(record(1))
    assert numbers_of(path) == [1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_is_counted_reported_once_and_tried_again(tmp_path, caplog):
    path = tmp_path / "status.jsonl"
    path.symlink_to("/dev/full")
    log = StatusLog(str(path))

    with caplog.at_level(logging.INFO):
        assert [log.write(record(n)) for n in range(3)] == [False] * 3
        assert (log.written, log.failed) == (0, 3) and "No space left" in log.problem
        path.unlink()
        assert log.write(record(3)) is True

    assert (log.written, log.failed, log.problem) == (1, 3, "")
    assert numbers_of(path) == [3]
    assert len(caplog.records) == 2


def test_a_place_that_cannot_be_written_to_stops_nothing(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    for path in (blocker / "status.jsonl", tmp_path):
        log = StatusLog(str(path))
        assert log.write(record(0)) is False
        assert log.problem.startswith(str(path)) and "\n" not in log.problem


def test_what_a_full_disk_left_of_a_line_is_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "status.jsonl"
    log = StatusLog(str(path))
    log.write(record(0))
    real_write = os.write
    monkeypatch.setattr("edge.telemetry.status.log.os.write", lambda fd, data: real_write(fd, data[:5]))
    assert log.write(record(1)) is False
    monkeypatch.undo()

    assert log.write(record(2)) is True
    assert numbers_of(path) == [0, 2]


PROGRAM = """
import sys
sys.path[:0] = {paths!r}
from edge.telemetry.status.log import StatusLog
log = StatusLog(sys.argv[1], max_bytes=20000, keep=2)
n = 0
while True:
    log.write({{"schema": 1, "state": "RUNNING", "n": n, "filler": "x" * (n % 700)}})
    n += 1
"""


def test_kill_9_leaves_whole_lines(tmp_path):
    path = tmp_path / "status.jsonl"
    program = PROGRAM.format(paths=[p for p in sys.path if p])
    for kill_at in (0, 5000, 15000):
        process = subprocess.Popen([sys.executable, "-c", program, str(path)])
        wait_until(lambda least=kill_at: size_of(path) > least)
        process.send_signal(signal.SIGKILL)
        process.wait()

        for name in sorted(p.name for p in tmp_path.iterdir()):
            *whole, last = lines_of(tmp_path / name)
            assert last == b""
            assert all(json.loads(line.decode("utf-8"))["state"] == "RUNNING" for line in whole)
        assert read_last(str(path))["state"] == "RUNNING"


@pytest.mark.parametrize("content, words", [
    (None, ["no status log", "nanoface run"]), (b"", ["no status record"]),
    (b"\x00\xff\n[1]\nnot json\n", ["no status record"]), (b'{"schema":1,"state":"RUNN', ["no status record"]),
    (b'{"schema":1,"frame":0,"faces":[]}\n', ["no status record"])])
def test_a_file_without_a_record_is_one_clear_line(tmp_path, content, words):
    path = tmp_path / "status.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_last(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_just_after_a_rotation_the_newest_record_is_found_in_the_old_file(tmp_path):
    path = tmp_path / "status.jsonl"
    (tmp_path / "status.jsonl.1").write_text(json.dumps(record(7)) + "\n")
    assert read_last(str(path)) == record(7)
    path.write_text("")
    assert read_last(str(path)) == record(7)
    assert next(follow(str(path), threading.Event())) == record(7)


class Follower:
    """Follows a log in a thread and keeps the numbers."""

    def __init__(self, path):
        self.stop, self.numbers = threading.Event(), []
        self._thread = threading.Thread(target=self._run, args=(str(path),), daemon=True)
        self._thread.start()

    def _run(self, path):
        for found in follow(path, self.stop, poll_s=0.002):
            self.numbers.append(found["n"])

    def until(self, n):
        wait_until(lambda: self.numbers and self.numbers[-1] == n)
        self.stop.set()
        self._thread.join(PATIENCE_S)
        return self.numbers


def test_following_begins_with_the_newest_record_and_misses_none(tmp_path):
    path = tmp_path / "status.jsonl"
    log = StatusLog(str(path))
    for n in range(3):
        log.write(record(n))
    follower = Follower(path)
    wait_until(lambda: follower.numbers == [2])
    for n in range(3, 40):
        log.write(record(n))
    assert follower.until(39) == list(range(2, 40))


@pytest.mark.parametrize("max_bytes", [80, 400])
def test_following_goes_on_through_rotations(tmp_path, max_bytes):
    path = tmp_path / "status.jsonl"
    follower = Follower(path)
    log = StatusLog(str(path), max_bytes=max_bytes, keep=3)
    for n in range(300):
        log.write(record(n))
        # it must never be further behind than there are files kept
        wait_until(lambda n=n: follower.numbers and follower.numbers[-1] >= n)
    assert follower.until(299) == list(range(300))


def test_following_survives_short_lines_truncation_and_removal(tmp_path):
    path = tmp_path / "status.jsonl"
    follower = Follower(path)
    line = json.dumps(record(0)) + "\n"
    with open(str(path), "a") as f:
        f.write(line[:9])
        f.flush()
        time.sleep(0.02)
        assert follower.numbers == []
        f.write(line[9:] + "garbage\n" + json.dumps(record(1)) + "\n")
    wait_until(lambda: follower.numbers == [0, 1])
    path.write_text(json.dumps(record(2)) + "\n")  # truncated and written again, shorter than before
    wait_until(lambda: follower.numbers == [0, 1, 2])
    path.unlink()
    time.sleep(0.02)
    path.write_text(json.dumps(record(3)) + "\n")
    assert follower.until(3) == [0, 1, 2, 3]


def test_following_ends_when_it_is_stopped(tmp_path):
    stop = threading.Event()
    stop.set()
    assert list(follow(str(tmp_path / "none"), stop)) == []


def test_the_writer_writes_at_every_change_and_in_between(tmp_path):
    path, taken = tmp_path / "status.jsonl", []

    def snapshot():
        taken.append(1)
        return record(len(taken))

    writer = StatusWriter(StatusLog(str(path)), snapshot, interval_s=0.02)
    writer.changed()
    writer.changed()  # before the thread could write the first one
    writer.start()
    wait_until(lambda: len(taken) >= 4)
    writer.changed()
    assert writer.close(PATIENCE_S) is True

    assert numbers_of(path) == list(range(1, len(taken) + 1))


def test_a_writer_with_a_long_interval_writes_changes_only(tmp_path):
    path, states = tmp_path / "status.jsonl", iter(["STARTING", "RUNNING", "STOPPED"])
    writer = StatusWriter(StatusLog(str(path)), lambda: {"state": next(states)}, interval_s=3600.0)
    writer.start()
    for _ in range(3):
        writer.changed()
    assert writer.close(PATIENCE_S) is True
    assert [json.loads(line.decode())["state"] for line in lines_of(path) if line] == ["STARTING", "RUNNING", "STOPPED"]


def test_a_disk_that_hangs_holds_up_nobody():
    class Hanging(StatusLog):
        def write(self, *records):
            held.wait(PATIENCE_S)
            return False

    held = threading.Event()
    writer = StatusWriter(Hanging("unused"), lambda: record(0), interval_s=3600.0)
    writer.start()
    for _ in range(1000):
        writer.changed()
    assert writer.close(0.05) is False
    held.set()
    assert writer.close(PATIENCE_S) is True
    assert writer.counts()["failed"] > 800  # what found no room while it hung is counted


def test_a_disk_that_hangs_is_reported_while_it_does(monkeypatch):
    class Hanging(StatusLog):
        def write(self, *records):
            held.wait(PATIENCE_S)
            return True

    monkeypatch.setattr(statuslog, "HANG_S", 0.05)
    held = threading.Event()
    writer = StatusWriter(Hanging("slow.jsonl"), lambda: record(0), interval_s=3600.0)
    writer.start()
    assert writer.problem == ""
    writer.changed()
    wait_until(lambda: writer.problem)
    assert writer.problem == "slow.jsonl: its disk hangs"
    held.set()
    wait_until(lambda: not writer.problem)
    assert writer.close(PATIENCE_S) is True


def test_records_that_are_gathered_are_written_together_and_changes_at_once(tmp_path, monkeypatch):
    path, made, writes = tmp_path / "status.jsonl", [], []
    writing = StatusLog.write
    monkeypatch.setattr(StatusLog, "write", lambda self, *records: writes.append(len(records)) or writing(self, *records))

    def snapshot():
        made.append(1)
        return record(len(made))

    writer = StatusWriter(StatusLog(str(path)), snapshot, interval_s=0.002, gather_s=3600.0)
    writer.start()
    wait_until(lambda: len(writes) >= 2)
    assert writes[:2] == [statuslog.WAITING // 2] * 2
    assert writer.close(PATIENCE_S) is True
    assert numbers_of(path) == list(range(1, len(made) + 1)) and writer.counts() == {"written": len(made), "failed": 0}

    rare = StatusWriter(StatusLog(str(path)), snapshot, interval_s=3600.0, gather_s=3600.0)
    rare.start()
    before = len(writes)
    rare.changed()
    wait_until(lambda: len(writes) > before)
    assert rare.close(PATIENCE_S) is True


def at(wall_s, n):
    return dict(record(n), at=status_record(RunState("RUNNING"), {}, wall_s)["at"])


def test_the_log_is_rotated_by_age(tmp_path):
    path, now = tmp_path / "status.jsonl", [1.8e9]
    log = StatusLog(str(path), max_age_s=100.0, wall=lambda: now[0], now=lambda: now[0])
    for n in range(6):
        log.write(at(now[0], n))
        now[0] += 40.0
    log.close()
    assert numbers_of(tmp_path / "status.jsonl.1") == [0, 1, 2] and numbers_of(path) == [3, 4, 5]
    later = StatusLog(str(path), max_age_s=100.0, wall=lambda: now[0] + 20.0)  # another process: the file tells its age
    later.write(at(now[0], 6))
    later.close()
    assert numbers_of(path) == [6] and numbers_of(tmp_path / "status.jsonl.1") == [3, 4, 5]


@pytest.mark.parametrize("first_s, steps_s", [
    (1e9, (8e8, -3600.0)),  # a board that woke up in 2001, and is corrected once more
    (1.8e9, (8 * 366 * 86400.0, -3600.0)), (1.8e9, (-8 * 366 * 86400.0, 40.0)),
])
def test_no_step_of_the_clock_makes_a_file_old_or_keeps_it_young(tmp_path, first_s, steps_s):
    path, now, wall = tmp_path / "status.jsonl", [50.0], [first_s]
    log = StatusLog(str(path), max_age_s=100.0, wall=lambda: wall[0], now=lambda: now[0])
    log.write(at(wall[0], 0))
    for n, step_s in enumerate(steps_s, 1):
        now[0] += 40.0
        wall[0] += 40.0 + step_s
        log.write(at(wall[0], n))
    assert numbers_of(path) == [0, 1, 2]
    now[0] += 40.0
    log.write(at(wall[0], 3))
    log.close()
    assert numbers_of(path) == [3]


def test_a_file_from_the_future_is_a_new_one(tmp_path):
    path, now = tmp_path / "status.jsonl", [50.0]
    path.write_text(json.dumps(at(1.9e9, 0)) + "\n")
    log = StatusLog(str(path), max_age_s=100.0, wall=lambda: 1.8e9, now=lambda: now[0])
    log.write(at(1.8e9, 1))
    now[0] += 101.0
    log.write(at(1.8e9, 2))
    log.close()
    assert numbers_of(tmp_path / "status.jsonl.1") == [0, 1] and numbers_of(path) == [2]


REAL_DISK = """
import json, os, subprocess, sys
sys.path[:0] = {paths!r}
from edge.telemetry.status.log import StatusLog
folder = sys.argv[1]
log = StatusLog(os.path.join(folder, "status.jsonl"), keep=0)
told = []
def write(n):
    told.append(log.write(dict(schema=1, n=n, text="x" * 3000, state="RUNNING")))
write(0)
ballast = os.open(os.path.join(folder, "ballast"), os.O_WRONLY | os.O_CREAT)
try:
    while True:
        os.write(ballast, b"x" * 4096)
except OSError:
    os.close(ballast)
write(1); write(2)
full = log.problem
os.unlink(os.path.join(folder, "ballast"))
write(3)
log.close()  # else the kernel does not let the disk become read-only
subprocess.check_call(["mount", "-o", "remount,ro", folder])
write(4)
read_only = log.problem
subprocess.check_call(["mount", "-o", "remount,rw", folder])
write(5)
log.close()
with open(log.path) as f:
    numbers = [json.loads(line)["n"] for line in f]
print(json.dumps([told, full, read_only, numbers, log.failed, log.problem]))
"""


def test_a_real_disk_that_is_full_and_then_read_only_costs_only_its_lines(tmp_path):
    program = REAL_DISK.format(paths=[p for p in sys.path if p])
    script = 'mount -t tmpfs -o size=32k none "$1" && exec "$2" -c "$3" "$1"'
    try:
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), sys.executable, program],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S)
    except OSError:
        pytest.skip("no unshare here")
    if b"Operation not permitted" in done.stderr or b"permission denied" in done.stderr:
        pytest.skip("needs root, to mount a small disk")
    assert done.returncode == 0, done.stderr.decode()
    told, full, read_only, numbers, failed, problem = json.loads(done.stdout.decode())
    assert told[0] and not told[2] and told[3] and not told[4] and told[5]
    assert "space" in full and "ead-only" in read_only and problem == ""
    assert numbers == [n for n, written in enumerate(told) if written] and failed == told.count(False)


def test_a_system_that_cannot_set_modes_writes_a_private_log_too(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "fchmod")
    log = StatusLog(str(tmp_path / "s.jsonl"), mode=0o600)
    assert log.write({"schema": 1, "state": "RUNNING"}) and not log.problem
    log.close()
