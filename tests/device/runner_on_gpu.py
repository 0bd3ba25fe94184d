"""The TensorRT runner on a real GPU with the real pycuda, TensorRT itself replaced: contexts, streams, memory, frames.

    python3 tests/device/runner_on_gpu.py

Needs a CUDA driver, numpy, OpenCV and pycuda; nvcc for the crop kernel. The engine that stands in for TensorRT's copies its
input to its output on the device, so what the runner made of a frame can be looked at. Exit code 0: all is as promised;
1: something is not; 2: cannot run here.
"""
import ctypes
import json
import os
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

try:
    import cv2  # noqa: F401  # before everything else, as on the board
    import numpy as np
    import pycuda.driver
except ImportError as e:
    print("cannot run here: {}".format(e))
    sys.exit(2)

from edge.core.contracts import BGR, REPLICATE, RGB, Crop
from edge.core.errors import EdgeError, EngineError
from edge.models.warp import Warper
from edge.runtimes.gpu import context
from edge.runtimes.gpu.runner import TensorRtRunner
from edge.store import plans
from edge.store.models import StoredNetwork, sha256_of
from engines.build import cubin
from engines.progress import Report

BATCH, SIDE = 2, 192
SHAPE = (BATCH, 3, SIDE, SIDE)
NETWORK = StoredNetwork("copy", "copy.onnx", "copy.onnx", {}, "align", "5" * 64)
LEVELS = (0.5, 4.0)  # mean and worst grey levels between the kernel and OpenCV, on a smooth picture away from the border
WAYS = [(memory, crops, graphs) for memory in ("pinned", "mapped") for crops in ("auto", "cpu") for graphs in ("off", "auto")]


class StandIn:
    """What the runner calls of TensorRT: an engine whose output is its input."""

    __version__ = "8.2.1.8"
    refuse = False

    class ILogger:
        def __init__(self):
            pass

    class Logger:
        INTERNAL_ERROR, ERROR = 0, 1

    class DataType:
        FLOAT = 0

    class Runtime:
        def __init__(self, log):
            self._log = log

        def deserialize_cuda_engine(self, content):
            return StandIn.Engine()

    class Engine:
        num_bindings = 2

        def get_binding_name(self, i):
            return ("input", "output")[i]

        def get_binding_shape(self, i):
            return SHAPE

        def binding_is_input(self, i):
            return i == 0

        def get_binding_dtype(self, i):
            return StandIn.DataType.FLOAT

        def create_execution_context(self):
            return StandIn.Context()

    class Context:
        def __init__(self):
            self._copy = ctypes.CDLL("libcuda.so.1").cuMemcpyDtoDAsync_v2
            self._copy.argtypes = [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p]

        def execute_async_v2(self, bindings, stream_handle):
            if StandIn.refuse:
                return False
            return self._copy(bindings[1], bindings[0], 4 * int(np.prod(SHAPE)), stream_handle) == 0


def prepared(home):
    """A plan in the store, its sidecar for this GPU, and the kernel where a compiler is; whether that is there."""
    gpu = context.gpu()
    path = plans.plan_path(home, "align", "copy")
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as f:
        f.write(b"copy")
    sidecar = {"schema": plans.SCHEMA, "role": "align", "network": "copy", "sha256": sha256_of(path), "size": 4,
               "onnx_sha256": NETWORK.sha256, "tensorrt": StandIn.__version__, "gpu": gpu.name,
               "compute_capability": gpu.compute_capability, "precision": "fp16", "inputs": [["input", list(SHAPE)]],
               "outputs": [["output", list(SHAPE)]]}
    with open(plans.sidecar_path(home, "align", "copy"), "w") as f:
        json.dump(sidecar, f)
    print("{} ({}), pycuda {}".format(gpu.name, gpu.compute_capability, pycuda.VERSION_TEXT))
    return cubin.build_cubin(home, gpu.compute_capability, Report(sys.stdout))


def frame(seed, size=(360, 640)):
    rows, columns = np.mgrid[:size[0], :size[1]]
    planes = [127 + 100 * np.sin(rows / (20.0 + seed + c)) * np.cos(columns / (30.0 + c)) for c in range(3)]
    image = np.stack(planes, axis=2).astype(np.uint8)
    image.flags.writeable = False
    return image


def crops(shift):
    turned = np.array([[0.7, 0.2, shift - 60.0], [-0.2, 0.7, 20.0]])
    upright = np.array([[0.5, 0.0, -30.0], [0.0, 0.5, 4.0 + shift]])
    return (Crop(turned, (SIDE, SIDE), RGB, 1.0 / 255.0, (0.0, 0.0, 0.0), REPLICATE),
            Crop(upright, (SIDE, SIDE), BGR, 1.0 / 128.0, (-1.0, -1.0, -1.0), REPLICATE))


def wanted(image, asked):
    batch = np.zeros(SHAPE, np.float32)
    for crop, part in zip(asked, batch):
        Warper().fill(image, crop, part)
    return batch


def check(what, fine):
    print("{:8} {}".format("ok" if fine else "NOT SO", what))
    return bool(fine)


def looks_right(found, image, asked, exact):
    """Grey levels between what the runner saw and what the CPU shows, the mean and the worst."""
    apart = np.abs(found - wanted(image, asked))
    levels = [apart[i] / crop.scale for i, crop in enumerate(asked)]
    inner = [plane[:, 8:-8, 8:-8] for plane in levels]
    mean, worst = max(p.mean() for p in inner), max(p.max() for p in inner)
    return worst == 0.0 if exact else mean <= LEVELS[0] and worst <= LEVELS[1]


def try_way(memory, mode, graphs, with_kernel):
    runner = TensorRtRunner(NETWORK, memory=memory, crops=mode, graphs=graphs)
    runner.open()
    kernel = runner._session.kernel is not None
    name, exact = "{} memory, crops by {}, graphs {}".format(memory, "kernel" if kernel else "CPU", graphs), not kernel
    fine = check(name + ": as configured", kernel == (with_kernel and mode == "auto") and bool(runner.note) == (
        mode == "auto" and not kernel) and (runner._session.graph is not None) == (graphs == "auto"))
    images = [frame(seed, (360 + 8 * seed, 640)) for seed in range(5)]
    fine &= check(name + ": crops of frames of several sizes", all(looks_right(
        runner.submit(image, crops(i)).result()["output"], image, crops(i), exact) for i, image in enumerate(images)))
    tickets = [runner.submit(image, crops(1)) for image in images]
    fine &= check(name + ": submits before results", all(looks_right(ticket.result()["output"], image, crops(1), exact)
                                                         for ticket, image in zip(tickets, images)))
    batch = np.random.RandomState(1).uniform(-1, 1, SHAPE).astype(np.float32)
    fine &= check(name + ": infer", np.array_equal(runner.infer({"input": batch})["output"], batch))
    runner.take_device_ms()
    free, host_ms = pycuda.driver.mem_get_info()[0], []
    for number in range(1000):
        image = images[0] if number % 4 else frame_copy(images[0])
        began_at = time.perf_counter()
        ticket = runner.submit(image, crops(1))
        submitted_at = time.perf_counter()
        ticket.result()
        host_ms.append((1e3 * (submitted_at - began_at), 1e3 * (time.perf_counter() - submitted_at)))
    device_ms = runner.take_device_ms()
    fine &= check(name + ": 1000 submits take no memory", free - pycuda.driver.mem_get_info()[0] <= 0)
    fine &= check(name + ": a device time for each", len(device_ms) == 1000 and min(device_ms) > 0.0)
    print("         submit {:.3f}, result {:.3f}, device {:.3f} ms (medians)".format(
        *(list(np.median(host_ms, axis=0)) + [np.median(device_ms)])))
    StandIn.refuse = True
    runner.use_graph(False)
    try:
        fine &= check(name + ": execute False", "cannot run network copy" in error(lambda: runner.submit(images[0], crops(1))))
    finally:
        StandIn.refuse = False
        runner.use_graph(True)
    fine &= check(name + ": goes on after that", looks_right(
        runner.submit(images[1], crops(2)).result()["output"], images[1], crops(2), exact))
    runner.close()
    runner.close()
    return fine


def frame_copy(image):
    copy = image.copy()
    copy.flags.writeable = False
    return copy


def error(call):
    try:
        call()
    except EdgeError as e:
        return str(e)
    return ""


def try_threads(memory):
    """Three workers with two runners each look at the same frames; they open, close and reopen in whatever order."""
    images = [frame(seed) for seed in range(12)]
    wrong, gate = [], threading.Barrier(3, timeout=60)

    def work(number):
        for _ in range(2):
            runners = [TensorRtRunner(NETWORK, memory=memory) for _ in range(2)]
            for runner in runners:
                runner.open()
            for turn in range(5 * len(images)):
                gate.wait()
                image = images[turn % len(images)]
                for runner in runners:
                    found = runner.submit(image, crops(turn % 7)).result()["output"]
                    if not looks_right(found, image, crops(turn % 7), runner._session.kernel is None):
                        wrong.append((number, turn))
            time.sleep(0.05 * number)
            for runner in runners:
                runner.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return check("{} memory: three workers share context and frames".format(memory), not wrong and not any(
        thread.is_alive() for thread in threads))


def try_release():
    fine = check("the thread that kept the context has ended", "nanoface-cuda" not in [t.name for t in threading.enumerate()])
    return fine & check("nothing is left on this thread's stack", said_by_pop() != "")


def said_by_pop():
    try:
        pycuda.driver.Context.pop()
    except pycuda.driver.Error as e:
        return str(e)
    return ""


def try_fault():
    """A kernel that reads where nothing is breaks the context for good: everything still closes, and this process ends."""
    runner = TensorRtRunner(NETWORK, graphs="off")
    runner.open()
    if runner._session.kernel is None:
        runner.close()
        return True
    launch = runner._session.kernel.launch
    runner._session.kernel.launch = lambda address, *rest: launch(64, *rest)
    text = error(lambda: runner.submit(frame(1), crops(1)).result())
    text = text or error(lambda: runner.submit(frame(1), crops(1)).result())
    print("         {}".format(text))
    fine = check("a kernel that fails is told of", "failed on the GPU" in text and "\n" not in text)
    runner.close()
    return fine & check("and cannot be opened again", isinstance(failure_of(runner.open), EngineError))


def failure_of(call):
    try:
        call()
    except EdgeError as e:
        return e
    return None


def main():
    try:
        gpu = context.gpu()
    except EngineError as e:
        print("cannot run here: {}".format(e))
        return 2
    sys.modules["tensorrt"] = StandIn
    with tempfile.TemporaryDirectory() as home:
        os.environ["NANOFACE_HOME"] = home
        with_kernel = prepared(home)
        fine = all([try_way(*(way + (with_kernel,))) for way in WAYS])
        fine &= all([try_threads(memory) for memory in ("pinned", "mapped")])
        fine &= try_release()
        fine &= try_fault()
    print("{}: {}".format(gpu.name, "all is as promised" if fine else "SOMETHING IS NOT"))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
