"""`nanoface bench detectors`: what detectors cost at inputs of several sizes, beside the faces that they find there.

A size without its faces says nothing: at a tenth of VGA a detector takes a millisecond and finds nobody. All rows take turns
in every round, and so do the two ways of decoding: ours with anchors that are kept and arrays, and plain loops (plain.py).
"""
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.app.networks import Networks
from edge.bench.plain import faces
from edge.config.load import Config
from edge.core import clock
from edge.core.contracts import Runner
from edge.core.errors import ConfigError, ModelError
from edge.core.figures import median
from edge.geometry import boxes as upright
from edge.models.detectors import faceboxes, fmr, rfb320, yunet
from edge.models.detectors.table import MULTIPLES
from edge.models.spec import Detector
from edge.stages.detect import detected
from edge.store.models import cure, home_dir, read_index

SCALES = (0.1, 0.4, 1.0, 2.0)
RETINAFACE = ("fmr_8and16", "fmr_16and32")
LIMIT = 32  # faces of a frame
SAME = 0.35  # IoU with a face of the reference from which it is found: detectors draw boxes by rules of their own
PARTS = ("resize", "network", "decode", "plain")
HEAD = "{:<12}{:>6}{:>11}  {:<12}{:>7}{:>9}{:>8}{:>8}{:>9}{:>8}{:>11}{:>8}"
LINE = "{:<12}{:>6g}{:>11}  {:<12}{:>7.2f}{:>9.2f}{:>8.2f}{:>8.2f}{:>9.2f}{:>8}{:>11}{:>8}"


class Row(NamedTuple):
    """A detector at one scale, open."""

    network: str
    scale: float
    detector: Detector
    runner: Runner
    rounds: Dict[str, List[float]]  # one of PARTS -> ms of processor time a frame, round by round


def measure_detectors(config: Config, names: Sequence[str], scales: Sequence[float], frames: Sequence[np.ndarray],
                      rounds: int) -> Dict[str, Any]:
    """`names` empty: the RetinaFace detectors that are built. Raises EdgeErrors."""
    built = read_index(home_dir())
    names = list(names) or [name for name in RETINAFACE if name in built]
    if not names:
        raise ModelError("none of {} is there: {}".format(" and ".join(RETINAFACE), cure(*RETINAFACE)))
    for name in names:
        if name not in MULTIPLES:
            raise ConfigError("--detector {}: {} has one size of its input; there are {}".format(
                name, name, ", ".join(MULTIPLES)))
    reference = _reference(config, built)
    truth = _found(config, reference, 1.0, frames)
    rows = [_opened(config, name, scale, frames[0]) for name in names for scale in scales or SCALES]
    try:
        found = [[_answer(row, frame) for frame in frames] for row in rows]  # warms up, too
        for turn in range(rounds):
            for row in rows[::-1] if turn % 2 else rows:
                _one_round(row, frames, turn)
    finally:
        for row in rows:
            row.runner.close()
    return {"rows": [_figures(row, boxes, truth) for row, boxes in zip(rows, found)], "reference": reference,
            "reference_faces": sum(map(len, truth)), "frames_with_a_face": sum(1 for boxes in truth if len(boxes))}


def _reference(config: Config, built: Any) -> str:
    """The surest detector that can see the frame as large as it is."""
    known = [name for name in config.models.detect if name in MULTIPLES and name in built]
    known += [name for name in MULTIPLES if name in built]
    return known[0]


def _opened(config: Config, network: str, scale: float, frame: np.ndarray) -> Row:
    models = config.models._replace(detect=(network,), detector_scale=scale)
    runner, detector = Networks(config._replace(models=models), lambda event, text: None).detector()
    row = Row(network, scale, detector, runner, {part: [] for part in PARTS})
    detector.crop(frame.shape[1], frame.shape[0])  # refuses what is too large before anything is measured
    runner.open()
    return row


def _found(config: Config, network: str, scale: float, frames: Sequence[np.ndarray]) -> List[np.ndarray]:
    """(N, 4) boxes of each frame."""
    row = _opened(config, network, scale, frames[0])
    try:
        return [_answer(row, frame) for frame in frames]
    finally:
        row.runner.close()


def _answer(row: Row, frame: np.ndarray) -> np.ndarray:
    return detected(row.runner, row.detector, frame, row.detector.threshold, LIMIT, False).boxes


def _one_round(row: Row, frames: Sequence[np.ndarray], turn: int) -> None:
    detector, spent = row.detector, dict.fromkeys(PARTS, 0.0)

    def timed(part: str, work: Callable[..., Any], *arguments: Any) -> Any:
        began = clock.thread_cpu()
        result = work(*arguments)
        spent[part] += clock.thread_cpu() - began
        return result

    for i, frame in enumerate(frames):
        crop, in_network = detector.crop(frame.shape[1], frame.shape[0]), row.runner.run_s
        outputs = timed("resize", row.runner.submit, frame, (crop,)).result()
        in_network = row.runner.run_s - in_network
        spent["network"] += in_network
        spent["resize"] -= in_network
        ways = [("decode", detector.decode, outputs, crop), ("plain", faces, detector, outputs)]  # type: List[Any]
        for part, work, *arguments in ways[::-1] if (i + turn) % 2 else ways:
            timed(part, work, *arguments, detector.threshold, LIMIT)
    for part, seconds in spent.items():
        row.rounds[part].append(1e3 * seconds / len(frames))


def _figures(row: Row, boxes: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> Dict[str, Any]:
    pairs = [matched(found, wanted) for found, wanted in zip(boxes, truth)]
    parts = {part + "_ms": median(values) for part, values in row.rounds.items()}
    ratios = [plain / ours for plain, ours in zip(row.rounds["plain"], row.rounds["decode"]) if ours > 0.0]
    ours = [sum(times) for times in zip(*(row.rounds[part] for part in PARTS[:3]))]
    return dict(parts, network=row.network, scale=row.scale, input=list(row.detector.size), levels=levels_of(row.network),
                whole_ms=median(ours), plain_over_decode=median(ratios) if ratios else None, found=sum(p[0] for p in pairs),
                others=sum(p[1] for p in pairs))


def matched(found: np.ndarray, wanted: np.ndarray) -> Tuple[int, int]:
    """How many of `wanted` are found, and how many boxes lie on none of them. Each box counts for one face."""
    left = list(range(len(found)))
    hits = 0
    table = upright.iou(found, wanted)
    for face in range(len(wanted)):
        best = max(left, key=lambda row: table[row, face], default=None)
        if best is not None and table[best, face] >= SAME:
            left.remove(best)
            hits += 1
    return hits, len(left)


def levels_of(network: str) -> List[int]:
    """The strides of the grids that a detector's anchors stand on, pixels of its input."""
    if network in fmr.STRIDES:
        return list(fmr.STRIDES[network])
    tables = {"rfb320": rfb320.SIDES, "faceboxes": faceboxes.ANCHORS}  # type: Dict[str, Any]
    return [stride for stride, _ in tables[network]] if network in tables else list(yunet.STRIDES)


def lines(result: Dict[str, Any]) -> List[str]:
    """The table for people."""
    text = ["ms of processor time a frame, medians; {} faces in {} frames, by {} at scale 1".format(
        result["reference_faces"], result["frames_with_a_face"], result["reference"]), "", HEAD.format(
        "detector", "scale", "input", "levels", "resize", "network", "decode", "sum", "plain", "ratio", "found", "others")]
    for row in result["rows"]:
        ratio = row["plain_over_decode"]
        text.append(LINE.format(
            row["network"], row["scale"], "{}x{}".format(*row["input"]), " ".join(map(str, row["levels"])), row["resize_ms"],
            row["network_ms"], row["decode_ms"], row["whole_ms"], row["plain_ms"], "-" if ratio is None else "%.1fx" % ratio,
            "{} of {}".format(row["found"], result["reference_faces"]), row["others"]))
    return text + ["", "decode: boxes and suppression with arrays and anchors that are kept; plain: the same boxes by loops, "
                   "anchors made anew.", "sum: resize, network and decode. others: boxes on no face of the reference."]
