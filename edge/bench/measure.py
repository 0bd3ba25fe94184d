"""What is measured: the whole pipeline in rounds, and every network alone.

One pipeline runs all rounds, the first of which is not counted; between two rounds it is empty, but for frames that smoothing
holds back. What is measured is the
processor time of the whole process, so that no thread of it is forgotten.
"""
import resource
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.app.chain import make_stages
from edge.app.ends import asked, make_senders
from edge.bench.replay import Replay
from edge.config.load import Config
from edge.core import clock
from edge.core.contracts import BGR, Crop, Runner
from edge.core.figures import median, percentile
from edge.host.stop import Stop
from edge.outputs.record import encode
from edge.outputs.spec import parse_outputs
from edge.pipeline.pipeline import Pipeline, Plan
from edge.stages.detect import Detect
from edge.telemetry.meter import Meter

JSONL = ("jsonl:{}/bench.jsonl",)  # {} is a folder for it
SETTLE_S = 30.0  # for a round's last frames to be written
ALONE_RUNS = 50  # of a network in one round
STEP_S = 0.0005
Measured = Dict[str, Any]


class Round(NamedTuple):
    """What one round cost, a frame."""

    cpu_ms: float
    networks_ms: float  # of it inside the networks' own run
    wall_ms: float


class Stopwatch:
    """Takes the process's times where a round begins and ends."""

    def __init__(self, frames: int, runners: Sequence[Runner], written: Callable[[], int], pause: Callable[[], None],
                 held: int = 0) -> None:
        """`held`: frames that come out with those of the next round only."""
        self.rounds = []  # type: List[Round]
        self._frames, self._runners, self._written, self._pause, self._held = frames, runners, written, pause, held
        self._began = (0.0, 0.0, 0.0)

    def between(self, done: int) -> None:
        """Called by the source: wait until all is written, note the round, and pause before the next one."""
        deadline = clock.monotonic() + SETTLE_S
        while self._written() < done * self._frames - self._held and clock.monotonic() < deadline:
            time.sleep(STEP_S)
        if done > 1:  # the first round warms up
            spent = [1e3 * (now - then) / self._frames for now, then in zip(self._times(), self._began)]
            self.rounds.append(Round(*spent))
        if done:
            self._pause()
        self._began = self._times()

    def _times(self) -> Tuple[float, float, float]:
        in_networks = sum(r.run_s for r in self._runners)
        return time.process_time(), in_networks, clock.monotonic()


def measure_pipeline(config: Config, frames: Sequence[np.ndarray], rounds: int,
                     between: Callable[[Measured], None] = lambda so_far: None, outputs: Sequence[str] = JSONL) -> Measured:
    """All stages and `outputs` to files, one face or as many as are configured. `between` is called before each round that
    counts and behind the last, while the pipeline is empty and none of its time is measured; an EOFError of it ends all."""
    reads, writes = config.pipeline.ends()
    buffer_mb = sum(f.nbytes for f in frames) / 1048576.0

    def measured() -> Measured:
        return {"rounds": watch.rounds, "peak_mb": _peak_mb() - buffer_mb,
                "status": meter.summary(clock.monotonic()), "networks": [(r.model, r.backend) for r in runners]}

    with tempfile.TemporaryDirectory(prefix="nanoface-bench-") as folder:
        specs = parse_outputs([text.format(folder) for text in outputs])
        source = Replay(frames, rounds + 1, lambda done: watch.between(done))
        senders = make_senders(specs, config, source, direct=writes)
        stages = make_stages(config, False, lambda event, text: None, wanted=asked(senders))
        groups = stages.groups(config.pipeline.groups())
        every = [stage for group in groups for stage in group]
        runners = [runner for stage in every for runner in stage.runners]
        meter = Meter(every, clock.monotonic())
        watch = Stopwatch(len(frames), runners, lambda: min(s.stats()["sent"] for s in senders), lambda: between(measured()),
                          config.smoothing.n_next if any(stage.holds for stage in every) else 0)
        plan = Plan(source, groups, senders, encode, meter, capture_thread=not reads,
                    output_thread=len(groups) > 1 and not writes)
        Pipeline(plan).run(Stop())
    return measured()


def _peak_mb() -> float:
    """Of resident memory. That of getrusage() counts what our parent had when it started us, so it is for other systems."""
    try:
        with open("/proc/self/status", encoding="utf-8") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024.0
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1048576.0 if sys.platform == "darwin" else 1024.0)


def measure_alone(config: Config, frame: np.ndarray, rounds: int) -> List[Dict[str, Any]]:
    """Median and p95 of every network's own run, fed with the whole frame."""
    rows = []
    for stage in make_stages(config, False, lambda event, text: None):
        for runner in (stage.runners if stage is not None else ()):
            runner.open()
            crops = [stage.crop(frame)] if isinstance(stage, Detect) else _crops(runner, frame)
            times = _runs_ms(runner, frame, crops, rounds * ALONE_RUNS)
            rows.append({"network": runner.model, "runtime": runner.backend, "median_ms": median(times),
                         "p95_ms": percentile(times, 95.0)})
            runner.close()
    return rows


def _crops(runner: Runner, frame: np.ndarray) -> List[Crop]:
    batch, _, height, width = runner.inputs[0].shape
    scale = np.array([[width / float(frame.shape[1]), 0.0, 0.0], [0.0, height / float(frame.shape[0]), 0.0]])
    return [Crop(scale, (width, height), BGR, 1.0 / 255.0, (0.0, 0.0, 0.0))] * batch


def _runs_ms(runner: Runner, frame: np.ndarray, crops: Sequence[Crop], runs: int) -> List[float]:
    runner.submit(frame, crops).result()
    times = []
    for _ in range(runs):
        before = runner.run_s
        runner.submit(frame, crops).result()
        times.append(1e3 * (runner.run_s - before))
    return times
