"""The model of a network's time on the Nano's GPU, fitted to what was published.

A kernel takes the longer of its arithmetic and its memory traffic, and a launch. Seven numbers, none of them of one
network: the share of the FP16 peak that each kind of convolution reaches, the share of the memory's speed that
activations and the weights of fully connected layers reach, the launch, and a memory share of its own for depthwise
kernels, which are slow in FP16 on Maxwell. Six are fitted to the dense networks, the seventh to the depthwise ones.
The launch ends at the least that it may be: networks of this size do not tell it, and a range stands for it later.

`python -m calibration.estimate.fit` fits again and writes fitted.json, which everything else reads.
"""
import json
import math
import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import yaml

from calibration.estimate.networks import NETWORKS
from edge.core.errors import ModelError
from edge.host.disk import write_whole
from edge.host.process import CODE
from engines.estimate.layers import DENSE, DEPTHWISE, FULL, KINDS, MOVE, POINTWISE, WINOGRAD, Layer

HERE = os.path.dirname(os.path.abspath(__file__))
PUBLISHED, FITTED = os.path.join(HERE, "published.yaml"), os.path.join(CODE, "engines", "estimate", "fitted.json")
SCHEMA = 1
PEAK = 471.9e9  # FP16 operations a second of 128 cores at 921.6 MHz, half2
BANDWIDTH = 25.6e9  # bytes a second
TILE = 32  # output channels and positions that the smallest convolution kernels of cuDNN calculate at once
HUBER = 0.2  # log error beyond which a row pulls no harder
FINEST = 0.003  # step at which the search ends, log
DENSE_CLASS, DEPTHWISE_CLASS = "dense", "depthwise"
CLASSES = (DENSE_CLASS, DEPTHWISE_CLASS)


class Parameters(NamedTuple):
    """Shares of PEAK (a Winograd kernel does less than is counted, so up to 2), of BANDWIDTH, and microseconds."""

    winograd: float
    dense: float
    pointwise: float
    memory: float
    weights: float
    launch_us: float
    depthwise_memory: float


# From what is plausible for such a GPU, not from the rows: first guess, least, most
START = Parameters(1.0, 0.6, 0.6, 0.6, 0.4, 12.0, 0.2)
LEAST = Parameters(0.3, 0.2, 0.2, 0.15, 0.1, 10.0, 0.02)
MOST = Parameters(2.0, 1.0, 1.0, 0.9, 0.9, 20.0, 0.9)
FREE = {DENSE_CLASS: range(0, 6), DEPTHWISE_CLASS: range(6, 7)}


class Speed(NamedTuple):
    """How much slower than at full clocks arithmetic and memory (GPU) and launches (CPU) are; 1.0 is full clocks.

    The memory's own clock stays in the 5 W mode, but the one multiprocessor, not the memory, is what limits it: a
    fifth of the bandwidth is all that it reaches.
    """

    gpu: float = 1.0
    cpu: float = 1.0


FULL_SPEED = Speed()


class Work(NamedTuple):
    """The layers of one or more networks as columns."""

    kind: np.ndarray  # index in KINDS
    operations: np.ndarray  # two for each product, outputs rounded up to whole tiles
    moved: np.ndarray  # bytes of activations
    weights: np.ndarray  # bytes

    @staticmethod
    def of(layers: Sequence[Layer]) -> "Work":
        kind = np.array([KINDS.index(layer.kind) for layer in layers])
        operations = np.array([2.0 * _tiled(layer) for layer in layers])
        moved = np.array([2.0 * (layer.read + layer.written) for layer in layers])
        return Work(kind, operations, moved, np.array([2.0 * layer.weights for layer in layers]))


def _tiled(layer: Layer) -> int:
    if layer.kind in (WINOGRAD, DENSE, POINTWISE):
        return layer.inner * TILE ** 2 * (-(-layer.outer // TILE)) * (-(-layer.pixels // TILE))
    return layer.macs


def kernel_times(p: Parameters, work: Work, speed: Speed = FULL_SPEED) -> np.ndarray:
    """Milliseconds of each kernel."""
    reached = {WINOGRAD: p.winograd, DENSE: p.dense, POINTWISE: p.pointwise, DEPTHWISE: 1.0, FULL: 1.0, MOVE: 1.0}
    shares = {DEPTHWISE: p.depthwise_memory, FULL: p.weights}
    efficiency = np.array([reached[k] for k in KINDS])[work.kind]
    share = np.array([shares.get(k, p.memory) for k in KINDS])[work.kind]
    busy = np.maximum(work.operations / (efficiency * PEAK), (work.moved + work.weights) / (share * BANDWIDTH))
    return 1e3 * busy * speed.gpu + 1e-3 * p.launch_us * speed.cpu


def device_ms(p: Parameters, layers: Sequence[Layer], speed: Speed = FULL_SPEED) -> float:
    return float(kernel_times(p, Work.of(layers), speed).sum())


def class_of(layers: Sequence[Layer]) -> str:
    return DEPTHWISE_CLASS if any(layer.kind == DEPTHWISE for layer in layers) else DENSE_CLASS


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
        """The network whatever its input: sizes of one network are left out together."""
        return re.sub(r"_\d{3}(x\d+)?\Z", "", self.network)


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


class LeftOut(NamedTuple):
    """A published figure against the model that has not seen its network: error is log(model / published)."""

    row: Row
    kind: str
    error: float
    parameters: Parameters


def leave_one_out(rows: Sequence[Row], works: Dict[str, Work], classes: Dict[str, str]) -> List[LeftOut]:
    """Each network is left out with all its sizes and sources."""
    without = {}  # type: Dict[str, Parameters]
    found = []
    for row in rows:
        if row.family not in without:
            without[row.family] = fit([r for r in rows if r.family != row.family], works, classes)
        p = without[row.family]
        ms = float(kernel_times(p, works[row.network]).sum())
        found.append(LeftOut(row, classes[row.network], math.log(ms / row.ms), p))
    return found


def prepared(rows: Sequence[Row]) -> Tuple[Dict[str, Work], Dict[str, str]]:
    """Layers as columns and class of every network of the rows."""
    layers = {row.network: NETWORKS[row.network]() for row in rows}
    return {n: Work.of(found) for n, found in layers.items()}, {n: class_of(found) for n, found in layers.items()}


def fitted_now() -> Dict[str, Any]:
    """What fitted.json is to hold."""
    rows = [row for row in rows_of(published()) if row.fit]
    works, classes = prepared(rows)
    left_out = leave_one_out(rows, works, classes)
    return {"schema": SCHEMA, "parameters": {k: round(v, 5) for k, v in fit(rows, works, classes)._asdict().items()},
            "left_out": [{"network": o.row.network, "source": o.row.source, "ms": o.row.ms, "class": o.kind,
                          "error": round(o.error, 4),
                          "parameters": [round(v, 5) for v in o.parameters]} for o in left_out]}


class Fitted(NamedTuple):
    """What fitted.json says."""

    parameters: Parameters
    left_out: Tuple[LeftOut, ...]


def fitted() -> Fitted:
    with open(FITTED, encoding="utf-8") as f:
        content = json.load(f)
    if content["schema"] != SCHEMA:
        raise ModelError("{} is not of this version: run `python -m calibration.estimate.fit`".format(FITTED))
    return Fitted(Parameters(**content["parameters"]), tuple(
        LeftOut(Row(o["network"], o["ms"], o["source"], "device", True, "Nano"), o["class"], o["error"],
                Parameters(*o["parameters"])) for o in content["left_out"]))


def main() -> int:
    text = json.dumps(fitted_now(), indent=1, sort_keys=True) + "\n"
    write_whole(FITTED, text.encode("utf-8"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
