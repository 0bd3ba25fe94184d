"""What a runner has on the device while it is open: the loaded plan, its buffers, events, and the frames.

Enqueued in order on the thread's stream: the input (a copy, or the upload of the frame and the crop kernel), the network,
the copies of its outputs; all but the upload by one call where record() has made a graph of it. Only wait() and close()
wait. pycuda's errors come through; the runner makes messages of them. No function keeps a stream, an event or the kernel in
a variable of its own: the traceback of an error would keep it on, for longer than its context.
"""
import itertools
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np

from edge.core.contracts import Crop
from edge.core.errors import EngineError
from edge.runtimes.cpu.runner import sees_pictures
from edge.runtimes.gpu import crop as crop_kernel
from edge.runtimes.gpu.context import PRIMARY
from edge.runtimes.gpu.frames import SLOTS, FrameStore
from edge.runtimes.gpu.graph import Graph
from edge.runtimes.gpu.plan import LoadedPlan
from edge.store.plans import StoredPlan

PINNED, MAPPED = "pinned", "mapped"
KINDS = (PINNED, MAPPED)
BLOCKING_SYNC = 1  # CU_EVENT_BLOCKING_SYNC of cuda.h: a thread that waits for the event sleeps, and frees its core


class Buffer:
    """Page-locked memory and as much on the device, between which copies are enqueued.

    The Nano's processor does not cache page-locked memory: it is written once from front to back and copied out before
    anything is calculated, never calculated in.
    """

    def __init__(self, cuda: Any, shape: Sequence[int], dtype: Any = np.float32) -> None:
        """Raises pycuda's errors, with nothing left behind."""
        self._cuda, self._device, self._dtype = cuda, None, dtype  # type: Any, Any, Any
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
        memory: np.ndarray = self._cuda.pagelocked_empty(shape, self._dtype)
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
        memory: np.ndarray = self._cuda.pagelocked_empty(shape, self._dtype, mem_flags=flags)
        return memory

    def _place(self, host: Any) -> None:
        self.address = int(host.base.get_device_pointer())


def buffer_of(cuda: Any, kind: str, shape: Sequence[int]) -> Buffer:
    """`kind`: one of KINDS."""
    return MappedBuffer(cuda, shape) if kind == MAPPED else Buffer(cuda, shape)


class DeviceSession:
    """Made, used and closed in one thread. close() is to be called whatever failed before."""

    def __init__(self, plan: StoredPlan) -> None:
        """Enters the CUDA context. Raises EngineError, with nothing to close."""
        self.thread = PRIMARY.enter()
        self.plan = LoadedPlan(plan)
        self.kernel: Any = None  # a CropKernel, set before load(): the input is made on the device, where it is pictures
        self.graph: Optional[Graph] = None  # of what a start with the kernel enqueues, or without it one with feeds
        self.lost = ""  # why the graph is not used any more
        self.plain = False  # not to use it for a while: to compare
        self._frames: Optional[FrameStore] = None
        self._records: Any = None  # Buffer of what the graph's kernels are to crop
        self._began: Any = None  # events: around all of one submit, and behind the kernels that read the frame
        self._read: Any = None
        self._dones: List[Any] = []  # the last starts' ends, in turn: a frame waits for the end of the start that read it
        self._inputs: Dict[str, Buffer] = {}
        self._outputs: Dict[str, Buffer] = {}
        self._addresses: List[int] = []  # of all bindings, as the engine wants them

    def load(self, memory: str) -> None:
        """Load the plan and allocate. Raises EngineError and pycuda's errors."""
        cuda = self.thread.cuda
        self.plan.load()
        if not sees_pictures(self.plan.inputs):
            self.kernel = None
        if self.kernel is not None:
            self._frames = PRIMARY.frames(cuda)
        # the host never reads what the kernel writes for the engine: device memory, which is cached there
        for tensor in self.plan.inputs:
            self._inputs[tensor.name] = buffer_of(cuda, memory if self.kernel is None else PINNED, tensor.shape)
        for tensor in self.plan.outputs:
            self._outputs[tensor.name] = buffer_of(cuda, memory, tensor.shape)
        self._addresses = self.plan.order({name: buffer.address for of in (self._inputs, self._outputs)
                                           for name, buffer in of.items()})
        self._began, self._read = cuda.Event(), cuda.Event()
        self._dones = [cuda.Event(BLOCKING_SYNC) for _ in range(SLOTS + 1)]

    def start(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Run the network on ready-made float32 inputs, by name. What was started before is waited for already."""
        for name, values in feeds.items():
            self._inputs[name].put(values)
        self._began.record(self.thread.stream)
        if self.kernel is not None or not self._launched():
            self._now(self._run_on_feeds)
        self._dones[0].record(self.thread.stream)

    def start_crops(self, image: np.ndarray, crops: Sequence[Crop]) -> None:
        """Run the network on crops of the frame, which is uploaded where no other stage has done that.

        Only with the kernel. Raises FrameError for a picture that cannot be cropped; then nothing was started.
        """
        frames: Any = self._frames
        self._dones.append(self._dones.pop(0))
        frame = frames.hold(image, self.thread.stream, self._began)
        try:
            pitch, graph = 3 * image.shape[1], self.graph is not None and not self.plain
            for number, (crop, target) in enumerate(zip(crops, self._targets())):
                if graph:
                    crop_kernel.pack(self._records.host, number * crop_kernel.RECORD.size, frame.address, image.shape, pitch,
                                     crop)
                else:
                    self.kernel.launch(frame.address, image.shape, pitch, crop, target, self.thread.stream)
            if graph and not self._launched():
                self._now(self._run_on_records)
        finally:  # behind a graph is behind its kernels as well
            (self._dones[0] if graph else self._read).record(self.thread.stream)
            frames.release(frame, self._dones[0] if graph else self._read)
        if not graph:
            self._now(self._run)
            self._dones[0].record(self.thread.stream)

    def record(self, library: Any) -> None:
        """Make a graph of what each start enqueues. It has run before: TensorRT allocates in its first run.

        `library`: graph.driver(). Raises EngineError and pycuda's errors; then all is as it was.
        """
        if self.kernel is not None and self._records is None:
            self._records = Buffer(self.thread.cuda, (self.plan.inputs[0].shape[0] * crop_kernel.RECORD.size,), np.uint8)
        work = self._run_on_feeds if self.kernel is None else self._run_on_records
        self.graph = Graph(library, self.thread.stream.handle, work)

    def drop_graph(self, why: str) -> None:
        """Enqueue everything one by one from now on. What was started is waited for."""
        graph, self.graph, self.lost = self.graph, None, why
        if graph is not None:
            graph.close()

    def wait(self) -> float:
        """Sleep until the device is done; how long it was at work, ms. What failed there is raised here."""
        self._dones[0].synchronize()
        self.thread.stream.synchronize()  # after which every error was raised, and no more can come
        ms: float = self._dones[0].time_since(self._began)
        return ms

    def copy_results(self, into: Mapping[str, np.ndarray]) -> None:
        """After wait(): the network's outputs, by name, into arrays of the host."""
        for name, buffer in self._outputs.items():
            buffer.get(into[name])

    def close(self) -> None:
        """Wait for what is enqueued and free all in the order in which it may go. May be called once."""
        cuda = self.thread.cuda
        try:
            self.thread.stream.synchronize()
        except cuda.Error:
            pass  # the device has failed: wait() has raised that, and nothing is enqueued any more
        self.drop_graph("")
        self.plan.close()
        self.kernel = self._frames = None
        buffers = list(self._outputs.values()) + list(self._inputs.values()) + [self._records] * (self._records is not None)
        self._inputs, self._outputs, self._addresses, self._records = {}, {}, [], None
        for buffer in buffers:
            buffer.free()
        self._began = self._read = None
        self._dones = []
        PRIMARY.leave()

    def _targets(self) -> Iterator[int]:
        """Where on the device each picture of the batch lies."""
        buffer = next(iter(self._inputs.values()))
        return itertools.count(buffer.address, buffer.host[0].nbytes)

    def _launched(self) -> bool:
        """Whether the graph was. Where the driver refuses it once, it is not asked again."""
        if self.graph is None or self.plain:
            return False
        try:
            self.graph.launch()
        except EngineError as e:
            self.drop_graph(str(e))
        return self.graph is not None

    def _now(self, work: Callable[[], None]) -> None:
        """Enqueue it call by call, outside of a recording."""
        try:
            work()
        except EngineError:
            self.thread.stream.synchronize()  # the input is still on its way, from memory that may be written to next
            raise

    def _run_on_feeds(self) -> None:
        for buffer in self._inputs.values():
            buffer.to_device(self.thread.stream)
        self._run()

    def _run_on_records(self) -> None:
        self._records.to_device(self.thread.stream)
        _, _, height, width = self.plan.inputs[0].shape
        places = range(self._records.address, self._records.address + self._records.host.nbytes, crop_kernel.RECORD.size)
        for record, target in zip(places, self._targets()):
            self.kernel.launch_from(record, target, (width, height), self.thread.stream)
        self._run()

    def _run(self) -> None:
        self.plan.enqueue(self._addresses, self.thread.stream.handle)
        for buffer in self._outputs.values():
            buffer.to_host(self.thread.stream)
