"""A SIMULATOR of pycuda.driver, see nanoface_simulator. Names that are missing here are not simulated."""
from nanoface_simulator import settings as _settings

if _settings.fault("pycuda_missing"):
    raise ImportError("libcuda.so.1: cannot open shared object file: No such file or directory")

import numpy as _np
from nanoface_simulator import errors as _errors
from nanoface_simulator.contexts import Context, Device, init  # noqa: F401
from nanoface_simulator.contexts import current as _current
from nanoface_simulator.copies import (  # noqa: F401  # noqa: F401
    memcpy_dtod,
    memcpy_dtod_async,
    memcpy_dtoh,
    memcpy_dtoh_async,
    memcpy_htod,
    memcpy_htod_async,
)
from nanoface_simulator.copies import memset as _memset
from nanoface_simulator.errors import Error, LaunchError, LogicError, MemoryError, RuntimeError  # noqa: F401
from nanoface_simulator.graphs import install as _install
from nanoface_simulator.memory import DeviceAllocation, PagelockedHostAllocation, mem_alloc, mem_get_info, pagelocked_empty  # noqa: F401  # noqa: F401
from nanoface_simulator.modules import Function, Module, module_from_buffer, module_from_file  # noqa: F401
from nanoface_simulator.streams import Event, Stream  # noqa: F401

_install()


class host_alloc_flags:  # noqa: N801
    PORTABLE, DEVICEMAP, WRITECOMBINED = 1, 2, 4


class event_flags:  # noqa: N801
    DEFAULT, BLOCKING_SYNC, DISABLE_TIMING = 0, 1, 2


class stream_flags:  # noqa: N801
    DEFAULT, NON_BLOCKING = 0, 1


class ctx_flags:  # noqa: N801
    SCHED_AUTO, SCHED_SPIN, SCHED_YIELD, SCHED_BLOCKING_SYNC, MAP_HOST = 0, 1, 2, 4, 8


def get_version():
    return (10, 2, 0)


def get_driver_version():
    return 10020


def pagelocked_zeros(shape, dtype, order="C", mem_flags=0):
    result = pagelocked_empty(shape, dtype, order, mem_flags)
    result.fill(0)
    return result


def pagelocked_empty_like(array, mem_flags=0):
    return pagelocked_empty(array.shape, array.dtype, "C", mem_flags)


def pagelocked_zeros_like(array, mem_flags=0):
    return pagelocked_zeros(array.shape, array.dtype, "C", mem_flags)


def mem_alloc_like(array):
    return mem_alloc(array.nbytes)


def to_device(array):
    allocation = mem_alloc(array.nbytes)
    memcpy_htod(allocation, array)
    return allocation


def from_device(devptr, shape, dtype, order="C"):
    result = _np.empty(shape, dtype, order)
    memcpy_dtoh(result, devptr)
    return result


def memset_d8(dest, data, size):
    _memset("cuMemsetD8", dest, int(data), int(size))


def register_host_memory(array, flags=0):
    """Not supported by GPUs below compute capability 7.2 of a Tegra."""
    _current("cuMemHostRegister")
    raise _errors.failed("cuMemHostRegister", _errors.NOT_SUPPORTED)


def managed_empty(shape, dtype, order="C", mem_flags=0):
    raise NotImplementedError("the simulator has no managed memory: on this GPU it is unsafe with several streams")
