"""The One-Euro filter on arrays, on a few numbers and on rotations, correct for any distance between frames.

Casiez, Roussel, Vogel: "1 Euro Filter: a simple speed-based low-pass filter for noisy input in interactive systems", CHI 2012.
"""
import math
from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.geometry import rotation

FORGET_AFTER_S = 0.5  # an older value is not used


class OneEuroSettings(NamedTuple):
    """Cutoffs in Hz; `beta` in Hz per unit of speed."""

    min_cutoff_hz: float
    beta: float
    derivative_cutoff_hz: float


def smoothing_factor(cutoff_hz, dt_s: float):
    """Weight of the new value in an exponential filter of that cutoff, after `dt_s` seconds; scalar or array."""
    r = 2.0 * math.pi * dt_s * cutoff_hz
    return r / (r + 1.0)


class OneEuro:
    """Filters an array of one shape; every element has a speed of its own."""

    def __init__(self, settings: OneEuroSettings) -> None:
        self._settings = settings
        self._time_s: Optional[float] = None
        self._value = np.zeros(0)
        self._speed = np.zeros(0)

    def __call__(self, value: np.ndarray, time_s: float, unit: float = 1.0) -> np.ndarray:
        """`value` filtered; `unit` is what one unit of speed is measured in (the face's size in pixels for points)."""
        dt = None if self._time_s is None else time_s - self._time_s
        if dt is not None and dt == 0.0:
            return self._value
        if dt is None or dt < 0.0 or dt > FORGET_AFTER_S or self._value.shape != value.shape:
            self._speed = np.zeros_like(value)
            filtered = value
        else:
            s = self._settings
            step = value - self._value
            speed = step / (dt * unit)
            speed -= self._speed
            speed *= smoothing_factor(s.derivative_cutoff_hz, dt)
            speed += self._speed
            self._speed = speed
            weight = np.abs(speed)  # step by step in place: these arrays are as much work to get as to fill
            weight *= s.beta
            weight += s.min_cutoff_hz
            weight *= 2.0 * math.pi * dt
            weight /= weight + 1.0
            weight *= step
            weight += self._value
            filtered = weight
        self._time_s, self._value = time_s, filtered
        return filtered


class OneEuroNumbers:
    """The same for a few plain numbers: so few take less time one by one than as an array."""

    def __init__(self, settings: OneEuroSettings) -> None:
        self._settings = settings
        self._time_s: Optional[float] = None
        self._value: Tuple[float, ...] = ()
        self._speed: Tuple[float, ...] = ()

    def __call__(self, value: Sequence[float], time_s: float, unit: float = 1.0) -> Tuple[float, ...]:
        """As that of OneEuro."""
        dt = None if self._time_s is None else time_s - self._time_s
        if dt is not None and dt == 0.0:
            return self._value
        if dt is None or dt < 0.0 or dt > FORGET_AFTER_S or len(self._value) != len(value):
            self._speed, self._value = (0.0,) * len(value), tuple(value)
        else:
            s = self._settings
            weight, step = smoothing_factor(s.derivative_cutoff_hz, dt), dt * unit
            self._speed = tuple([v + weight * ((new - old) / step - v)
                                 for v, new, old in zip(self._speed, value, self._value)])
            self._value = tuple([old + smoothing_factor(s.min_cutoff_hz + s.beta * abs(v), dt) * (new - old)
                                 for v, new, old in zip(self._speed, value, self._value)])
        self._time_s = time_s
        return self._value


class OneEuroRotation:
    """The same for a rotation: the angle to the last one is the distance, along the shortest path. Speed in rad/s."""

    def __init__(self, settings: OneEuroSettings) -> None:
        self._settings = settings
        self._time_s: Optional[float] = None
        self._value = np.eye(3)
        self._speed = (0.0, 0.0, 0.0)

    def __call__(self, value: np.ndarray, time_s: float) -> np.ndarray:
        """(3, 3) rotation filtered."""
        dt = None if self._time_s is None else time_s - self._time_s
        if dt is not None and dt == 0.0:
            return self._value
        if dt is None or dt < 0.0 or dt > FORGET_AFTER_S:
            self._speed, filtered = (0.0, 0.0, 0.0), value
        else:
            s, weight = self._settings, smoothing_factor(self._settings.derivative_cutoff_hz, dt)
            step = rotation.log(self._value.T.dot(value))
            self._speed = tuple([v + weight * (moved / dt - v) for v, moved in zip(self._speed, step)])
            alpha = smoothing_factor(s.min_cutoff_hz + s.beta * rotation.length(self._speed), dt)
            filtered = self._value.dot(rotation.exp([alpha * moved for moved in step]))
        self._time_s, self._value = time_s, filtered
        return filtered
