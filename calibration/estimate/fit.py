"""Fits the model of a network's time (engines/estimate/kernels.py) to what was published.

Six of its seven numbers are fitted to the dense networks, the seventh to the depthwise ones. The launch ends at the
least that it may be: networks of this size do not determine it, and a range is used later.
"""
import math
import os
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import yaml

from calibration.estimate.networks import NETWORKS
from engines.estimate.board import Span, classes_of, span_of
from engines.estimate.fitted import LeftOut, family_of
from engines.estimate.kernels import CLASSES, DENSE_CLASS, DEPTHWISE_CLASS, Parameters, Work, class_of, kernel_times

PUBLISHED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "published.yaml")
HUBER = 0.2  # log error beyond which a row pulls no harder
FINEST = 0.003  # step at which the search ends, log

# From what is plausible for such a GPU, not from the rows: first guess, least, most
START = Parameters(1.0, 0.6, 0.6, 0.6, 0.4, 12.0, 0.2)
LEAST = Parameters(0.3, 0.2, 0.2, 0.15, 0.1, 10.0, 0.02)
MOST = Parameters(2.0, 1.0, 1.0, 0.9, 0.9, 20.0, 0.9)
FREE = {DENSE_CLASS: range(0, 6), DEPTHWISE_CLASS: range(6, 7)}


class Row(NamedTuple):
    """One published figure."""

    network: str
    ms: float
    source: str
    measures: str
    fit: bool
    device: str

    @property
    def family(self) -> str:
        return family_of(self.network)


def published() -> Dict[str, Any]:
    with open(PUBLISHED, encoding="utf-8") as f:
        return yaml.safe_load(f)


def rows_of(content: Dict[str, Any]) -> List[Row]:
    return [Row(r["network"], float(r["ms"]), r["source"], r["measures"], r["fit"], r.get("device", "Nano"))
            for r in content["rows"]]


class _Problem:
    """Rows with their layers as one set of columns, so that a guess is judged in one pass."""

    def __init__(self, rows: Sequence[Row], works: Dict[str, Work]) -> None:
        found = [works[row.network] for row in rows]
        self._work = Work(*(np.concatenate(columns) for columns in zip(*found)))
        self._starts = np.cumsum([0] + [len(w.kind) for w in found[:-1]])
        self._logs = np.log([row.ms for row in rows])

    def loss(self, p: Parameters) -> float:
        times = np.add.reduceat(kernel_times(p, self._work), self._starts)
        errors = np.abs(np.log(times) - self._logs)
        return float(np.where(errors < HUBER, errors ** 2 / 2.0, HUBER * (errors - HUBER / 2.0)).sum())


def _search(loss: Callable[[Parameters], float], start: Parameters, free: Sequence[int]) -> Parameters:
    """Steps along one parameter at a time, finer and finer, within bounds. The same answer on every machine."""
    best, least, step = start, loss(start), 0.3
    while step > FINEST:
        improved = False
        for i in free:
            for factor in (math.exp(step), math.exp(-step)):
                value = min(MOST[i], max(LEAST[i], best[i] * factor))
                tried = best._replace(**{Parameters._fields[i]: value})
                found = loss(tried)
                if found < least - 1e-12:
                    best, least, improved = tried, found, True
                    break
        if not improved:
            step /= 2.0
    return best


def fit(rows: Sequence[Row], works: Dict[str, Work], classes: Dict[str, str]) -> Parameters:
    """The dense rows first; what only depthwise layers have from the others."""
    p = START
    for name in CLASSES:
        chosen = [row for row in rows if classes[row.network] == name]
        if chosen:
            p = _search(_Problem(chosen, works).loss, p, FREE[name])
    return p


def leave_one_out(rows: Sequence[Row], works: Dict[str, Work],
                  classes: Dict[str, str]) -> List[Tuple[LeftOut, Parameters]]:
    """Each network is left out with all its sizes and sources; and the parameters that were fitted without it."""
    without = {}  # type: Dict[str, Parameters]
    found = []
    for row in rows:
        if row.family not in without:
            without[row.family] = fit([r for r in rows if r.family != row.family], works, classes)
        p = without[row.family]
        error = math.log(float(kernel_times(p, works[row.network]).sum()) / row.ms)
        found.append((LeftOut(row.network, row.source, row.ms, classes[row.network], round(error, 4), 0.0, 0.0),
                      rounded(p)))
    spans = [own_span(out, p, [o for o, _ in found]) for out, p in found]
    return [(o._replace(low_ms=round(s.low, 3), high_ms=round(s.high, 3)), p) for (o, p), s in zip(found, spans)]


def rounded(p: Parameters) -> Parameters:
    """As fitted.json has them."""
    return Parameters(*(round(v, 5) for v in p))


def own_span(out: LeftOut, p: Parameters, left_out: Sequence[LeftOut]) -> Span:
    """The range that a published network gets from a model and from errors that both have not seen it."""
    others = [o for o in left_out if family_of(o.network) != family_of(out.network)]
    return span_of(p, NETWORKS[out.network](), classes_of(others)[out.kind])


def prepared(rows: Sequence[Row]) -> Tuple[Dict[str, Work], Dict[str, str]]:
    """Layers as columns and class of every network of the rows."""
    layers = {row.network: NETWORKS[row.network]() for row in rows}
    return {n: Work.of(found) for n, found in layers.items()}, {n: class_of(found) for n, found in layers.items()}
