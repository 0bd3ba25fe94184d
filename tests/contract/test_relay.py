"""The relay, with a process of its own: the tracker never waits for it, and whatever becomes of it is told and mended."""
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from fakes import relay_toys
from patience import PATIENCE_S, stretch, wait_until

from edge.core.errors import ConfigError
from edge.core.packet import Face, Frame, Packet
from edge.host import packages
from edge.outputs.kinds import KINDS, OutputOptions
from edge.outputs.relay import messages, sender, watch
from edge.outputs.relay.sender import RelaySender
from edge.outputs.spec import parse_output

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPTIONS = OutputOptions(False, False, False, lambda: None)
POINTS, PICTURE = np.zeros((468, 3)), np.zeros((480, 640, 3), np.uint8)
TICK_S = 0.01


def tracked(frame, events=(), points=None, faces=1):
    face = Face(1, None, 0.9, (1.0, 2.0, 3.0, 4.0), points, expression={"mouth_open": 0.1, "jawOpen": 0.2})
    return Packet(Frame(frame, time.monotonic(), frame / 30.0, PICTURE), (face,) * faces, (),
                  tuple({"id": number} for number in events))


class Peer:
    """Receives what a toy sends."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.got = []

    def address(self, does="good", more=""):
        return "toy://127.0.0.1:{}?does={}{}".format(self._socket.getsockname()[1], does, more)

    def take(self):
        try:
            while True:
                self.got.append(json.loads(self._socket.recv(1 << 16).decode()))
        except BlockingIOError:
            return self.got

    def frames(self):
        return [told["frame"] for told in self.take() if told["frame"] >= 0]

    def events(self):
        return [number for told in self.take() for number in told["events"]]

    def close(self):
        self._socket.close()


@pytest.fixture
def peer():
    made = Peer()
    yield made
    made.close()


class Run:
    """A tracker that hands over a frame every 10 ms while something is waited for."""

    def __init__(self, texts):
        self.told, self.frame, self.events, self.slowest_s = [], 0, 0, 0.0
        self.sender = RelaySender([parse_output(text) for text in texts], OPTIONS, lambda *line: self.told.append(line))
        self.sender.start()

    def put(self, with_event=False, points=None):
        self.events += with_event
        item = tracked(self.frame, [self.events] if with_event else [], points)
        self.frame += 1
        began = time.thread_time() if hasattr(time, "thread_time") else time.process_time()
        self.sender.put(item)
        ended = time.thread_time() if hasattr(time, "thread_time") else time.process_time()
        self.slowest_s = max(self.slowest_s, ended - began)

    def until(self, condition, what="what the test waits for", **put):
        def look():
            self.put(**put)
            time.sleep(TICK_S)
            return condition()
        return wait_until(look, what)

    def rows(self):
        return list(self.sender.rows().values())

    def states(self):
        return [row["state"] for row in self.rows()]

    def warnings(self):
        return [text for event, text in self.told if event == "warning"]


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(KINDS, "toy", relay_toys.TOY)


@pytest.fixture
def relay(monkeypatch):
    monkeypatch.setattr(sender, "MODULE", "fakes.relay_toys")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS] + list(filter(None, [os.environ.get("PYTHONPATH")]))))
    runs = []

    def start(*texts):
        runs.append(Run(texts))
        return runs[-1]
    yield start
    for run in runs:
        pid = run.sender.pid
        run.sender.close(2.0)
        assert not run.sender._thread.is_alive()
        assert pid is None or not os.path.exists("/proc/{}".format(pid))


def test_records_arrive_with_their_points_as_arrays_and_their_events_in_order(relay, peer):
    run = relay(peer.address(more="&landmarks=true"), peer.address(more="&shapes=false"))
    assert run.sender.parts == (True, True, True, False, False) and run.sender.encodes
    run.until(lambda: len(peer.frames()) > 20, with_event=True, points=POINTS)
    with_points = [told for told in peer.got if told["arrays"]]
    without = [told for told in peer.got if not told["arrays"]]
    assert with_points[0]["arrays"] == [[468, 3]] and with_points[0]["shapes"] == [["jawOpen", "mouth_open"]]
    assert without[0]["shapes"] == [["mouth_open"]]
    assert {told["pid"] for told in peer.got} == {run.sender.pid} and run.sender.pid != os.getpid()
    wait_until(lambda: run.states() == ["1 receiver"] * 2)
    assert run.sender.down() == []
    wait_until(lambda: {"output {} is a toy".format(name) for name in run.sender.rows()} <= {t for _, t in run.told})
    assert run.sender.close(PATIENCE_S)
    events = [number for told in with_points + [t for t in peer.take() if t["arrays"] and t not in with_points]
              for number in told["events"]]
    assert events == list(range(1, len(events) + 1))
    rows = run.rows()
    assert [row["state"] for row in rows] == ["closed: 1 receiver"] * 2 and rows[0]["refused"] == 3
    assert all(row["sent"] + row["dropped"] == run.frame and not row["failed"] for row in rows)


def test_its_process_has_neither_networks_nor_opencv_and_little_memory(relay, peer):
    run = relay(peer.address())
    run.until(peer.frames)
    assert peer.got[0]["heavy"] == []
    assert resident_mb(run.sender.pid) < 60


def test_a_record_is_handed_over_in_a_moment_with_any_number_of_outputs(relay, peer):
    run = relay(*[peer.address(more="&landmarks=true&rate={}".format(n + 100)) for n in range(8)])
    run.until(peer.frames, points=POINTS)
    costs = []
    for _ in range(100):
        item = tracked(run.frame, points=POINTS)
        began = time.perf_counter()
        run.sender.put(item)
        costs.append(time.perf_counter() - began)
        time.sleep(0.002)
    assert sorted(costs)[50] < 1e-4 * stretch()
    run.until(lambda: len({told["frame"] for told in peer.take()}) > 20)


def test_while_it_is_stopped_nobody_waits_and_afterwards_the_newest_frame_and_every_event_come(relay, peer, monkeypatch):
    monkeypatch.setattr(watch, "HANG_S", 1.0)
    monkeypatch.setattr(watch, "QUIET_S", 0.5)
    run = relay(peer.address())
    run.until(peer.frames, with_event=True)
    pid = run.sender.pid
    os.kill(pid, signal.SIGSTOP)
    run.until(lambda: run.states() == ["down: the relay is stopped"], with_event=True)
    before = resident_mb(os.getpid())
    until = time.monotonic() + 2.0
    run.slowest_s = 0.0
    run.until(lambda: time.monotonic() > until, with_event=True)
    assert run.slowest_s < 0.02 * stretch() and resident_mb(os.getpid()) < before + 3
    assert run.sender.down() and run.sender.pid == pid
    last = run.frame - 1
    count = len(peer.take())
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: last in peer.frames())
    assert len(peer.got) - count < 20, "what was old came as well"
    wait_until(lambda: run.states() == ["1 receiver"])
    assert run.sender.close(PATIENCE_S)
    assert peer.events() == list(range(1, run.events + 1)) and peer.frames() == sorted(peer.frames())
    row, = run.rows()
    assert row["sent"] + row["dropped"] == run.frame and row["dropped"] > 20


def test_a_relay_that_is_killed_comes_back_and_its_counts_go_on(relay, peer):
    run = relay(peer.address())
    run.until(lambda: run.rows()[0]["sent"] > 10)
    pid, sent = run.sender.pid, run.rows()[0]["sent"]
    os.kill(pid, signal.SIGKILL)
    run.until(lambda: run.states()[0].startswith("down"))
    assert run.states() == ["down: the relay has ended (signal 9)"]
    assert run.sender.down() == list(run.sender.rows())
    run.until(lambda: run.states() == ["1 receiver"])
    assert run.sender.pid != pid and run.rows()[0]["sent"] >= sent
    run.until(lambda: run.rows()[0]["sent"] > sent + 10)
    assert run.warnings() == ["the relay has ended (signal 9); it is started again"]
    assert run.sender.close(PATIENCE_S)
    row, = run.rows()
    assert row["sent"] + row["dropped"] == run.frame


def test_one_that_hangs_is_ended_and_started_again(relay, peer, monkeypatch):
    monkeypatch.setattr(watch, "HANG_S", 0.5 * stretch())
    monkeypatch.setattr(watch, "START_S", 3.0 * stretch())
    run = relay(peer.address("gil"))
    first = run.sender.pid
    run.until(lambda: "the relay hangs; it is started again" in run.warnings())
    run.until(lambda: run.sender.pid not in (None, first))
    wait_until(lambda: not os.path.exists("/proc/{}".format(first)))


def test_a_bug_a_peer_that_is_not_there_and_one_that_hangs_are_nothing_to_the_others(relay, peer):
    others = [Peer() for _ in range(3)]
    try:
        run = relay(peer.address(), *[other.address(does) for other, does in zip(others, ("bug", "hang", "closed"))])
        run.until(lambda: run.states()[1].startswith("failed") and run.states()[3].startswith("down"))
        run.until(lambda: len(peer.frames()) > 100)
        assert run.states()[0] == "1 receiver"
        wait_until(lambda: "down: output {}: nobody is there".format(others[2].address("closed")) == run.states()[3])
        assert any("KeyError: 'a bug' (relay_toys.py:" in text for text in run.warnings())
        assert sum("nobody is there" in text for text in run.warnings()) == 1
        run.until(lambda: run.states()[1] == "1 receiver", "that it is made anew")
        began = time.monotonic()
        run.sender.close(1.0)
        assert time.monotonic() - began < 2.5 * stretch()
        assert run.rows()[2]["state"] == "hanging" and run.rows()[0]["state"] == "closed: 1 receiver"
    finally:
        for other in others:
            other.close()


def test_what_is_logged_there_is_told_here_once(relay, peer):
    run = relay(peer.address("loud"))
    run.until(lambda: len(peer.frames()) > 50 and run.warnings())
    assert run.warnings() == ["frame 0 is odd"]


def test_a_peer_that_does_not_let_go_is_left_behind_in_time(relay, peer):
    run = relay(peer.address("slow_close"))
    run.until(lambda: peer.frames())
    began = time.monotonic()
    run.sender.close(0.5)
    assert time.monotonic() - began < 2.0 * stretch() and run.states() == ["hanging"]


def test_a_stopped_relay_is_ended_at_the_end_of_the_run(relay, peer):
    run = relay(peer.address())
    run.until(lambda: peer.frames())
    pid = run.sender.pid
    os.kill(pid, signal.SIGSTOP)
    assert run.sender.close(0.3)
    assert not os.path.exists("/proc/{}".format(pid)) and run.states() == ["hanging"]


TRACKER = """
import sys, time
import numpy as np
from edge.core.packet import Frame, Packet
from edge.outputs.kinds import KINDS, OutputOptions
from edge.outputs.relay import sender
from edge.outputs.spec import parse_output
from fakes import relay_toys
KINDS["toy"] = relay_toys.TOY
sender.MODULE = "fakes.relay_toys"
one = sender.RelaySender([parse_output(text) for text in sys.argv[1:]], OutputOptions(False, False, False, lambda: None))
one.start()
while True:
    one.put(Packet(Frame(1, time.monotonic(), 0.0, np.zeros((4, 4, 3)))))
    print(one.pid, flush=True)
    time.sleep(0.05)
"""


@pytest.mark.parametrize("does", ["good", "hang"])
def test_a_tracker_that_is_killed_leaves_no_relay(peer, tmp_path, does):
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([os.path.dirname(TESTS), TESTS, os.environ.get("PYTHONPATH", "")]))
    process = subprocess.Popen([sys.executable, "-c", TRACKER, peer.address(does), peer.address()], env=env,
                               stdout=subprocess.PIPE, universal_newlines=True)
    try:
        pid = int(process.stdout.readline())
        wait_until(lambda: peer.frames() or process.stdout.readline() == "")
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not os.path.exists("/proc/{}".format(pid)))
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("spoken", [
    b"\x80\x04no json", b"[" * 50000, b"1" * (messages.LARGEST_STATUS + 1), b"{}", b'{"kind": "status", "rows": []}',
    b'{"kind": "status", "rows": [{"sent": -1, "failed": 0, "dropped": 0, "state": "ok"}]}',
    b'{"kind": "status", "rows": [{"sent": true, "failed": 0, "dropped": 0, "state": "ok"}]}',
    b'{"kind": "status", "rows": [{"sent": 1e3, "failed": 0, "dropped": 0, "state": "ok"}]}',
    b'{"kind": "status", "rows": [{"sent": 1, "failed": 0, "dropped": 0, "state": "' + b"x" * 400 + b'"}]}',
    b'{"kind": "status", "rows": [{"sent": 1, "failed": 0, "dropped": 0, "state": "ok", "a b": 1}]}',
    b'{"kind": "status", "rows": [{"sent": 1, "failed": 0, "dropped": 0}]}', b'{"kind": "status", "rows": [7]}',
    b'{"kind": "warning", "text": ["a"]}', b'{"kind": "warning"}', b'{"kind": "close", "text": "a"}', b"null",
    pickle.dumps(OPTIONS._replace(fps=None)),
], ids=lambda spoken: repr(spoken[:60]))
def test_what_a_hostile_relay_says_is_refused(spoken):
    with pytest.raises(ValueError):
        messages.read(spoken, 1)


def test_a_relay_that_floods_the_tracker_with_garbage_costs_it_little_and_is_ended(relay, monkeypatch):
    monkeypatch.setattr(sender, "MODULE", "fakes.hostile_relay")
    monkeypatch.setattr(watch, "START_S", 2.0)
    run = relay("toy://127.0.0.1:9", "toy://127.0.0.1:10")
    first, began, cpu_s = run.sender.pid, time.monotonic(), time.process_time()
    run.until(lambda: "the relay hangs; it is started again" in run.warnings())
    assert time.process_time() - cpu_s < 0.5 * (time.monotonic() - began)
    assert run.warnings()[0].startswith("the relay said what it cannot say: ") and len(run.warnings()) < 8
    assert all(row["sent"] == 0 for row in run.rows())
    wait_until(lambda: not os.path.exists("/proc/{}".format(first)))


def test_what_the_relay_says_is_read_back():
    rows = [{"sent": 1, "failed": 2, "dropped": 3, "refused": 4, "state": "caf\u00e9 " * 200}]
    told = messages.read(messages.status(rows), 1)
    assert told.rows[0]["refused"] == 4 and told.rows[0]["state"] == rows[0]["state"][:messages.LONGEST_TEXT]
    assert messages.read(messages.line(messages.WARNING, "a\nb"), 1).text == "a b"


def test_a_package_that_is_missing_is_named_with_its_cure_before_anything_is_opened(monkeypatch):
    kind = KINDS["toy"]._replace(package="no_such_package_of_ours")
    monkeypatch.setitem(KINDS, "toy", kind)
    with pytest.raises(ConfigError) as failed:
        RelaySender([parse_output("toy://192.0.2.1:5")], OPTIONS)
    assert packages.install("no_such_package_of_ours") in str(failed.value) and "toy://192.0.2.1:5" in str(failed.value)


def test_dozens_of_faces_go_without_their_points_rather_than_not_at_all(relay, peer):
    run = relay(peer.address(more="&landmarks=true"))
    run.until(lambda: peer.frames())
    run.sender.put(tracked(run.frame, points=POINTS, faces=60))
    run.frame += 1
    wait_until(lambda: run.frame - 1 in peer.frames())
    told, = [told for told in peer.got if told["frame"] == run.frame - 1]
    assert told["arrays"] == [] and len(told["shapes"]) == 60


def resident_mb(pid):
    with open("/proc/{}/status".format(pid), encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024.0


def test_the_toys_are_known_here_as_there():
    assert KINDS["toy"].live and relay_toys.make is relay_toys.Toy
