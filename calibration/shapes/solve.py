"""The two matrices of the blend shapes, fitted to what was seen: plain numpy, some minutes.

What is minimised is the squared error of the limited answers, where a shape that should be quiet counts more; measures are
disturbed while it runs, as those of other persons are. Left and right are one: every frame is used mirrored too.
"""
from typing import List, NamedTuple, Sequence

import numpy as np

from edge.face.measures import IRISES, LIDS, Measures, mate, mirrored
from edge.stages.shapes import NEARLY_SHUT

RIDGE = 0.003
BATCH, EPOCHS, RATE = 256, 60, 3e-3
DECAY_FIRST, DECAY_LESS = 1e-4, 1e-3  # toward zero, and toward no rivals
DISTURBANCE = 0.15  # of a measure's spread
QUIET_COUNTS = 3.0
LEAST_SPREAD = 0.05  # millimetres and the like: a measure that never moves is not worth more


class Frames(NamedTuple):
    """Of all persons: `change` (T, M), `truth` (T, S) and how much each number of it counts."""

    change: np.ndarray
    truth: np.ndarray
    weight: np.ndarray


class Solution(NamedTuple):
    """answer = limited(max(change . first, 0) . less - dead)."""

    first: np.ndarray  # (M, S)
    less: np.ndarray  # (S, S)
    dead: np.ndarray  # (S,)

    def answer(self, change: np.ndarray) -> np.ndarray:
        return np.clip(np.maximum(change.dot(self.first), 0.0).dot(self.less) - self.dead, 0.0, 1.0)


class Mirror:
    """Exchanges left and right in arrays of measures and of shapes."""

    def __init__(self, measures: Measures, shapes: Sequence[str]) -> None:
        pairs = [mirrored(name) for name in measures.names]
        self._measures = np.array([measures.at[name] for name, _ in pairs])
        self._signs = np.array([sign for _, sign in pairs])
        self._shapes = np.array([list(shapes).index(mate(name)) for name in shapes])

    def change(self, change: np.ndarray) -> np.ndarray:
        return change[:, self._measures] * self._signs

    def shapes(self, values: np.ndarray) -> np.ndarray:
        return values[..., self._shapes]

    def even(self, solution: Solution) -> Solution:
        """The mean of a solution and its mirror image."""
        first, less, dead = solution
        turned = self.shapes(first[self._measures] * self._signs[:, None])
        return Solution(*((here + there) / 2.0 for here, there in zip(
            solution, (turned, self.shapes(less[self._shapes]), self.shapes(dead)))))


def see_through(change: np.ndarray, known: np.ndarray, measures: Measures) -> None:
    """As the stage does with frames that follow each other: a shut eye looks where the other does; `known` (T, 2) irises."""
    open_enough = known & (change[:, [measures.at[name] for name in LIDS]] >= NEARLY_SHUT)
    looks = [slice(measures.at[name + " x"], measures.at[name + " x"] + 2) for name in IRISES]
    seen = [change[:, look].copy() for look in looks]
    for i, look in enumerate(looks):
        other = np.where(open_enough[:, 1 - i, None], seen[1 - i], 0.0)
        change[:, look] = np.where(open_enough[:, i, None], seen[i], other)


def counted(change: np.ndarray, truth: np.ndarray, shapes: Sequence[str], measures: Measures) -> Frames:
    """A look tells nothing while both eyes are shut, and a look down nothing while its own eye shuts: the stage holds them."""
    weight = np.ones_like(truth)
    shut = change[:, [measures.at[name] for name in LIDS]] < NEARLY_SHUT
    for k, name in enumerate(shapes):
        if name.startswith("eyeLook"):
            weight[shut.all(axis=1), k] = 0.0
        if name.startswith("eyeLookDown"):
            weight[truth[:, list(shapes).index(name.replace("LookDown", "Blink"))] > 0.25, k] = 0.0
    return Frames(change, truth, weight)


def linear(frames: Frames, spread: np.ndarray) -> np.ndarray:
    """(M, S) by ridge regression, each shape with its own weights."""
    z, columns = frames.change / spread, []
    kept = RIDGE * len(z) * np.eye(z.shape[1])
    for k in range(frames.truth.shape[1]):
        weighted = z * frames.weight[:, k:k + 1]
        columns.append(np.linalg.solve(z.T.dot(weighted) + kept, weighted.T.dot(frames.truth[:, k])))
    return np.array(columns).T / spread[:, None]


def solve(frames: Frames, measures: Measures, shapes: Sequence[str], used: np.ndarray, epochs: int = EPOCHS) -> Solution:
    """`used` (M, S): which measures each shape may be made of."""
    mirror = Mirror(measures, shapes)
    both = Frames(np.concatenate((frames.change, mirror.change(frames.change))),
                  np.concatenate((frames.truth, mirror.shapes(frames.truth))),
                  np.concatenate((frames.weight, mirror.shapes(frames.weight))))
    spread = both.change.std(axis=0) + LEAST_SPREAD
    start = Solution(linear(both, spread) * used * spread[:, None], np.eye(len(shapes)), np.full(len(shapes), 0.02))
    first, less, dead = _descend(both._replace(change=both.change / spread), start, used, epochs)
    return mirror.even(Solution(first / spread[:, None], less, dead))


def _descend(frames: Frames, start: Solution, used: np.ndarray, epochs: int) -> Solution:
    """Adam (Kingma, Ba 2015) on the two matrices and the dead zones."""
    chance, count = np.random.RandomState(1), len(frames.change)
    values = [part.copy() for part in start]
    means, squares, steps = [np.zeros_like(v) for v in values], [np.zeros_like(v) for v in values], 0
    for epoch in range(epochs):
        order = chance.permutation(count)
        for begin in range(0, count, BATCH):
            batch, steps = order[begin:begin + BATCH], steps + 1
            disturbed = frames.change[batch] + DISTURBANCE * chance.randn(len(batch), frames.change.shape[1])
            slopes = _slopes(disturbed, frames.truth[batch], frames.weight[batch], Solution(*values))
            slopes[0] *= used
            for value, slope, mean, square in zip(values, slopes, means, squares):
                mean += 0.1 * (slope - mean)
                square += 0.001 * (slope * slope - square)
                rate = RATE * (1.0 - epoch / float(epochs))
                value -= rate * mean / (1.0 - 0.9 ** steps) / (np.sqrt(square / (1.0 - 0.999 ** steps)) + 1e-8)
    return Solution(*values)


def _slopes(change: np.ndarray, truth: np.ndarray, weight: np.ndarray, now: Solution) -> List[np.ndarray]:
    raw = change.dot(now.first)
    kept = np.maximum(raw, 0.0)
    told = kept.dot(now.less) - now.dead
    error = (np.clip(told, 0.0, 1.0) - truth) * weight * np.where(truth < 0.01, QUIET_COUNTS, 1.0)
    error *= ((told > 0.0) | (truth > 0.0)) & ((told < 1.0) | (truth < 1.0))
    error *= 2.0 / len(change)
    through = error.dot(now.less.T) * (raw > 0.0)
    return [change.T.dot(through) + DECAY_FIRST * now.first,
            kept.T.dot(error) + DECAY_LESS * (now.less - np.eye(len(now.less))), -error.sum(axis=0)]
