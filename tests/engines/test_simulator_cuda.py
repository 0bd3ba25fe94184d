"""The simulator keeps what pycuda and CUDA ask for: contexts, memory, the order of work, and who waits for whom."""
import threading
import time

import numpy as np
import pytest
from fakes import simulated as nets
from patience import stretch

REFERENCE = """
import numpy as np

def scale(grid, block, source, target, number, factor):
    threads = min(number, grid[0] * block[0])
    target[:4 * threads].view(np.float32)[:] = source[:4 * threads].view(np.float32) * factor

scale.writes = (1,)
KERNELS = {"scale": scale}
"""
PARAMETERS = "PPif"
CUBIN = b"SIMULATOR CUBIN sm_53 scale"
modules, books = nets.modules, nets.books  # fixtures


@pytest.fixture
def cuda(modules):
    """pycuda's driver, with the primary context current here."""
    driver = modules[1]
    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    yield driver
    while driver.Context.get_current() is not None:
        driver.Context.pop()
    try:
        context.detach()
    except driver.LogicError:
        pass  # a test has detached it


def broken(books):
    """The rules that were broken since the last look."""
    kinds = [violation["kind"] for violation in books.report()["violations"]]
    books.reset()
    return kinds


def in_thread(work):
    """What work() returned, or the exception that it raised, in a thread of its own."""
    found = []

    def run():
        try:
            found.append(work())
        except Exception as e:
            found.append(e)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_what_is_not_simulated_is_not_there(modules):
    driver = modules[1]
    for name in ("autoinit", "compiler", "gpuarray"):
        with pytest.raises(ImportError):
            __import__("pycuda." + name)
    assert not hasattr(driver, "register_host_memory_flags") and hasattr(driver, "register_host_memory")


def test_without_init_there_is_no_device(modules):
    driver = modules[1]
    for call in (lambda: driver.Device(0), driver.Device.count):
        with pytest.raises(driver.LogicError, match="initialization error"):
            call()
    driver.init()
    assert driver.Device.count() == 1
    with pytest.raises(driver.LogicError, match="invalid device ordinal"):
        driver.Device(1)


def test_the_device_is_a_nano_or_what_the_environment_says(cuda, monkeypatch):
    device = cuda.Device(0)
    assert (device.name(), device.compute_capability()) == ("NVIDIA Tegra X1", (5, 3))
    free, total = cuda.mem_get_info()
    assert 0 < free < total == device.total_memory()
    monkeypatch.setenv("NANOFACE_SIM_GPU", "another")
    monkeypatch.setenv("NANOFACE_SIM_CC", "7.2")
    assert (device.name(), device.compute_capability()) == ("another", (7, 2))


def test_the_exceptions_are_pycudas(cuda):
    assert issubclass(cuda.MemoryError, MemoryError) and issubclass(cuda.MemoryError, cuda.Error)
    assert all(issubclass(kind, cuda.Error) for kind in (cuda.LogicError, cuda.LaunchError, cuda.RuntimeError))
    assert not issubclass(cuda.RuntimeError, RuntimeError)


def test_a_context_is_current_only_where_it_was_pushed(cuda, books):
    context = cuda.Context.get_current()

    def pushed():
        context.push()
        try:
            return int(cuda.mem_alloc(4)) > 0
        finally:
            cuda.Context.pop()
    assert int(cuda.mem_alloc(4)) > 0 and in_thread(pushed) is True
    assert broken(books) == []
    for call in (lambda: cuda.mem_alloc(4), cuda.Stream, cuda.Event, lambda: cuda.pagelocked_empty(1, np.float32)):
        error = in_thread(call)
        assert isinstance(error, cuda.LogicError) and str(error) == (
            "explicit_context_dependent failed: invalid device context - no currently active context?")
        assert broken(books) == ["context"]


def test_retaining_makes_nothing_current_and_popping_too_often_is_an_error(cuda, books):
    cuda.Context.pop()
    assert cuda.Context.get_current() is None
    for call in (cuda.mem_get_info, cuda.Context.pop, lambda: cuda.mem_alloc(4)):
        with pytest.raises(cuda.LogicError):
            call()
    assert broken(books) == ["context"] * 3
    context = cuda.Device(0).retain_primary_context()
    context.push()
    context.push()
    cuda.Context.pop()
    assert cuda.mem_get_info() and broken(books) == []
    cuda.Context.pop()
    context.detach()
    for call in (context.push, context.detach):
        with pytest.raises(cuda.LogicError):
            call()


def test_detaching_in_another_thread_leaks_the_context(cuda, books):
    context = cuda.Device(0).retain_primary_context()
    in_thread(context.detach)
    assert broken(books) == ["context"]


def test_what_is_freed_where_its_context_is_not_current_leaks(cuda, books):
    context = cuda.Context.get_current()
    buffers = [cuda.mem_alloc(8) for _ in range(3)]
    buffers.pop()  # freed here
    assert broken(books) == []
    free, _ = cuda.mem_get_info()
    in_thread(lambda: buffers.pop().free())
    assert books.report()["leaked"] == {"device memory": 1} and broken(books) == ["order"]
    assert cuda.mem_get_info()[0] == free

    def pushed():
        context.push()
        buffers.pop().free()
        cuda.Context.pop()
    in_thread(pushed)
    assert broken(books) == []


def test_what_is_left_when_the_context_goes_is_reported(cuda, books):
    context = cuda.Context.get_current()
    buffer, stream = cuda.mem_alloc(16), cuda.Stream()
    cuda.Context.pop()
    context.detach()
    assert {"device memory", "stream"} <= set(books.report()["alive"]) and not books.report()["clean"]
    assert set(broken(books)) == {"order"}
    del buffer, stream
    assert set(broken(books)) == {"order"}, "freed after its context"


def test_a_result_is_poison_until_somebody_waits(cuda, books):
    stream, buffer = cuda.Stream(), cuda.mem_alloc(16)
    source, target = cuda.pagelocked_empty(4, np.float32), cuda.pagelocked_zeros(4, np.float32)
    source[:] = [1, 2, 3, 4]
    for wait in (stream.synchronize, lambda: cuda.Event().record(stream).synchronize(), cuda.Context.synchronize):
        target[:] = 0
        cuda.memcpy_htod_async(buffer, source, stream)
        cuda.memcpy_dtoh_async(target, buffer, stream)
        assert np.isnan(target).all()
        wait()
        assert target.tolist() == [1, 2, 3, 4]
    assert broken(books) == []


def test_fresh_memory_is_poison(cuda):
    target = cuda.pagelocked_empty((2, 3), np.float32)
    assert target.shape == (2, 3) and np.isnan(target).all() and cuda.pagelocked_zeros(3, np.uint8).tolist() == [0, 0, 0]
    values = np.zeros(4, np.float32)
    cuda.memcpy_dtoh(values, cuda.mem_alloc(16))
    assert np.isnan(values).all()


def test_memory_that_is_not_page_locked_is_copied_at_once(cuda, books):
    stream, buffer = cuda.Stream(), cuda.mem_alloc(16)
    source, target = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    cuda.memcpy_htod_async(buffer, source, stream)
    source[:] = 9
    cuda.memcpy_dtoh_async(target, buffer, stream)
    assert target.tolist() == [0, 1, 2, 3]
    assert books.report()["counts"]["copies of memory that is not page-locked"] == 2 and broken(books) == []


def test_page_locked_memory_that_is_overwritten_too_early_is_reported(cuda, books):
    stream, buffer = cuda.Stream(), cuda.mem_alloc(16)
    source, target = cuda.pagelocked_zeros(4, np.float32), np.zeros(4, np.float32)
    cuda.memcpy_htod_async(buffer, source, stream)
    source[:] = 9
    stream.synchronize()
    assert broken(books) == ["race"]
    cuda.memcpy_dtoh(target, buffer)
    assert target.tolist() == [9] * 4, "the device read what was there when it came to it"


@pytest.mark.parametrize("size", [4, 12, 16])
def test_a_copy_must_lie_within_what_was_allocated(cuda, books, size):
    buffer, source = cuda.mem_alloc(12), np.zeros(size, np.uint8)
    stream = cuda.Stream()
    if size <= 12:
        cuda.memcpy_htod_async(buffer, source, stream)
        cuda.memcpy_htod_async(int(buffer) + 12 - size, source, stream)
        assert broken(books) == []
    else:
        with pytest.raises(cuda.LogicError, match="cuMemcpyHtoDAsync failed: invalid argument"):
            cuda.memcpy_htod_async(buffer, source, stream)
        assert broken(books) == ["memory"]


def test_freed_memory_is_no_memory(cuda, books):
    buffer, stream, host = cuda.mem_alloc(16), cuda.Stream(), cuda.pagelocked_zeros(4, np.float32)
    address = int(buffer)
    buffer.free()
    with pytest.raises(cuda.LogicError):
        cuda.memcpy_htod_async(address, host, stream)
    with pytest.raises(cuda.LogicError):
        buffer.free()
    assert broken(books) == ["memory", "memory"]
    other = cuda.mem_alloc(16)
    host.base.free()
    cuda.memcpy_htod_async(other, host, stream)
    assert broken(books) == ["memory"]


def test_buffers_and_streams_outlive_the_work_on_them(cuda, books):
    for free in (lambda b, h, s: b.free(), lambda b, h, s: h.base.free()):
        stream, buffer, host = cuda.Stream(), cuda.mem_alloc(16), cuda.pagelocked_zeros(4, np.float32)
        cuda.memcpy_htod_async(buffer, host, stream)
        free(buffer, host, stream)
        assert broken(books) == ["order"]
        stream.synchronize()
    cuda.memcpy_dtoh_async(cuda.pagelocked_empty(4, np.float32), cuda.mem_alloc(16), stream)
    assert "order" in broken(books), "nobody held them"
    cuda.Event().record(stream)
    del stream
    assert broken(books) == ["order"]


def test_mapped_memory_has_an_address_for_the_device_and_other_memory_has_none(cuda, books):
    mapped = cuda.pagelocked_zeros(4, np.float32, mem_flags=cuda.host_alloc_flags.DEVICEMAP)
    address = mapped.base.get_device_pointer()
    assert address not in (0, mapped.__array_interface__["data"][0])
    target = cuda.pagelocked_empty(4, np.float32)
    mapped[:] = [4, 3, 2, 1]
    stream = cuda.Stream()
    cuda.memcpy_dtoh_async(target, address, stream)
    stream.synchronize()
    assert target.tolist() == [4, 3, 2, 1] and broken(books) == []
    with pytest.raises(cuda.LogicError, match="invalid argument"):
        target.base.get_device_pointer()
    assert broken(books) == ["memory"]
    with pytest.raises(cuda.LogicError, match="cuMemHostRegister failed: operation not supported"):
        cuda.register_host_memory(np.zeros(4))


def test_two_streams_on_the_same_bytes_need_an_event_between_them(cuda, books):
    first, second, buffer = cuda.Stream(), cuda.Stream(), cuda.mem_alloc(16)
    source, target = cuda.pagelocked_zeros(4, np.float32), cuda.pagelocked_zeros(4, np.float32)
    source[:] = 7

    def copies(between):
        cuda.memcpy_htod_async(buffer, source, first)
        between()
        cuda.memcpy_dtoh_async(target, buffer, second)
        second.synchronize()
        first.synchronize()
        return broken(books)

    def ordered():
        second.wait_for_event(cuda.Event().record(first))
    assert copies(ordered) == [] and target.tolist() == [7] * 4
    assert copies(first.synchronize) == []
    assert copies(lambda: None) == ["race"]


def test_an_order_that_is_passed_on_counts(cuda, books):
    streams, buffer = [cuda.Stream() for _ in range(3)], cuda.mem_alloc(16)
    source, target = cuda.pagelocked_zeros(4, np.float32), cuda.pagelocked_zeros(4, np.float32)
    cuda.memcpy_htod_async(buffer, source, streams[0])
    for before, after in zip(streams, streams[1:]):
        after.wait_for_event(cuda.Event().record(before))
    cuda.memcpy_dtoh_async(target, buffer, streams[2])
    streams[2].synchronize()
    assert target.tolist() == [0] * 4 and broken(books) == []


class Scaling:
    """A kernel that writes 2.5 times 0, 1, 2, 3."""

    def __init__(self, cuda):
        self.cuda = cuda
        self.source, self.target = cuda.to_device(np.arange(4, dtype=np.float32)), cuda.to_device(np.zeros(4, np.float32))
        self.function = cuda.module_from_buffer(CUBIN).get_function("scale")
        self.function.prepare(PARAMETERS)

    def launch(self, stream, numbers=4, grid=(1, 1), block=(32, 1, 1)):
        self.function.prepared_async_call(grid, block, stream, self.source, self.target, numbers, 2.5)

    def result(self):
        return self.cuda.from_device(self.target, 4, np.float32).tolist()


@pytest.fixture
def kernel(cuda, monkeypatch, tmp_path):
    path = tmp_path / "references.py"
    path.write_text(REFERENCE)
    monkeypatch.setenv("NANOFACE_SIM_KERNELS", str(path))
    return Scaling(cuda)


def test_an_event_knows_whether_it_has_come_and_how_long_it_took(cuda, kernel, monkeypatch):
    monkeypatch.setenv("NANOFACE_SIM_DEVICE_MS", '{"scale": 20}')
    stream, began, done, never = cuda.Stream(), cuda.Event(), cuda.Event(), cuda.Event()
    assert never.query() is True, "nothing was recorded"
    began.record(stream)
    kernel.launch(stream)
    done.record(stream)
    assert done.query() is False and stream.is_done() is False
    with pytest.raises(cuda.RuntimeError, match="not ready"):
        began.time_till(done)
    at = time.perf_counter()
    done.synchronize()
    assert time.perf_counter() - at > 0.01 and done.query() is True and stream.is_done() is True
    assert 19 < began.time_till(done) < 60 * stretch() and done.time_since(began) == began.time_till(done)
    for other in (never, cuda.Event(cuda.event_flags.DISABLE_TIMING).record(stream)):
        stream.synchronize()
        with pytest.raises(cuda.LogicError, match="invalid resource handle"):
            began.time_till(other)


def test_work_whose_time_is_not_modelled_is_running_at_first(cuda, kernel):
    stream, done = cuda.Stream(), cuda.Event()
    kernel.launch(stream)
    done.record(stream)
    assert [done.query(), done.query()] == [False, True] and kernel.result()[1] == 2.5


def test_the_device_does_one_thing_at_a_time_and_waiting_costs_no_processor(cuda, kernel, monkeypatch):
    monkeypatch.setenv("NANOFACE_SIM_DEVICE_MS", '{"scale": 30}')
    streams, other = [cuda.Stream(), cuda.Stream()], Scaling(cuda)
    at, cpu = time.perf_counter(), time.process_time()
    kernel.launch(streams[0])
    other.launch(streams[1])
    queued_s = time.perf_counter() - at
    for stream in streams:
        stream.synchronize()
    assert queued_s < 0.055 * stretch() and time.perf_counter() - at > 0.058 and time.process_time() - cpu < 0.03


def test_a_kernel_computes_what_its_reference_computes(cuda, books, kernel):
    stream = cuda.Stream()
    kernel.launch(stream)
    stream.synchronize()
    assert kernel.result() == [0.0, 2.5, 5.0, 7.5]
    kernel.function(kernel.source, kernel.target, np.int32(4), np.float32(3), block=(32, 1, 1), grid=(1, 1))
    assert kernel.result() == [0.0, 3.0, 6.0, 9.0], "stream 0 is waited for"
    kernel.function.prepared_call((1, 1), (2, 1, 1), kernel.source, kernel.target, 4, 4.0)
    assert kernel.result() == [0.0, 4.0, 6.0, 9.0], "two threads write two numbers"
    assert broken(books) == []


@pytest.mark.parametrize("shape", [{"grid": (0, 1)}, {"block": (1025, 1, 1)}, {"block": (32, 32, 2)}, {"grid": (1, 70000)}])
def test_a_launch_of_a_shape_that_no_device_has_is_refused(cuda, books, kernel, shape):
    with pytest.raises(cuda.LogicError, match="cuLaunchKernel failed: invalid argument"):
        kernel.launch(cuda.Stream(), **shape)
    assert broken(books) == ["kernel"]


def test_a_kernel_is_given_memory_that_was_allocated(cuda, books, kernel):
    kernel.source = 0x1000
    with pytest.raises(cuda.LogicError):
        kernel.launch(cuda.Stream())
    assert broken(books) == ["memory"]


@pytest.mark.parametrize("cubin, kind, words", [
    (CUBIN.replace(b"53", b"72"), "RuntimeError", "no kernel image is available for execution on the device"),
    (b"text", "LogicError", "device kernel image is invalid"),
    (CUBIN.replace(b"scale", b"other"), "LogicError", "named symbol not found"),
])
def test_a_cubin_that_does_not_fit_is_refused(cuda, cubin, kind, words):
    with pytest.raises(getattr(cuda, kind), match=words):
        cuda.module_from_buffer(cubin).get_function("scale")


def test_a_launch_that_fails_shows_where_it_is_waited_for_and_stays(cuda, books, kernel, monkeypatch, capfd):
    monkeypatch.setenv("NANOFACE_SIM_FAULTS", '{"launch_error_from": 2}')
    stream = cuda.Stream()
    kernel.launch(stream)
    stream.synchronize()
    kernel.launch(stream)
    for call in (stream.synchronize, cuda.Event, lambda: cuda.mem_alloc(4), cuda.Context.synchronize, stream.synchronize):
        with pytest.raises(cuda.LaunchError, match="unspecified launch failure"):
            call()
    kernel.target.free()
    assert "a clean-up operation failed" in capfd.readouterr().err and broken(books) == []


def test_memory_ends_where_the_environment_says(cuda, books, monkeypatch):
    held = [cuda.mem_alloc(1000), cuda.pagelocked_empty(250, np.float32)]
    monkeypatch.setenv("NANOFACE_SIM_FAULTS", '{"memory_bytes": 3000}')
    for call in (lambda: cuda.mem_alloc(1001), lambda: cuda.pagelocked_empty(1001, np.uint8)):
        with pytest.raises(cuda.MemoryError, match="failed: out of memory"):
            call()
    held.append(cuda.mem_alloc(1000))
    held.clear()
    assert int(cuda.mem_alloc(3000)) > 0 and broken(books) == []


def test_a_second_context_is_reported(cuda, books):
    context = cuda.Device(0).make_context()
    cuda.Context.pop()
    context.detach()
    assert broken(books) == ["context"]
