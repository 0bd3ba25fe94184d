"""From the engines' times and the host's costs to frames a second and megabytes."""
import os
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import yaml

from edge.core import roles
from edge.core.errors import ModelError
from engines.estimate.board import NANO, ZERO, Board, Span, total

HOST_COSTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostcosts.yaml")
TRACKING, FOUND, NOBODY = "tracking", "found_anew", "nobody"
STAGES = roles.STAGES + ("record", "json")
FRAME_SIZE = (640, 480)
SEVERAL_FACES = (1, 2, 4, 8, 16)

# A thread of the A57 against one of the PC in hostcosts.yaml. About 7 as others found; less where code waits for memory
# both have to wait for, more where the PC's larger caches and wider vectors hold what numpy works on.
HOST_FACTOR = Span(5.0, 7.0, 9.0)

# Guesses, not measured anywhere: ms on the A57 at 1428 MHz, and of the GPU at 921.6 MHz
CALL_MS = Span(0.3, 0.6, 1.0)  # submit and result of one engine in Python: launch its crop, enqueue, copy the outputs
UPLOAD_MS = Span(0.4, 0.9, 1.8)  # the frame into memory that the CPU does not cache, once for all engines
CROP_MS = Span(0.03, 0.08, 0.25)  # the kernel that makes one crop

# MB, from figures that others measured on a Nano with TensorRT 8 (see engine_memory()); the system without a desktop
SYSTEM_MB = Span(300.0, 400.0, 500.0)
CUDA_MB = Span(150.0, 200.0, 230.0)
LIBRARIES_MB = Span(160.0, 220.0, 290.0)  # TensorRT and cuBLAS
CUDNN_MB = Span(0.0, 240.0, 410.0)  # none where the plans were built without its tactics
FRAMES_HELD = Span(3.0, 6.0, 10.0)
BOARD_MB, GOAL_MB = 3956.0, 2000.0


def needs(pose_every: int) -> Dict[str, Dict[str, float]]:
    """TrackingCase -> role -> runs a frame. A new face is fitted twice."""
    return {
        TRACKING: {roles.ALIGN: 1.0, roles.POSE: 1.0 / pose_every, roles.IRIS: 1.0},
        FOUND: {roles.DETECT: 1.0, roles.ALIGN: 2.0, roles.POSE: 1.0, roles.IRIS: 1.0},
        NOBODY: {roles.DETECT: 1.0},
    }


def host_costs() -> Dict[str, Any]:
    """Raises ModelError."""
    try:
        with open(HOST_COSTS, encoding="utf-8") as f:
            return yaml.safe_load(f)
    except (OSError, ValueError, yaml.YAMLError) as e:
        raise ModelError("{} cannot be read ({}): run `python -m calibration.estimate.hostcosts`".format(
            HOST_COSTS, " ".join(str(e).split()))) from e


class Parts(NamedTuple):
    """One stage, or what lies between: ms a frame."""

    host: Span  # Python and numpy, scaled
    calls: Span  # of it around the engine, a guess
    device: Span

    @property
    def whole(self) -> Span:
        return self.host + self.calls + self.device


class TrackingCase(NamedTuple):
    """What a frame costs, by stage in order; `between` are links, meter and the upload of the frame."""

    name: str
    stages: Dict[str, Parts]
    between: Parts

    @property
    def parts(self) -> Sequence[Parts]:
        return list(self.stages.values()) + [self.between]

    @property
    def host(self) -> Span:
        return total([p.host + p.calls for p in self.parts])

    @property
    def device(self) -> Span:
        return total([p.device for p in self.parts])

    @property
    def one_thread(self) -> Span:
        """Ms a frame: nothing overlaps."""
        return self.host + self.device

    @property
    def two_threads(self) -> Span:
        """Ms a frame of `detect+align | pose+iris+express`: the slower thread, the GPU that they share, or the
        interpreter lock that all of the host's work is taken to hold, whichever is longest.
        """
        half = self.between.whole.times(0.5)
        first = total([self.stages[n].whole for n in STAGES[:2]]) + half
        second = total([self.stages[n].whole for n in STAGES[2:]]) + half
        return Span(*(max(column) for column in zip(first, second, self.device, self.host)))


def fps(ms: Span) -> Span:
    """Frames a second; the pessimistic end is the low one."""
    return Span(1000.0 / ms.high, 1000.0 / ms.middle, 1000.0 / ms.low)


def situations(engines: Dict[str, Span], board: Board, pose_every: int, one_network: bool = False) -> List[TrackingCase]:
    """`engines`: role -> ms of one run on the device; roles that the network of another fills are not there.
    `one_network`: the points and the irises come of one, which has host costs of its own.
    """
    costs = host_costs()
    costs = costs["one_network"] if one_network else costs
    slower = NANO.cpu_mhz / board.cpu_mhz
    found = []
    for name, runs in needs(pose_every).items():
        stages = {}
        for stage in STAGES:
            if stage in roles.ROLES and stage not in engines:  # the network of another fills what it would
                stages[stage] = Parts(ZERO, ZERO, ZERO)
                continue
            count = runs.get(stage, 0.0)
            crops = CROP_MS.times(count * board.speed.gpu * (2 if stage == roles.IRIS else 1))
            device = engines[stage].times(count) + crops if count else ZERO
            stages[stage] = Parts(_scaled(costs["host_ms"][name][stage], slower), CALL_MS.times(count * slower), device)
        between = Parts(_scaled(costs["rest_ms"], slower), UPLOAD_MS.times(slower), ZERO)
        found.append(TrackingCase(name, stages, between))
    return found


def with_faces(case: TrackingCase, faces: int) -> TrackingCase:
    """The same with so many: each network runs for one face at a time, only the detector and the frame's upload are shared."""
    stages = {name: parts if name == roles.DETECT else Parts(*(span.times(faces) for span in parts))
              for name, parts in case.stages.items()}
    return case._replace(stages=stages)


def _scaled(ms: float, slower: float) -> Span:
    return HOST_FACTOR.times(ms * slower)


def cpu_crops(board: Board, pose_every: int, one_network: bool = False) -> Span:
    """What a frame of a track would cost the host more if the crops were made there (no nvcc, no cubin)."""
    costs = host_costs()
    crops = (costs["one_network"] if one_network else costs)["crop_ms"]
    ms = crops[roles.ALIGN] + crops.get(roles.IRIS, 0.0) + crops[roles.POSE] / pose_every
    return _scaled(ms, NANO.cpu_mhz / board.cpu_mhz)


def memory(engines: Dict[str, Span]) -> List[Tuple[str, Span]]:
    """What takes memory, in MB; `engines`: role -> MB of its engine."""
    program = float(host_costs()["program_mb"])
    frame = 3.0 * FRAME_SIZE[0] * FRAME_SIZE[1] / 1e6
    return [("the system without a desktop", SYSTEM_MB), ("CUDA context", CUDA_MB),
            ("TensorRT and cuBLAS", LIBRARIES_MB), ("cuDNN, if the plans use it", CUDNN_MB),
            ("engines, weights and activations", total(list(engines.values()))),
            ("Python, numpy, OpenCV, nanoface", Span(0.6 * program, program, 1.5 * program)),
            ("frames of 640x480", FRAMES_HELD.times(frame))]
