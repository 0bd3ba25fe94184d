"""Sources, stages and senders that a test controls, and one call that runs them."""
import threading
import time
from collections import namedtuple

import numpy as np
from patience import PATIENCE_S

from edge.core.contracts import Sender, Source, Stage
from edge.core.packet import Frame
from edge.pipeline.pipeline import Pipeline, Plan
from edge.telemetry.meter import Meter

PICTURE = np.zeros((4, 4, 3), np.uint8)


def frame(seq, now=None):
    return Frame(seq, time.monotonic() if now is None else now, seq / 30.0, PICTURE)


class FakeSource(Source):
    """Frames 0 to count - 1.

    `on_read(seq)` is called before each and may raise, wait, or return None for "no frame yet"; `on_end` is called when
    the last one has been handed over.
    """

    name = "fake"

    def __init__(self, count, live=False, on_read=None):
        self.count, self.live, self.on_read = count, live, on_read or (lambda seq: True)
        self.on_end = lambda: None
        self.seq = 0
        self.calls = []

    def open(self):
        self.calls.append("open")

    def read(self, timeout_s):
        if self.seq >= self.count:
            self.on_end()
            raise EOFError
        seq = self.seq
        if self.on_read(seq) is None:
            time.sleep(0.001)
            return None
        self.seq = seq + 1
        return frame(seq)

    def close(self):
        self.calls.append("close")


class FakeStage(Stage):
    """Notes its calls and threads; `act(packet)` may raise, wait, or return another packet or None."""

    def __init__(self, name, act=None, on_open=None):
        self.name, self.act, self.on_open = name, act or (lambda packet: packet), on_open or (lambda: None)
        self.calls, self.threads, self.seen = [], set(), []

    def open(self):
        self._note("open")
        self.on_open()

    def process(self, packet):
        if not self.seen:
            self._note("process")
        self.seen.append(packet.frame.seq)
        return self.act(packet)

    def close(self):
        self._note("close")

    def _note(self, call):
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)


class FakeSender(Sender):
    """Keeps what it gets. `on_put(item)` may wait, set `error`, or return False for a dropped item."""

    def __init__(self, name="fake", needs_picture=False, fatal=False, on_put=None, landmarks=False, events=False,
                 encodes=False):
        self.name, self.needs_picture, self.fatal = name, needs_picture, fatal
        self.landmarks, self.events, self.encodes = landmarks, events, encodes
        self.on_put = on_put or (lambda item: True)
        self.error, self.state, self.stop_wanted, self.reader_left = None, "ok", False, False
        self.items, self.calls = [], []

    def start(self):
        self.calls.append("start")

    def put(self, item):
        if not self.on_put(item):
            return False
        self.items.append(item)
        return True

    def close(self, timeout_s):
        self.calls.append("close")
        return True

    def stats(self):
        return {"sent": len(self.items), "failed": 0, "dropped": 0, "state": self.state}


Run = namedtuple("Run", "summary error states meter frames")


def encode(packet, now, parts):
    record = {"frame": packet.frame.seq, "faces": packet.faces}
    if parts.events:
        record["events"] = [dict(event._asdict(), frame=packet.frame.seq) for event in packet.events]
    return record


def run(source, groups, senders=None, stop=None, **options):
    """Run to the end, whatever the end is. `frames` are the numbers that the first sender got."""
    senders = [FakeSender()] if senders is None else senders
    states = []
    after = options.pop("on_state", lambda state, reason: None)

    def on_state(state, reason):
        states.append((state, reason))
        after(state, reason)

    meter = Meter([stage for group in groups for stage in group], time.monotonic())
    pipeline = Pipeline(Plan(source, groups, senders, encode, meter, on_state=on_state, **options))
    summary = error = None
    try:
        summary = pipeline.run(stop or threading.Event())
    except Exception as e:
        error = e
    recorded = bool(senders) and isinstance(senders[0], FakeSender) and not senders[0].needs_picture
    frames = [item["frame"] for item in senders[0].items if "frame" in item] if recorded else None
    return Run(summary, error, states, meter, frames)


def counts(meter, key):
    """Of each stage over the whole run, where it is not zero."""
    stages = meter.summary(time.monotonic())["stages"]
    return {name: row[key] for name, row in stages.items() if row.get(key)}


def wait_for(event):
    assert event.wait(PATIENCE_S), "what the test waits for did not happen"
