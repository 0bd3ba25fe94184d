"""Memory that the host and the device share, one for each input and output of a network.

The Nano's processor does not cache page-locked memory: it is written once from front to back and copied out before
anything is calculated, never calculated in.
"""
from typing import Any, Sequence

import numpy as np

PINNED, MAPPED = "pinned", "mapped"
KINDS = (PINNED, MAPPED)


class Buffer:
    """Page-locked float32 memory and its twin on the device, between which copies are enqueued."""

    def __init__(self, cuda: Any, shape: Sequence[int]) -> None:
        """Raises pycuda's errors, with nothing left behind."""
        self._cuda, self._device = cuda, None  # type: Any, Any
        self.address = 0  # on the device
        self.host: Any = self._allocate(tuple(shape))  # an array; None once it is free
        try:
            self._place(self.host)
        except cuda.Error:
            self.free()
            raise

    def put(self, values: np.ndarray) -> None:
        """Write the host's side; the device must have read what was there."""
        np.copyto(self.host, values)

    def get(self, into: np.ndarray) -> None:
        """Read the host's side; the copy to it must be done."""
        np.copyto(into, self.host)

    def to_device(self, stream: Any) -> None:
        self._cuda.memcpy_htod_async(self._device, self.host, stream)

    def to_host(self, stream: Any) -> None:
        self._cuda.memcpy_dtoh_async(self.host, self._device, stream)

    def free(self) -> None:
        """May be called twice. Nothing on any stream may still use the memory."""
        device, self._device = self._device, None
        host, self.host = self.host, None
        self.address = 0
        if device is not None:
            device.free()
        if host is not None:
            host.base.free()  # pycuda's own object

    def _allocate(self, shape: Sequence[int]) -> np.ndarray:
        memory: np.ndarray = self._cuda.pagelocked_empty(shape, np.float32)
        return memory

    def _place(self, host: Any) -> None:
        self._device = self._cuda.mem_alloc(host.nbytes)
        self.address = int(self._device)


class MappedBuffer(Buffer):
    """Page-locked memory that the device reads and writes where it lies: no copy, and not cached on the device either."""

    def to_device(self, stream: Any) -> None:
        """It is there already."""

    def to_host(self, stream: Any) -> None:
        """It is there already."""

    def _allocate(self, shape: Sequence[int]) -> np.ndarray:
        flags = self._cuda.host_alloc_flags.DEVICEMAP
        memory: np.ndarray = self._cuda.pagelocked_empty(shape, np.float32, mem_flags=flags)
        return memory

    def _place(self, host: Any) -> None:
        self.address = int(host.base.get_device_pointer())


def buffer_of(cuda: Any, kind: str, shape: Sequence[int]) -> Buffer:
    """`kind`: one of KINDS."""
    return MappedBuffer(cuda, shape) if kind == MAPPED else Buffer(cuda, shape)
