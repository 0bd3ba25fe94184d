"""The calls of pycuda.driver that the crop kernel and a CUDA graph of it need, on CUDA's own library, where pycuda is not."""
import ctypes
import struct

import numpy as np

LETTERS = {"P": ctypes.c_void_p, "i": ctypes.c_int, "f": ctypes.c_float}


class Error(Exception):
    """Named as pycuda names it."""


class _Library:
    """libcuda.so.1, loaded at the first call."""

    def __init__(self):
        self._lib = None

    def __call__(self, name, *arguments):
        if self._lib is None:
            try:
                self._lib = ctypes.CDLL("libcuda.so.1")
            except OSError as e:
                raise Error("no CUDA driver: {}".format(e))
        code = getattr(self._lib, name)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self._lib.cuGetErrorName(code, ctypes.byref(text))
            raise Error("{} failed: {}".format(name, (text.value or b"code %d" % code).decode("ascii")))


call = _Library()


def init():
    call("cuInit", 0)


class Device:
    def __init__(self, number):
        self._device = ctypes.c_int()
        call("cuDeviceGet", ctypes.byref(self._device), number)

    def name(self):
        text = ctypes.create_string_buffer(200)
        call("cuDeviceGetName", text, len(text), self._device)
        return text.value.decode("ascii")

    def compute_capability(self):
        found = (ctypes.c_int(), ctypes.c_int())
        for place, attribute in zip(found, (75, 76)):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
            call("cuDeviceGetAttribute", ctypes.byref(place), attribute, self._device)
        return tuple(place.value for place in found)

    def retain_primary_context(self):
        context = Context()
        call("cuDevicePrimaryCtxRetain", ctypes.byref(context.handle_), self._device)
        return context


class Context:
    def __init__(self):
        self.handle_ = ctypes.c_void_p()

    def push(self):
        call("cuCtxPushCurrent_v2", self.handle_)

    @staticmethod
    def pop():
        call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))


class DeviceAllocation:
    def __init__(self, size):
        self._address = ctypes.c_uint64()
        call("cuMemAlloc_v2", ctypes.byref(self._address), ctypes.c_size_t(size))

    def __int__(self):
        return self._address.value

    def free(self):
        call("cuMemFree_v2", self._address)


def mem_alloc(size):
    return DeviceAllocation(size)


def memcpy_htod(target, array):
    call("cuMemcpyHtoD_v2", ctypes.c_uint64(int(target)), *_host(array))


def memcpy_dtoh(array, source):
    address, size = _host(array)
    call("cuMemcpyDtoH_v2", address, ctypes.c_uint64(int(source)), size)


def memcpy_htod_async(target, array, stream):
    call("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(int(target)), *(_host(array) + (stream.handle_,)))


def memcpy_dtoh_async(array, source, stream):
    address, size = _host(array)
    call("cuMemcpyDtoHAsync_v2", address, ctypes.c_uint64(int(source)), size, stream.handle_)


class PagelockedHostAllocation:
    def __init__(self, size):
        self._address = ctypes.c_void_p()
        call("cuMemHostAlloc", ctypes.byref(self._address), ctypes.c_size_t(size), 0)
        self.bytes = (ctypes.c_uint8 * size).from_address(self._address.value)

    def free(self):
        call("cuMemFreeHost", self._address)


def pagelocked_bytes(size):
    """(array, what to free it by): pycuda.pagelocked_empty() has the second as the array's base."""
    memory = PagelockedHostAllocation(size)
    return np.frombuffer(memory.bytes, np.uint8), memory


def _host(array):
    return ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes)


class Stream:
    def __init__(self):
        self.handle_ = ctypes.c_void_p()
        call("cuStreamCreate", ctypes.byref(self.handle_), 0)
        self.handle = self.handle_.value

    def synchronize(self):
        call("cuStreamSynchronize", self.handle_)


class Event:
    def __init__(self):
        self.handle_ = ctypes.c_void_p()
        call("cuEventCreate", ctypes.byref(self.handle_), 0)

    def record(self, stream):
        call("cuEventRecord", self.handle_, stream.handle_)

    def synchronize(self):
        call("cuEventSynchronize", self.handle_)

    def time_since(self, earlier):
        """Milliseconds."""
        found = ctypes.c_float()
        call("cuEventElapsedTime", ctypes.byref(found), earlier.handle_, self.handle_)
        return found.value


def module_from_buffer(code):
    module = ctypes.c_void_p()
    call("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(code))
    return Module(module)


class Module:
    def __init__(self, handle):
        self._handle = handle

    def get_function(self, name):
        function = Function()
        call("cuModuleGetFunction", ctypes.byref(function.handle_), self._handle, name.encode("ascii"))
        return function


class Function:
    def __init__(self):
        self.handle_, self._letters = ctypes.c_void_p(), ""

    def prepare(self, letters):
        self._letters = letters
        return self

    def prepared_async_call(self, grid, block, stream, *arguments):
        struct.pack(self._letters, *arguments)  # refuses what pycuda refuses
        values = [LETTERS[letter](value) for letter, value in zip(self._letters, arguments)]
        places = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
        shape = [ctypes.c_uint(n) for n in tuple(grid) + (1,) * (3 - len(grid)) + tuple(block)]
        call("cuLaunchKernel", self.handle_, *shape, ctypes.c_uint(0), stream.handle_, places, None)
