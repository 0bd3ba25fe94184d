"""Execution contexts: one run of an engine is queued on a stream."""
import os
import sys
import threading

import numpy as np
from nanoface_simulator import settings
from nanoface_simulator.contexts import driver, threads
from nanoface_simulator.copies import check_unchanged, poison, watching
from nanoface_simulator.hold import burn
from nanoface_simulator.ledger import ledger
from nanoface_simulator.memory import space
from nanoface_simulator.races import order
from nanoface_simulator.streams import counted, default, drain, fail_launch, finish, finish_others, launch_fails, lines, put

from . import _texts
from ._enums import ITEM_BYTES, NUMPY_NAMES, whole
from ._logging import tell
from ._objects import Bound, Scoped


class IProfiler:
    """To be subclassed: call IProfiler.__init__(self) and define report_layer_time(self, layer_name, ms)."""

    def __init__(self):
        self._is_made = True

    def report_layer_time(self, layer_name, ms):
        raise RuntimeError('Tried to call pure virtual function "IProfiler::report_layer_time"')


class Profiler(IProfiler):
    """Writes to standard output."""

    def report_layer_time(self, layer_name, ms):
        os.write(1, "{}: {}ms\n".format(layer_name, ms).encode("utf-8"))


class IExecutionContext(Scoped):
    """For one thread and one stream at a time."""

    __slots__ = ("_engine", "_logger", "size", "_shapes", "_line", "_number", "_busy", "_bound", "_profiler", "_times",
                 "enqueue_emits_profile", "debug_sync", "name", "error_recorder", "_freed", "_seconds", "_needs_memory")

    def __del__(self):
        try:
            if not self._freed:
                from ._runtime import freed

                self._freed = True
                if self._line is not None and self._line.done < self._number and not ledger.closing:
                    ledger.violation("order", "an execution context was destroyed with work in flight")
                freed("execution context", self)
                space.give(self.size)
        except (AttributeError, ImportError):
            return

    @property
    def engine(self):
        return self._engine

    @property
    def profiler(self):
        return self._profiler

    @profiler.setter
    def profiler(self, profiler):
        if not isinstance(profiler, IProfiler):
            raise TypeError("incompatible function arguments. Invoked with: {!r}".format(profiler))
        self._profiler = profiler

    def _set_memory(self, address):
        if space.find(int(address), self._engine.device_memory_size) is None:
            ledger.violation("memory", "device_memory was not allocated, or is too small")
        self._needs_memory = False

    device_memory = property(None, _set_memory)

    @property
    def all_binding_shapes_specified(self):
        return all(side >= 0 for shape in self._shapes for side in shape)

    @property
    def all_shape_inputs_specified(self):
        return True

    @property
    def active_optimization_profile(self):
        return 0

    def get_binding_shape(self, binding):
        return self._shapes[binding] if 0 <= binding < len(self._shapes) else (-1,)

    def set_binding_shape(self, binding, shape):
        shape = tuple(int(side) for side in shape)
        fixed = self._engine.get_binding_shape(binding)
        limits = self._engine.get_profile_shape(0, binding)
        if not self._engine.binding_is_input(binding) or len(shape) != len(fixed) or any(
                side != known and known >= 0 for side, known in zip(shape, fixed)) or not all(
                low <= side <= high for low, side, high in zip(limits[0], shape, limits[2])):
            tell(self._logger, "E", _texts.WRONG_SHAPE)
            return False
        self._shapes[binding], self._bound = shape, None
        for number, made in self._engine._network.output_shapes(self._shapes).items():
            self._shapes[number] = made
        return True

    def set_optimization_profile_async(self, profile_index, stream_handle):
        if not 0 <= profile_index < self._engine.num_optimization_profiles:
            raise RuntimeError("Error in set optimization profile async.")
        return True

    def report_to_profiler(self):
        if self._profiler is None or self._line is None:
            return False
        drain(self._line)
        self._report()
        return True

    def execute_v2(self, bindings):
        """Queue on stream 0 and wait."""
        if driver.captures:
            return self._break_captures("execute_v2")
        finish_others()
        done = self._enqueue("execute_v2", bindings, default)
        finish(default)
        return done and not driver.failure

    def execute_async_v2(self, bindings, stream_handle, input_consumed=None):
        """True: it was queued. Whether it fails is known where the stream is waited for."""
        handle = stream_handle if type(stream_handle) is int else whole(stream_handle, "execute_async_v2")
        line = lines.get(handle)
        if handle == 0:
            if driver.captures:
                return self._break_captures("execute_async_v2 on the default stream")
            finish_others()
        return self._enqueue("execute_async_v2", bindings, line)

    def execute(self, batch_size=1, bindings=()):
        tell(self._logger, "E", _texts.NOT_IMPLICIT)
        return False

    def execute_async(self, batch_size=1, bindings=(), stream_handle=0, input_consumed=None):
        return self.execute(batch_size, bindings)

    def _enqueue(self, call, bindings, line):
        if not isinstance(bindings, list):
            raise TypeError("{}(): incompatible function arguments. Invoked with bindings: {!r}".format(call, bindings))
        if not self._busy.acquire(False):
            ledger.violation("thread", "one execution context in two threads")
            return self._refuse("invalid resource handle")
        try:
            return self._checked_enqueue(call, bindings, line)
        finally:
            self._busy.release()

    def _checked_enqueue(self, call, bindings, line):
        if line is None or line.capture is None:
            ledger.count("executions")
        number = ledger.counts.get("executions", 0)
        if not threads.stack:
            return self._break("context", call + " in a thread without a current context", "invalid device context")
        if line is None:
            return self._break("stream", call + " on a stream that does not live", "invalid resource handle")
        if driver.failure:
            return self._refuse(driver.failure)
        if line.capture is not None and not self._may_be_captured(line.capture):
            return self._refuse("operation failed due to a previous error during capture")
        false_from = settings.fault("execute_false_from", self._engine._header["names"])
        if false_from is not None and line.capture is None and number >= int(false_from):
            return self._refuse("asked for by NANOFACE_SIM_FAULTS")
        if self._needs_memory:
            return self._break("memory", call + " of a context without device memory", "invalid argument")
        if self._line is not None and self._line is not line and self._line.done < self._number:
            ledger.violation("stream", "one execution context on two streams at a time")
        key = (tuple(bindings), space.version)
        if self._bound is None or self._bound[0] != key:
            found = self._resolved(call, bindings)
            if found is None:
                return self._refuse("an illegal memory access was encountered")
            self._bound = (key,) + found
        self._queue(line)
        return True

    def _resolved(self, call, bindings):
        """(blocks with their ranges and whether they are written, input arrays, output arrays); None where one is wrong."""
        if len(bindings) != len(self._shapes):
            ledger.violation("memory", "{} with {} bindings of {}".format(call, len(bindings), len(self._shapes)))
            return None
        if not self.all_binding_shapes_specified:
            ledger.violation("memory", call + " before all shapes were set")
            return None
        ranges, inputs, outputs = [], [], []
        for entry, shape, address in zip(self._engine._bindings, self._shapes, bindings):
            address = whole(address, call)
            size = int(np.prod(shape, dtype=np.int64)) * ITEM_BYTES[entry[2]]
            found = space.find(address, size)
            if found is None:
                ledger.violation("memory", "{}: binding {} needs {} bytes, at {:#x} they were not allocated".format(
                    call, entry[0], size, address))
                return None
            block, offset = found
            ranges.append((block, offset, offset + size, not entry[3]))
            raw = block.bytes[offset:offset + size]
            (inputs if entry[3] else outputs).append(raw.view(NUMPY_NAMES[entry[2]]).reshape(shape))
        return ranges, inputs, outputs

    def _queue(self, line):
        _, ranges, inputs, outputs = self._bound
        for block, start, end, writes in ranges:
            if writes and block.what[0] == "p" and line.capture is None:  # page-locked: the host sees it
                poison(block, start, end)
            order(line, block, start, end, writes)
        self._burn()
        if line.capture is not None:
            counted(line, "executions")
            line.capture.need(self)
            line.capture.engines.append(self._engine._header["names"])
        else:
            self._line = line
            self._watch(line, ranges)
        if line.capture is None and launch_fails():
            self._number = put(line, fail_launch, ())
            return
        seconds = settings.device_s(self._engine._header["names"]) * self._engine._header["slow"]
        number = put(line, self._engine._network.run, (line, inputs, outputs, seconds, self._times), seconds)
        if line.capture is not None:
            return
        self._number = number
        if self._profiler is not None and self.enqueue_emits_profile:
            finish(line)
            self._report()

    def _watch(self, line, ranges):
        """Compare inputs that the device reads from the host's memory with what they are now."""
        if watching():
            for block, start, end, writes in ranges:
                if not writes and block.what[0] == "p":
                    seen = block.bytes[start:end]
                    put(line, check_unchanged, (seen, seen.view(np.uint8).copy()))

    def _burn(self):
        """The processor time that TensorRT takes to launch the kernels, without the interpreter's lock."""
        costs = settings.table("ENQUEUE_MS")
        if costs:
            burn(float(settings.by_name(costs, self._engine._header["names"], 0.0)) / 1000.0)

    def _report(self):
        """The last run's time, shared out over the layers: the simulator does not know how it is spread."""
        layers = [entry[0] for entry in self._engine._header["layers"] if entry[1] != "CONSTANT"]
        for name in layers:
            try:
                self._profiler.report_layer_time(name, self._times[-1] * 1000.0 / len(layers) if self._times else 0.0)
            except BaseException as e:
                sys.stderr.write("terminate called: report_layer_time raised {}: {} (simulator)\n".format(
                    type(e).__name__, e))
                sys.stderr.flush()
                os.abort()

    def _may_be_captured(self, capture):
        """A context that has not run since its shapes were set allocates in its first run; a profiler waits for each."""
        if not self._number:
            capture.spoil("an execution context is captured that has not run before")
        if self._profiler is not None:
            capture.spoil("an execution context with a profiler is captured")
        return not capture.spoiled

    def _break_captures(self, call):
        for capture in list(driver.captures):
            capture.spoil(call + " while a stream is captured")
        return self._refuse("operation would make the legacy stream depend on a capturing blocking stream")

    def _break(self, kind, text, reason):
        ledger.violation(kind, text)
        return self._refuse(reason)

    def _refuse(self, reason):
        tell(self._logger, "E", _texts.NOT_ENQUEUED.format(reason))
        return False


def context_of(engine, logger, size):
    made = IExecutionContext.make(
        _engine=engine, _logger=logger, size=size, _shapes=[tuple(b[1]) for b in engine._bindings], _line=None, _number=0,
        _busy=threading.Lock(), _bound=None, _profiler=None, _times=[], enqueue_emits_profile=True, debug_sync=False, name="",
        error_recorder=None, _freed=False, _seconds=0.0, _needs_memory=not size and bool(engine.device_memory_size))
    ledger.born("execution context", made)
    return made


__all__ = ["Bound", "IExecutionContext", "IProfiler", "Profiler", "context_of"]
