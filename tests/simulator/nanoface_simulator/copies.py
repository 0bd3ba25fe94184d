"""Copies between host and device, ordered on a stream. What a copy will write is poisoned when the copy is queued."""
import weakref

import numpy as np

from . import errors, settings
from .contexts import checked, current
from .ledger import ledger
from .memory import POISON, space
from .races import order
from .streams import counted, finish, finish_others, line_of, not_captured, put

MOST_COPIES = 1000


def _host(buffer, writes):
    """The bytes of a host buffer."""
    view = np.frombuffer(buffer, np.uint8)
    if writes and not view.flags.writeable:
        raise TypeError("Cannot use {} as modifiable buffer".format(type(buffer).__name__))
    return view


def _device(routine, address, size):
    """(block, offset); raises LogicError for an address that was not allocated, or not as large."""
    found = space.find(int(address), size)
    if found is None:
        ledger.violation("memory", "{}: {} bytes at {:#x} were not allocated".format(routine, size, int(address)))
        raise errors.failed(routine, errors.INVALID_VALUE)
    return found


def _held(view):
    """(block, offset) of page-locked memory, None for other memory of the host."""
    address = view.__array_interface__["data"][0]
    found = space.host(address, view.size)
    if found is None and space.is_freed(address):
        ledger.violation("memory", "a copy from or to page-locked memory that was freed")
    return found


def watching():
    """Whether memory that queued work will read is compared with what it was: not in a rehearsal of speed."""
    return not settings.text("ANSWERS")


def copy_unchanged(target, source, before):
    check_unchanged(source, before)
    np.copyto(target, source)


def check_unchanged(source, before):
    """The host must not write to what the device has yet to read."""
    if not np.array_equal(source, before):
        ledger.violation("race", "page-locked memory was written to while queued work was to read it")


def memcpy_htod(dest, src):
    current("cuMemcpyHtoD")
    checked("cuMemcpyHtoD")
    finish_others()
    view = _host(src, False)
    block, offset = _device("cuMemcpyHtoD", dest, view.size)
    block.bytes[offset:offset + view.size] = view
    ledger.count("copies")


def memcpy_dtoh(dest, src):
    current("cuMemcpyDtoH")
    checked("cuMemcpyDtoH")
    finish_others()
    checked("cuMemcpyDtoH")
    view = _host(dest, True)
    block, offset = _device("cuMemcpyDtoH", src, view.size)
    view[:] = block.bytes[offset:offset + view.size]
    ledger.count("copies")


def memcpy_htod_async(dest, src, stream=None):
    """From page-locked memory the bytes are read when the stream comes to it; from other memory here and now."""
    current("cuMemcpyHtoDAsync")
    checked("cuMemcpyHtoDAsync")
    line = line_of(stream)
    copy = _prepared("cuMemcpyHtoDAsync", dest, src, False)
    counted(line, "copies")
    if copy.host is None:
        not_captured(line, "cuMemcpyHtoDAsync of memory that is not page-locked")
        ledger.count("copies of memory that is not page-locked")
        order(line, copy.block, copy.offset, copy.end, True)
        put(line, np.copyto, (copy.device_bytes, copy.host_bytes.copy()))
        return
    order(line, copy.host, copy.start, copy.stop, False)
    order(line, copy.block, copy.offset, copy.end, True)
    if watching() and line.capture is None:
        put(line, copy_unchanged, (copy.device_bytes, copy.host_bytes, copy.host_bytes.copy()))
    else:
        put(line, np.copyto, (copy.device_bytes, copy.host_bytes))


def memcpy_dtoh_async(dest, src, stream=None):
    """Into page-locked memory when the stream comes to it; into other memory here, after waiting for the stream."""
    current("cuMemcpyDtoHAsync")
    checked("cuMemcpyDtoHAsync")
    line = line_of(stream)
    copy = _prepared("cuMemcpyDtoHAsync", src, dest, True)
    order(line, copy.block, copy.offset, copy.end, False)
    counted(line, "copies")
    if copy.host is None:
        not_captured(line, "cuMemcpyDtoHAsync of memory that is not page-locked")
        ledger.count("copies of memory that is not page-locked")
        put(line, np.copyto, (copy.host_bytes, copy.device_bytes))
        finish(line)
        checked("cuMemcpyDtoHAsync")
        return
    if line.capture is None:
        poison(copy.host, copy.start, copy.stop)
    order(line, copy.host, copy.start, copy.stop, True)
    put(line, np.copyto, (copy.host_bytes, copy.device_bytes))


class _Copy:
    """The two sides of a copy. host is None where the host's memory is not page-locked."""

    __slots__ = ("version", "array", "address", "block", "offset", "end", "device_bytes", "host", "start", "stop",
                 "host_bytes")


_copies = {}  # id of an array -> the last _Copy from or to it, for the many that are made again and again


def _prepared(routine, pointer, array, writes):
    copy = _copies.get(id(array))
    address = int(pointer)
    if copy is not None and copy.version == space.version and copy.address == address and copy.array() is array:
        return copy
    copy = _Copy()
    view = _host(array, writes)
    copy.version, copy.address = space.version, address
    copy.block, copy.offset = _device(routine, address, view.size)
    copy.end = copy.offset + view.size
    copy.device_bytes = copy.block.bytes[copy.offset:copy.end]
    held = _held(view)
    if held is None:
        copy.host, copy.host_bytes = None, view
        return copy
    copy.host, copy.start = held
    copy.stop = copy.start + view.size
    copy.host_bytes = copy.host.bytes[copy.start:copy.stop]  # not the array's own: it may go while work is queued
    if type(array) is np.ndarray and array.flags.writeable:
        copy.array = weakref.ref(array)
        if len(_copies) > MOST_COPIES:
            _copies.clear()
        _copies[id(array)] = copy
    return copy


def memcpy_dtod(dest, src, size):
    finish_others()
    memcpy_dtod_async(dest, src, size)


def memcpy_dtod_async(dest, src, size, stream=None):
    current("cuMemcpyDtoDAsync")
    checked("cuMemcpyDtoDAsync")
    line = line_of(stream)
    size = int(size)
    target, at = _device("cuMemcpyDtoDAsync", dest, size)
    source, start = _device("cuMemcpyDtoDAsync", src, size)
    order(line, source, start, start + size, False)
    order(line, target, at, at + size, True)
    counted(line, "copies")
    put(line, np.copyto, (target.bytes[at:at + size], source.bytes[start:start + size]))


def memset(routine, dest, value, size):
    """The 8-bit memset on stream 0."""
    current(routine)
    checked(routine)
    finish_others()
    block, offset = _device(routine, dest, size)
    block.bytes[offset:offset + size] = value


def poison(block, start, end):
    """What the host finds there until it has waited; not where queued work still reads it."""
    if block.readers:
        for (a, b, _), (line, number) in list(block.readers.items()):
            if line.done < number and a < end and start < b:
                return
    block.bytes[start:end] = POISON
