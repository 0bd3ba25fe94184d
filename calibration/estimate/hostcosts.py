"""What a frame costs the host outside the networks, stage by stage: measured on a PC with the real stages.

`python -m calibration.estimate.hostcosts` measures and writes hostcosts.yaml, which the estimate scales to the board's
cores; best with the board's versions of Python and numpy. Times are of the thread's processor, without the networks' own
runs and without the crops: on the board a CUDA kernel makes those.
"""
import json
import platform
import subprocess
import sys
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import yaml

from edge.app.chain import make_stages
from edge.bench.measure import measure_pipeline
from edge.bench.replay import decoded
from edge.bench.text import machine
from edge.config.load import Config, load_config
from edge.core import clock
from edge.core.contracts import Stage
from edge.core.packet import Frame, Packet
from edge.core.parts import NO_PARTS
from edge.core.roles import ALIGN, IRIS, NETWORKS, ONNXRUNTIME, POSE
from edge.host.disk import write_whole
from edge.outputs.record import encode
from engines.estimate.pipeline import FOUND, HOST_COSTS, NOBODY, TRACKING
from engines.manifest.read import read_manifest

COMMAND = "python -m calibration.estimate.hostcosts"
FRAMES, WARM_UP, ROUNDS = 60, 15, 5
CAMERA = "detect+align+pose+iris+express"  # the board reads a camera, which keeps a thread, and so do its outputs
FPS = 30.0
REFERENCE_TURNS = 200000
RESIDENT = "import resource, edge.app.run; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
Costs = Dict[str, float]  # stage -> ms


class Inside:
    """Takes the time that a stage spends in its runner, where networks run and crops are made."""

    def __init__(self, runner: Any) -> None:
        self.total_s = 0.0
        self.calls = 0
        self._runner, self._submit = runner, runner.submit
        runner.submit = self._timed

    @property
    def network_s(self) -> float:
        return self._runner.run_s

    def _timed(self, *arguments: Any) -> Any:
        began = clock.thread_cpu()
        ticket = self._submit(*arguments)
        self.total_s += clock.thread_cpu() - began
        self.calls += 1
        return ticket


class Meters(NamedTuple):
    """The stages in order, and what is inside of each."""

    stages: List[Stage]
    inside: Dict[str, List[Inside]]

    def spent(self, name: str) -> float:
        return sum(i.total_s for i in self.inside[name])

    def crops(self, name: str) -> Tuple[float, int]:
        """Seconds in runners but not in networks, and calls, so far."""
        inside = self.inside[name]
        return sum(i.total_s - i.network_s for i in inside), sum(i.calls for i in inside)


def walk(meters: Meters, frames: Sequence[np.ndarray], first: int) -> List[Dict[str, float]]:
    """Each frame through all stages, encoded and as JSON: ms of host by stage, for each. `first` numbers them."""
    writer = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
    rows = []
    for seq, image in enumerate(frames, first):
        row = {}
        packet = Packet(Frame(seq, clock.monotonic(), seq / FPS, image))
        for stage in meters.stages:
            began, inside = clock.thread_cpu(), meters.spent(stage.name)
            result = stage.process(packet)
            assert result is not None
            packet = result
            row[stage.name] = 1e3 * (clock.thread_cpu() - began - (meters.spent(stage.name) - inside))
        began = clock.thread_cpu()
        record = encode(packet, clock.monotonic(), NO_PARTS)
        between = clock.thread_cpu()
        writer.encode(record)
        row["record"], row["json"] = 1e3 * (between - began), 1e3 * (clock.thread_cpu() - between)
        rows.append(row)
    return rows


def means(rows: Sequence[Dict[str, float]]) -> Dict[str, float]:
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def least(rounds: Sequence[Dict[str, float]]) -> Dict[str, float]:
    """Each stage in the round that disturbed it least: other programs only ever add."""
    return {key: min(row[key] for row in rounds) for key in rounds[0]}


def measure_stages(config: Config, frames: Sequence[np.ndarray]) -> Tuple[Dict[str, Costs], Costs]:
    """TrackingCase -> stage -> ms a frame; and ms of each crop of a call on the CPU."""
    made = make_stages(config, False, lambda event, text: None)
    stages: List[Stage] = [stage for stage in made if stage is not None]
    meters = Meters(stages, {s.name: [] for s in stages})
    for stage in stages:
        stage.open()
        meters.inside[stage.name] = [Inside(runner) for runner in stage.runners]
    try:
        found: Dict[str, List[Dict[str, float]]] = {TRACKING: [], FOUND: [], NOBODY: []}
        crops: List[Costs] = []
        seq = 0
        for _ in range(ROUNDS):
            before = {name: meters.crops(name) for name in meters.inside}
            tracked = walk(meters, frames, seq)
            blank = np.zeros_like(frames[0])
            # a face, then two empty frames: the first of them loses it, the second only looks
            lost = [image for face in frames[::3] for image in (face, blank, blank)]
            rows = walk(meters, lost, seq + len(frames) + 100)
            seq += len(frames) + len(lost) + 200
            for name, chosen in ((TRACKING, tracked[WARM_UP:]), (FOUND, rows[3::3]), (NOBODY, rows[2::3])):
                found[name].append(means(chosen))
            after = {name: meters.crops(name) for name in meters.inside}
            crops.append({name: 1e3 * (after[name][0] - s) / (after[name][1] - n)
                          for name, (s, n) in before.items() if after[name][1] > n})
    finally:
        for stage in stages:
            stage.close()
    return {name: least(rounds) for name, rounds in found.items()}, least(crops)


def reference_ms() -> float:
    """A fixed loop of plain Python: the same loop on a board gives the true factor between the two machines."""
    def turn() -> float:
        began, total = clock.thread_cpu(), 0.0
        for i in range(REFERENCE_TURNS):
            total += i * 0.5
        return 1e3 * (clock.thread_cpu() - began)
    return min(turn() for _ in range(5))


def resident_mb() -> float:
    """Memory of the program with OpenCV and numpy, before any network."""
    run = subprocess.run([sys.executable, "-c", RESIDENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return int(run.stdout) / (1048576.0 if sys.platform == "darwin" else 1024.0)


def measured() -> Dict[str, Any]:
    """What hostcosts.yaml is to hold. Raises EdgeErrors."""
    config = load_config(None, {"source.spec": "portrait", "models.runtime": ONNXRUNTIME, "pipeline.workers": CAMERA}, {})
    frames = decoded(config, FRAMES)
    shared = [name for name in NETWORKS[ALIGN] if read_manifest().is_shared(name)]
    alone = [name for name in NETWORKS[ALIGN] if name not in shared]
    versions = {"python": platform.python_version(), "numpy": np.__version__,
                "opencv": str(getattr(sys.modules.get("cv2"), "__version__", ""))}
    return dict(way_costs(config, frames, alone), **{
        "schema": 1, "command": COMMAND, "machine": machine(), "versions": versions,
        "frames": "{} of the portrait, {}x{}, {} rounds, the least disturbed".format(
            len(frames), frames[0].shape[1], frames[0].shape[0], ROUNDS),
        "one_network": way_costs(config, frames, shared), "program_mb": resident_mb(),
        "reference_loop": {"turns": REFERENCE_TURNS, "ms": reference_ms()}})


def way_costs(config: Config, frames: Sequence[np.ndarray], align: Sequence[str]) -> Dict[str, Any]:
    """What a frame costs with the first of these networks that was fetched."""
    config = config._replace(models=config.models._replace(align=tuple(align)))
    situations, crops = measure_stages(config, frames)
    whole = measure_pipeline(config, frames, ROUNDS)
    outside = min(r.cpu_ms - r.networks_ms for r in whole["rounds"])
    # align and iris make their crops in every frame of a track, pose in few
    known = sum(situations[TRACKING].values())
    known += crops[ALIGN] + crops.get(IRIS, 0.0) + crops[POSE] / config.tracking.pose_every
    return {"host_ms": situations, "rest_ms": max(0.0, outside - known), "crop_ms": crops}


HEADER = """# Written by `{}`: what a frame costs the host, ms of one thread's processor time a frame.
# host_ms: by stage, without networks and crops; record and json: the frame record; rest_ms: links, threads, meter.
# one_network: the same where the points' network gives the irises too; else of two networks.
# crop_ms: one call's crops on the CPU, which the board's kernel replaces. reference_loop: `total += i * 0.5`, many times.
"""


def text_of(content: Dict[str, Any]) -> str:
    return HEADER.format(COMMAND) + yaml.safe_dump(rounded(content), default_flow_style=False, width=110)


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> int:
    write_whole(HOST_COSTS, text_of(measured()).encode("utf-8"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
