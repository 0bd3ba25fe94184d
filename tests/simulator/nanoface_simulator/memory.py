"""Device memory and page-locked host memory: made-up device addresses, and real bytes behind them.

Fresh memory and the target of work that is not done hold POISON: NaN as a float of any width, 255 as a byte.
"""
import bisect
import gc
import threading
import weakref

import numpy as np

from . import errors, settings
from .contexts import checked, current, driver, may_free, uncaptured, ward
from .ledger import ledger

POISON = 0xFF
ALIGNMENT, PAGE = 512, 4096
FIRST_DEVICE, FIRST_MAPPED = 0x203E00000, 0x100200000  # where the addresses of a Tegra X1 begin, about
USED_ALREADY = 420 << 20  # by the system, the driver and the libraries, as mem_get_info() sees it
DEVICEMAP = 2


class Space:
    """All the memory that the GPU can reach, by its address."""

    def __init__(self):
        self._lock = threading.RLock()
        self._next = {"device": FIRST_DEVICE, "mapped": FIRST_MAPPED}
        self._bases, self._blocks = [], {}
        self._hosts, self._host_blocks, self._freed = [], {}, []
        self.version = 0  # changes with every allocation and release
        self.used = 0  # bytes on the device, with those of engines and execution contexts
        self.asked = 0  # bytes that were ever allocated

    def take(self, size):
        """Count bytes of the device; False where there are not as many."""
        with self._lock:
            limit = settings.fault("memory_bytes")
            most = settings.board().memory_bytes - USED_ALREADY if limit is None else int(limit)
            if self.used + size > most:
                return False
            self.used += size
            self.asked += size
            return True

    def give(self, size):
        with self._lock:
            self.used -= size

    def place(self, block, kind):
        """An address of the device for a block."""
        with self._lock:
            address = self._next[kind]
            self._next[kind] = address + (block.size + 2 * ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
            bisect.insort(self._bases, address)
            self._blocks[address] = block
            self.version += 1
            return address

    def remove(self, address):
        with self._lock:
            if self._blocks.pop(address, None) is not None:
                self._bases.remove(address)
            self.version += 1

    def find(self, address, size):
        """(block, offset) of `size` bytes at a device address, else None."""
        block = self._blocks.get(address)
        if block is not None:
            return (block, 0) if size <= block.size else None
        with self._lock:
            number = bisect.bisect_right(self._bases, address) - 1
            if number < 0:
                return None
            base = self._bases[number]
            block = self._blocks[base]
        return (block, address - base) if address + size <= base + block.size else None

    def rest_of(self, address):
        """(block, offset, bytes to the block's end) at a device address, else None."""
        found = self.find(address, 1)
        return None if found is None else found + (found[0].size - found[1],)

    def add_host(self, block):
        with self._lock:
            bisect.insort(self._hosts, block.address)
            self._host_blocks[block.address] = block

    def remove_host(self, block):
        with self._lock:
            if self._host_blocks.pop(block.address, None) is not None:
                self._hosts.remove(block.address)
                self._freed.append(weakref.ref(block))
                self._freed = [ref for ref in self._freed if ref() is not None]

    def is_freed(self, address):
        """Whether the host's address lies in page-locked memory that was freed while its array lives on."""
        return any(block is not None and block.address <= address < block.address + block.size
                   for block in (ref() for ref in self._freed))

    def host(self, address, size):
        """(block, offset) where the host's bytes are page-locked, else None: ordinary memory."""
        block = self._host_blocks.get(address)
        if block is None:
            with self._lock:
                number = bisect.bisect_right(self._hosts, address) - 1
                if number < 0:
                    return None
                block = self._host_blocks[self._hosts[number]]
        return (block, address - block.address) if address + size <= block.address + block.size else None


class Block:
    """Bytes, and who last wrote and reads them: (offset, end) -> (line, number of the work on it)."""

    __slots__ = ("bytes", "size", "address", "writers", "readers", "sole", "what", "freed", "__weakref__")

    def __init__(self, size, what):
        raw = np.empty(size + PAGE, np.uint8)
        start = -raw.__array_interface__["data"][0] % PAGE
        self.bytes = raw[start:start + size]
        self.bytes.fill(POISON)
        self.size, self.what, self.freed = size, what, False
        self.address = self.bytes.__array_interface__["data"][0]
        self.writers, self.readers, self.sole = {}, {}, None  # sole: the only line that ever used it; False: several did

    def in_flight(self):
        """Whether some stream still has work that touches it."""
        for users in (self.writers, self.readers):
            for line, number in list(users.values()):
                if line.done < number:
                    return True
        return False


space = Space()


def _size(size):
    size = int(size)
    if size <= 0:
        raise errors.failed("cuMemAlloc", errors.INVALID_VALUE)
    return size


class DeviceAllocation:
    """Memory on the device. int() is its address; freed by free() or with the object."""

    __slots__ = ("_block", "_address", "_ward", "size", "_valid", "__weakref__")

    def __init__(self):
        raise errors.RuntimeError("This class cannot be instantiated from Python")

    def __int__(self):
        return self._address

    __index__ = __int__

    def __hash__(self):
        return hash(self._address)

    def free(self):
        if not self._valid:
            ledger.violation("memory", "device memory was freed twice")
            raise errors.failed("device_allocation::free", errors.INVALID_HANDLE)
        uncaptured("cuMemFree")
        self._valid, self._block.freed = False, True
        if self._block.in_flight():
            ledger.violation("order", "device memory was freed with work in flight on it")
        if may_free(self._ward, "device memory"):
            if driver.failure:
                errors.cleanup_failed("cuMemFree", driver.failure)
            ledger.gone("device memory", self)
            space.give(self.size)
        space.remove(self._address)

    def as_buffer(self, size, offset=0):
        raise errors.failed("as_buffer", errors.NOT_SUPPORTED)

    def __del__(self):
        try:
            if self._valid and not ledger.closing:
                self.free()
        except AttributeError:
            return


def mem_alloc(size):
    context = ward()
    checked("cuMemAlloc")
    size = _size(size)
    if not space.take(size) and not (gc.collect() and space.take(size)):  # so does pycuda's mem_alloc_gc()
        raise errors.failed("cuMemAlloc", errors.OUT_OF_MEMORY)
    allocation = DeviceAllocation.__new__(DeviceAllocation)
    allocation._block, allocation._ward = Block(size, "device memory"), context
    allocation.size, allocation._valid = size, True
    allocation._address = space.place(allocation._block, "device")
    ledger.born("device memory", allocation)
    return allocation


def mem_get_info():
    current("cuMemGetInfo")
    total = settings.board().memory_bytes
    return max(total - USED_ALREADY - space.used, 0), total


class PagelockedHostAllocation:
    """Page-locked memory of the host; `array.base` of what pagelocked_empty() gives."""

    __slots__ = ("_block", "_ward", "_flags", "_device", "_valid", "_layout", "size", "__weakref__")

    def __init__(self):
        raise errors.RuntimeError("This class cannot be instantiated from Python")

    @property
    def __array_interface__(self):
        shape, dtype, order = self._layout
        strides = None
        if order == "F":
            strides = tuple(dtype.itemsize * int(np.prod(shape[:i], dtype=np.int64)) for i in range(len(shape)))
        return {"shape": shape, "typestr": dtype.str, "data": (self._block.address, False), "strides": strides,
                "version": 3}

    def get_device_pointer(self):
        """The address by which the GPU reaches it. It is never the host's address here, as on some boards it is not."""
        current("cuMemHostGetDevicePointer")
        if not self._flags & DEVICEMAP:
            ledger.violation("memory", "get_device_pointer() of memory that was not made with DEVICEMAP")
            raise errors.failed("cuMemHostGetDevicePointer", errors.INVALID_VALUE)
        return self._device

    def get_flags(self):
        return self._flags

    def free(self):
        if not self._valid:
            ledger.violation("memory", "page-locked memory was freed twice")
            raise errors.failed("pagelocked_host_allocation::free", errors.INVALID_HANDLE)
        uncaptured("cuMemFreeHost")
        self._valid, self._block.freed = False, True
        if self._block.in_flight():
            ledger.violation("order", "page-locked memory was freed with work in flight on it")
        if may_free(self._ward, "page-locked memory"):
            if driver.failure:
                errors.cleanup_failed("cuMemFreeHost", driver.failure)
            ledger.gone("page-locked memory", self)
            space.give(self.size)
        space.remove_host(self._block)
        if self._device:
            space.remove(self._device)

    def __del__(self):
        try:
            if self._valid and not ledger.closing:
                self.free()
        except AttributeError:
            return


def pagelocked_empty(shape, dtype, order="C", mem_flags=0):
    context = ward()
    checked("cuMemHostAlloc")
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (int(shape),)
    dtype = np.dtype(dtype)
    size = _size(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
    if not space.take(size):
        raise errors.failed("cuMemHostAlloc", errors.OUT_OF_MEMORY)
    allocation = PagelockedHostAllocation.__new__(PagelockedHostAllocation)
    allocation._block, allocation._ward = Block(size, "page-locked memory"), context
    allocation.size, allocation._valid, allocation._flags, allocation._device = size, True, int(mem_flags), 0
    space.add_host(allocation._block)
    if allocation._flags & DEVICEMAP:
        allocation._device = space.place(allocation._block, "mapped")
    allocation._layout = shape, dtype, order
    ledger.born("page-locked memory", allocation)
    return np.asarray(allocation)
