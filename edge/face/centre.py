"""The measures of a face at rest, learned while it is seen: for who has made no profile.

A running mean that begins at a mean face worth a fraction of a second, takes the first second of a track as rest, and later
forgets with a time constant of a minute. The more a face does, the less it counts: a smile of ten seconds leaves no trace,
a face that has changed for good is learned within some minutes.
"""
from typing import Optional

import numpy as np

FIRST_S = 1.0  # people look into a camera that they have just started with a face at rest
FIRST_WORTH = 6.0  # what the first second counts, against later ones
MEMORY_S = 60.0
USUAL_ANSWER = 0.2  # a face that does so much counts half
RISING = 8.0  # times as fast as falling, of lids
MAX_TURN_DEG = 25.0  # the points of a head turned further are a little off
MAX_SPEED_DEG_S = 40.0
LARGEST_STEP = 40.0  # of a measure, millimetres: what lies further is no face
EVERY_S = 0.09  # every third frame of 30 a second
LONGEST_STEP_S = 0.2  # a track that was lost, or a source that stood still, is not rest


class Centre:
    """Of one track."""

    def __init__(self, rest: np.ndarray, prior_s: np.ndarray, of_lids: np.ndarray) -> None:
        """All (M,): the mean face, how long each measure of it outweighs what is seen, and which tell how open an eye is."""
        self.neutral = rest.copy()
        self._prior_worth_s = FIRST_WORTH * prior_s
        self._rising = np.where(of_lids, RISING, 1.0)  # eyes look down at rest, but they do not open wide
        self._worth_s = self._age_s = 0.0
        self._time_s: Optional[float] = None
        self._turn_deg = (0.0, 0.0)

    def due(self, time_s: float) -> bool:
        """Whether there is something to learn: in every frame at first, then some times a second, which is enough for a mean
        over a minute."""
        return self._time_s is None or self._age_s <= FIRST_S or not 0.0 <= time_s - self._time_s < EVERY_S

    def learn(self, measures: np.ndarray, usable: np.ndarray, doing: float, turn_deg: tuple, time_s: float) -> None:
        """`usable` (M,): which tell of rest; `doing` 0..1: the largest answer; `turn_deg`: yaw and pitch."""
        dt = 1.0 / 30.0 if self._time_s is None else time_s - self._time_s
        (yaw, pitch), (last_yaw, last_pitch) = turn_deg, self._turn_deg
        fast = self._time_s is not None and max(abs(yaw - last_yaw), abs(pitch - last_pitch)) > MAX_SPEED_DEG_S * dt
        self._time_s, self._turn_deg = time_s, turn_deg
        if not 0.0 < dt <= LONGEST_STEP_S or fast or not abs(yaw) <= MAX_TURN_DEG or not doing <= 1.0:
            return
        self._age_s += dt
        worth = FIRST_WORTH if self._age_s <= FIRST_S else 1.0 / (1.0 + (doing / USUAL_ANSWER) ** 2)
        self._worth_s = min(MEMORY_S, self._worth_s + worth * dt)
        weight = worth * dt / (self._worth_s + self._prior_worth_s)
        step = measures - self.neutral
        with np.errstate(invalid="ignore"):  # what is not known is NaN
            usable = usable & (np.abs(step) < LARGEST_STEP)
        step = np.where(usable, step, 0.0)
        weight *= np.where(step > 0.0, self._rising, 1.0)
        step *= np.minimum(1.0, weight, out=weight)
        self.neutral += step
