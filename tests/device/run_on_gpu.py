"""The crop kernel on a real GPU: compiled for it, compared with its reference, the exact sample and the CPU path, and timed.

    python3 tests/device/run_on_gpu.py

Needs a CUDA driver, numpy, and nvcc or the wheel nvidia-cuda-nvrtc-cu12. pycuda is used where it is installed; where
OpenCV is not, the CPU path is left out. Exit code 0: all agree; 1: something differs; 2: cannot run here.
"""
import argparse
import os
import sys
import tempfile
import time
from contextlib import contextmanager

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
for folder in (ROOT, os.path.join(os.path.dirname(HERE), "engines"), HERE):
    if folder not in sys.path:
        sys.path.insert(0, folder)

try:
    import numpy as np
except ImportError:
    sys.exit("numpy is not installed for {}: bring a wheel of it".format(sys.executable))

import crop_cases
import crop_reference
import libcuda
import nvrtc

from edge.core.contracts import CONSTANT, REPLICATE, RGB
from edge.core.errors import EngineError
from edge.runtimes.gpu import crop as cropkernel
from edge.store import cubin as cubinstore
from engines.build import cubin
from engines.progress import Report

LEVELS_TO_REFERENCE, LEVELS_TO_EXACT = 1e-3, 0.25  # grey levels; promised is 1 to the exact sample
LEVELS_TO_CPU = (0.5, 4.0)  # mean and worst, on a picture, away from the border
GUARD = 256  # floats in front of the target and behind it
AHEAD = 4096  # side of the input that keeps the device busy, while the host enqueues what is timed
PADDING = 52  # bytes behind each row of the frame
ROW = "{:34} {:>9} {:>10} {:>10} {:>16}"


def driver():
    """pycuda's driver, or what stands for it; cropkernel then finds it by that name."""
    try:
        import pycuda.driver as cuda
    except ImportError:
        sys.modules["pycuda"], sys.modules["pycuda.driver"] = type(sys)("pycuda"), libcuda
        sys.modules["pycuda"].driver = libcuda
        return libcuda
    return cuda


def compiled(compute_capability):
    """The kernel's code by the way that `nanoface build` takes, else by the wheel. None where there is no compiler."""
    with tempfile.TemporaryDirectory() as home:
        if cubin.build_cubin(home, compute_capability, Report(sys.stdout)):
            return cubinstore.read_cubin(home, compute_capability)
    library = nvrtc.library_path()
    if library is None:
        return None
    with open(cubinstore.source_path(), encoding="ascii") as f:
        code = nvrtc.Nvrtc(library).compile(f.read(), cubinstore.arch(compute_capability)).code
    print("crop kernel: built by {} instead".format(os.path.basename(library)))
    return code


class Bench:
    """A frame and a target on the device, both with surroundings that must neither be read nor written."""

    def __init__(self, cuda, kernel, image):
        self._cuda, self._kernel, self.image = cuda, kernel, image
        height, width = image.shape[:2]
        self.pitch = 3 * width + PADDING
        rows = np.full((height, self.pitch), 0xCC, np.uint8)
        rows[:, :3 * width] = image.reshape(height, 3 * width)
        self.memory = rows.ravel()[:(height - 1) * self.pitch + 3 * width].copy()  # ends with the last pixel
        self.frame, self.stream = cuda.mem_alloc(self.memory.nbytes), cuda.Stream()
        cuda.memcpy_htod(self.frame, self.memory)

    def shown(self, crop):
        """(3, H, W): what the kernel makes of it, and whether the surroundings of the target are as they were."""
        out = np.full(3 * crop.size[0] * crop.size[1] + 2 * GUARD, -12345.0, np.float32)
        target = self._cuda.mem_alloc(out.nbytes)
        try:
            self._cuda.memcpy_htod(target, out)
            self.launch(crop, int(target) + 4 * GUARD)
            self.stream.synchronize()
            self._cuda.memcpy_dtoh(out, target)
        finally:
            target.free()
        whole = (out[:GUARD] == -12345.0).all() and (out[-GUARD:] == -12345.0).all()
        return out[GUARD:-GUARD].reshape(3, crop.size[1], crop.size[0]), bool(whole)

    def launch(self, crop, target):
        self._kernel.launch(int(self.frame), self.image.shape, self.pitch, crop, target, self.stream)

    def timed(self, crop, launches, ahead=None):
        """Microseconds of one launch on the device, and of its call on the host: medians of five rounds.

        ahead: crop of a large input that keeps the device busy until the host has enqueued all launches; else the
        device's time includes what it waits for the host.
        """
        with self._target(crop) as target, self._target(ahead or crop) as room:
            lead = []
            _, host = self._round(crop, target, launches, lead)
            if ahead:
                one, _ = self._round(ahead, room, 10, lead)
                lead = [(ahead, room)] * min(2 + int(1.5 * host * launches / one), 200)
            rounds = [self._round(crop, target, launches, lead) for _ in range(5)]
        return [sorted(times)[2] for times in zip(*rounds)]

    @contextmanager
    def _target(self, crop):
        memory = self._cuda.mem_alloc(12 * crop.size[0] * crop.size[1])
        try:
            yield int(memory)
        finally:
            memory.free()

    def _round(self, crop, target, launches, lead):
        first, last = self._cuda.Event(), self._cuda.Event()
        for before in lead:
            self.launch(*before)
        first.record(self.stream)
        began_at = time.perf_counter()
        for _ in range(launches):
            self.launch(crop, target)
        host_s = time.perf_counter() - began_at
        last.record(self.stream)
        last.synchronize()
        return last.time_since(first) * 1e3 / launches, host_s * 1e6 / launches

    def free(self):
        self.frame.free()


def cases(image):
    """Name -> crop of a frame of this size: what the models ask for, and what nobody should."""
    height, width = image.shape[:2]
    of, turned, s = crop_cases.crop_of, crop_cases.turned, height / 480.0
    x, y = width / 2.0, height / 2.0
    box, unit = crop_cases.letterbox(width, height, (320, 256)), crop_cases.UNIT
    found = {"detect, whole frame": of(box, (320, 256), RGB),
             "detect, shifted": of(box + [[0, 0, 3.3], [0, 0, 9.7]], (320, 256)),
             "align": of(turned(x, y, 300 * s, 0.2, 192), (192, 192), RGB, unit),
             "align, small face": of(turned(x, y, 90 * s, -0.4, 192), (192, 192), RGB, unit),
             "pose": of(turned(x, y, 280 * s, 0.0, 120), (120, 120), arithmetic=crop_cases.IMAGENET),
             "iris": of(turned(x + 0.3, y, 33 * s, 0.1, 64), (64, 64), RGB, unit),
             "iris, mirrored": of(turned(x + 0.3, y, 33 * s, 0.1, 64, True), (64, 64), RGB, unit)}
    for border in (CONSTANT, REPLICATE):
        found["at a corner, " + border] = of(turned(width - 5, 9, 300 * s, 0.7, 192), (192, 192), RGB, unit, border)
        found["one pixel, " + border] = of(turned(width - 1, height - 1, 2, 0.3, 33), (33, 21), border=border)
        found["outside, " + border] = of(turned(-9000, 40, 30, 1.0, 16), (16, 16), border=border)
    return found


def absurd():
    """Name -> crop whose matrix has no inverse, or is not finite: only the reference says what comes of it."""
    matrices = {"all NaN": np.full((2, 3), np.nan), "infinite": [[np.inf, 0, 0], [0, 1, 0]],
                "no inverse": [[1, 2, 3], [2, 4, 1]], "far": [[1, 0, 1e12], [0, 1, -1e300]],
                "huge": [[1e300, 0, 0], [0, 1e300, 0]], "tiny": [[1e-300, 0, 0], [0, 1, 0]]}
    return {"{}, {}".format(name, border): crop_cases.crop_of(matrix, (33, 21), border=border)
            for name, matrix in matrices.items() for border in (CONSTANT, REPLICATE)}


def cpu_path():
    """A function (image, crop) -> (3, H, W), or None where OpenCV is not installed."""
    try:
        from edge.models.warp import Warper
    except ImportError:
        return None
    warper = Warper()

    def filled(image, crop):
        out = np.empty((3, crop.size[1], crop.size[0]), np.float32)
        warper.fill(image, crop, out)
        return out
    return filled


def compare(bench, name, crop, cpu, is_exact):
    """Print one row; whether all agree."""
    image = bench.image
    out, whole = bench.shown(crop)
    reference = crop_reference.filled(crop_cases.arguments(image, crop, bench.pitch), bench.memory)
    to_reference = np.abs(out - reference).max() / crop.scale
    agree = whole and to_reference <= LEVELS_TO_REFERENCE  # False where it is NaN
    exact_text, cpu_text = "-", "-"
    if is_exact:
        to_exact = np.abs(out - crop_cases.exact(image, crop)).max() / crop.scale
        agree, exact_text = agree and to_exact <= LEVELS_TO_EXACT, "{:.4f}".format(to_exact)
        where = crop_cases.inside(image, crop)
        if cpu is not None and where.any():
            difference = np.abs(out - cpu(image, crop))[:, where] / crop.scale
            agree = agree and difference.mean() <= LEVELS_TO_CPU[0] and difference.max() <= LEVELS_TO_CPU[1]
            cpu_text = "{:.3f} / {:.2f}".format(difference.mean(), difference.max())
    bits = "same" if np.array_equal(out, reference) else "{:.1e}".format(to_reference)
    print(ROW.format(name, "ok" if agree else "DIFFERS", bits, exact_text, cpu_text), "" if whole else "writes outside")
    return bool(agree)


def checked(cuda, kernel, frames):
    cpu = cpu_path()
    if cpu is None:
        print("OpenCV is not installed here: the CPU path is left out")
    print(ROW.format("grey levels from", "", "reference", "exact", "CPU mean/worst"))
    right = True
    for width, height, kind in frames:
        # only a picture is compared with the CPU path: on noise its rounded grid is off by up to eight levels
        make, of_kind = (crop_cases.waves, cpu) if kind == "picture" else (crop_cases.noise, None)
        bench = Bench(cuda, kernel, make(width, height))
        print("{} x {}, {}".format(width, height, kind))
        for name, crop in cases(bench.image).items():
            right = compare(bench, "  " + name, crop, of_kind, True) and right
        for name, crop in absurd().items():
            right = compare(bench, "  " + name, crop, None, False) and right
        bench.free()
    return right


def timed(cuda, kernel, frames, launches, small):
    print("microseconds a launch, {} in a row".format(launches))
    print(ROW.format("", "", "device", "host", ""))
    for width, height in frames:
        bench = Bench(cuda, kernel, crop_cases.waves(width, height))
        found = cases(bench.image)
        large = crop_cases.crop_of(crop_cases.turned(width / 2, height / 2, height, 0.5, AHEAD), (AHEAD, AHEAD))
        for name in ("align", "pose", "iris", "detect, whole frame"):
            device, host = bench.timed(found[name], launches, None if small else large)
            title = "  {} {}x{} of {}x{}".format(name.split(",")[0], *(found[name].size + (width, height)))
            print(ROW.format(title, "", "{:.2f}".format(device), "{:.2f}".format(host), ""))
        bench.free()


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cubin", help="the kernel's code, instead of compiling it")
    parser.add_argument("--launches", type=int, default=200, help="for the times; 0: none are taken")
    parser.add_argument("--small", action="store_true", help="one small frame instead of VGA, Full HD and 4K")
    options = parser.parse_args(words)
    cuda = driver()
    try:
        cuda.init()
        device = cuda.Device(0)
        capability = "{}.{}".format(*device.compute_capability())
        context = device.retain_primary_context()
    except cuda.Error as e:
        print("no GPU that can be used: {}".format(e))
        return 2
    print("{}, compute capability {}, through {}".format(device.name(), capability, cuda.__name__))
    context.push()
    try:
        return on_gpu(cuda, capability, options)
    except EngineError as e:
        print(e)
        return 1
    finally:
        cuda.Context.pop()


def on_gpu(cuda, capability, options):
    if options.cubin:
        with open(options.cubin, "rb") as f:
            code = f.read()
    else:
        code = compiled(capability)
    if code is None:
        print("no compiler: put nvcc on the PATH, or install " + nvrtc.WHEEL)
        return 2
    kernel = cropkernel.CropKernel(code)
    pictures = [(160, 120)] if options.small else [(640, 480), (1920, 1080)]
    frames = [size + ("picture",) for size in pictures] + ([] if options.small else [(3840, 2160, "noise")])
    right = checked(cuda, kernel, frames)
    if options.launches:
        timed(cuda, kernel, pictures, options.launches, options.small)
    print("all agree" if right else "SOMETHING DIFFERS")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
