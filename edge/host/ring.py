"""A few pictures in memory that two processes share: one writes, the other copies out.

It is an unlinked file that both map (Python 3.6 knows no shared_memory). The message that a picture is there goes through
the processes' socket, which also orders the memory accesses of both. A slot has a stamp before its pixels: 0 while it is
written, then a number that is never used again. A reader that finds another stamp than that of the message, before or after
copying, was too late.
"""
import errno
import mmap
import os
import struct
import tempfile
from typing import Any, Dict, Optional, Tuple

import numpy as np

from edge.core.errors import SourceError

SLOTS = 4  # one is written, one is the newest, one is being copied, and one to spare
SHARED_FOLDER = "/dev/shm"  # memory; elsewhere the file lies on a disk, and in its cache
HEADER = 64  # bytes before the pixels: the stamp, and room so that they begin at a cache line
WRITING = 0
STAMP = struct.Struct("<Q")
NO_ROOM = "there is no room for pictures of {}x{} in {}: make it larger, or ask for smaller pictures with --size"


def shared_file() -> Any:
    """An unlinked file; it lives as long as a process has it open."""
    folder = SHARED_FOLDER if os.access(SHARED_FOLDER, os.W_OK | os.X_OK) else None
    return tempfile.TemporaryFile(prefix="nanoface-", dir=folder, buffering=0)


class RingWriter:
    """Grows the file for the largest picture that came."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map: Optional[mmap.mmap] = None
        self._room = 0  # bytes of pixels in a slot
        self._stamp = 0

    def put(self, image: np.ndarray) -> Dict[str, Any]:
        """Where `image` (H, W, 3 uint8) lies, for RingReader.take(). Raises SourceError where memory has no room."""
        if image.nbytes > self._room:
            self._grow(image)
        assert self._map is not None
        self._stamp += 1
        at = (self._stamp % SLOTS) * (HEADER + self._room)
        STAMP.pack_into(self._map, at, WRITING)
        pixels = np.frombuffer(self._map, np.uint8, image.nbytes, at + HEADER)
        np.copyto(pixels.reshape(image.shape), image)
        STAMP.pack_into(self._map, at, self._stamp)
        return {"stamp": self._stamp, "at": at, "shape": image.shape}

    def _grow(self, image: np.ndarray) -> None:
        """Taken now and as a whole: a page that cannot be had later would end the process."""
        room = -(-image.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE - HEADER
        room += mmap.PAGESIZE if room < image.nbytes else 0
        try:
            os.posix_fallocate(self._descriptor, 0, SLOTS * (HEADER + room))
        except OSError as e:
            if e.errno not in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM):
                raise
            raise SourceError(NO_ROOM.format(image.shape[1], image.shape[0], SHARED_FOLDER))
        self._map = mmap.mmap(self._descriptor, SLOTS * (HEADER + room))
        self._room = room


class RingReader:
    """The other end. Not to be used by two threads at once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map: Optional[mmap.mmap] = None

    def take(self, place: Dict[str, Any]) -> Optional[np.ndarray]:
        """A read-only copy; None where the slot holds another picture by now, or is no place at all."""
        shape: Tuple[int, ...] = tuple(place["shape"])
        size, at = int(np.prod(shape)), place["at"]
        if self._map is None or len(self._map) < at + HEADER + size:
            if os.fstat(self._descriptor).st_size < at + HEADER + size:
                return None
            self._map = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        if STAMP.unpack_from(self._map, at)[0] != place["stamp"]:
            return None
        image = np.frombuffer(self._map, np.uint8, size, at + HEADER).reshape(shape).copy()
        if STAMP.unpack_from(self._map, at)[0] != place["stamp"]:
            return None
        image.setflags(write=False)
        return image

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
