"""The kernel of edge/runtimes/gpu/crop.cu line by line in numpy, float32 where it uses float32. Needs numpy alone.

A launch hands over 21 values, packed as cropkernel.PARAMETERS says ("PiiiPiiffffiiffffffii", native alignment):

     0 frame        address of (height, width, 3) uint8 BGR, rows `pitch` bytes apart
     1 width    2 height    3 pitch       of the frame
     4 target       address of (3, out_height, out_width) float32, contiguous
     5 out_width    6 out_height
     7 xu    8 xv    9 yu    10 yv        float32, frame pixels per input pixel
    11 whole_x   12 whole_y               int32 \\ where in the frame input pixel (out_width // 2, out_height // 2) lies
    13 part_x    14 part_y                float32 / is the sum of both
    15 scale    16 17 18 offset           float32, of the target's planes in their order
    19 replicate    20 red_first          int32, 0 or 1

The simulator of pycuda loads this file (NANOFACE_SIM_KERNELS) and finds the kernel in KERNELS.
"""
import struct

import numpy as np

REACH = np.float32(4194304.0)
F = np.float32


def launch(grid, block, *arguments):
    """One launch on the simulator, which hands over each pointer as the bytes (uint8) from where it points."""
    across, down = arguments[5:7]
    target = arguments[4][:12 * across * down].view(F).reshape(3, down, across)
    threads = (slice(None), slice(grid[1] * block[1]), slice(grid[0] * block[0]))
    target[threads] = filled(arguments, arguments[0])[threads]


launch.writes = (4,)


def launch_from(grid, block, record, target, across, down):
    """By the record of a graph, packed as cropkernel.RECORD says ("PiiiffffiiffffffiiP")."""
    packed = struct.Struct("Piii" "ffff" "iiff" "ffff" "ii" "0P")
    values = packed.unpack_from(record[:packed.size].tobytes())
    launch(grid, block, at(values[0]), *(values[1:4] + (target, across, down) + values[4:]))  # noqa: F821  (the simulator's)


launch_from.writes = (1,)
KERNELS = {"crop": launch, "crop_from": launch_from}


def filled(arguments, memory):
    """(3, out_height, out_width) float32, what a launch with these 21 values leaves in the target.

    memory: the frame's bytes from its address on, 1-D uint8, (height - 1) * pitch + 3 * width of them or more.
    """
    width, height, pitch = arguments[1:4]
    needed = (height - 1) * pitch + 3 * width
    if memory.size < needed:
        raise IndexError("a frame of {} bytes in {}".format(needed, memory.size))
    rows = np.lib.stride_tricks.as_strided(
        np.ascontiguousarray(memory), (height, width, 3), (pitch, 3, 1), writeable=False)
    return crop(rows, arguments[7:15], tuple(arguments[5:7]), arguments[15], arguments[16:19], *arguments[19:21])


def crop(frame, inverse, size, scale=1.0, offset=(0.0, 0.0, 0.0), replicate=False, red_first=False):
    """(3, H, W) float32. frame: (H, W, 3) uint8 BGR; inverse: the eight values of cropkernel.placement();
    size: width and height of the input.
    """
    with np.errstate(all="ignore"):  # a GPU knows no warnings
        return _crop(frame, inverse, size, F(scale), [F(o) for o in offset], replicate, red_first)


def _crop(frame, inverse, size, scale, offset, replicate, red_first):
    out_width, out_height = size
    xu, xv, yu, yv = [F(v) for v in inverse[:4]]
    whole_x, whole_y = [int(v) for v in inverse[4:6]]
    part_x, part_y = [F(v) for v in inverse[6:8]]

    u, v = np.meshgrid(np.arange(out_width), np.arange(out_height))
    du, dv = (u - out_width // 2).astype(F), (v - out_height // 2).astype(F)
    x = np.fmin(np.fmax(fmaf(xu, du, fmaf(xv, dv, part_x)), -REACH), REACH)
    y = np.fmin(np.fmax(fmaf(yu, du, fmaf(yv, dv, part_y)), -REACH), REACH)
    left, upper = np.floor(x), np.floor(y)
    share_x, share_y = (x - left)[..., None], (y - upper)[..., None]

    x0, y0 = whole_x + left.astype(np.int32), whole_y + upper.astype(np.int32)
    above = between(tap(frame, x0, y0, replicate), tap(frame, x0 + 1, y0, replicate), share_x)
    below = between(tap(frame, x0, y0 + 1, replicate), tap(frame, x0 + 1, y0 + 1, replicate), share_x)
    pixel = between(above, below, share_y)

    planes = np.stack([pixel[..., c] for c in ((2, 1, 0) if red_first else (0, 1, 2))])
    return fmaf(planes, scale, np.array(offset, F).reshape(3, 1, 1))


def tap(frame, x, y, replicate):
    height, width = frame.shape[:2]
    near_x, near_y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    inside = replicate | ((x == near_x) & (y == near_y))
    return np.where(inside[..., None], frame[near_y, near_x], 0).astype(F)


def between(first, second, share):
    return fmaf(share, second - first, first)


def fmaf(a, b, c):
    """a * b + c with one rounding, to the bit.

    float64 holds the product of two float32 exactly. Their sum is rounded to an odd last bit where it is not exact
    (Boldo and Melquiond, 2008), so that the second rounding, to float32, falls as a single one would.
    """
    product = np.multiply(a, b, dtype=np.float64)
    total = np.asarray(product + c)
    part = total - product
    error = (product - (total - part)) + (c - part)  # Knuth's: what the sum lost, exactly
    bits = total.view(np.int64)
    even = np.isfinite(error) & (error != 0) & (bits & 1 == 0)
    bits[even] += np.where((error > 0) == (total > 0), 1, -1)[even]
    return total.astype(F)
