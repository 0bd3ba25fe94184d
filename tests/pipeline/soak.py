"""`make soak`: many frames at full speed through the real stages, meter, status log and outputs, with random faults.

The networks' answers are made up and time is simulated: nothing is computed that could be waited for. Exit code 1 where
anything is lost without being counted, memory grows, or a fault is not told in one line.
"""
import argparse
import contextlib
import logging
import os
import sys
import tempfile
import threading
import time

import numpy as np

if __name__ == "__main__":
    HERE = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [os.path.dirname(os.path.dirname(HERE)), os.path.dirname(HERE), HERE]

from fakes import faulty
from fakes.tracker import IMAGE, Tracker, good

from edge.core import clock as core_clock
from edge.outputs import sender
from edge.outputs.record import encode
from edge.outputs.sender import Sender
from edge.pipeline import pipeline as pipelines
from edge.pipeline.droplog import LOG_INTERVAL_S
from edge.pipeline.governor import Governor, Steering, Step, Switch
from edge.pipeline.pipeline import Pipeline, Plan
from edge.telemetry.meter import Meter
from edge.telemetry.status.run import Run

INTERVAL_S = 0.5  # of the status log, real time as near as the writer can make it
MOST_GROWTH = 1.05
THROTTLED_FRAMES = 150  # in a row, after which something must have been given up
WILD = {"nan": np.nan, "inf": np.inf, "huge": 3e38}
ROLES = ("detect", "align", "pose", "iris")


@contextlib.contextmanager
def simulated(clock):
    """The whole program looks at `clock`, and what waits in real time waits shortly."""
    places = [(core_clock, "monotonic", clock), (pipelines, "TICK_S", 0.005), (sender, "FIRST_RETRY_S", 0.005),
              (sender, "LONGEST_RETRY_S", 0.01)]
    before = [getattr(module, name) for module, name, _ in places]
    for module, name, value in places:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(places, before):
            setattr(module, name, value)


class Complaints(logging.Handler):
    """The log's warnings, and in which order they came."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


class Outcome:
    """What a run came to. `faults` are sentences, none where all was as it must be."""

    def __init__(self):
        self.faults, self.memory_mb = [], []
        self.frames = self.delivered = self.captured = 0
        self.elapsed_s = self.simulated_s = 0.0

    def must(self, holds, text, *values):
        if not holds:
            self.faults.append(text.format(*values))

    @property
    def growth(self):
        """Of the memory, from after the first fifth of the run to its end."""
        if len(self.memory_mb) < 5:
            return 1.0
        fifth = max(1, len(self.memory_mb) // 5)
        return max(self.memory_mb[-fifth:]) / max(self.memory_mb[fifth:2 * fifth])


class Show:
    """One run of a faulty world: `groups` are its stages, `swallows` the kinds of blow that swallow a frame."""

    def __init__(self, folder, world, frames, groups, swallows=()):
        self.folder, self.world, self.groups, self.swallows = folder, world, groups, swallows
        self.out = Outcome()
        self.chain = [stage for group in groups for stage in group]
        self.source = faulty.FaultySource(world, IMAGE, frames)
        self.meter = Meter(self.chain, world.clock())
        self.peer, self.halve, self.complaints = faulty.FaultyPeer(world), Switch(), Complaints()
        self.records = faulty.jsonl_sender(self.path("records.jsonl"))
        self.senders = [self.records, Sender(self.peer, 1)]
        self.log = faulty.FaultyLog(world, self.path("status.jsonl"))
        self.steps = [Step("records of every second frame only", self.halve.set)]
        self._sample_at = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self):
        out, world = self.out, self.world
        before = set(threading.enumerate()), faulty.open_files()
        logging.getLogger().addHandler(self.complaints)
        began, began_at = time.perf_counter(), world.clock()
        try:
            with simulated(world.clock):
                self._run()
        finally:
            logging.getLogger().removeHandler(self.complaints)
        out.elapsed_s, out.simulated_s = time.perf_counter() - began, world.clock() - began_at
        after = set(threading.enumerate()), faulty.open_files()
        out.must(after[0] <= before[0], "threads left behind: {}", after[0] - before[0])
        out.must(after[1] == before[1], "open files: {} before, {} after", before[1], after[1])
        self._check()
        return out

    def _run(self):
        world = self.world
        run = Run(self.source, None, self.senders, self.meter, self.chain, lambda event, text: None)
        steering = Steering(Governor(30.0, len(self.steps)), self.steps, lambda: world.throttled, run.changed)
        run.governor = steering.record

        def on_state(state, reason):
            world.on_state(state, reason)
            run.on_state(state, reason)

        plan = Plan(self.source, self.groups, self.senders, encode, self.meter,
                    clock=world.clock, on_state=on_state, on_tick=self._on_tick, on_work=steering.on_work,
                    halved=self.halve, reasons=run.reasons,
                    capture_thread=False)  # the source gives no faster than frames are taken
        run.start_log(self.log, INTERVAL_S)
        try:
            pipeline = Pipeline(plan)
            world.heartbeats = pipeline.heartbeats
            summary = pipeline.run(threading.Event())
        finally:
            run.close(10.0)
        self.out.captured, self.out.delivered = summary.captured, summary.delivered
        self.out.must(summary.late == (), "not ended in time: {}", summary.late)
        self.final = run.final()

    def _on_tick(self, delivered):
        if delivered >= self._sample_at:
            self.out.memory_mb.append(faulty.resident_mb())
            self._sample_at = delivered + max(200, self.source._count // 40)

    def _check(self):
        self._check_frames()
        self._check_told()
        out = self.out
        out.must(out.growth <= MOST_GROWTH, "memory grew by {:.1f} %: {}", 100.0 * (out.growth - 1.0), out.memory_mb)

    def _check_frames(self):
        """What was offered is delivered or counted, in order."""
        out, source, dealt = self.out, self.source, self.world.dealt
        rows = self.final["stages"]
        dropped = sum(row["dropped"] for row in rows.values())
        swallowed = sum(dealt.get(kind, 0) for kind in self.swallows) + rows["output"].get("skipped", 0)
        offered = source.given + source.lost + dealt[faulty.TORN]
        out.frames = source.given
        out.must(out.captured == source.given, "{} frames given, {} captured", source.given, out.captured)
        out.must(offered == out.delivered + dropped + swallowed, "{} frames offered: {} delivered, {} dropped, {} swallowed",
                 offered, out.delivered, dropped, swallowed)
        skipped = rows["output"].get("skipped", 0)
        out.must(skipped > 0 or self.world.longest_throttled < THROTTLED_FRAMES, "the board throttled: nothing was given up")
        last, written = -1, 0
        for record in faulty.lines_of(self.path("records.jsonl")):
            out.must(record["frame"] > last, "frame {} after {}", record["frame"], last)
            last, written = record["frame"], written + 1
        out.must(written == out.delivered, "{} frames delivered, {} written", out.delivered, written)
        peer = self.senders[1].stats()
        sent = peer["sent"] + peer["failed"] + peer["dropped"]
        out.must(sent == out.delivered, "of {} frames the peer's sender counts {}: {}", out.delivered, sent, peer)

    def _check_told(self):
        """Each outage is one change of state, each change one line of the log, and blows are told now and then."""
        out, world = self.out, self.world
        degraded = [reason for state, reason in world.states if state == "DEGRADED"]
        out.must(len(degraded) == len(world.outages), "{} outages, {} times DEGRADED: {}", len(world.outages),
                 len(degraded), degraded[:20])
        logged = squeezed(faulty.states_in(self.path("status.jsonl")))
        expected = squeezed(world.states)
        out.must(logged == expected, "the status log has {} changes of state, there were {}: {}", len(logged), len(expected),
                 [pair for pair in zip(logged, expected) if pair[0] != pair[1]][:3])
        drops = [line for line in self.complaints.lines if "frame dropped" in line]
        limit = (len(self.chain) + 2) * (out.simulated_s / LOG_INTERVAL_S + 1)
        out.must(len(drops) <= limit, "{} complaints about frames in {:.0f} s", len(drops), out.simulated_s)
        other = [line for line in self.complaints.lines if "frame dropped" not in line and "status log" not in line]
        out.must(not other, "unexpected warnings: {}", other[:3])
        out.must(not world.plan, "faults that no stage met: {}", world.plan)


def squeezed(states):
    """Without those that a log that cannot be written may lose, and without the repetitions that this makes."""
    kept = [change for change in states if "status log" not in change[1]]
    return [change for i, change in enumerate(kept) if not i or kept[i - 1] != change]


def real_stages(world):
    """The default stages on made-up answers, which go mad as the world wants it; groups, and steps for the governor."""
    tracker = Tracker()
    usual = good()
    acts = {}
    for role in ROLES:
        wild = {name: {key: np.full_like(array, value) for key, array in usual[role].items()} for name, value in WILD.items()}
        for name in WILD:
            acts["{} {}".format(role, name)] = (role, wild[name])
        acts["{} shape".format(role)] = (role, {key: array[:, :0] for key, array in usual[role].items()})

    def spoil(role, outputs):
        def act(packet):
            tracker.answers[role] = outputs
            return packet
        return act

    def restore(packet):
        tracker.answers.update(usual)
        return packet

    kinds = {kind: spoil(role, outputs) for kind, (role, outputs) in acts.items()}
    first = faulty.FaultyStage(world, "detect", kinds, tracker.detect, hangs=True)
    first_process = first.process
    first.process = lambda packet: first_process(restore(packet))  # the last frame's madness is over
    return [[first] + tracker.stages[1:]], sorted(kinds)


def soak(folder, frames, seed):
    """The outcome of `frames` frames of the real stages."""
    clock = faulty.SimClock()
    kinds = ["{} {}".format(role, name) for role in ROLES for name in sorted(WILD) + ["shape"]]
    world = faulty.World(clock, seed, sorted(kinds), rate=0.001)
    groups, found = real_stages(world)
    assert found == sorted(kinds)
    show = Show(folder, world, frames, groups)
    return show.run(), show


def tell(out, show):
    """Lines for people."""
    world = show.world
    counted = {kind: sum(1 for name, _ in world.outages if name == kind) for kind in faulty.OUTAGES}
    dropped = {name: row["dropped"] for name, row in show.final["stages"].items() if row["dropped"]}
    peer = show.senders[1].stats()
    return [
        "{} frames in {:.1f} s ({:.0f} frames/s), {:.0f} s of simulated time".format(
            out.frames, out.elapsed_s, out.frames / out.elapsed_s, out.simulated_s),
        "memory {:.1f} MB after the first fifth, {:.1f} MB at the end ({:+.1f} %)".format(
            out.memory_mb[len(out.memory_mb) // 5], out.memory_mb[-1], 100.0 * (out.growth - 1.0)),
        "outages: " + ", ".join("{} {}".format(kind, n) for kind, n in sorted(counted.items())),
        "blows to single frames: {}".format(sum(world.dealt.values())),
        "lost, and counted: " + ", ".join("{} {}".format(name, n) for name, n in sorted(dropped.items())),
        "left out while the board throttled: records of {} frames".format(show.final["stages"]["output"].get("skipped", 0)),
        "delivered {}, written {}; to the peer that goes away {} of them".format(
            out.delivered, show.records.stats()["sent"], peer["sent"]),
        "status log: {} records, {} given up while its disk was full".format(show.log.written, show.log.failed),
    ]


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=200000)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--kills", type=int, default=50, help="times that a process of its own is killed afterwards")
    arguments = parser.parse_args(words)
    logging.getLogger().addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory() as folder:
        out, show = soak(folder, arguments.frames, arguments.seed)
        print("\n".join(tell(out, show)))
        faults = list(out.faults)
        if arguments.kills:
            import kills

            killed = kills.kill_often(os.path.join(folder, "kills"), arguments.kills, arguments.seed)
            print(killed.line())
            faults += killed.faults
    for fault in faults:
        print("FAULT: " + fault)
    print("nothing was lost but what was counted" if not faults else "{} faults".format(len(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
