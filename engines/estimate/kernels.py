"""The model of a network's time on the Nano's GPU.

A kernel takes the longer of its arithmetic and its memory traffic, and a launch. Seven numbers, none of them of one
network: the share of the FP16 peak that each kind of convolution reaches, the share of the memory's speed that
activations and the weights of fully connected layers reach, the launch, and a memory share of its own for depthwise
kernels, which are slow in FP16 on Maxwell. fitted.json has them, as calibration/estimate found them.
"""
from typing import NamedTuple, Sequence

import numpy as np

from engines.estimate.layers import DENSE, DEPTHWISE, FULL, GROUPED, KINDS, MOVE, POINTWISE, WINOGRAD, Layer

PEAK = 471.9e9  # FP16 operations a second of 128 cores at 921.6 MHz, half2
BANDWIDTH = 25.6e9  # bytes a second
TILE = 32  # output channels and positions that the smallest convolution kernels of cuDNN calculate at once
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
    if layer.kind in (WINOGRAD, DENSE, POINTWISE, GROUPED):
        return layer.inner * TILE ** 2 * (-(-layer.outer // TILE)) * (-(-layer.pixels // TILE))
    return layer.macs


def kernel_times(p: Parameters, work: Work, speed: Speed = FULL_SPEED) -> np.ndarray:
    """Milliseconds of each kernel."""
    reached = {WINOGRAD: p.winograd, DENSE: p.dense, POINTWISE: p.pointwise, DEPTHWISE: 1.0, FULL: 1.0, MOVE: 1.0,
               GROUPED: p.pointwise}  # as if all groups were one kernel
    shares = {DEPTHWISE: p.depthwise_memory, FULL: p.weights}
    efficiency = np.array([reached[k] for k in KINDS])[work.kind]
    share = np.array([shares.get(k, p.memory) for k in KINDS])[work.kind]
    busy = np.maximum(work.operations / (efficiency * PEAK), (work.moved + work.weights) / (share * BANDWIDTH))
    return 1e3 * busy * speed.gpu + 1e-3 * p.launch_us * speed.cpu


def device_ms(p: Parameters, layers: Sequence[Layer], speed: Speed = FULL_SPEED) -> float:
    return float(kernel_times(p, Work.of(layers), speed).sum())


def class_of(layers: Sequence[Layer]) -> str:
    return DEPTHWISE_CLASS if any(layer.kind == DEPTHWISE for layer in layers) else DENSE_CLASS
