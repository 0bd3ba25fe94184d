"""The last frames on the device, so that each is uploaded once for all stages, whatever threads they run in.

A frame is identified by its array object, which is why only a read-only one is found again: a writable one may have
other pixels by now. Streams wait for each other by events, on the device; the host waits only for memory that it writes to.
"""
import weakref
from typing import Any, Dict, List, Optional

import numpy as np

from edge.core.errors import FrameError

SLOTS = 3  # frames in flight, and one that comes; more only while that many threads read at once


class Slot:
    """One frame on the device. All fields belong to the store's lock, apart from what a holder reads: address and pitch."""

    def __init__(self, cuda: Any) -> None:
        self.address = 0  # of the first pixel; rows follow each other without a gap
        self.memory: Any = None
        self.capacity = 0  # bytes
        self.uploaded: Any = cuda.Event()
        self.image: Optional["weakref.ref[np.ndarray]"] = None  # of the frame; dead: it cannot be asked for again
        self.holders = 0  # between hold() and release()
        self.reads: Dict[int, Any] = {}  # events behind the kernels that read it, by id
        self.used_at = 0


class FrameStore:
    """Of one CUDA context. Every call is made in a thread that has it pushed."""

    def __init__(self, cuda: Any, lock: Any) -> None:
        self._cuda, self._lock = cuda, lock
        self._slots: List[Slot] = []
        self._staging: Any = None  # page-locked bytes that every upload goes through
        self._staged: Any = None  # event behind the last upload
        self._clock = 0

    def hold(self, image: np.ndarray, stream: Any, began: Any) -> Slot:
        """The frame on the device, there for whatever is enqueued on `stream` from now on; to be matched by release().

        `began`: an event, recorded in front of what this call enqueues. Raises FrameError for a picture that is none and
        pycuda's errors.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise FrameError("a picture must be (height, width, 3) uint8, not {} {}".format(image.shape, image.dtype))
        if not image.size:
            raise FrameError("a picture of {}x{} cannot be cropped".format(image.shape[1], image.shape[0]))
        with self._lock:
            slot = self._find(image)
            if slot is None:
                slot = self._upload(image, stream, began)
            else:
                began.record(stream)
                stream.wait_for_event(slot.uploaded)
            slot.holders += 1
            self._clock += 1
            slot.used_at = self._clock
        return slot

    def release(self, slot: Slot, read: Optional[Any]) -> None:
        """`read`: an event behind what was enqueued to read the frame; None where nothing was."""
        with self._lock:
            slot.holders -= 1
            if read is not None:
                slot.reads[id(read)] = read

    def free(self) -> None:
        """No frame is held any more, and all kernels that read one are done."""
        for slot in self._slots:
            _free(slot)
            slot.uploaded = None  # now, also where a reference to the slot remains
        self._slots = []
        if self._staging is not None:
            self._staging.base.free()
        self._staging = self._staged = None

    def _find(self, image: np.ndarray) -> Optional[Slot]:
        for slot in self._slots:
            if slot.image is not None and slot.image() is image:
                return slot
        return None

    def _upload(self, image: np.ndarray, stream: Any, began: Any) -> Slot:
        staging = self._staging_of(image.nbytes)
        np.copyto(staging.reshape(image.shape), image)
        slot = self._vacant()
        slot.image = None
        if slot.capacity < image.nbytes:
            self._grow(slot, image.nbytes)
        began.record(stream)
        for read in slot.reads.values():
            stream.wait_for_event(read)
        slot.reads.clear()
        self._cuda.memcpy_htod_async(slot.memory, staging, stream)
        slot.uploaded.record(stream)
        self._staged = slot.uploaded
        slot.image = None if image.flags.writeable else weakref.ref(image)
        return slot

    def _staging_of(self, size: int) -> np.ndarray:
        """Page-locked memory of `size` bytes that nothing is read from any more."""
        if self._staged is not None:
            self._staged.synchronize()
        if self._staging is None or self._staging.nbytes < size:
            old, self._staging = self._staging, None
            if old is not None:
                old.base.free()
            self._staging = self._cuda.pagelocked_empty(size, np.uint8)
        staging: np.ndarray = self._staging[:size]
        return staging

    def _vacant(self) -> Slot:
        """The slot that was not used for the longest time, a new one where all are held or there are too few."""
        vacant = [slot for slot in self._slots if not slot.holders]
        if len(self._slots) < SLOTS or not vacant:
            self._slots.append(Slot(self._cuda))
            return self._slots[-1]
        return min(vacant, key=lambda slot: (slot.image is not None and slot.image() is not None, slot.used_at))

    def _grow(self, slot: Slot, size: int) -> None:
        for read in slot.reads.values():
            read.synchronize()
        _free(slot)
        slot.memory = self._cuda.mem_alloc(size)
        slot.address, slot.capacity = int(slot.memory), size


def _free(slot: Slot) -> None:
    memory, slot.memory = slot.memory, None
    slot.address = slot.capacity = 0
    slot.reads.clear()
    if memory is not None:
        memory.free()
