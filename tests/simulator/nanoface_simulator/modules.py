"""Kernels: a cubin is only looked at, and what its kernels do is computed by Python references from the file that the
environment variable NANOFACE_SIM_KERNELS names. That file defines

    KERNELS = {"crop": crop}

and crop(grid, block, *arguments) gets the launch's grid and block, and the arguments as the kernel does: numbers as numbers,
each pointer as a writable numpy array of uint8, from where it points to the end of that allocation. The file finds at(address)
there: the same for an address that the kernel finds in memory and reads from. A reference may have an
attribute `writes`: the positions of the pointers that it writes; without it all are taken to be read and written.
"""
import struct

import numpy as np

from . import errors, settings
from .contexts import checked, current, may_free, ward
from .ledger import ledger
from .memory import DeviceAllocation, space
from .races import order, order_now
from .streams import counted, fail_launch, launch_fails, line_of, now, put

ELF, CUDA_MACHINE = b"\x7fELF", 190
PLACEHOLDER = b"SIMULATOR CUBIN"  # what stands for a cubin where no compiler is: b"SIMULATOR CUBIN sm_53 crop"
MOST_THREADS = 1024
_twins = {}  # file -> its KERNELS
_running = []  # the line whose kernel is being computed; one at a time


class Module:
    """Code on the device."""

    __slots__ = ("_ward", "_code", "__weakref__")

    def __init__(self):
        raise errors.RuntimeError("This class cannot be instantiated from Python")

    def get_function(self, name):
        current("cuModuleGetFunction")
        if name.encode("ascii") not in self._code:
            raise errors.failed("cuModuleGetFunction", errors.NOT_FOUND)
        function = Function.__new__(Function)
        function._name, function._format, function._module = name, None, self
        return function

    def __del__(self):
        try:
            if not ledger.closing and may_free(self._ward, "module"):
                ledger.gone("module", self)
        except AttributeError:
            return


def module_from_buffer(buffer, options=(), message_handler=None):
    context = ward()
    checked("cuModuleLoadDataEx")
    code = bytes(buffer)
    arch = _arch(code)
    if arch is None:
        raise errors.failed("cuModuleLoadDataEx", errors.INVALID_IMAGE)
    if arch != "sm_{}{}".format(*settings.board().compute_capability):
        raise errors.failed("cuModuleLoadDataEx", errors.NO_BINARY)
    module = Module.__new__(Module)
    module._ward, module._code = context, code
    ledger.born("module", module)
    return module


def module_from_file(filename):
    try:
        with open(filename, "rb") as f:
            return module_from_buffer(f.read())
    except OSError:
        raise errors.failed("cuModuleLoad", "file not found")


def _arch(code):
    """sm_53 of a cubin; None where it is none."""
    if code.startswith(PLACEHOLDER):
        words = code.split()
        return words[2].decode("ascii") if len(words) > 2 else None
    if len(code) < 64 or not code.startswith(ELF) or struct.unpack_from("<H", code, 18)[0] != CUDA_MACHINE:
        return None
    return "sm_{}".format(struct.unpack_from("<I", code, 48)[0] & 0xFF)


class Function:
    """A kernel."""

    __slots__ = ("_name", "_format", "_module", "__weakref__")

    def __init__(self):
        raise errors.RuntimeError("This class cannot be instantiated from Python")

    def prepare(self, arg_types, texrefs=()):
        """arg_types: one letter of the struct module for each argument, "P" for a pointer, or numpy types."""
        letters = []
        for kind in arg_types:
            if isinstance(kind, str):
                letters.append(kind)
            elif isinstance(kind, type) and issubclass(kind, np.number):
                letters.append(np.dtype(kind).char)
            else:
                letters.append("P")
        self._format = "".join(letters)
        return self

    def prepared_async_call(self, grid, block, stream, *args, **kwargs):
        kwargs.pop("shared_size", 0)
        if kwargs:
            raise TypeError("unknown keyword arguments: " + ", ".join(kwargs))
        self._launch(grid, block, self._format, args, stream)

    def prepared_call(self, grid, block, *args, **kwargs):
        self.prepared_async_call(grid, block, None, *args, **kwargs)

    def __call__(self, *args, **kwargs):
        grid, stream, block = kwargs.pop("grid", (1, 1)), kwargs.pop("stream", None), kwargs.pop("block", None)
        kwargs.pop("shared", 0)
        if kwargs:
            raise ValueError("extra keyword arguments: {}".format(",".join(kwargs)))
        if block is None:
            raise ValueError("must specify block size")
        letters = []
        for number, arg in enumerate(args):
            if isinstance(arg, np.number):
                letters.append(arg.dtype.char)
            elif isinstance(arg, DeviceAllocation):
                letters.append("P")
            else:
                raise TypeError("invalid type on parameter #{} (0-based)".format(number))
        self._launch(grid, block, "".join(letters), args, stream)

    def _launch(self, grid, block, letters, args, stream):
        current("cuLaunchKernel")
        checked("cuLaunchKernel")
        if letters is None:
            raise AttributeError("'Function' object has no attribute 'arg_format'")
        line = line_of(stream)
        values = [int(arg) if isinstance(arg, DeviceAllocation) else arg for arg in args]
        numbers = struct.unpack(letters, struct.pack(letters, *values))
        grid, block = _shape(grid), _shape(block)
        if min(grid + block) < 1 or block[0] * block[1] * block[2] > MOST_THREADS or block[2] > 64 or max(
                grid[1:]) > 65535:
            ledger.violation("kernel", "{} cannot be launched with grid {} and block {}".format(self._name, grid, block))
            raise errors.failed("cuLaunchKernel", errors.INVALID_VALUE)
        reference = _reference(self._name)
        arguments = self._arguments(letters, numbers, line, getattr(reference, "writes", None))
        counted(line, "kernels")
        if line.capture is not None:
            line.capture.need(self._module)
        elif launch_fails():
            put(line, fail_launch, ())
            return
        seconds = settings.device_s((self._name,))
        put(line, _run, (line, reference, grid, block, arguments, seconds), seconds)

    def _arguments(self, letters, numbers, line, writes):
        """The arguments for the reference: pointers as bytes. A pointer that leads nowhere is a broken rule, and None."""
        arguments = list(numbers)
        for place, letter in enumerate(letters):
            if letter != "P":
                continue
            found = space.rest_of(numbers[place])
            if found is None:
                ledger.violation("memory", "kernel {}: argument {} ({:#x}) was not allocated".format(
                    self._name, place, numbers[place]))
                raise errors.failed("cuLaunchKernel", errors.INVALID_VALUE)
            block, offset, rest = found
            order(line, block, offset, offset + rest, writes is None or place in writes)
            arguments[place] = block.bytes[offset:]
        return arguments


def _shape(shape):
    return tuple(int(side) for side in shape) + (1,) * (3 - len(shape))


def _run(line, reference, grid, block, arguments, modelled_s):
    began_at = now()
    _running[:] = [line]
    reference(grid, block, *arguments)
    if not modelled_s:
        line.extra_s += now() - began_at


def at(address):
    """The bytes from an address of the device to the end of its allocation, for a kernel that reads them."""
    found = space.rest_of(address)
    if found is None:
        ledger.violation("memory", "a kernel reads at {:#x}, which was not allocated".format(address))
        raise errors.failed("cuLaunchKernel", errors.INVALID_VALUE)
    block, offset, rest = found
    order_now(_running[0], block, offset, offset + rest)
    return block.bytes[offset:]


def _reference(name):
    path = settings.text("KERNELS")
    if path not in _twins:
        space_of = {"__name__": "nanoface_simulator.references", "__file__": path, "at": at}
        if path:
            with open(path) as f:
                exec(compile(f.read(), path, "exec"), space_of)
        _twins[path] = space_of.get("KERNELS", {})
    if name not in _twins[path]:
        raise NotImplementedError("the simulator has no reference of the kernel {}: set NANOFACE_SIM_KERNELS".format(name))
    return _twins[path][name]
