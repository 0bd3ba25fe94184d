"""Writes down the kernels of a network, operation by operation, without a file of it: for the published ones."""
from typing import Callable, List, Tuple

from engines.estimate.layers import FULL, Layer, kind_of, move

KEEP = -1  # pad: as much as keeps the size, divided by the stride


class Net:
    """Batch 1; `at` is the shape (channels, height, width) of what was calculated last."""

    def __init__(self, height: int, width: int, channels: int = 3) -> None:
        self.at = (channels, height, width)
        self.layers: List[Layer] = []
        self._add(move("reformat in", 2 * self._size(), self._size()), self.at)

    def _size(self) -> int:
        return self.at[0] * self.at[1] * self.at[2]

    def _add(self, layer: Layer, after: Tuple[int, int, int]) -> "Net":
        self.layers.append(layer._replace(name="{} {}".format(len(self.layers), layer.name)))
        self.at = after
        return self

    def conv(self, outer: int, window: int, stride: int = 1, pad: int = KEEP, group: int = 1, plus: int = 0) -> "Net":
        """A square convolution with its normalisation and activation; `plus` more values are read and added to it."""
        return self._conv(outer, (window, window), stride, pad, group, plus)

    def line(self, outer: int, rows: int, columns: int) -> "Net":
        """A convolution with a window of rows x columns that keeps the size."""
        return self._conv(outer, (rows, columns), 1, KEEP, 1, 0)

    def _conv(self, outer: int, window: Tuple[int, int], stride: int, pad: int, group: int, plus: int) -> "Net":
        channels = self.at[0]
        height, width = (_positions(n, w, stride, pad) for n, w in zip(self.at[1:], window))
        inner = channels // group * window[0] * window[1]
        layer = Layer("conv", kind_of(window, stride, 1, group), inner, outer, height * width, self._size() + plus,
                      inner * outer, outer * height * width)
        return self._add(layer, (outer, height, width))

    def depthwise(self, window: int, stride: int = 1) -> "Net":
        return self.conv(self.at[0], window, stride, group=self.at[0])

    def pool(self, window: int, stride: int, pad: int = 0, up: bool = False) -> "Net":
        """`up`: a last window that is not whole counts too."""
        rest = stride - 1 if up else 0
        height, width = (_positions(n + rest, window, stride, pad) for n in self.at[1:])
        return self._add(move("pool", self._size(), self.at[0] * height * width), (self.at[0], height, width))

    def global_pool(self) -> "Net":
        return self._add(move("global pool", self._size(), self.at[0]), (self.at[0], 1, 1))

    def full(self, outer: int) -> "Net":
        inner = self._size()
        return self._add(Layer("full", FULL, inner, outer, 1, inner, inner * outer, outer), (outer, 1, 1))

    def pointwise(self) -> "Net":
        """A kernel that touches each value once: what no convolution could take in."""
        return self._add(move("pointwise", self._size(), self._size()), self.at)

    def resize(self, factor: int) -> "Net":
        channels, height, width = self.at
        after = (channels, factor * height, factor * width)
        return self._add(move("resize", self._size(), self._size() * factor ** 2), after)

    def branches(self, *paths: Callable[["Net"], object]) -> "Net":
        """Each path from here, their results side by side. Each writes to its place, so joining costs nothing."""
        start, channels = self.at, 0
        for path in paths:
            self.at = start
            path(self)
            channels += self.at[0]
        self.at = (channels,) + self.at[1:]
        return self

    def outputs(self, *sizes: int) -> List[Layer]:
        """The finished list; without sizes, the last result is the output."""
        for size in sizes or (self._size(),):
            self._add(move("reformat out", size, 2 * size), self.at)
        return self.layers


def path(*steps: Tuple[int, int], pooled: bool = False) -> Callable[[Net], Net]:
    """A branch of convolutions (channels, window) that keep the size; `pooled`: after a 3x3 pool that keeps it."""
    def walk(net: Net) -> Net:
        if pooled:
            net.pool(3, 1, 1)
        for outer, window in steps:
            net.conv(outer, window)
        return net
    return walk


def _positions(size: int, window: int, stride: int, pad: int) -> int:
    return -(-size // stride) if pad == KEEP else (size + 2 * pad - window) // stride + 1
