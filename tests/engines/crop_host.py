"""Runs edge/runtimes/gpu/crop.cu itself on the CPU: compiled as C++ behind the few words of CUDA that it uses.

Every read of the frame is checked: one outside of its rows is counted, and answered with 0.
"""
import ctypes
import os
import shutil
import subprocess

import numpy as np

from edge.runtimes.gpu import crop
from edge.store import cubin

SHIM = r"""
#include <algorithm>
#include <cmath>
#include <cstddef>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
using std::min;
using std::max;
struct Place { int x, y, z; };
static Place blockIdx, blockDim, threadIdx;
static const unsigned char *frame_begin;
static long frame_pitch, row_bytes, frame_rows, outside;

static inline unsigned char __ldg(const unsigned char *p)
{
    const long offset = p - frame_begin;
    if (offset < 0 || offset / frame_pitch >= frame_rows || offset % frame_pitch >= row_bytes) {
        outside++;
        return 0;
    }
    return *p;
}

#include "crop.cu"

extern "C" long run(const int *grid, const int *block, const unsigned char *frame, int width, int height, int pitch,
    float *target, int out_width, int out_height, float xu, float xv, float yu, float yv, int whole_x, int whole_y,
    float part_x, float part_y, float scale, float offset0, float offset1, float offset2, int replicate, int red_first)
{
    frame_begin = frame, frame_pitch = pitch, row_bytes = 3L * width, frame_rows = height, outside = 0;
    blockDim = {block[0], block[1], 1};
    for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++)
            for (threadIdx.y = 0; threadIdx.y < block[1]; threadIdx.y++)
                for (threadIdx.x = 0; threadIdx.x < block[0]; threadIdx.x++)
                    crop(frame, width, height, pitch, target, out_width, out_height, xu, xv, yu, yv, whole_x, whole_y,
                         part_x, part_y, scale, offset0, offset1, offset2, replicate, red_first);
    return outside;
}

extern "C" long run_from(const int *grid, const int *block, const Record *record, float *target, int out_width, int out_height)
{
    frame_begin = record->frame, frame_pitch = record->pitch, row_bytes = 3L * record->width, frame_rows = record->height;
    outside = 0, blockDim = {block[0], block[1], 1};
    for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++)
            for (threadIdx.y = 0; threadIdx.y < block[1]; threadIdx.y++)
                for (threadIdx.x = 0; threadIdx.x < block[0]; threadIdx.x++)
                    crop_from(record, target, out_width, out_height);
    return outside;
}
"""
# wrapv: as on the GPU; contract: no fma but the ones that are written; c++11: CUDA 10.2 knows more
FLAGS = "-std=c++11 -O2 -fwrapv -ffp-contract=off -Wall -Wextra -Werror -shared -fPIC".split()
TYPES = {"P": ctypes.c_void_p, "i": ctypes.c_int, "f": ctypes.c_float}
GUARD = 64  # floats before and behind the target that must stay as they are


def compiler():
    """Path of a C++ compiler, None where there is none."""
    return shutil.which("g++") or shutil.which("clang++")


class HostKernel:
    """Compiles into `folder` (text). Raises AssertionError with the compiler's words."""

    def __init__(self, folder):
        source, library = os.path.join(folder, "host.cpp"), os.path.join(folder, "host.so")
        with open(source, "w") as f:
            f.write(SHIM)
        place = os.path.dirname(cubin.source_path())
        done = subprocess.run([compiler()] + FLAGS + ["-I", place, "-o", library, source], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout.decode("utf-8", "replace")
        loaded = ctypes.CDLL(library)
        self._run, self._run_from = loaded.run, loaded.run_from
        self._run.restype = self._run_from.restype = ctypes.c_long
        self._run.argtypes = [ctypes.POINTER(ctypes.c_int)] * 2 + [TYPES[letter] for letter in crop.PARAMETERS]

    def filled(self, arguments, memory, grid, block=crop.BLOCK):
        """The target (3, H, W) float32 of a launch, and how many reads missed the frame. As crop_reference.filled()."""
        arguments, (across, down) = list(arguments), arguments[5:7]
        out = np.full(3 * across * down + 2 * GUARD, np.nan, np.float32)
        arguments[0], arguments[4] = memory.ctypes.data, out[GUARD:].ctypes.data
        outside = self._run((ctypes.c_int * 2)(*grid[:2]), (ctypes.c_int * 3)(*block), *arguments)
        assert np.isnan(out[:GUARD]).all() and np.isnan(out[-GUARD:]).all(), "wrote outside of the target"
        return out[GUARD:-GUARD].reshape(3, down, across), outside

    def filled_from(self, record, size, grid, block=crop.BLOCK):
        """As filled(), by the kernel that reads a record: bytes that crop.pack() has written."""
        out = np.full((3, size[1], size[0]), np.nan, np.float32)
        outside = self._run_from((ctypes.c_int * 2)(*grid[:2]), (ctypes.c_int * 3)(*block), ctypes.c_char_p(bytes(record)),
                                 ctypes.c_void_p(out.ctypes.data), *size)
        return out, outside
