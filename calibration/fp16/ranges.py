"""How large and how small the values of a network get."""
from typing import Any, Dict, Mapping, NamedTuple

import numpy as np

from calibration.fp16.halfmath import LARGEST, SMALLEST_NORMAL


class Range(NamedTuple):
    """Of one tensor, over all frames."""

    least: float
    most: float
    tiny: float  # share of the values that are not 0 and below 6e-5, where float16 loses digits
    values: int  # looked at

    @property
    def largest(self) -> float:
        return max(abs(self.least), abs(self.most))

    @property
    def overflows(self) -> bool:
        """Also for what is no number."""
        return not self.largest <= LARGEST

    def record(self) -> Dict[str, Any]:
        return {"min": self.least, "max": self.most, "largest": self.largest, "share_below_6e-5": round(self.tiny, 6)}


def of_tensors(tensors: Mapping[str, np.ndarray]) -> Dict[str, Range]:
    """Of every tensor of real numbers."""
    return {name: _of(values) for name, values in tensors.items() if values.dtype == np.float32 and values.size}


def _of(values: np.ndarray) -> Range:
    size = np.abs(values)
    tiny = float(np.mean((size > 0) & (size < SMALLEST_NORMAL)))
    return Range(float(values.min()), float(values.max()), tiny, values.size)


def merged(a: Mapping[str, Range], b: Mapping[str, Range]) -> Dict[str, Range]:
    """Ranges over the frames of both; the tensors are the same. What is no number stays."""
    if not a:
        return dict(b)
    return {name: _both(a[name], b[name]) for name in a}


def _both(a: Range, b: Range) -> Range:
    total = a.values + b.values
    return Range(float(np.minimum(a.least, b.least)), float(np.maximum(a.most, b.most)),
                 (a.tiny * a.values + b.tiny * b.values) / total, total)


def tiny_share(ranges: Mapping[str, Range]) -> float:
    """Of all values of a network."""
    return sum(r.tiny * r.values for r in ranges.values()) / max(1, sum(r.values for r in ranges.values()))
