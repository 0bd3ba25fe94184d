"""Percentiles of any number of durations in little memory."""
from typing import Dict, List, Optional, Sequence

import numpy as np

SMALLEST_S, LARGEST_S = 1e-6, 1e4
RATIO = 1.02  # of one bin's edge to the next; the middle of a bin is at most 1 % from whatever fell into it
BINS = int(np.ceil(np.log(LARGEST_S / SMALLEST_S) / np.log(RATIO))) + 2  # the first holds zero, the last what is larger


class Histogram:
    """Counts durations (seconds) in bins of equal ratio: 1 us to 3 hours, 9 kB. Not thread-safe."""

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self.smallest, self.largest = float("inf"), 0.0
        self._bins = np.zeros(BINS, np.int64)

    def extend(self, durations_s: Sequence[float]) -> None:
        """Take in some durations; one below zero counts as zero."""
        if not len(durations_s):
            return
        values = np.maximum(np.asarray(durations_s, np.float64), 0.0)
        at = np.ceil(np.log(np.maximum(values, SMALLEST_S) / SMALLEST_S) / np.log(RATIO)).astype(np.int64)
        self._bins += np.bincount(np.minimum(at, BINS - 1), minlength=BINS)
        self.count += len(values)
        self.total_s += float(values.sum())
        self.smallest, self.largest = min(self.smallest, float(values.min())), max(self.largest, float(values.max()))

    def merge(self, other: "Histogram") -> None:
        """Take in all that `other` has counted."""
        self._bins += other._bins
        self.count += other.count
        self.total_s += other.total_s
        self.smallest, self.largest = min(self.smallest, other.smallest), max(self.largest, other.largest)

    def up_to(self, limits_s: Sequence[float]) -> List[int]:
        """How many were no longer than each of `limits_s`, which is taken to 2 %."""
        sums = np.cumsum(self._bins)
        at = np.floor(np.log(np.asarray(limits_s, np.float64) / SMALLEST_S) / np.log(RATIO) + 1e-9).astype(np.int64)
        return [int(sums[min(max(i, 0), BINS - 1)]) for i in at]

    def percentile(self, percent: float) -> Optional[float]:
        """The smallest duration that `percent` of all do not exceed (nearest rank), to 1 % or 1 us; None of nothing."""
        if not self.count:
            return None
        rank = max(1, int(np.ceil(percent / 100.0 * self.count - 1e-9)))
        at = int(np.searchsorted(np.cumsum(self._bins), rank))
        middle = SMALLEST_S * RATIO ** (at - 0.5) if at else 0.0
        return min(max(middle, self.smallest), self.largest)

    def as_ms(self) -> Optional[Dict[str, float]]:
        """p50, p95 and max in milliseconds, rounded to microseconds; None of nothing."""
        p50, p95 = self.percentile(50.0), self.percentile(95.0)
        if p50 is None or p95 is None:
            return None
        return {"p50": round(p50 * 1e3, 3), "p95": round(p95 * 1e3, 3), "max": round(self.largest * 1e3, 3)}
