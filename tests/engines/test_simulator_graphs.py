"""The simulator's CUDA graphs: what a capture forbids fails as CUDA documents it, and a launch needs all that was captured."""
import ctypes
import threading

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the simulator of TensorRT computes with ONNX Runtime")
pytest.importorskip("onnx", reason="the simulator of TensorRT reads networks with onnx")
from fakes import simulated as nets

GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2  # of cuda.h
OK, INVALID_VALUE, ILLEGAL_STATE = 0, 1, 401
UNSUPPORTED, INVALIDATED, WRONG_THREAD, UPDATE_FAILURE = 900, 901, 908, 910
modules, books = nets.modules, nets.books  # fixtures


@pytest.fixture
def cuda(modules):
    driver = modules[1]
    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    yield driver
    driver.Context.pop()
    context.detach()


@pytest.fixture
def bench(modules, cuda):
    bench = nets.Bench(modules[0], cuda, nets.BuildContext(modules[0]).plan(nets.plain()))
    yield bench
    bench.close()


class Graphs:
    """The calls of the driver, on one stream; what they made is destroyed at the end."""

    def __init__(self, stream):
        self.library, self.stream = ctypes.CDLL("libcuda.so.1"), stream.handle
        self.made = []

    def begin(self, mode=THREAD_LOCAL):
        return self.library.cuStreamBeginCapture_v2(self.stream, mode)

    def end(self):
        """(code, graph)."""
        graph = ctypes.c_void_p()
        code = self.library.cuStreamEndCapture(self.stream, ctypes.byref(graph))
        self.made += [("cuGraphDestroy", graph.value)] if graph.value else []
        return code, graph.value

    def executable(self, graph):
        made = ctypes.c_void_p()
        assert self.library.cuGraphInstantiate(ctypes.byref(made), graph, None, None, 0) == OK
        self.made.append(("cuGraphExecDestroy", made.value))
        return made.value

    def of(self, work):
        assert self.begin() == OK
        work()
        code, graph = self.end()
        assert code == OK
        return self.executable(graph)

    def launch(self, executable):
        return self.library.cuGraphLaunch(executable, self.stream)

    def close(self):
        for name, handle in self.made:
            getattr(self.library, name)(handle)


@pytest.fixture
def graphs(bench):
    graphs = Graphs(bench.stream)
    yield graphs
    bench.stream.synchronize()
    graphs.close()


def work_of(bench):
    """The copies and the network, as Bench.start() queues them."""
    def work():
        bench.cuda.memcpy_htod_async(bench.buffers[0], bench.hosts[0], bench.stream)
        assert bench.context.execute_async_v2(bench.bindings, bench.stream.handle)
        bench.cuda.memcpy_dtoh_async(bench.hosts[1], bench.buffers[1], bench.stream)
    return work


def broken(books):
    kinds = [violation["kind"] for violation in books.report()["violations"]]
    books.reset()
    return kinds


def test_the_library_is_the_simulators_for_cuda_alone(cuda):
    assert hasattr(ctypes.CDLL("libcuda.so.1"), "cuGraphLaunch") and not hasattr(ctypes.CDLL("libcuda.so.1"), "cuMemAlloc_v2")
    assert isinstance(ctypes.CDLL(None).getpid(), int)


def test_a_captured_run_does_nothing_until_it_is_launched_and_then_reads_what_lies_there(bench, graphs, books):
    first, second = nets.picture(1), nets.picture(2)
    wanted = [bench.run(first), bench.run(second)]
    bench.hosts[1].fill(7.0)
    executable = graphs.of(work_of(bench))
    bench.stream.synchronize()
    assert (bench.hosts[1] == 7.0).all(), "nothing has run"
    for x, expected in ((first, wanted[0]), (second, wanted[1])):
        np.copyto(bench.hosts[0], x)
        assert graphs.launch(executable) == OK
        assert np.isnan(bench.hosts[1]).all(), "it is on its way"
        bench.stream.synchronize()
        assert np.array_equal(bench.hosts[1], expected)
    counts = books.report()["counts"]
    assert (counts["graph launches"], counts["executions"], counts["copies"], broken(books)) == (2, 4, 8, [])


def test_the_host_may_not_write_what_a_launched_graph_has_yet_to_read(bench, graphs, books):
    bench.run(nets.picture(1))
    executable = graphs.of(work_of(bench))
    graphs.launch(executable)
    np.copyto(bench.hosts[0], nets.picture(2))
    bench.stream.synchronize()
    assert broken(books) == ["race"]


def forbidden(cuda, bench):
    """Name -> (call that a capture of bench.stream forbids to its thread, part of its error)."""
    pageable, event, other = np.zeros(bench.hosts[0].shape, np.float32), cuda.Event(), cuda.Stream()
    elsewhere = cuda.Event().record(other)
    other.synchronize()
    permitted = "operation not permitted when stream is capturing"
    return {
        "synchronize": (bench.stream.synchronize, permitted),
        "query": (bench.stream.is_done, permitted),
        "synchronize all": (cuda.Context.synchronize, permitted),
        "allocate": (lambda: cuda.mem_alloc(4), permitted),
        "allocate page-locked": (lambda: cuda.pagelocked_empty(4, np.uint8), permitted),
        "event": (event.synchronize, permitted),
        "captured event": (event.record(bench.stream).query, "operation not permitted"),
        "pageable copy": (lambda: cuda.memcpy_htod_async(bench.buffers[0], pageable, bench.stream), permitted),
        "blocking copy": (lambda: cuda.memcpy_htod(bench.buffers[0], pageable), "legacy stream"),
        "default stream": (lambda: cuda.memcpy_htod_async(bench.buffers[0], bench.hosts[0]), "legacy stream"),
        "wait for another stream": (lambda: bench.stream.wait_for_event(elsewhere), "uncaptured work"),
    }


@pytest.mark.parametrize("name", ["synchronize", "query", "synchronize all", "allocate", "allocate page-locked", "event",
                                  "captured event", "pageable copy", "blocking copy", "default stream",
                                  "wait for another stream"])
def test_what_a_capture_forbids_fails_spoils_it_and_leaves_the_stream_usable(cuda, bench, graphs, books, name):
    wanted = bench.run(nets.picture())
    calls = forbidden(cuda, bench) if name != "captured event" else None
    assert graphs.begin() == OK
    call, text = (calls or forbidden(cuda, bench))[name]
    with pytest.raises(cuda.LogicError, match=text):
        call()
    with pytest.raises(cuda.LogicError, match="previous error during capture"):
        cuda.memcpy_dtoh_async(bench.hosts[1], bench.buffers[1], bench.stream)
    assert graphs.end() == (INVALIDATED, None) and broken(books) == ["capture"]
    assert np.array_equal(bench.run(nets.picture()), wanted)


@pytest.mark.parametrize("mode, allowed", [(GLOBAL, False), (THREAD_LOCAL, True), (RELAXED, True)])
def test_only_the_global_mode_forbids_other_threads_to_allocate(cuda, bench, graphs, books, mode, allowed):
    context, errors = cuda.Context.get_current(), []

    def allocate():
        context.push()
        try:
            cuda.mem_alloc(4).free()
        except cuda.LogicError as e:
            errors.append(str(e))
        finally:
            cuda.Context.pop()
    bench.run(nets.picture())
    assert graphs.begin(mode) == OK
    thread = threading.Thread(target=allocate)
    thread.start()
    thread.join()
    assert graphs.end()[0] == (OK if allowed else INVALIDATED)
    assert (errors == []) == allowed and broken(books) == ([] if allowed else ["capture"])


def test_a_context_that_never_ran_and_a_plan_that_is_loaded_meanwhile_spoil_a_capture(bench, graphs, books):
    assert graphs.begin() == OK
    assert not bench.context.execute_async_v2(bench.bindings, bench.stream.handle)
    assert graphs.end()[0] == INVALIDATED and broken(books) == ["capture"]
    bench.run(nets.picture())
    assert graphs.begin() == OK
    bench.engine.create_execution_context()
    assert graphs.end()[0] == INVALIDATED and broken(books) == ["capture"]


def test_captures_begin_and_end_once_in_one_thread(bench, graphs, books):
    assert graphs.end()[0] == ILLEGAL_STATE
    assert graphs.begin() == OK and graphs.begin() == ILLEGAL_STATE
    codes = []
    thread = threading.Thread(target=lambda: codes.append(graphs.end()[0]))
    thread.start()
    thread.join()
    assert codes == [WRONG_THREAD] and graphs.end()[0] == OK
    assert graphs.library.cuStreamBeginCapture_v2(0, THREAD_LOCAL) == UNSUPPORTED
    assert broken(books) == ["capture"] * 4


def test_a_capture_that_is_not_ended_and_a_graph_that_is_not_destroyed_are_in_the_report(bench, graphs, books):
    assert graphs.begin() == OK
    assert books.report()["alive"]["capture that was not ended"]["number"] == 1 and not books.report()["clean"]
    _, graph = graphs.end()
    assert books.report()["alive"]["graph"]["number"] == 1
    graphs.executable(graph)
    assert books.report()["alive"]["executable graph"]["number"] == 1
    assert "capture that was not ended" not in books.report()["alive"]


def test_what_was_destroyed_is_not_launched(bench, graphs, books):
    bench.run(nets.picture())
    executable = graphs.of(work_of(bench))
    (_, graph), _ = graphs.made
    assert graphs.library.cuGraphDestroy(graph) == OK and graphs.launch(executable) == OK, "the executable has its own copy"
    assert graphs.library.cuGraphExecDestroy(executable) == OK and broken(books) == ["order"], "work is in flight"
    bench.stream.synchronize()
    assert graphs.launch(executable) == INVALID_VALUE and graphs.library.cuGraphDestroy(graph) == INVALID_VALUE
    assert broken(books) == ["capture"] * 2
    graphs.made.clear()


@pytest.mark.parametrize("gone", ["context", "memory"])
def test_a_graph_outlives_nothing_that_it_uses(bench, graphs, books, gone):
    bench.run(nets.picture())
    executable = graphs.of(work_of(bench))
    if gone == "context":
        bench.context = None
    else:
        bench.buffers.pop().free()
    assert graphs.launch(executable) == INVALID_VALUE and broken(books) == ["capture"]


def test_an_executable_is_updated_by_a_graph_of_the_same_shape_only(cuda, bench, graphs, books):
    bench.run(nets.picture())
    executable, result = graphs.of(work_of(bench)), ctypes.c_int(-1)
    other = cuda.pagelocked_empty(bench.hosts[1].shape, np.float32)
    graphs.begin()
    bench.cuda.memcpy_htod_async(bench.buffers[0], bench.hosts[0], bench.stream)
    assert bench.context.execute_async_v2(bench.bindings, bench.stream.handle)
    bench.cuda.memcpy_dtoh_async(other, bench.buffers[1], bench.stream)
    _, graph = graphs.end()
    assert graphs.library.cuGraphExecUpdate(executable, graph, None, ctypes.byref(result)) == OK and result.value == 0
    assert graphs.launch(executable) == OK
    bench.stream.synchronize()
    assert np.array_equal(other, bench.hosts[1])
    graphs.begin()
    bench.cuda.memcpy_htod_async(bench.buffers[0], bench.hosts[0], bench.stream)
    _, graph = graphs.end()
    code = graphs.library.cuGraphExecUpdate(executable, graph, None, ctypes.byref(result))
    assert (code, result.value) == (UPDATE_FAILURE, 2) and broken(books) == []
