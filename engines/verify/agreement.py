"""How far two runs of one network are apart, in the network's own units: for verification and for choosing precisions.

Only what a face depends on is compared: where neither run sees a face, boxes and landmarks mean nothing.
"""
from typing import Callable, Dict, List, Mapping, NamedTuple, Sequence

import numpy as np

from edge.core.errors import ModelError
from edge.core.packet import CONTOUR_POINTS, POINTS
from edge.core.roles import ALIGN, DETECT, IRIS, POSE
from edge.geometry import rotation
from edge.models import face_attention, face_landmark, iris_landmark, mb05
from edge.models.detectors.table import DETECTORS, make_detector
from edge.models.mb05 import Mb05
from edge.models.spec import Detections, Detector
from edge.store.models import StoredNetwork

LEAST_RMS = 0.01
PRESENT = 0.5  # probability from which on the points of a face are compared
REST = "outputs"
SIDES = {ALIGN: face_landmark.SIZE, POSE: mb05.SIZE, IRIS: iris_landmark.SIZE}  # of the input of a role's network
# role -> what its decoder reads: output -> values of one face or eye; a detector has a decoder of its own
READ: Dict[str, Dict[str, int]] = {
    ALIGN: {"landmarks": 3 * POINTS, "presence": 1},
    POSE: {"landmarks": 136, "params": 62},
    IRIS: {"iris": 3 * iris_landmark.IRIS_POINTS, "contour": 3 * CONTOUR_POINTS},
}
SHARED = ("face_attention",)  # networks whose outputs are several roles' at once
Outputs = Mapping[str, np.ndarray]


class Difference(NamedTuple):
    """One quantity of two runs. `worst` is what is compared: a fault in a single point is a fault."""

    quantity: str  # what is compared, e.g. landmarks
    unit: str
    median: float
    worst: float
    tolerance: float

    @property
    def within(self) -> bool:
        """False for what is no number, too."""
        return self.worst <= self.tolerance


class Quantity(NamedTuple):
    """What is compared, and how much a sound FP16 engine may err in it."""

    unit: str  # {}: the side of the network's input
    tolerance: float


# Each tolerance lies between what a sound engine may do and what a broken one does. Both were emulated on the stored inputs
# (engines/verify/stills.py), over all networks of a role, the worst value: `16/32` rounds weights and activations to FP16 and
# sums in FP32, `16/16` rounds every single sum too, as the GPU's half2 arithmetic may; `colours` is the network fed with red
# and blue exchanged, `pixel` with the picture moved by one pixel. At least one quantity of each network is beyond its
# tolerance then.
QUANTITIES: Dict[str, Dict[str, Quantity]] = {
    DETECT: {
        "box": Quantity("px", 0.6),  # each corner's x and y; 16/32: 0.09, 16/16: 0.25, colours: 2.9 and more, pixel: 1.5
        "keypoints": Quantity("px", 0.6),  # 16/32: 0.06, 16/16: 0.14, colours: 3.6, pixel: 2.1
        "score": Quantity("probability", 0.03),  # 16/32: 0.006, 16/16: 0.011, colours: 0.10, pixel: 0.09
        # all outputs, also of the anchors without a face; 16/32: 0.03, 16/16: 0.04, half a layer lost: 0.08 to 46
        REST: Quantity("of their rms", 0.07),
    },
    ALIGN: {
        # sums of large numbers, in FP16 in steps of an eighth. 16/32: 0.33, 16/16: 1.01, colours: 2.6, pixel: 1.5
        "landmarks": Quantity("px of {}", 1.2),
        # of all points of a face, for a common shift; 16/32: 0.03, 16/16: 0.23, colours: 0.9, pixel: 1.3
        "median landmark": Quantity("px of {}", 0.3),
        "depth": Quantity("px of {}", 0.6),  # 16/32: 0.03, 16/16: 0.26, colours: 1.3, pixel: 0.6
        "presence": Quantity("probability", 0.03),  # 16/32 and 16/16: below 0.0001; a face has 1, no face 0
    },
    POSE: {
        "rotation": Quantity("degrees", 0.25),  # 16/32: 0.02, 16/16: 0.05, colours: 1.9, pixel: 0.9
        "points": Quantity("px of {}", 0.3),  # 16/32: 0.03, 16/16: 0.04, colours: 2.1, pixel: 2.0
        "parameters": Quantity("sigma", 0.05),  # 16/32: 0.005, 16/16: 0.009, colours: 0.42, pixel: 0.15
    },
    IRIS: {
        "iris": Quantity("px of {}", 0.3),  # 16/32: 0.09, 16/16: 0.22, colours: 0.3, pixel: 1.0
        "contour": Quantity("px of {}", 0.6),  # 16/32: 0.26, 16/16: 0.49, colours: 1.0, pixel: 1.3
    },
}


def differences(stored: StoredNetwork, expected: Outputs, found: Outputs) -> List[Difference]:
    """What differs between the outputs of two runs on the same input.

    An output of `found` that is missing, has another shape or is not finite makes every quantity infinitely wrong. A
    quantity that neither run has (the box where no face is seen) is left out. Raises ModelError for a role without
    outputs to compare and for an unknown detector.
    """
    quantities = quantities_of(stored, expected)
    alike = all(_alike(values, found.get(name)) for name, values in expected.items())
    expected, found = _as_read(stored, expected), _as_read(stored, found) if alike else {}
    if alike:
        with np.errstate(over="ignore", invalid="ignore"):  # wrong outputs may overflow; the result is not within
            errors = _errors(stored, expected, found)
    else:
        errors = {name: np.array([np.inf]) for name in quantities}
    return [Difference(name, quantity.unit, float(np.median(errors[name])), float(np.max(errors[name])), quantity.tolerance)
            for name, quantity in quantities.items() if errors[name].size]


def quantities_of(stored: StoredNetwork, outputs: Outputs) -> Dict[str, Quantity]:
    """What differences() compares of a network with these outputs: of each of its roles what that role's decoder reads, in
    pixels of the one input; then what no role reads. Raises ModelError as it does.
    """
    outputs = _as_read(stored, outputs)
    found: Dict[str, Quantity] = {}
    for role in _read_for(stored, outputs):
        side = SIDES.get(stored.role, 0)
        found.update((name, quantity._replace(unit=quantity.unit.format(side))) for name, quantity in QUANTITIES[role].items())
    if stored.role == DETECT and _detector(stored.name).keypoint_count == 0:
        del found["keypoints"]
    if _rest(stored, outputs):
        found[REST] = QUANTITIES[DETECT][REST]
    return found


def _as_read(stored: StoredNetwork, outputs: Outputs) -> Outputs:
    """What the roles read, by their names. The attention mesh gives it in another form; what it has beyond, its mesh behind
    the refined points, nobody reads.
    """
    if stored.name not in SHARED or "refined" not in outputs:
        return outputs
    rows = face_attention.FaceAttention(stored.name).seen(outputs)[:3].T
    ends = (POINTS, face_attention.RIGHT_IRIS[0])
    return {"landmarks": rows[:ends[0]], "presence": outputs["flag"], "contour": rows[ends[0]:ends[1]], "iris": rows[ends[1]:]}


def _read_for(stored: StoredNetwork, outputs: Outputs) -> List[str]:
    """The roles of a network whose decoder finds its outputs here."""
    if stored.role not in QUANTITIES:
        raise ModelError("nothing is known of a network for {}: the roles are {}".format(stored.role, ", ".join(QUANTITIES)))
    if stored.role == DETECT:
        _detector(stored.name)
    return [role for role in stored.roles if role in QUANTITIES and all(
        name in outputs and outputs[name].size % size == 0 for name, size in READ.get(role, {}).items())]


def _rest(stored: StoredNetwork, outputs: Outputs) -> List[str]:
    """The outputs that no role reads; a detector's are all looked at anyway."""
    roles = _read_for(stored, outputs)
    return [] if DETECT in roles else [name for name in outputs if not any(name in READ[role] for role in roles)]


def _errors(stored: StoredNetwork, expected: Outputs, found: Outputs) -> Dict[str, np.ndarray]:
    """Quantity -> what it is off by; nothing of what a network gives beside the points of a face where there is none."""
    roles, rest = _read_for(stored, expected), _rest(stored, expected)
    seen = ALIGN not in roles or max(float(_probability(o["presence"]).max()) for o in (expected, found)) >= PRESENT
    errors: Dict[str, np.ndarray] = {}
    for role in roles:
        errors.update(_ERRORS[role](stored.name, expected, found, stored.decode) if seen or role == ALIGN else
                      {name: np.array([]) for name in QUANTITIES[role]})
    if rest:
        errors[REST] = np.array([_relative(expected[name], found[name]) for name in rest] if seen else [])
    return errors


def combined(several: Sequence[Sequence[Difference]]) -> List[Difference]:
    """One list for the differences on several inputs: the worst of all, and the median of their medians."""
    rows: Dict[str, List[Difference]] = {}
    for differences_of_one in several:
        for difference in differences_of_one:
            rows.setdefault(difference.quantity, []).append(difference)
    return [row[0]._replace(median=float(np.median([d.median for d in row])), worst=float(np.max([d.worst for d in row])))
            for row in rows.values()]


def _alike(expected: np.ndarray, found: object) -> bool:
    return (isinstance(found, np.ndarray) and found.shape == expected.shape
            and bool(np.isfinite(found).all() and np.isfinite(expected).all()))


def _detector(network: str) -> Detector:
    if network not in DETECTORS:
        raise ModelError("nothing is known of the detector {}: there are {}".format(network, ", ".join(DETECTORS)))
    return make_detector(network)


def _of_detector(network: str, expected: Outputs, found: Outputs, decode: Mapping[str, object]) -> Dict[str, np.ndarray]:
    """Anchor by anchor: the suppression may keep another of two equals, which shows the same face a pixel beside.

    Scores of all anchors that either run takes for a face, and of the surest one where there is none.
    """
    detector = _detector(network)
    ours, theirs = (_ranked(detector, outputs) for outputs in (expected, found))
    scored = [anchor for anchor in sorted(set(ours.rank) | set(theirs.rank))
              if max(ours.score(anchor), theirs.score(anchor)) >= detector.threshold]
    surest = scored or [anchor for ranked in (ours, theirs) for anchor in list(ranked.rank)[:1]]
    errors = {"score": np.array([abs(ours.score(anchor) - theirs.score(anchor)) for anchor in surest])}
    both = [anchor for anchor in scored if anchor in ours.rank and anchor in theirs.rank]
    a, b = (ranked.faces.rows([ranked.rank[anchor] for anchor in both]) for ranked in (ours, theirs))
    errors["outputs"] = np.array([_relative(values, found[name]) for name, values in expected.items()])
    lost = np.array([np.inf] if scored and not both else [])  # the other run saw nothing anywhere near
    errors["box"] = np.append(np.abs(a.boxes - b.boxes), lost)
    if a.keypoints is not None and b.keypoints is not None:
        errors["keypoints"] = np.append(_distances(a.keypoints, b.keypoints, 2), lost)
    return errors


class _Ranked(NamedTuple):
    """What a detector sees, anchor by anchor."""

    rank: Dict[int, int]  # anchor -> its row in faces, the surest first
    faces: Detections

    def score(self, anchor: int) -> float:
        return float(self.faces.scores[self.rank[anchor]]) if anchor in self.rank else 0.0


def _ranked(detector: Detector, outputs: Outputs) -> _Ranked:
    anchors, faces = detector.anchors(outputs, 0.0)
    return _Ranked({int(anchor): row for row, anchor in enumerate(anchors)}, faces)


def _of_mesh(network: str, expected: Outputs, found: Outputs, decode: Mapping[str, object]) -> Dict[str, np.ndarray]:
    presences = [_probability(outputs["presence"]) for outputs in (expected, found)]
    errors = {"presence": np.abs(presences[0] - presences[1])}
    a, b = (outputs["landmarks"].reshape(POINTS, 3) for outputs in (expected, found))
    points = slice(None) if np.max(presences) >= PRESENT else slice(0)
    errors["landmarks"] = _distances(a[points], b[points], 2)
    errors["median landmark"] = np.array([np.median(errors["landmarks"])] if errors["landmarks"].size else [])
    errors["depth"] = np.abs(a[points, 2] - b[points, 2])
    return errors


def _of_pose(network: str, expected: Outputs, found: Outputs, decode: Mapping[str, object]) -> Dict[str, np.ndarray]:
    model = Mb05(decode)
    ours, theirs = model.decode(expected), model.decode(found)
    apart = [0.0 if ours is theirs else np.inf] if ours is None or theirs is None else [rotation.distance_deg(ours, theirs)]
    half = mb05.SIZE / 2.0
    a, b = (outputs["landmarks"].reshape(2, 68).T * half for outputs in (expected, found))
    return {"rotation": np.array(apart), "points": _distances(a, b, 2),
            "parameters": np.abs(expected["params"] - found["params"]).reshape(-1)}


def _of_iris(network: str, expected: Outputs, found: Outputs, decode: Mapping[str, object]) -> Dict[str, np.ndarray]:
    counts = (("iris", iris_landmark.IRIS_POINTS), ("contour", CONTOUR_POINTS))
    return {name: _distances(expected[name].reshape(-1, count, 3), found[name].reshape(-1, count, 3), 2)
            for name, count in counts}


_ERRORS: Dict[str, Callable[[str, Outputs, Outputs, Mapping[str, object]], Dict[str, np.ndarray]]] = {
    DETECT: _of_detector,
    ALIGN: _of_mesh,
    POSE: _of_pose,
    IRIS: _of_iris,
}


def _relative(expected: np.ndarray, found: np.ndarray) -> float:
    """Root mean square of what differs over that of what is expected; a picture without a face has scores of nearly 0."""
    apart, size = (np.sqrt(np.square(np.asarray(values, np.float64)).mean()) for values in (expected - found, expected))
    return float(apart / max(size, LEAST_RMS))


def _distances(a: np.ndarray, b: np.ndarray, axes: int) -> np.ndarray:
    """(points,) distances over the first `axes` coordinates of (..., C) points."""
    apart = (np.asarray(a, np.float64) - b)[..., :axes]
    return np.sqrt((apart * apart).sum(axis=-1)).reshape(-1)


def _probability(logit: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(np.asarray(logit, np.float64).reshape(-1), -60.0, 60.0)))
