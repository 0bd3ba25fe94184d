"""Arithmetic of float16 in numpy, kept in float32 arrays: rounding, and sums that are rounded after every term.

A half2 tactic of the Nano's GPU multiplies and adds in one step (HFMA2) with one rounding to float16. A product of two
float16 has 22 bits and is exact in float32, so that rounding product + sum once more to 11 bits is the same but for rare ties.
"""
from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

# arithmetic of a run
FP32 = "fp32"
FP32_SUMS = "fp32 sums"  # weights and activations rounded to float16, products summed in float32
FP16_SUMS = "fp16 sums"  # the same, and every sum rounded to float16 after each product, as a half2 tactic does

LARGEST = 65504.0
SMALLEST_NORMAL = 2.0 ** -14  # below it steps are 2**-24, whatever the value


def rounded(values: np.ndarray) -> np.ndarray:
    """float32 values rounded to float16, as float32; infinite where they do not fit."""
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


class _Accumulator:
    """A float32 array of sums that is rounded to 11 bits in place, to the even one of two that are as near.

    In bits, because a conversion there and back takes eight times as long. What lies below SMALLEST_NORMAL keeps more
    bits than float16 has there until finished() is called: less than 2**-25 for each term.
    """

    def __init__(self, shape: Tuple[int, ...]) -> None:
        self.sums = np.zeros(shape, np.float32)
        self._bits = self.sums.view(np.uint32)
        self._odd = np.empty(shape, np.uint32)
        self._term = np.empty(shape, np.float32)

    def add_product(self, a: np.ndarray, b: np.ndarray) -> None:
        np.multiply(a, b, out=self._term)
        self.sums += self._term
        np.right_shift(self._bits, 13, out=self._odd)
        self._odd &= np.uint32(1)
        self._odd += np.uint32(0xFFF)
        self._bits += self._odd
        self._bits &= np.uint32(0xFFFFE000)

    def clip(self) -> None:
        """To what float16 has: infinite beyond LARGEST."""
        self.sums[...] = rounded(self.sums)


def dot(weight: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(G, O, P) from weight (G, O, K) and columns (K, G, P): for each of G groups, sums over K rounded to float16 after
    every term, from the first to the last. Both hold float16 values in float32.
    """
    groups, outputs, terms = weight.shape
    accumulator = _Accumulator((groups, outputs, columns.shape[2]))
    by_term = np.ascontiguousarray(weight.transpose(2, 0, 1))[:, :, :, None]
    # no sum can leave float16 on its way where even the sum of all sizes stays inside: then nothing has to be looked at
    may_overflow = _largest_sum(weight, columns) > LARGEST / 2
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(terms):
            accumulator.add_product(by_term[k], columns[k][:, None, :])
            if may_overflow:
                accumulator.clip()
        accumulator.clip()
    return accumulator.sums


def _largest_sum(weight: np.ndarray, columns: np.ndarray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.matmul(np.abs(weight), np.abs(columns.transpose(1, 0, 2)))
    return float(sums.max()) if np.isfinite(sums).all() else np.inf


class Window(NamedTuple):
    """How a convolution slides over (H, W): padding as ONNX has it, top, left, bottom, right."""

    kernel: Sequence[int]
    strides: Sequence[int]
    pads: Sequence[int]
    dilations: Sequence[int]


def columns_of(x: np.ndarray, window: Window, groups: int) -> np.ndarray:
    """(K, G, P) from one picture (C, H, W): what each of P places sees, channel after channel, row after row."""
    top, left, bottom, right = window.pads
    padded = np.ascontiguousarray(np.pad(x, ((0, 0), (top, bottom), (left, right)), "constant"))
    high, wide = (((window.kernel[i] - 1) * window.dilations[i]) + 1 for i in (0, 1))
    rows = (padded.shape[1] - high) // window.strides[0] + 1
    places = (padded.shape[2] - wide) // window.strides[1] + 1
    c, h, w = padded.strides
    seen = as_strided(
        padded, (padded.shape[0],) + tuple(window.kernel) + (rows, places),
        (c, h * window.dilations[0], w * window.dilations[1], h * window.strides[0], w * window.strides[1]))
    per_group = padded.shape[0] // groups
    split = seen.reshape((groups, per_group * window.kernel[0] * window.kernel[1], rows * places))
    return np.ascontiguousarray(split.transpose(1, 0, 2))


def size_after(x: np.ndarray, window: Window) -> Tuple[int, int]:
    """Rows and columns of what a convolution over (..., H, W) gives."""
    sizes = [(x.shape[i - 2] + window.pads[i] + window.pads[i + 2] - (window.kernel[i] - 1) * window.dilations[i] - 1)
             // window.strides[i] + 1 for i in (0, 1)]
    return sizes[0], sizes[1]


def convolve(x: np.ndarray, weight: np.ndarray, bias: Optional[np.ndarray], window: Window, groups: int) -> np.ndarray:
    """(N, O, H', W') of (N, C, H, W) and (O, C / groups, kh, kw), summed in float16; the bias is added last."""
    outputs = weight.shape[0]
    rows, places = size_after(x, window)
    by_group = weight.reshape(groups, outputs // groups, -1)
    result = np.stack([dot(by_group, columns_of(one, window, groups)).reshape(outputs, rows, places) for one in x])
    return result if bias is None else rounded(result + bias.reshape(-1, 1, 1))


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(M, N) of (M, K) and (K, N), summed in float16."""
    return dot(np.ascontiguousarray(a)[None], np.ascontiguousarray(b)[:, None, :])[0]


def mean(x: np.ndarray) -> np.ndarray:
    """(N, C, 1, 1) means of (N, C, H, W): summed in float16, then divided."""
    values = x.reshape(x.shape[0] * x.shape[1], 1, -1)
    ones = np.ones((values.shape[2], len(values), 1), np.float32)
    return rounded(dot(values, ones) / np.float32(values.shape[2])).reshape(x.shape[0], x.shape[1], 1, 1)
