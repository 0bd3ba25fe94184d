"""What a head does over time: coefficients (T, 51) and poses, at 30 frames a second."""
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from calibration.shapes.head import SIDES, Pose

FPS = 30.0
LOOK_LEFT, LOOK_RIGHT = ("eyeLookInRight", "eyeLookOutLeft"), ("eyeLookOutRight", "eyeLookInLeft")  # the subject's
TOGETHER = (LOOK_LEFT, LOOK_RIGHT, ("eyeLookUpRight", "eyeLookUpLeft"), ("eyeLookDownRight", "eyeLookDownLeft"))
LID_AGAINST_LOOK = 0.8  # of a look down is in the lid: an eye that shuts has none
SPEECH = ("mouthFunnel", "mouthPucker", "mouthPress", "mouthLowerDown", "mouthUpperUp", "mouthStretch")


class Motion(NamedTuple):
    """`coefficients` (T, 51) in the head's order of names; a pose for each of its rows."""

    coefficients: np.ndarray
    poses: List[Pose]


def bump(count: int) -> np.ndarray:
    """From 0 to 1 and back in `count` frames."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(count) / count)


def plateau(count: int, rise: int) -> np.ndarray:
    """From 0 to 1 in `rise` frames, and back in the last ones."""
    steps = np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1)) / float(max(1, rise))
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(1.0, steps))


def head_motion(count: int, random: np.random.RandomState, limits_deg: Sequence[float] = (15.0, 10.0, 6.0),
                still: int = 0, fps: float = FPS) -> List[Pose]:
    """Slow, smooth and within `limits_deg` of yaw, pitch and roll, 470 to 565 mm away; nothing moves for `still` frames."""
    t = np.arange(count) / fps

    def wander(limit: float) -> np.ndarray:
        waves = sum(share * np.sin(2.0 * np.pi * (rate * t + random.uniform())) for share, rate in zip(
            (0.55, 0.3, 0.15), random.uniform((0.06, 0.15, 0.3), (0.14, 0.3, 0.6))))
        return limit * np.clip(1.25 * waves, -1.0, 1.0) * np.clip((np.arange(count) - still) / fps, 0.0, 1.0)

    yaw, pitch, roll = (wander(limit) for limit in limits_deg)
    x, y, z = wander(35.0), 10.0 + wander(18.0), 520.0 + wander(45.0)
    table = np.stack((yaw, pitch, roll, x, y, z), axis=1).tolist()
    return [Pose(turn, nod, tilt, (right, down, far)) for turn, nod, tilt, right, down, far in table]


def sweep(names: List[str], random: np.random.RandomState, still: int = 30, each: int = 30) -> Motion:
    """Each shape alone for `each` frames; those of looks in both eyes, mouthClose with the open jaw that it closes."""
    column = {name: i for i, name in enumerate(names)}
    rows = [np.zeros((still, len(names)))]
    for name in names:
        part = np.zeros((each, len(names)))
        for partner in next((pair for pair in TOGETHER if name in pair), (name,)):
            part[:, column[partner]] = bump(each)
        if name == "mouthClose":
            part[:, column["jawOpen"]] = bump(each)
            part[:, column[name]] *= 0.6
        rows.append(part)
    coefficients = np.concatenate(rows)
    return Motion(coefficients, head_motion(len(coefficients), random, still=still))


class _Score:
    """Events that are laid over each other."""

    def __init__(self, names: List[str], count: int, random: np.random.RandomState) -> None:
        self.column = {name: i for i, name in enumerate(names)}
        self.values = np.zeros((count, len(names)))
        self._count, self._random = count, random

    def add(self, start: int, shape: np.ndarray, amounts: Dict[str, float]) -> None:
        end = min(self._count, start + len(shape))
        for name, amount in amounts.items():
            self.values[start:end, self.column[name]] += amount * shape[:end - start]

    def every(self, low_s: float, high_s: float) -> List[int]:
        """Frames that are so far apart."""
        found, at = [], self._random.uniform(0.0, high_s)
        while at * FPS < self._count:
            found.append(int(at * FPS))
            at += self._random.uniform(low_s, high_s)
        return found


def mixture(names: List[str], count: int, random: np.random.RandomState, loose: bool = False) -> Motion:
    """Speech, blinks, winks, smiles, brows and saccades, as in the shared clip.

    `loose`: stronger, and what moves in step there does not always: a fit must not learn that they do.
    """
    score = _Score(names, count, random)
    _looks(score, count, random)
    _eyes(score, random)
    _brows(score, random, loose)
    _mouth(score, random, loose)
    _speech(score, count, random, loose)
    values = np.clip(score.values, 0.0, 1.0)
    for side in SIDES:
        values[:, score.column["eyeLookDown" + side]] *= 1.0 - LID_AGAINST_LOOK * values[:, score.column["eyeBlink" + side]]
    return Motion(values, head_motion(count, random))


def _looks(score: _Score, count: int, random: np.random.RandomState) -> None:
    at = 0
    while at < count:
        hold = random.randint(12, 40)
        side, up = random.uniform(-0.85, 0.85), random.uniform(-0.7, 0.5)
        shape = plateau(hold, 2)
        score.add(at, shape, {name: abs(side) for name in (LOOK_LEFT if side > 0 else LOOK_RIGHT)})
        score.add(at, shape, {("eyeLookUp" if up > 0 else "eyeLookDown") + s: abs(up) for s in SIDES})
        at += hold


def _eyes(score: _Score, random: np.random.RandomState) -> None:
    for at in score.every(1.0, 3.5):
        score.add(at, plateau(random.randint(4, 9), 2), {"eyeBlink" + s: 1.0 for s in SIDES})
    for at in score.every(2.0, 6.0):
        side = SIDES[random.randint(2)]
        score.add(at, plateau(random.randint(12, 24), 4), {
            "eyeBlink" + side: 1.0, "cheekSquint" + side: 0.5, "mouthSmile" + side: random.choice([0.0, 0.3])})


def _both(name: str, amount: float, random: np.random.RandomState, loose: bool) -> Dict[str, float]:
    """Both sides in step; `loose`: now and then one side alone, or one weaker."""
    right, left = (1.0, 1.0) if not loose or random.uniform() < 0.5 else random.choice([0.0, 0.4, 1.0, 1.0], 2)
    return {name + "Right": amount * right, name + "Left": amount * left}


def _brows(score: _Score, random: np.random.RandomState, loose: bool) -> None:
    for at in score.every(1.5, 3.5):
        kind, size = random.randint(4), random.uniform(0.3, 1.0)
        if kind == 0:
            amounts = {"browOuterUp" + SIDES[random.randint(2)]: size}
        elif kind == 1:
            amounts = _both("browDown", size, random, loose)
        else:
            amounts = dict({"browInnerUp": size}, **_both("browOuterUp", size * (0.8 if not loose else random.uniform()),
                                                          random, loose))
            amounts.update(_both("eyeWide", size * (0.45 if not loose else random.uniform()), random, loose))
        score.add(at, plateau(random.randint(20, 50), 10), amounts)


def _mouth(score: _Score, random: np.random.RandomState, loose: bool) -> None:
    for at in score.every(2.0, 4.5):
        size = random.uniform(0.3, 0.85)
        amounts = _both("mouthSmile", size, random, loose or random.uniform() < 0.25)
        for side in SIDES:
            amounts["cheekSquint" + side] = amounts["mouthSmile" + side] * (0.6 if not loose else random.uniform(0.2, 1.0))
            amounts["eyeSquint" + side] = amounts["mouthSmile" + side] * (0.4 if not loose else random.uniform(0.0, 0.8))
        score.add(at, plateau(random.randint(30, 90), 15), amounts)
    scale = 1.0 if loose else 0.5
    for at in score.every(0.6, 2.0):
        size = scale * random.uniform(0.3, 0.9)
        choices: List[Dict[str, float]] = [
            _both("mouthFrown", size, random, loose), _both("mouthDimple", size, random, loose),
            _both("noseSneer", size, random, True), _both("mouthPress", size, random, loose), {"mouthPucker": size},
            {"cheekPuff": size}, {"mouthLeft": size}, {"mouthRight": size}, {"jawLeft": size}, {"jawRight": size},
            {"jawForward": size}, {"mouthRollUpper": size, "mouthRollLower": size}, {"mouthShrugUpper": size,
                                                                                     "mouthShrugLower": size}]
        amounts = choices[random.randint(len(choices))]
        if loose and {"mouthRollUpper", "mouthShrugUpper"} & set(amounts):
            amounts = {name: amount * random.choice([0.0, 0.5, 1.0, 1.0]) for name, amount in amounts.items()}
        score.add(at, plateau(random.randint(15, 40), 8), amounts)


def _speech(score: _Score, count: int, random: np.random.RandomState, loose: bool) -> None:
    for start in score.every(3.0, 7.0):
        at, end = start, min(count, start + random.randint(60, 130))
        while at < end:
            length = random.randint(6, 12)
            jaw = random.uniform(0.05, 0.45) * (1.6 if loose else 1.0)
            amounts = {"jawOpen": jaw, "mouthClose": random.uniform(0.1, 0.25) * jaw, "jawRight": 0.2 * jaw}
            for name in random.choice(SPEECH, 3, replace=False):
                size = random.uniform(0.1, 0.45)
                amounts.update({name: size} if name in score.column else _both(name, size, random, loose))
            score.add(at, bump(length + 4), amounts)
            at += random.randint(length - 3, length + 3)


def rest_face(names: List[str], kind: int) -> Tuple[str, np.ndarray]:
    """A face at rest that is none of the model: name and coefficients (51,)."""
    kinds: List[Tuple[str, Dict[str, float]]] = [
        ("smile", {"mouthSmileLeft": 0.18, "mouthSmileRight": 0.22, "cheekSquintLeft": 0.1, "cheekSquintRight": 0.1}),
        ("frown", {"mouthFrownLeft": 0.25, "mouthFrownRight": 0.25, "browDownLeft": 0.3, "browDownRight": 0.25}),
        ("brow", {"browOuterUpLeft": 0.3, "browInnerUp": 0.1, "mouthLeft": 0.1}),
        ("lids", {"eyeBlinkLeft": 0.3, "eyeBlinkRight": 0.25, "jawOpen": 0.05, "mouthPressLeft": 0.1})]
    name, amounts = kinds[kind % len(kinds)]
    return name, np.array([amounts.get(shape, 0.0) for shape in names])
