"""The small network of the blend shapes, trained on what was seen of rendered heads: plain numpy, some minutes.

What a head shows is nearly linear in its coefficients, with a matrix of its own for each person. So there are as many frames
as one likes: coefficients of the shapes alone and of mixtures, the matrix of one of the persons or between two of them, and
what it left over of a frame that was seen (noise and the head's turns). A part of each batch are the frames themselves.
Left and right are one: every frame is used mirrored too, and only the right and the middle shapes have weights.
"""
from typing import List, NamedTuple, Sequence

import numpy as np

from edge.face.measures import IRISES, LIDS, TURNS, Measures, mate, mirrored
from edge.stages.shapes import NEARLY_SHUT

OTHER_SIDE = "Left"
UNITS, STEPS, BATCH, RATE = 64, 3000, 384, 3e-3
AVERAGED = 500  # steps whose weights are averaged: single ones tremble
REAL = 0.3  # share of a batch that was seen itself
AT_REST = 0.2  # share of the others that do nothing, with whatever pose and noise do to the points
QUIET = 0.5  # share of all the others whose pose and noise are those of a face at rest
QUIET_WEIGHT = 2.0  # of an error of a face at rest: people look at it most of the time
TIMES = (0.5, 1.2)  # of imagined coefficients: people move less than a sweep does
QUIET_TIMES = (0.5, 1.3)  # how far a head turns, against what was seen
BETWEEN = (-0.3, 1.3)  # share of the one person, when a frame lies between two; somewhat beyond them too
BELOW = 0.05  # share of an error below 0, which the limit makes good; but from far below 0 little is told of small movements
DECAY_LINEAR, DECAY_HIDDEN = 1e-4, 3e-4
TOWARD_ALL = 2.0  # frames that a person's own matrix is drawn toward that of all
START_SHARE, RIDGE = 0.3, 0.01  # of the linear map that training starts from
LEAST_TURN = 0.15  # of the head, in units of the measures: less is a head that stands still
LEAST_SPREAD = 0.05  # millimetres and the like: a measure that never moves is not worth more


class Frames(NamedTuple):
    """Of one person: `change` (T, M) and `truth` (T, S)."""

    change: np.ndarray
    truth: np.ndarray


class Trained(NamedTuple):
    """linear (M, R), hidden (M, H), bias (H,), out (H, R) for the R right and middle shapes; `spread` (M,) that a change is
    divided by."""

    linear: np.ndarray
    hidden: np.ndarray
    bias: np.ndarray
    out: np.ndarray
    spread: np.ndarray

    def answer(self, change: np.ndarray) -> np.ndarray:
        """(T, R), without limits."""
        given = change / self.spread
        return given.dot(self.linear) + np.maximum(given.dot(self.hidden) + self.bias, 0.0).dot(self.out)

    def zero(self) -> np.ndarray:
        """(R,) of a face at rest."""
        return self.answer(np.zeros((1, len(self.spread))))[0]


class Mirror:
    """Exchanges left and right."""

    def __init__(self, measures: Measures, shapes: Sequence[str]) -> None:
        pairs = [mirrored(name) for name in measures.names]
        self._measures = np.array([measures.at[name] for name, _ in pairs])
        self._signs = np.array([sign for _, sign in pairs])
        self._shapes = np.array([list(shapes).index(mate(name)) for name in shapes])

    def __call__(self, frames: Frames) -> Frames:
        return Frames(frames.change[:, self._measures] * self._signs, frames.truth[:, self._shapes])


class Seen(NamedTuple):
    """What training draws from, in units of `spread`."""

    change: np.ndarray  # (T, M) frames of all persons, mirrored ones too
    truth: np.ndarray  # (T, S)
    matrices: np.ndarray  # (P, S, M)
    left: np.ndarray  # (T, M) what the matrices left over
    quiet: np.ndarray  # (T, M) frames of a face at rest whose head moves
    spread: np.ndarray


def see_through(change: np.ndarray, known: np.ndarray, measures: Measures) -> None:
    """As the stage does with frames that follow each other: a shut eye looks where the other does; `known` (T, 2) irises."""
    open_enough = known & (change[:, [measures.at[name] for name in LIDS]] >= NEARLY_SHUT)
    looks = [slice(measures.at[name + " x"], measures.at[name + " x"] + 2) for name in IRISES]
    seen = [change[:, look].copy() for look in looks]
    for i, look in enumerate(looks):
        other = np.where(open_enough[:, 1 - i, None], seen[1 - i], 0.0)
        change[:, look] = np.where(open_enough[:, i, None], seen[i], other)


def seen_of(people: Sequence[Frames], mirror: Mirror, measures: Measures) -> Seen:
    people = [way for frames in people for way in (frames, mirror(frames))]
    change, truth = (np.concatenate(part) for part in zip(*people))
    spread = change.std(axis=0) + LEAST_SPREAD
    eye = np.eye(truth.shape[1])
    of_all = np.linalg.solve(truth.T.dot(truth) + eye, truth.T.dot(change / spread))
    matrices, left = [], []
    for frames in people:
        given, y = frames.change / spread, frames.truth
        own = of_all + np.linalg.solve(y.T.dot(y) + TOWARD_ALL * eye, y.T.dot(given - y.dot(of_all)))
        matrices.append(own)
        left.append(given - y.dot(own))
    turns = change[:, [measures.at[name] for name in TURNS[:2]]]
    quiet = change[(truth.max(axis=1) == 0.0) & (np.hypot(*turns.T) > LEAST_TURN)] / spread
    return Seen(change / spread, truth, np.array(matrices), np.concatenate(left), quiet, spread)


def start(seen: Seen, imagined: np.ndarray, right: Sequence[int], used: np.ndarray) -> np.ndarray:
    """(M, R): the linear map with the least squared error, over persons and `imagined` coefficients."""
    prior = START_SHARE * imagined.T.dot(imagined) / len(imagined)
    noise = seen.left.T.dot(seen.left) / len(seen.left)
    square = noise + np.mean([b.T.dot(prior).dot(b) for b in seen.matrices], axis=0) + RIDGE * np.eye(len(used))
    cross = np.mean([b.T.dot(prior) for b in seen.matrices], axis=0)
    found = np.zeros((len(used), len(right)))
    found[used] = np.linalg.solve(square[np.ix_(used, used)], cross[used][:, right])
    return found


def train(people: Sequence[Frames], imagined: np.ndarray, measures: Measures, shapes: Sequence[str], noise: float,
          steps: int = STEPS) -> Trained:
    """`imagined` (N, S): coefficients that faces are thought to have. `noise`: more of it on every measure, in units of its
    spread, so that none is trusted alone: other renderers, other faces."""
    right = [k for k, name in enumerate(shapes) if not name.endswith(OTHER_SIDE)]
    used = np.array([not (name.startswith(IRISES) and name.endswith("z")) for name in measures.names])  # z: the eye's corners'
    seen, chance = seen_of(people, Mirror(measures, shapes), measures), np.random.RandomState(0)
    values = [start(seen, imagined, right, used), 0.05 * chance.randn(len(used), UNITS) * used[:, None], np.zeros(UNITS),
              np.zeros((UNITS, len(right)))]
    values = [value.astype(np.float32) for value in values]
    batches = _Batches(seen, imagined, shapes, right, noise, chance)
    means, squares, averaged = ([np.zeros_like(value) for value in values] for _ in range(3))
    for step in range(1, steps + 1):  # Adam (Kingma, Ba 2015)
        rate = RATE * min(1.0, step / 50.0) * (1.0 - step / (steps + 1.0))
        for i, slope in enumerate(_slopes(values, used, *batches.draw())):
            means[i] += 0.1 * (slope - means[i])
            squares[i] += 0.003 * (slope * slope - squares[i])
            values[i] -= rate * means[i] / (1.0 - 0.9 ** step) / (np.sqrt(squares[i] / (1.0 - 0.997 ** step)) + 1e-7)
        for mean, value in zip(averaged, values):
            mean += (value - mean) / min(step, AVERAGED)
    return Trained(*([value.astype(np.float64) for value in averaged] + [seen.spread]))


def _slopes(values: List[np.ndarray], used: np.ndarray, change: np.ndarray, truth: np.ndarray,
            weight: np.ndarray) -> List[np.ndarray]:
    """Of the squared error, but where the limits 0 and 1 make it good."""
    linear, hidden, bias, out = values
    raw = change.dot(hidden) + bias
    kept = np.maximum(raw, 0.0)
    told = change.dot(linear) + kept.dot(out)
    error = (told - truth) * weight * (2.0 / len(change))
    error[(told < 0.0) & (truth <= 0.0)] *= BELOW
    error[(told > 1.0) & (truth >= 1.0)] = 0.0
    through = error.dot(out.T) * (raw > 0.0)
    return [change.T.dot(error) * used[:, None] + DECAY_LINEAR * linear,
            change.T.dot(through) * used[:, None] + DECAY_HIDDEN * hidden, through.sum(axis=0),
            kept.T.dot(error) + DECAY_HIDDEN * out]


class _Batches:
    """Draws frames, the truth of their right shapes, and how much each counts."""

    def __init__(self, seen: Seen, imagined: np.ndarray, shapes: Sequence[str], right: Sequence[int],
                 noise: float, chance: np.random.RandomState) -> None:
        self._seen, self._imagined, self._right, self._chance = seen, imagined, list(right), chance
        self._noise = noise
        self._blink = list(shapes).index("eyeBlinkRight")
        self._looks = np.array([shapes[k].startswith("eyeLook") for k in right])

    def draw(self) -> List[np.ndarray]:
        seen, chance = self._seen, self._chance
        count = int(BATCH * (1.0 - REAL))
        truth = self._imagined[chance.randint(len(self._imagined), size=count)]
        truth = np.clip(truth * chance.uniform(*TIMES, size=(count, 1)), 0.0, 1.0)
        truth[chance.uniform(size=count) < AT_REST] = 0.0
        change = seen.left[chance.randint(len(seen.left), size=count)]
        quiet = chance.uniform(size=count) < QUIET
        change[quiet] = seen.quiet[chance.randint(len(seen.quiet), size=quiet.sum())] * chance.uniform(
            *QUIET_TIMES, size=(quiet.sum(), 1))
        for some in np.array_split(chance.permutation(count), 12):
            share, (a, b) = chance.uniform(*BETWEEN), chance.randint(len(seen.matrices), size=2)
            change[some] += truth[some].dot(share * seen.matrices[a] + (1.0 - share) * seen.matrices[b])
        real = chance.randint(len(seen.change), size=BATCH - count)
        change, truth = np.concatenate((change, seen.change[real])), np.concatenate((truth, seen.truth[real]))
        change += chance.normal(0.0, self._noise, change.shape)
        weight = np.where(truth.max(axis=1) > 0.0, 1.0, QUIET_WEIGHT)[:, None] * np.ones((BATCH, len(self._right)))
        weight[np.ix_(truth[:, self._blink] > 0.25, self._looks)] = 0.0  # the stage holds the look
        return [part.astype(np.float32) for part in (change, truth[:, self._right], weight)]
