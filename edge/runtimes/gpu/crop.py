"""Fills a network's input on the device from the frame that lies there: loads and launches the kernel of crop.cu.

`nanoface build` compiles crop.cu on the board and keeps `plans/crop.cubin` with a sidecar: the compiler is there, but
not on a service's PATH. A cubin runs on GPUs of its own architecture only.
"""
import math
import struct
from typing import Any, Tuple

from edge.core.contracts import REPLICATE, RGB, Crop
from edge.core.errors import EngineError, FrameError
from edge.host import commands
from edge.store.cubin import read_cubin
from edge.store.plans import cure_all

NAME, FROM = "crop", "crop_from"  # of the kernels: by arguments, and by a record that lies on the device

BLOCK = (32, 4, 1)  # why: see crop.cu
# the parameters in crop.cu's order: frame, its width, height, pitch; target, its width, height; four slopes; the place
# of the middle, whole and rest; scale and three offsets; replicate, red_first
PARAMETERS = "P" "iii" "P" "ii" "ffff" "iiff" "ffff" "ii"
RECORD = struct.Struct("Piii" "ffff" "iiff" "ffff" "ii" "0P")  # what changes from frame to frame, for the second kernel
LARGEST = 1 << 20  # frame pixels, along a side; far below the reach of the kernel
_HUGE = 1e30  # beyond it places cannot be told apart, and float32 overflows
_NOWHERE = (0.0, 0.0, 0.0, 0.0, -LARGEST, -LARGEST, 0.0, 0.0)

Placement = Tuple[float, float, float, float, int, int, float, float]


def placement(crop: Crop) -> Placement:
    """Slopes xu, xv, yu, yv and the frame's place of the input's middle, as crop.cu takes them.

    A matrix without an inverse shows the frame's first pixel everywhere, as OpenCV does; one that is not finite nothing
    of the frame.
    """
    (a, b, x), (c, d, y) = crop.matrix.tolist()
    width, height = crop.size
    determinant = a * d - b * c
    inverse = 1.0 / determinant if determinant else 0.0
    xu, xv, yu, yv = d * inverse, -b * inverse, -c * inverse, a * inverse
    u, v = width // 2 - x, height // 2 - y
    middle_x, middle_y = xu * u + xv * v, yu * u + yv * v
    if not abs(xu) + abs(xv) + abs(yu) + abs(yv) + abs(middle_x) + abs(middle_y) < _HUGE:
        return _NOWHERE
    whole_x = math.floor(middle_x) if -LARGEST < middle_x < LARGEST else 0
    whole_y = math.floor(middle_y) if -LARGEST < middle_y < LARGEST else 0
    return xu, xv, yu, yv, whole_x, whole_y, middle_x - whole_x, middle_y - whole_y


class CropKernel:
    """Of one CUDA context: made, used and dropped in threads that have pushed it."""

    def __init__(self, cubin: bytes) -> None:
        """Raises EngineError where pycuda is missing or the GPU does not take the code."""
        try:
            import pycuda.driver as driver
        except ImportError as e:
            raise EngineError("pycuda does not load ({}): run `sh setup.sh` (docs/jetson-nano.md)".format(e)) from e
        self._error = driver.Error
        try:
            self._module = driver.module_from_buffer(cubin)  # the function lives only as long as its module
            self._function = self._module.get_function(NAME)
            self._function.prepare(PARAMETERS)
            self._from: Any = None  # the second kernel, once it is asked for
        except driver.Error as e:
            raise EngineError("the crop kernel does not load ({}): {}".format(_line(e), cure_all())) from e

    def launch(self, frame: int, shape: Tuple[int, ...], pitch: int, crop: Crop, target: int, stream: Any) -> None:
        """Enqueue filling `target` (3, H, W float32) by `crop` of the frame of `shape` (H, W, 3), both on the device.

        frame, target: device addresses; pitch: bytes from row to row. Neither may be freed or overwritten before
        `stream` (a pycuda Stream) has finished with them. Raises FrameError for a frame, EngineError where the launch fails.
        """
        across, down = crop.size
        before, after = _arguments(frame, shape, pitch, crop)
        self._launch(self._function, crop.size, stream, before + (target, across, down) + after)

    def launch_from(self, record: int, target: int, size: Tuple[int, int], stream: Any) -> None:
        """As launch(), by a record at a device address, see pack(): what lies there when the kernel runs counts.

        size: width and height of the target. Raises EngineError.
        """
        if self._from is None:
            try:
                self._from = self._module.get_function(FROM).prepare("PPii")
            except self._error as e:
                raise EngineError("the crop kernel does not load ({}): {}".format(_line(e), cure_all())) from e
        self._launch(self._from, size, stream, (record, target) + tuple(size))

    def _launch(self, function: Any, size: Tuple[int, int], stream: Any, arguments: Tuple[Any, ...]) -> None:
        try:
            function.prepared_async_call(((size[0] + 31) // 32, (size[1] + 3) // 4), BLOCK, stream, *arguments)
        except self._error as e:
            raise EngineError("the crop kernel cannot be launched ({}): {}".format(_line(e), _gpu_cure())) from e


def pack(into: Any, place: int, frame: int, shape: Tuple[int, ...], pitch: int, crop: Crop) -> None:
    """Write the record of a crop, RECORD.size bytes, at `place` of a buffer of the host. Raises FrameError."""
    before, after = _arguments(frame, shape, pitch, crop)
    RECORD.pack_into(into, place, *(before + after))


def _arguments(frame: int, shape: Tuple[int, ...], pitch: int, crop: Crop) -> Tuple[Tuple[Any, ...], Tuple[Any, ...]]:
    """The kernel's arguments before those of the target, and after them. Raises FrameError."""
    height, width = shape[0], shape[1]
    if not (0 < width <= LARGEST and 0 < height <= LARGEST and 3 * width <= pitch):
        raise FrameError("a picture of {}x{} with rows {} bytes apart cannot be cropped".format(width, height, pitch))
    first, second, third = crop.offset
    return (frame, width, height, pitch), placement(crop) + (
        crop.scale, first, second, third, crop.border == REPLICATE, crop.colour == RGB)


def load(home: str, compute_capability: str) -> CropKernel:
    """The kernel that was built on this board. Raises EngineError with why there is none, and the cure."""
    return CropKernel(read_cubin(home, compute_capability))


def _gpu_cure() -> str:
    return "start again; if it stays, " + commands.run("doctor")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
