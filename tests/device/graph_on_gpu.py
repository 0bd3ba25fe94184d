"""A CUDA graph of the crop kernel on a real GPU, made by the runner's own code: captured, launched, compared, timed.

    python3 tests/device/graph_on_gpu.py

Needs a CUDA driver of 10.2 or later, numpy, and nvcc or the wheel nvidia-cuda-nvrtc-cu12; no TensorRT: as many launches as
a network has kernels stand for it. pycuda is used where it is installed. Exit code 0: all is as promised; 1: something is
not; 2: cannot run here.
"""
import argparse
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import run_on_gpu as gpu  # noqa: E402  (finds the rest, and says what is missing)

np, crop_cases, libcuda, cropkernel = gpu.np, gpu.crop_cases, gpu.libcuda, gpu.cropkernel

from edge.core.contracts import RGB  # noqa: E402
from edge.core.errors import EngineError  # noqa: E402
from edge.runtimes.gpu.graph import Graph, driver  # noqa: E402

SIDE, KERNELS = 192, 120  # of the picture; of a network of the board, about
ROUNDS = 200  # of the times


class Work:
    """What a submit enqueues: the record's copy, kernels that read it, and the copy of the result."""

    def __init__(self, cuda, kernel, kernels):
        self.cuda, self.kernel, self.kernels, self.stream = cuda, kernel, kernels, cuda.Stream()
        self.held = []
        self.host_record, self.host_out = self._pinned(cropkernel.RECORD.size), self._pinned(12 * SIDE * SIDE)
        self.record, self.out = cuda.mem_alloc(self.host_record.nbytes), cuda.mem_alloc(self.host_out.nbytes)
        self.held += [self.record, self.out]

    def _pinned(self, size):
        if hasattr(self.cuda, "pagelocked_bytes"):
            array, memory = self.cuda.pagelocked_bytes(size)
        else:
            array = self.cuda.pagelocked_empty(size, np.uint8)
            memory = array.base
        self.held.append(memory)
        return array

    def enqueue(self):
        self.cuda.memcpy_htod_async(self.record, self.host_record, self.stream)
        for _ in range(self.kernels):
            self.kernel.launch_from(int(self.record), int(self.out), (SIDE, SIDE), self.stream)
        self.cuda.memcpy_dtoh_async(self.host_out, self.out, self.stream)

    def ask(self, frame, image, crop):
        cropkernel.pack(self.host_record, 0, int(frame), image.shape, 3 * image.shape[1], crop)

    def result(self):
        self.stream.synchronize()
        return self.host_out.view(np.float32).reshape(3, SIDE, SIDE).copy()

    def free(self):
        self.stream.synchronize()
        for memory in self.held:
            memory.free()


def check(what, fine):
    print("{:8} {}".format("ok" if fine else "NOT SO", what))
    return bool(fine)


def crop(number):
    return crop_cases.crop_of(crop_cases.turned(150 + 9 * number, 120, 90 + 5 * number, 0.2 * number, SIDE), (SIDE, SIDE), RGB)


def try_frames(cuda, work, graph):
    """Frames of other sizes and places, cropped elsewhere: the graph takes each launch's own record."""
    fine = True
    for number in range(6):
        image = crop_cases.noise(320 + 8 * number, 240, number)
        frame = cuda.mem_alloc(image.nbytes)
        cuda.memcpy_htod(frame, image.ravel())
        work.ask(frame, image, crop(number))
        work.enqueue()
        plain = work.result()
        work.host_out.fill(0)
        graph.launch()
        fine &= np.array_equal(work.result(), plain) and plain.max() > 0
        frame.free()
    return check("six frames by a graph are those of plain launches, to the bit", fine)


def try_threads(cuda, context, work, library):
    """Other threads may allocate and use their own streams while this one records."""
    ended, errors = threading.Event(), []

    def disturb():
        context.push()
        stream = cuda.Stream()
        try:
            while not ended.is_set():
                memory = cuda.mem_alloc(4096)
                stream.synchronize()
                memory.free()
        except cuda.Error as e:
            errors.append(e)
        finally:
            del stream
            cuda.Context.pop()
    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(20):
            Graph(library, work.stream.handle, work.enqueue).close()
    except (EngineError, cuda.Error) as e:
        errors.append(e)
    finally:
        ended.set()
        thread.join()
    return check("another thread allocates meanwhile{}".format(": {}".format(errors[0]) if errors else ""), not errors)


def try_forbidden(cuda, work, library):
    """What allocates or waits in a capture fails and spoils it; the stream works on."""
    fine = True
    for name, call in (("allocating", lambda: cuda.mem_alloc(4096)), ("waiting", work.stream.synchronize)):
        def spoilt(call=call):
            work.enqueue()
            call()
        try:
            Graph(library, work.stream.handle, spoilt).close()
        except (EngineError, cuda.Error) as e:
            fine &= check("{} in a capture is refused: {}".format(name, e), True)
        else:
            fine &= check("{} in a capture is refused".format(name), False)
    work.enqueue()
    return fine & check("the stream works on", work.result().max() > 0)


def timed(work, graph, rounds):
    """Microseconds of the host's processor and of the whole, one after the other in turns."""
    rows = {"launches": [], "graph": []}
    for number in range(2 * rounds):
        name, enqueue = (("launches", work.enqueue), ("graph", graph.launch))[number % 2]
        began_at = time.perf_counter()
        enqueue()
        queued_at = time.perf_counter()
        work.stream.synchronize()
        rows[name].append((1e6 * (queued_at - began_at), 1e6 * (time.perf_counter() - began_at)))
    for name, times in sorted(rows.items()):
        print("         {} of {} kernels: {:.0f} us to enqueue, {:.0f} us in all (medians)".format(
            name, work.kernels, *np.median(times, axis=0)))


def on_gpu(cuda, context, capability, options):
    if options.cubin:
        with open(options.cubin, "rb") as f:
            code = f.read()
    else:
        code = gpu.compiled(capability)
    library = driver()
    if code is None or library is None:
        print("no compiler, or a driver without graphs")
        return 2
    work = Work(cuda, cropkernel.CropKernel(code), options.kernels)
    image = crop_cases.noise(320, 240)
    frame = cuda.mem_alloc(image.nbytes)
    cuda.memcpy_htod(frame, image.ravel())
    work.ask(frame, image, crop(0))
    work.enqueue()  # loads the kernel
    work.result()
    graph = Graph(library, work.stream.handle, work.enqueue)
    fine = try_frames(cuda, work, graph)
    work.ask(frame, image, crop(0))
    timed(work, graph, options.rounds)
    fine &= try_threads(cuda, context, work, library)
    fine &= options.simulated or try_forbidden(cuda, work, library)
    work.stream.synchronize()
    graph.close()
    work.free()
    frame.free()
    print("all is as promised" if fine else "SOMETHING IS NOT")
    return 0 if fine else 1


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cubin", help="the kernel's code, instead of compiling it")
    parser.add_argument("--kernels", type=int, default=KERNELS, help="launches that stand for a network")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--simulated", action="store_true", help="break no rule: the simulator keeps books of that")
    options = parser.parse_args(words)
    cuda = gpu.driver()
    try:
        cuda.init()
        device = cuda.Device(0)
        context = device.retain_primary_context()
    except cuda.Error as e:
        print("no GPU that can be used: {}".format(e))
        return 2
    print("{}, through {}".format(device.name(), cuda.__name__))
    context.push()
    try:
        return on_gpu(cuda, context, "{}.{}".format(*device.compute_capability()), options)
    finally:
        cuda.Context.pop()


if __name__ == "__main__":
    sys.exit(main())
