"""The process of a rehearsal: the real program on the TensorRT SIMULATOR, its clock SCALE times as fast as the board's.

Frames come SCALE times as often as a camera's, each engine is busy for a SCALE-th of its estimated time, the interpreter
hands over SCALE times as often. So whatever our own Python costs here weighs as much as it does on a core that is SCALE
times slower. Prints one JSON object. Run by rehearse.py, which sets the environment.
"""
import json
import sys
import threading
import time
import tracemalloc

import numpy as np

from edge.app.chain import make_stages
from edge.app.ends import make_senders, source_options
from edge.config.load import load_config
from edge.core import clock
from edge.core.figures import median, percentile
from edge.models.warp import use_one_thread
from edge.outputs.record import encode
from edge.outputs.spec import parse_outputs
from edge.pipeline import pipeline
from edge.pipeline.pipeline import Pipeline, Plan
from edge.sources.live.source import LiveSource, Opener, Timeouts
from edge.sources.picture import FrameTransform
from edge.telemetry.meter import Meter

SETTLE_S = 1.0  # the first frames, in which a face is found, are not counted


class PacedCamera:
    """cv2.VideoCapture's like: a picture is due every 1 / fps seconds; what was not fetched in time is skipped."""

    def __init__(self, image, fps):
        self._image, self._every_s = image, 1.0 / fps
        self._due = time.monotonic()
        self.due_frames = 0

    def grab(self):
        now = time.monotonic()
        if self._due > now:
            time.sleep(self._due - now)
            now = time.monotonic()
        periods = 1 + int((now - self._due) / self._every_s)
        self._due += periods * self._every_s
        self.due_frames += periods
        return True

    def retrieve(self):
        return True, self._image.copy()

    def release(self):
        pass


class PacedOpener(Opener):
    name = "paced frames"

    def __init__(self, image, fps):
        self._image, self.fps = image, fps
        self.camera = None

    def open(self):
        self.camera = PacedCamera(self._image, self.fps)
        return self.camera


class Timed:
    """Wraps a stage's process(): processor time of its thread; in a run that is traced, memory that it takes instead.

    The interpreter lock is held for at most the processor time: waiting for the device, sleeping and waiting for the lock
    use none, OpenCV and numpy give it back only in part.
    """

    def __init__(self, stage):
        self.name, self.cpu_s, self.wall_s, self._process = stage.name, [], [], stage.process
        self.peak_bytes = []
        stage.process = self.process if not tracemalloc.is_tracing() else self.traced

    def traced(self, packet):
        """What the call holds at once beyond what was there before it."""
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = self._process(packet)
        self.peak_bytes.append(tracemalloc.get_traced_memory()[1] - before)
        return result

    def process(self, packet):
        wall, cpu = time.perf_counter(), clock.thread_cpu()
        result = self._process(packet)
        self.cpu_s.append(clock.thread_cpu() - cpu)
        self.wall_s.append(time.perf_counter() - wall)
        return result


class Latencies:
    """An output that notes when each record was written, beside the real one."""

    def __init__(self):
        self.age_ms = []

    def __call__(self, packet, now, parts):
        record = encode(packet, now, parts)
        self.age_ms.append((packet.frame.seq, record["age_ms"], len(record["faces"])))
        return record


def run(image, seconds, scale, fps, overrides, output):
    """The figures of one run, in the board's time."""
    pipeline.SWITCH_INTERVAL_S = pipeline.SWITCH_INTERVAL_S / scale
    use_one_thread()
    config = load_config(None, overrides, {"NANOFACE_CONFIG": "/dev/null"})
    notes = []
    stages = make_stages(config, False, lambda event, text: notes.append(text))
    groups = stages.groups(config.pipeline.groups())
    chain = [stage for group in groups for stage in group]
    timed = [Timed(stage) for stage in chain]
    opener = PacedOpener(image, fps * scale)
    timeouts = Timeouts(frozen_s=float("inf"))  # it is one and the same picture
    source = LiveSource(opener, FrameTransform(source_options(config), scale=False), timeouts)
    meter = Meter(chain, clock.monotonic())
    senders = make_senders(parse_outputs([output]), config, source)
    recorder = Latencies()
    stop = threading.Event()
    marks = {}

    def settled():
        marks.update(cpu=time.process_time(), at=time.monotonic(), due=opener.camera.due_frames, seen=len(recorder.age_ms))

    def on_state(state, reason):
        if state == "RUNNING":
            threading.Timer(SETTLE_S, settled).start()
            threading.Timer(SETTLE_S + seconds, stop.set).start()

    plan = Plan(source, groups, senders, recorder, meter, on_state=on_state, output_thread=len(groups) > 1)
    Pipeline(plan).run(stop)
    return figures(marks, opener.camera, recorder, timed, meter, scale, chain, notes)


def figures(marks, camera, recorder, timed, meter, scale, chain, notes):
    wall_s, cpu_s = time.monotonic() - marks["at"], time.process_time() - marks["cpu"]
    rows = recorder.age_ms[marks["seen"]:]
    numbers = [seq for seq, _, _ in rows]
    ages = np.array([age for _, age, _ in rows]) * scale
    gone = int(numbers[-1] - numbers[0] + 1 - len(numbers))
    late = camera.due_frames - marks["due"] - (numbers[-1] - numbers[0] + 1)  # the camera itself was not fetched in time
    runners = [runner for stage in chain for runner in stage.runners]
    return {
        "frames": len(rows), "faces": float(np.mean([faces for _, _, faces in rows])),
        "dropped": gone, "late": max(0, late - 1), "fps": len(rows) / wall_s / scale,
        "p50_ms": median(ages), "p95_ms": percentile(ages, 95.0), "max_ms": float(ages.max()),
        "cpu_ms": cpu_s / len(rows) * 1e3, "stages": [of_stage(t, marks["seen"]) for t in timed],
        "notes": notes + [runner.note for runner in runners if runner.note],
        "backends": sorted({runner.backend for runner in runners}),
        "table": meter.summary(clock.monotonic())["stages"],
    }


def of_stage(timed, first):
    if timed.peak_bytes:
        return {"stage": timed.name, "peak_kb": median(timed.peak_bytes[first:]) / 1e3}
    cpu_s, wall_s = timed.cpu_s[first:], timed.wall_s[first:]
    return {"stage": timed.name, "cpu_ms": median(cpu_s) * 1e3, "wall_ms": median(wall_s) * 1e3}


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    if request["trace"]:
        tracemalloc.start()
    print(json.dumps(run(np.load(request["image"]), request["seconds"], request["scale"], request["fps"],
                         request["overrides"], request["output"])))
