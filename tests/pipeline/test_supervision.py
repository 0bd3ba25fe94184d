"""What the pipeline reports to its observers: from its first moment, and about a stage or a source that hangs."""
import socket
import threading
import time

import pytest
from fakes.pipeline import FakeSource, FakeStage, run, wait_for
from patience import PATIENCE_S, wait_until

from edge.pipeline import pipeline as pipeline_module
from edge.telemetry.health import Health
from edge.telemetry.notify import Notifier


def live_source():
    """One that never ends, about a thousand frames a second."""
    return FakeSource(10 ** 9, live=True, on_read=lambda seq: time.sleep(0.001) or True)


class Watched:
    """Keeps what on_watch was called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, state, reason, heartbeats, delivered, absent):
        self.calls.append((state, reason, dict(heartbeats), delivered, absent, time.monotonic()))

    def states(self):
        states = [call[0] for call in self.calls]
        return [state for i, state in enumerate(states) if i == 0 or states[i - 1] != state]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(pipeline_module, "HANG_S", 0.2)
    monkeypatch.setattr(pipeline_module, "TICK_S", 0.02)


def test_the_watch_begins_before_anything_is_open_and_sees_every_state(quick):
    watched, opened = Watched(), []
    stage = FakeStage("detect", on_open=lambda: time.sleep(0.3))
    done = run(FakeSource(3), [[stage]], on_watch=watched, on_open=opened.append)
    assert done.error is None
    assert watched.states() == ["STARTING", "RUNNING", "STOPPING", "STOPPED"]
    starting = [call for call in watched.calls if call[0] == "STARTING"]
    assert len(starting) > 3, "it is called while a network opens"
    assert any(call[5] - call[2]["detect"] > 0.1 for call in starting), "and tells since when it does"
    assert sorted(opened) == ["detect", "fake", "output"] and opened[-1] == "detect"
    assert watched.calls[-1][3] == 3


def test_a_stage_that_hangs_is_named_and_comes_back(quick):
    watched, hold, stop = Watched(), threading.Event(), threading.Event()

    def act(packet):
        if packet.frame.seq >= 2:
            wait_for(hold)
        return packet

    def on_state(state, reason):
        if reason == "detect hangs":
            hold.set()
        elif state == "RUNNING" and hold.is_set():
            stop.set()

    source = live_source()
    done = run(source, [[FakeStage("detect", act)]], stop=stop, on_watch=watched, on_state=on_state)
    assert done.states[1:4] == [("RUNNING", ""), ("DEGRADED", "detect hangs"), ("RUNNING", "")]
    ages = [call[5] - call[2]["detect"] for call in watched.calls if call[1] == "detect hangs"]
    assert ages and ages[0] > 0.15


@pytest.mark.parametrize("attribute, value, reason", [
    ("lost_since", 1.0, "source lost"), ("absent", True, "source absent"),
])
def test_a_source_that_gives_nothing_leaves_every_heartbeat_fresh(quick, attribute, value, reason):
    watched, stop = Watched(), threading.Event()
    source = FakeSource(10, live=True, on_read=lambda seq: None)
    setattr(source, attribute, value)
    threading.Thread(target=lambda: (wait_until(lambda: len(watched.calls) > 20), stop.set())).start()
    done = run(source, [[FakeStage("detect")]], stop=stop, on_watch=watched)
    assert ("DEGRADED", reason) in done.states
    degraded = [call for call in watched.calls if call[0] == "DEGRADED"]
    assert all(call[4] for call in degraded) and not any(call[3] for call in degraded)
    assert max(call[5] - beat for call in degraded for beat in call[2].values()) < 0.2


def test_a_read_that_hangs_is_the_sources_trouble_and_not_a_stages(quick, monkeypatch):
    monkeypatch.setattr("edge.pipeline.ends.HANG_S", 0.2)
    watched, hold, stop = Watched(), threading.Event(), threading.Event()

    def on_state(state, reason):
        if reason:
            hold.set()
            stop.set()

    source = FakeSource(10, live=True, on_read=lambda seq: wait_for(hold) or True)
    done = run(source, [[FakeStage("detect")]], stop=stop, on_watch=watched, on_state=on_state)
    assert done.states[2][:2] == ("DEGRADED", "source hangs")


def test_reasons_from_elsewhere_make_the_run_degraded_while_they_last(quick):
    reasons, stop = ["throttled"], threading.Event()
    seen = []

    def on_state(state, reason):
        seen.append((state, reason))
        if state == "DEGRADED":
            reasons.clear()
        elif "DEGRADED" in [s for s, _ in seen] and state == "RUNNING":
            stop.set()

    source = live_source()
    run(source, [[FakeStage("detect")]], stop=stop, on_state=on_state, reasons=lambda: list(reasons))
    assert seen[1:4] == [("RUNNING", ""), ("DEGRADED", "throttled"), ("RUNNING", "")]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no AF_UNIX sockets here")
def test_the_whole_way_to_the_managers_socket(quick, tmp_path):
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(tmp_path / "notify"))
    listening.settimeout(PATIENCE_S)
    lines = []

    def listen():
        while not lines or not lines[-1].startswith("STATUS=stopped"):
            lines.append(listening.recv(1000).decode("utf-8"))

    listener = threading.Thread(target=listen)
    listener.start()
    health = Health(Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}))
    done = run(FakeSource(5), [[FakeStage("detect", lambda packet: time.sleep(0.05) or packet)]],
               on_watch=health.tick, on_open=health.opening)
    listener.join(PATIENCE_S)
    listening.close()
    assert done.error is None
    order = [lines.index(line) for line in ("EXTEND_TIMEOUT_USEC=120000000", "STATUS=starting: opening detect",
                                            "WATCHDOG=1", "STOPPING=1", "STATUS=stopped: end of source")]
    assert order == sorted(order)
    assert "READY=1" in lines[order[1]:order[3]]
