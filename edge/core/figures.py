"""Percentiles of numbers that are all at hand; edge/telemetry/histogram.py has those of a stream."""
from typing import Sequence

import numpy as np


def percentile(values: Sequence[float], percent: float) -> float:
    """What `percent` of the values do not exceed, between two of them by proportion. Of one value at least."""
    return float(np.percentile(values, percent))


def median(values: Sequence[float]) -> float:
    return percentile(values, 50.0)
