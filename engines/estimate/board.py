"""A network's time and memory on one of the boards: optimistic, middle, pessimistic."""
import math
from typing import Dict, NamedTuple, Sequence

from edge.core.errors import ConfigError
from engines.estimate.fitted import Fitted, LeftOut, family_of
from engines.estimate.kernels import CLASSES, FULL_SPEED, Parameters, Speed, class_of, device_ms
from engines.estimate.layers import GROUPED, Layer, dense, split

COVERED = 0.9  # of the published figures of a class, by the width; all of them where there are fewer than ten
LEAST_WIDTH = 0.2  # log; no class is known better than that
# log width for each halving below the smallest published network of the class: a small network spends more of its
# time in what the published ones hardly show
FAR = 0.1
# microseconds of a launch: the published networks leave it open, so it is not only the fitted one
LAUNCH_US = (8.0, 25.0)
MB = 1e6


class Board(NamedTuple):
    """Clocks of a power mode (nvpmodel_t210_jetson-nano.conf)."""

    name: str
    gpu_mhz: float
    cpu_mhz: float
    cores: int

    @property
    def speed(self) -> Speed:
        return Speed(NANO.gpu_mhz / self.gpu_mhz, NANO.cpu_mhz / self.cpu_mhz)


NANO = Board("nano", 921.6, 1428.0, 4)
BOARDS = {b.name: b for b in (NANO, Board("nano-5w", 640.0, 918.0, 2))}


def board_of(name: str) -> Board:
    """Raises ConfigError that names the boards."""
    if name not in BOARDS:
        raise ConfigError("there is no board {}: take {}".format(name, " or ".join(BOARDS)))
    return BOARDS[name]


class Span(NamedTuple):
    """A range; milliseconds, or MB where it is memory."""

    low: float  # optimistic
    middle: float
    high: float  # pessimistic

    def __add__(self, other: "Span") -> "Span":  # type: ignore
        """Both at their worst together: nothing says that errors of one model cancel."""
        return Span(self.low + other.low, self.middle + other.middle, self.high + other.high)

    def times(self, factor: float) -> "Span":
        return Span(self.low * factor, self.middle * factor, self.high * factor)


ZERO = Span(0.0, 0.0, 0.0)


def total(spans: Sequence[Span]) -> Span:
    return Span(*(sum(column) for column in zip(*spans))) if spans else ZERO


class Class(NamedTuple):
    """The errors of a class where networks are left out: log errors, the smallest published ms, how many networks."""

    errors: Sequence[float]
    smallest_ms: float
    networks: int

    @property
    def width(self) -> float:
        """Log; wider the fewer networks there are: sizes of one network count once."""
        ordered = sorted(abs(e) for e in self.errors)
        last = len(ordered) - 1 if len(ordered) < 10 else int(math.ceil(COVERED * len(ordered))) - 1
        return max(LEAST_WIDTH, ordered[last]) * (1.0 + 1.0 / self.networks)


def classes_of(left_out: Sequence[LeftOut]) -> Dict[str, Class]:
    found = {}
    for name in CLASSES:
        rows = [o for o in left_out if o.kind == name]
        if rows:
            found[name] = Class([o.error for o in rows], min(o.ms for o in rows), len({family_of(o.network) for o in rows}))
    return found


def span_of(p: Parameters, layers: Sequence[Layer], of_class: Class, speed: Speed = FULL_SPEED) -> Span:
    """Milliseconds on the device."""
    middle = device_ms(p, layers)
    width = of_class.width + FAR * max(0.0, math.log(of_class.smallest_ms / middle, 2.0))
    low, high = (device_ms(p._replace(launch_us=us), layers, speed) for us in (
        min(LAUNCH_US[0], p.launch_us), max(LAUNCH_US[1], p.launch_us)))
    return Span(low / math.exp(width), device_ms(p, layers, speed), high * math.exp(width))


def engine_span(fit: Fitted, layers: Sequence[Layer], board: Board) -> Span:
    """Nobody has published how fast grouped convolutions are on Maxwell: at best one kernel each, in the middle a kernel for
    each group; where that is slow `nanoface build --tune` takes dense ones instead, so those are the other end.
    """
    def span(which: Sequence[Layer]) -> Span:
        return span_of(fit.parameters, which, classes_of(fit.left_out)[class_of(which)], board.speed)

    if not has_groups(layers):
        return span(layers)
    apart, whole = span(split(layers)), span(dense(layers))
    return Span(min(span(layers).low, whole.low), min(apart.middle, whole.middle), whole.high)


def has_groups(layers: Sequence[Layer]) -> bool:
    return any(layer.kind == GROUPED for layer in layers)


def engine_memory(layers: Sequence[Layer]) -> Span:
    """MB of one engine: FP16 weights, activations, and what TensorRT keeps for itself.

    Activations: the largest kernel's alone where all memory is used again; half of all of them where little is. The
    rest is a guess from two measured engines (NVIDIA/TensorRT#2217, wang-xinyu/tensorrtx#1145).
    """
    weights = 2.0 * sum(layer.weights for layer in layers) / MB
    largest = 2.0 * max(layer.read + layer.written for layer in layers) / MB
    everything = 2.0 * sum(layer.written for layer in layers) / MB
    return Span(weights + largest + 2.0, weights + max(largest, everything / 4.0) + 8.0,
                2.0 * weights + max(largest, everything / 2.0) + 20.0)
