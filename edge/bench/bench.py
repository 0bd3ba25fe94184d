"""`nanoface bench`: the pipeline and every network alone on frames that were decoded up front, in rounds.

One pipeline runs all rounds, the first of which is not counted; between two rounds it is empty. What is measured is the
processor time of the whole process, so that no thread of it is forgotten.
"""
import json
import os
import platform
import resource
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, TextIO, Tuple

import numpy as np
from peer import Peer

from edge.app.chain import make_stages
from edge.app.ends import make_senders, source_options
from edge.config.load import Config
from edge.core import clock
from edge.core.contracts import BGR, Crop, Runner, Source
from edge.core.errors import EdgeError, SourceError
from edge.core.packet import Frame
from edge.core.redact import hide, one_line
from edge.host.stop import Stop
from edge.outputs.record import encode
from edge.outputs.spec import parse_outputs
from edge.pipeline.pipeline import Pipeline, Plan
from edge.sources.choose import make_source
from edge.telemetry.meter import Meter

SETTLE_S = 30.0  # for a round's last frames to be written
ALONE_RUNS = 50  # of a network in one round
STEP_S = 0.0005


class Round(NamedTuple):
    """What one round cost, a frame."""

    cpu_ms: float
    networks_ms: float  # of it inside the networks' own run
    wall_ms: float


class Replay(Source):
    """Frames from memory, over and over; `between` is called with the number of rounds done while the pipeline is empty."""

    live = False
    name = "frames in memory"
    fps = 30.0

    def __init__(self, frames: Sequence[np.ndarray], rounds: int, between: Callable[[int], None]) -> None:
        self._frames, self._rounds, self._between = frames, rounds, between
        self._seq = 0

    def open(self) -> None:
        """Nothing to open."""

    def read(self, timeout_s: float) -> Frame:
        done, i = divmod(self._seq, len(self._frames))
        if i == 0:
            self._between(done)
        if done == self._rounds:
            raise EOFError()
        frame = Frame(self._seq, clock.monotonic(), self._seq / self.fps, self._frames[i])
        self._seq += 1
        return frame

    def close(self) -> None:
        """Nothing to close."""


class Stopwatch:
    """Takes the process's times where a round begins and ends."""

    def __init__(self, frames: int, runners: Sequence[Runner], written: Callable[[], int], peer: Optional[Peer]) -> None:
        self.rounds = []  # type: List[Round]
        self.beside = []  # type: List[Dict[str, float]]
        self._frames, self._runners, self._written, self._peer = frames, runners, written, peer
        self._began = (0.0, 0.0, 0.0)

    def between(self, done: int) -> None:
        """Called by the source: wait until all is written, note the round, let the peer run its own."""
        deadline = clock.monotonic() + SETTLE_S
        while self._written() < done * self._frames and clock.monotonic() < deadline:
            time.sleep(STEP_S)
        if done > 1:  # the first round warms up
            spent = [1e3 * (now - then) / self._frames for now, then in zip(self._times(), self._began)]
            self.rounds.append(Round(*spent))
            if self._peer is not None:
                self.beside.append(self._peer.round())
        self._began = self._times()

    def _times(self) -> Tuple[float, float, float]:
        in_networks = sum(r.run_s for r in self._runners)
        return time.process_time(), in_networks, clock.monotonic()


def decoded(config: Config, count: int) -> List[np.ndarray]:
    """The first frames of a recorded source. Raises SourceError, also where a camera was asked for."""
    source = make_source(source_options(config))
    if source.live:
        raise SourceError("bench needs frames that can be repeated: give a file, or --source portrait")
    frames = []  # type: List[np.ndarray]
    source.open()
    try:
        while len(frames) < count:
            frame = source.read(1.0)
            if frame is not None:
                frames.append(frame.image)
    except EOFError:
        pass
    finally:
        source.close()
    if len(set(f.shape for f in frames)) != 1:
        raise SourceError("bench needs frames of one size: {} has several".format(source.name))
    return frames


def measure_pipeline(config: Config, frames: Sequence[np.ndarray], rounds: int, peer: Optional[Peer]) -> Dict[str, Any]:
    """All stages and the JSON output, one face or as many as are configured."""
    stages = make_stages(config, False, lambda event, text: None)
    groups = stages.groups(config.pipeline.groups())
    every = [stage for group in groups for stage in group]
    meter = Meter(every, clock.monotonic())
    runners = [runner for stage in every for runner in stage.runners]
    with tempfile.TemporaryDirectory(prefix="nanoface-bench-") as folder:
        specs = parse_outputs(["jsonl:" + os.path.join(folder, "bench.jsonl")])
        watch = Stopwatch(len(frames), runners, lambda: senders[0].stats()["sent"], peer)
        source = Replay(frames, rounds + 1, watch.between)
        senders = make_senders(specs, config, source)
        plan = Plan(source, groups, senders, encode, meter, output_thread=len(groups) > 1)
        Pipeline(plan).run(Stop())
    buffer_mb = sum(f.nbytes for f in frames) / 1048576.0
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1048576.0 if sys.platform == "darwin" else 1024.0)
    return {"rounds": watch.rounds, "beside": watch.beside, "peak_mb": peak_mb - buffer_mb,
            "status": meter.summary(clock.monotonic()), "networks": [(r.model, r.backend) for r in runners]}


def measure_alone(config: Config, frame: np.ndarray, rounds: int) -> List[Dict[str, Any]]:
    """Median and p95 of every network's own run, fed with the whole frame."""
    rows = []
    for stage in make_stages(config, False, lambda event, text: None):
        for runner in (stage.runners if stage is not None else ()):
            runner.open()
            times = _runs_ms(runner, frame, rounds * ALONE_RUNS)
            rows.append({"network": runner.model, "runtime": runner.backend, "median_ms": float(np.median(times)),
                         "p95_ms": float(np.percentile(times, 95))})
            runner.close()
    return rows


def _runs_ms(runner: Any, frame: np.ndarray, runs: int) -> List[float]:
    batch, _, height, width = runner.inputs[0].shape
    scale = np.array([[width / float(frame.shape[1]), 0.0, 0.0], [0.0, height / float(frame.shape[0]), 0.0]])
    crops = [Crop(scale, (width, height), BGR, 1.0 / 255.0, (0.0, 0.0, 0.0))] * batch
    times = []
    for _ in range(runs):
        before = runner.run_s
        runner.submit(frame, crops).result()
        times.append(1e3 * (runner.run_s - before))
    return times


def run_bench(config: Config, count: int, rounds: int, as_json: bool, out: TextIO, beside: Optional[str] = None) -> None:
    """Measure and write the figures to `out`; `beside` is a Python that has mediapipe. Raises EdgeErrors."""
    frames = decoded(config, count)
    peer = None if beside is None else Peer(beside, frames)
    try:
        measured = measure_pipeline(config, frames, rounds, peer)
    finally:
        if peer is not None:
            peer.close()
    result = figures(measured, frames, measure_alone(config, frames[0], rounds))
    result["source"] = hide(config.source.spec or "")
    result["peer"] = "" if peer is None else peer.name
    out.write((json.dumps(result, indent=1) if as_json else "\n".join(lines(result))) + "\n")


def figures(measured: Dict[str, Any], frames: Sequence[np.ndarray], alone: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Everything as plain numbers."""
    rounds = measured["rounds"]
    if not rounds:
        raise EdgeError("no round was finished")
    result = {
        "machine": machine(), "python": platform.python_version(), "frames": len(frames), "rounds": len(rounds),
        "size": [frames[0].shape[1], frames[0].shape[0]], "cpu_ms": spread([r.cpu_ms for r in rounds]),
        "networks_ms": spread([r.networks_ms for r in rounds]),
        "outside_ms": spread([r.cpu_ms - r.networks_ms for r in rounds]),
        "wall_ms": spread([r.wall_ms for r in rounds]), "peak_mb": measured["peak_mb"], "alone": alone,
        "stages": {name: row.get("work_ms") for name, row in measured["status"]["stages"].items()},
    }
    if measured["beside"]:
        theirs = measured["beside"]
        result["beside"] = {
            "cpu_ms": spread([r["cpu_ms"] for r in theirs]), "wall_ms": spread([r["wall_ms"] for r in theirs]),
            "peak_mb": theirs[-1]["peak_mb"], "faces": theirs[-1]["faces"],
            "cpu_ratio": spread([ours.cpu_ms / r["cpu_ms"] for ours, r in zip(rounds, theirs)]),
        }
    return result


def spread(values: Sequence[float]) -> Dict[str, float]:
    return {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))}


def machine() -> str:
    """The processor's name and the number of its cores that we may use."""
    name = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            name = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), name)
    except OSError:
        pass
    return "{}, {} cores".format(name, os.cpu_count())


def lines(r: Dict[str, Any]) -> List[str]:
    """The figures for people."""
    text = ["{} frames of {} ({}x{}), {} rounds, {}, Python {}".format(
        r["frames"], one_line(r["source"]), r["size"][0], r["size"][1], r["rounds"], r["machine"], r["python"]), "",
        "{:<44}{:>9}{:>9}".format("the pipeline, a frame", "median", "p95")]
    for label, key in (("process CPU, ms", "cpu_ms"), ("  inside the networks, ms", "networks_ms"),
                       ("  outside the networks, ms", "outside_ms"), ("wall time, ms", "wall_ms")):
        text.append("{:<44}{:>9.2f}{:>9.2f}".format(label, r[key]["median"], r[key]["p95"]))
    text += ["{:<44}{:>9.0f}".format("peak memory less the frames, MB", r["peak_mb"]), "",
             "{:<44}{:>9}{:>9}".format("a stage's work, ms", "median", "p95")]
    text += ["{:<44}{:>9.2f}{:>9.2f}".format(name, t["p50"], t["p95"]) for name, t in r["stages"].items() if t]
    text += ["", "{:<44}{:>9}{:>9}".format("a network alone, ms", "median", "p95")]
    text += ["{:<44}{:>9.2f}{:>9.2f}".format("{network} ({runtime})".format(**row), row["median_ms"], row["p95_ms"])
             for row in r["alone"]]
    if "beside" in r:
        b = r["beside"]
        text += ["", "{:<44}{:>9}{:>9}".format("beside, in the same rounds: " + r["peer"], "median", "p95"),
                 "{:<44}{:>9.2f}{:>9.2f}".format("process CPU, ms a frame", b["cpu_ms"]["median"], b["cpu_ms"]["p95"]),
                 "{:<44}{:>9.2f}{:>9.2f}".format("wall time, ms a frame", b["wall_ms"]["median"], b["wall_ms"]["p95"]),
                 "{:<44}{:>9.0f}".format("peak memory less the frames, MB", b["peak_mb"]),
                 "{:<44}{median:>9.2f}{p95:>9.2f}".format("our process CPU over theirs", **b["cpu_ratio"])]
    return text
