"""Copies between host and device, ordered on a stream. What a copy will write is poisoned when the copy is queued."""
import numpy as np

from . import errors
from .contexts import checked, current
from .ledger import ledger
from .memory import POISON, space
from .streams import finish, finish_others, line_of, order, put


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
    view = _host(src, False)
    size = view.size
    block, offset = _device("cuMemcpyHtoDAsync", dest, size)
    held = space.host(view.__array_interface__["data"][0], size)
    if held is None:
        ledger.count("copies of memory that is not page-locked")
        source = view.copy()
    else:
        host, start = held
        order(line, host, start, start + size, False)
        source = host.bytes[start:start + size]
    order(line, block, offset, offset + size, True)
    put(line, np.copyto, (block.bytes[offset:offset + size], source))
    ledger.count("copies")


def memcpy_dtoh_async(dest, src, stream=None):
    """Into page-locked memory when the stream comes to it; into other memory here, after waiting for the stream."""
    current("cuMemcpyDtoHAsync")
    checked("cuMemcpyDtoHAsync")
    line = line_of(stream)
    view = _host(dest, True)
    size = view.size
    block, offset = _device("cuMemcpyDtoHAsync", src, size)
    held = space.host(view.__array_interface__["data"][0], size)
    order(line, block, offset, offset + size, False)
    ledger.count("copies")
    if held is None:
        ledger.count("copies of memory that is not page-locked")
        put(line, np.copyto, (view, block.bytes[offset:offset + size]))
        finish(line)
        checked("cuMemcpyDtoHAsync")
        return
    host, start = held
    poison(host, start, start + size)
    order(line, host, start, start + size, True)
    put(line, np.copyto, (host.bytes[start:start + size], block.bytes[offset:offset + size]))


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
    put(line, np.copyto, (target.bytes[at:at + size], source.bytes[start:start + size]))
    ledger.count("copies")


def memset(routine, dest, value, size):
    """The 8-bit memset on stream 0."""
    current(routine)
    checked(routine)
    finish_others()
    block, offset = _device(routine, dest, size)
    block.bytes[offset:offset + size] = value


def poison(block, start, end):
    """What the host finds there until it has waited; not where queued work still reads it."""
    for (a, b, _), (stream, number) in list(block.readers.items()):
        if a < end and start < b and stream.done < number:
            return
    block.bytes[start:end] = POISON
