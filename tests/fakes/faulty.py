"""A world in which everything fails now and then, drawn from a seeded generator, in simulated time.

Trouble comes in two sizes. Of a *blow* one frame dies (or is nonsense); they are drawn for each frame. An *outage* lasts some
seconds: one at a time, and each goes on until the run has noticed it and told so, as it must.
"""
import errno
import json
import os
import random
import threading
import time

import numpy as np
from patience import PATIENCE_S

from edge.core.contracts import Output, Source, Stage
from edge.core.errors import FrameError, OutputError
from edge.core.packet import Frame
from edge.outputs.sender import Sender
from edge.outputs.spec import parse_outputs
from edge.telemetry.status.log import StatusLog

FRAME_S = 1.0 / 30.0
SHORTEST_S, LONGEST_S, PAUSE_S = 3.5, 20.0, 10.0  # of an outage; between two, on average
# kind -> the reason that the status record has to give
OUTAGES = {"source lost": "source lost", "source hangs": "source hangs", "stage hangs": " hangs",
           "output down": "output peer down", "log full": "status log not written"}
BEHIND_S = 0.5  # of simulated time, for a worker that works; what hangs is told after 3 s
TORN, GAP, LATE = "torn picture", "gap", "no frame yet"
SOURCE_BLOWS = (TORN, GAP, LATE)


class SimClock:
    """Stands for time.monotonic; moves only when a test moves it."""

    def __init__(self):
        self._now, self._lock = 1000.0, threading.Lock()

    def __call__(self):
        return self._now

    def pass_(self, seconds):
        with self._lock:
            self._now += seconds


class World:
    """What is to go wrong, and what did. step() is for the source's thread, on_state() for the run's."""

    def __init__(self, clock, seed, stage_blows, rate=0.004, outages=tuple(OUTAGES)):
        """`stage_blows`: kinds that stages know; `rate` of each for a frame."""
        self.clock, self._rng = clock, random.Random(seed)
        self._blows, self._rate, self._outages = SOURCE_BLOWS + tuple(stage_blows), rate, outages
        self.plan = {}  # number of a frame -> kind of blow, until a stage has dealt it
        self.dealt = dict.fromkeys(self._blows, 0)
        self.outage = None
        self.outages = []  # (kind, first reason told) of each that was noticed
        self.states = []
        self.throttled, self.longest_throttled = False, 0  # the board, from time to time; frames in a row
        self._throttled = 0
        self._until, self._next = 0.0, clock() + PAUSE_S
        self._noticed = self._recovered = False
        self._real_until = 0.0
        self.heartbeats = dict  # of the pipeline's workers, once it has some

    def pass_(self, seconds):
        """The time of all: it stands while a worker has work but gets no turn on a busy machine, which is not to hang."""
        own, end = threading.current_thread().name, time.monotonic() + PATIENCE_S
        while time.monotonic() < end and any(
                self.clock() - at > BEHIND_S and not own.endswith(name) for name, at in self.heartbeats().items()):
            time.sleep(0.0005)
        self.clock.pass_(seconds)

    def step(self):
        """A frame's time passes; an outage may begin or end."""
        self.pass_(FRAME_S)
        now = self.clock()
        if self._rng.random() < FRAME_S / (PAUSE_S if self.throttled else 6.0 * PAUSE_S):
            self.throttled = not self.throttled
        self._throttled = self._throttled + 1 if self.throttled else 0
        self.longest_throttled = max(self.longest_throttled, self._throttled)
        if self.outage is None:
            if now >= self._next:
                self._noticed = self._recovered = False
                self._until = now + self._rng.uniform(SHORTEST_S, LONGEST_S)
                self._real_until = time.monotonic() + PATIENCE_S
                self.outage = self._rng.choice(self._outages)
        elif self.over():
            self._real_until = time.monotonic() + PATIENCE_S
            self.outage, self._next = None, float("inf")
        if self.outage is None and self._recovered:
            self._next, self._recovered = now + self._rng.expovariate(1.0 / PAUSE_S), False
        if self._next == float("inf") and time.monotonic() > self._real_until:
            raise AssertionError("the run did not recover from {}: {}".format(self.outages[-1], self.states[-1]))

    def over(self):
        """Whether the outage has lasted and was noticed."""
        if not self._noticed and time.monotonic() > self._real_until:
            raise AssertionError("{} was not noticed: {}".format(self.outage, self.states[-1]))
        return self._noticed and self.clock() >= self._until

    def wait(self, kind, seconds):
        """For a thread that hangs while `kind` lasts."""
        while self.outage == kind and not self.over():
            self.pass_(seconds)
            time.sleep(0.0005)

    def blow(self, seq):
        """Draws what happens to frame `seq`."""
        for kind in self._blows if seq else ():
            if self._rng.random() < self._rate:
                return kind
        return None

    def deal(self, seq, kind):
        """True once: it is the turn of this stage."""
        if self.plan.get(seq) != kind:
            return False
        del self.plan[seq]
        self.dealt[kind] += 1
        return True

    def on_state(self, state, reason):
        self.states.append((state, reason))
        if state == "DEGRADED" and self.outage is not None and OUTAGES[self.outage] in reason and not self._noticed:
            self.outages.append((self.outage, reason))
            self._noticed = True
        if state == "RUNNING":
            self._recovered = True


class FaultySource(Source):
    """A live source of `count` frames. `given` those that it handed over, `lost` those that it counts as dropped."""

    live, name, lost_since = True, "faulty", None

    def __init__(self, world, image, count):
        self._world, self._image, self._count = world, image, count
        self._seq, self._began = 0, world.clock()
        self.given = self.lost = 0

    def open(self):
        pass

    def read(self, timeout_s):
        world = self._world
        if self._seq >= self._count:
            if world.outage is None or world.over():
                world.outage = None
                raise EOFError
            world.clock.pass_(0.1)
            time.sleep(0.0005)
            return None
        world.step()
        if world.outage == "source lost":
            self.lost_since = self.lost_since or world.clock()
            world.pass_(timeout_s)
            time.sleep(0.0005)
            return None
        self.lost_since = None
        world.wait("source hangs", 0.2)
        return self._next(world.blow(self._seq))

    def _next(self, blow):
        world, seq = self._world, self._seq
        if blow in SOURCE_BLOWS:
            world.dealt[blow] += 1
        elif blow is not None:
            world.plan[seq] = blow
        if blow == LATE:
            return None
        self._seq += 1
        if blow == TORN:
            raise FrameError("torn picture")
        if blow == GAP and self._seq < self._count:
            seq, self._seq = self._seq, self._seq + 1
            self.lost += 1
        self.given += 1
        now = world.clock()
        return Frame(seq, now, now - self._began, self._image)

    def close(self):
        pass


class FaultyStage(Stage):
    """Another stage, or none, that fails as the world wants it. `acts`: kind of blow -> what becomes of the packet."""

    def __init__(self, world, name, acts, stage=None, hangs=False):
        self.name, self._world, self._acts, self._stage, self._hangs = name, world, acts, stage, hangs
        self.runners = () if stage is None else stage.runners

    def open(self):
        if self._stage is not None:
            self._stage.open()

    def process(self, packet):
        if self._hangs:
            self._world.wait("stage hangs", 0.2)
        for kind, act in self._acts.items():
            if self._world.deal(packet.frame.seq, kind):
                packet = act(packet)
        return packet if self._stage is None or packet is None else self._stage.process(packet)

    def close(self):
        if self._stage is not None:
            self._stage.close()

    def counters(self):
        return {} if self._stage is None else self._stage.counters()


class FaultyPeer(Output):
    """A receiver that goes away and comes back."""

    name, fatal = "peer", False

    def __init__(self, world):
        self._world, self.got = world, 0

    def open(self):
        self._fail()

    def emit(self, item):
        self._fail()
        json.dumps(item, allow_nan=False)
        self.got += 1

    def _fail(self):
        if self._world.outage == "output down":
            raise OutputError("output peer: nobody answers")

    def close(self):
        pass


class FaultyLog(StatusLog):
    """A status log whose disk is full now and then."""

    def __init__(self, world, path):
        super().__init__(path, max_bytes=10 ** 9)
        self._world = world

    def _append(self, *lines):
        if self._world.outage == "log full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super()._append(*lines)


def frame_error(packet):
    raise FrameError("cannot be processed")


def swallowed(packet):
    return None


def with_nonsense(packet):
    """NaN and infinity in whatever a face has."""
    nan = np.full((468, 3), np.nan)
    return packet.with_faces(tuple(
        face._replace(landmarks=nan, score=float("inf"), box=(float("nan"), 0.0, float("-inf"), 1.0))
        for face in packet.faces))


def jsonl_sender(path):
    """Blocking, so that no record is lost between the pipeline and the disk."""
    from edge.outputs.files.jsonl import JsonlOutput

    return Sender(JsonlOutput(parse_outputs(["jsonl:" + path])[0], blocking=True), 4)


def lines_of(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            yield json.loads(line, parse_constant=lambda text: 1 / 0)  # NaN and Infinity are no JSON


def states_in(path):
    """(state, reason) of the status log, where they change."""
    found = []
    for record in lines_of(path):
        if not found or found[-1] != (record["state"], record["reason"]):
            found.append((record["state"], record["reason"]))
    return found


def open_files():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def resident_mb():
    """Memory of this process, after what can be freed has been."""
    import gc

    gc.collect()
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
