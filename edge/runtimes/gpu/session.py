"""What a runner has on the device while it is open: the loaded plan, its buffers, events, and the way to the frames.

Enqueued in order on the thread's stream: the input (a copy, or the upload of the frame and the crop kernel), the network,
the copies of its outputs. Only wait() and close() wait. pycuda's errors come through; the runner puts them into words. No
function keeps a stream, an event or the kernel in a variable of its own: the traceback of an error would keep it on, for
longer than its context.
"""
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from edge.core.contracts import Crop
from edge.core.errors import EngineError
from edge.runtimes.cpu.runner import sees_pictures
from edge.runtimes.gpu import context as cuda
from edge.runtimes.gpu.devicememory import PINNED, Buffer, buffer_of
from edge.runtimes.gpu.frames import FrameStore
from edge.runtimes.gpu.plan import LoadedPlan
from edge.store.plans import StoredPlan

BLOCKING_SYNC = 1  # CU_EVENT_BLOCKING_SYNC of cuda.h: who waits for the event sleeps, and leaves its core to the others


class DeviceSession:
    """Made, used and closed in one thread. close() is to be called whatever failed before."""

    def __init__(self, plan: StoredPlan) -> None:
        """Enters the CUDA context. Raises EngineError, with nothing to close."""
        self.lane = cuda.PRIMARY.enter()
        self.plan = LoadedPlan(plan)
        self.kernel: Any = None  # a CropKernel, set before load(): the input is made on the device, where it is pictures
        self._frames: Optional[FrameStore] = None
        self._began: Any = None  # events: around all of one submit, and behind the kernels that read the frame
        self._read: Any = None
        self._done: Any = None
        self._feeds: Dict[str, Buffer] = {}
        self._answers: Dict[str, Buffer] = {}
        self._addresses: List[int] = []  # of all bindings, as the engine wants them

    def load(self, memory: str) -> None:
        """Load the plan and allocate. Raises EngineError and pycuda's errors."""
        lent = self.lane.cuda
        self.plan.load()
        if not sees_pictures(self.plan.inputs):
            self.kernel = None
        if self.kernel is not None:
            self._frames = cuda.PRIMARY.frames(lent)
        # what the kernel writes and the engine reads the host never sees: device memory, which is cached there
        for tensor in self.plan.inputs:
            self._feeds[tensor.name] = buffer_of(lent, memory if self.kernel is None else PINNED, tensor.shape)
        for tensor in self.plan.outputs:
            self._answers[tensor.name] = buffer_of(lent, memory, tensor.shape)
        self._addresses = self.plan.order({name: buffer.address for of in (self._feeds, self._answers)
                                           for name, buffer in of.items()})
        self._began, self._read, self._done = lent.Event(), lent.Event(), lent.Event(BLOCKING_SYNC)

    def start(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Run the network on ready-made float32 inputs, by name. What was started before is waited for already."""
        for name, values in feeds.items():
            self._feeds[name].put(values)
        self._began.record(self.lane.stream)
        for feed in self._feeds.values():
            feed.to_device(self.lane.stream)
        self._run()

    def start_crops(self, image: np.ndarray, crops: Sequence[Crop]) -> None:
        """Run the network on crops of the frame, which is uploaded where no other stage has done that.

        Only with the kernel. Raises FrameError for a picture that cannot be cropped; then nothing was started.
        """
        frames, feed = self._frames, next(iter(self._feeds.values()))  # type: Any, Any
        frame = frames.hold(image, self.lane.stream, self._began)
        try:
            address, step = feed.address, feed.host[0].nbytes
            for crop in crops:
                self.kernel.launch(frame.address, image.shape, 3 * image.shape[1], crop, address, self.lane.stream)
                address += step
        finally:
            self._read.record(self.lane.stream)
            frames.release(frame, self._read)
        self._run()

    def wait(self) -> float:
        """Sleep until the device is done; how long it was at work, ms. What failed there is raised here."""
        self._done.synchronize()
        self.lane.stream.synchronize()  # after which everything is told that went wrong, and nothing more can
        ms: float = self._done.time_since(self._began)
        return ms

    def copy_results(self, into: Mapping[str, np.ndarray]) -> None:
        """After wait(): the network's outputs, by name, into arrays of the host."""
        for name, answer in self._answers.items():
            answer.get(into[name])

    def close(self) -> None:
        """Wait for what is enqueued and free all in the order in which it may go. May be called once."""
        lent = self.lane.cuda
        try:
            self.lane.stream.synchronize()
        except lent.Error:
            pass  # the device has failed: who waited for it was told, and nothing is enqueued any more
        self.plan.close()
        self.kernel = self._frames = None
        buffers = list(self._answers.values()) + list(self._feeds.values())
        self._feeds, self._answers, self._addresses = {}, {}, []
        for buffer in buffers:
            buffer.free()
        self._began = self._read = self._done = None
        cuda.PRIMARY.leave()

    def _run(self) -> None:
        try:
            self.plan.enqueue(self._addresses, self.lane.stream.handle)
        except EngineError:
            self.lane.stream.synchronize()  # the input is still on its way, from memory that may be written to next
            raise
        for answer in self._answers.values():
            answer.to_host(self.lane.stream)
        self._done.record(self.lane.stream)
