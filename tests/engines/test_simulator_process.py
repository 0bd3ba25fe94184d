"""The simulator in processes of their own: the lock that is held, reports, faults, and what ends a process."""
import json
import os
import signal
import threading
import time

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the simulator of TensorRT reads networks with onnx")
pytest.importorskip("onnxruntime", reason="the simulator of TensorRT computes with ONNX Runtime")
from fakes import simulated as nets
from patience import stretch

NO_WAIT = '{"first": 0, "runtime": 0, "builder": 0, "context": 0, "serialize": 0, "supports_model": 0}'
BENCH = """
import numpy as np, tensorrt as trt, pycuda.driver as cuda, fakes.simulated as nets
cuda.init()
context = cuda.Device(0).retain_primary_context()
context.push()
bench = nets.Bench(trt, cuda, nets.BuildContext(trt).plan(nets.plain()))
"""
LEAVE = """
bench.close()
del bench
cuda.Context.pop()
context.detach()
"""


def report(folder, code, **environment):
    """(exit code, report) of a process; None where it wrote none."""
    path = os.path.join(str(folder), "report.json")
    status, _, err = nets.run_python(code, NANOFACE_SIM_REPORT=path, **environment)
    if not os.path.exists(path):
        return status, None
    with open(path) as f:
        return status, json.load(f)


def test_a_process_that_keeps_the_rules_is_clean(tmp_path):
    status, found = report(tmp_path, BENCH + "for _ in range(5): bench.run(nets.picture())" + LEAVE)
    assert status == 0 and found["clean"], found
    assert found["counts"]["executions"] == 5 and found["alive"] == {} and found["not_popped"] == 0


@pytest.mark.parametrize("code, kind", [
    ("bench.engine = None; bench.start(nets.picture())" + LEAVE, ""),
    ("bench.context = None" + LEAVE, ""),
    ("bench.start(nets.picture()); bench.context = None" + LEAVE, "order"),
    ("context.pop(); bench.context = None; context.push()" + LEAVE, "order"),
    ("bench.buffers.pop().free()" + LEAVE, ""),
    ("bench.start(nets.picture()); bench.buffers.pop().free()" + LEAVE, "order"),
    ("keep = bench.engine" + LEAVE, "order"),
    ("keep = bench.buffers[0]; bench.buffers.pop(0)" + LEAVE, "order"),
    ("assert not bench.context.execute_async_v2(bench.bindings, 77)" + LEAVE, "stream"),
    ("assert not bench.context.execute_async_v2(bench.bindings[:1], bench.stream.handle)" + LEAVE, "memory"),
    ("assert not bench.context.execute_async_v2([1, 2], bench.stream.handle)" + LEAVE, "memory"),
    ("assert not bench.context.execute_async_v2([bench.bindings[0] + 4, bench.bindings[1]], bench.stream.handle)" + LEAVE,
     "memory"),
    ("cuda.Context.pop(); assert not bench.context.execute_async_v2(bench.bindings, bench.stream.handle); "
     "context.push()" + LEAVE, "context"),
    ("bench.start(nets.picture()); other = cuda.Stream(); bench.context.execute_async_v2(bench.bindings, other.handle); "
     "other.synchronize(); del other" + LEAVE, "stream"),
    ("assert bench.context.execute_v2(bench.bindings)" + LEAVE, ""),
    ("cuda.Context.pop(); bench.engine.create_execution_context(); context.push()" + LEAVE, "context"),
    ("cuda.Context.pop(); trt.Runtime(bench.log.logger).deserialize_cuda_engine(b''); context.push()" + LEAVE, "context"),
])
def test_each_broken_rule_is_in_the_report(monkeypatch, code, kind):
    monkeypatch.setenv("NANOFACE_SIM_HELD_MS", NO_WAIT)
    with nets.simulated() as (_, _, books):
        exec(compile(BENCH + code, "bench", "exec"), {})
        found = books.report()
    assert kind in [violation["kind"] for violation in found["violations"]] if kind else found["clean"], found


def test_a_context_that_is_not_popped_ends_the_process(tmp_path):
    status, found = report(tmp_path, BENCH + "bench.close()")
    assert status == -signal.SIGABRT and found["not_popped"] == 1 and not found["clean"]
    _, _, err = nets.run_python(BENCH + "bench.close()")
    assert "PyCUDA ERROR: The context stack was not empty upon module cleanup." in err


def test_a_thread_that_ends_with_a_context_ends_the_process(tmp_path):
    code = BENCH + "import threading, time\nt = threading.Thread(target=context.push); t.start(); t.join(); time.sleep(0.1)"
    status, found = report(tmp_path, code + LEAVE)
    assert status == -signal.SIGABRT and "context" in [v["kind"] for v in found["violations"]]


RAISING = """
import tensorrt as trt, fakes.simulated as nets
class Log(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
    def log(self, severity, msg):
        if severity == trt.Logger.{}:
            raise ValueError("in log()")
trt.Runtime(Log()).deserialize_cuda_engine(b"no plan")
"""


@pytest.mark.parametrize("severity, status", [("ERROR", -signal.SIGABRT), ("VERBOSE", 0)])
def test_a_logger_that_raises_ends_the_process(severity, status):
    code, _, err = nets.run_python(RAISING.format(severity))
    assert code == status and ("ValueError: in log()" in err) is (status != 0)


def test_a_profiler_that_raises_ends_the_process_and_one_that_does_not_hears_every_layer():
    profiler = """
class Profiler(trt.IProfiler):
    def __init__(self):
        trt.IProfiler.__init__(self)
        self.reported = []
    def report_layer_time(self, layer_name, ms):
        self.reported.append(layer_name)
        {}
bench.context.profiler = profiler = Profiler()
bench.run(nets.picture())
assert profiler.reported == ["c.node", "r.node", "y.node"], profiler.reported
"""
    assert nets.run_python(BENCH + profiler.format("") + LEAVE)[0] == 0
    assert nets.run_python(BENCH + profiler.format("raise ValueError()") + LEAVE)[0] == -signal.SIGABRT


BUILD = "import tensorrt as trt, fakes.simulated as nets; assert nets.BuildContext(trt).plan(nets.plain()) is not None\n"
FAULTS = [  # what is asked for, a statement that must hold, the exit code
    ({"tensorrt_missing": True}, "import pycuda.driver; import tensorrt", "ImportError: libnvinfer.so.8"),
    ({"pycuda_missing": True}, "import tensorrt; import pycuda.driver", "ImportError: libcuda.so.1"),
    ({"no_device": True}, "import pycuda.driver as cuda; cuda.init()", "RuntimeError: cuInit failed: no CUDA-capable device"),
    ({"no_device": True}, "import tensorrt as trt; trt.Builder(trt.Logger())", "TypeError: pybind11::init(): factory"),
    ({"no_device": True}, "import tensorrt as trt; trt.Runtime(trt.Logger())", "TypeError: pybind11::init(): factory"),
    ({"primary_context": True}, "import pycuda.driver as cuda; cuda.init(); cuda.Device(0).retain_primary_context()",
     "MemoryError: cuDevicePrimaryCtxRetain failed: out of memory"),
    ({"parse": True}, BUILD, "AssertionError"), ({"parse": ["another"]}, BUILD, ""),
]


@pytest.mark.parametrize("faults, code, words", FAULTS)
def test_a_fault_that_was_asked_for_happens(faults, code, words):
    status, _, err = nets.run_python(code, NANOFACE_SIM_FAULTS=json.dumps(faults))
    assert (status != 0) is bool(words) and words in err


@pytest.mark.parametrize("faults, expected", [
    ({}, "plan engine context True True True"), ({"build_none": ["tiny"]}, "none "), ({"build_none": ["another"]}, None),
    ({"deserialize_none": True}, "plan none "), ({"context_none": True}, "plan engine none "),
    ({"memory_bytes": 500}, "plan engine none "), ({"memory_bytes": 50}, "plan none "),
    ({"execute_false_from": 2}, "plan engine context True False False "),
    ({"execute_false_from": {"tiny": 3}}, "plan engine context True True False "),
])
def test_what_may_be_none_or_false_is_so_when_asked(monkeypatch, faults, expected):
    monkeypatch.setenv("NANOFACE_SIM_HELD_MS", NO_WAIT)
    monkeypatch.setenv("NANOFACE_SIM_FAULTS", json.dumps(faults))
    with nets.simulated() as (trt, cuda, books):
        cuda.init()
        context = cuda.Device(0).retain_primary_context()
        context.push()
        found, errors = steps(trt, cuda)
        cuda.Context.pop()
        context.detach()
        assert books.report()["clean"]
    assert found == (expected or "plan engine context True True True").split()
    assert bool(errors) is bool({"none", "False"} & set(found)), "what fails is told to the log"


def steps(trt, cuda):
    """What a network came to, up to three runs of it as far as it goes; and the errors in the log."""
    build = nets.BuildContext(trt)
    plan = build.plan(nets.plain())
    if plan is None:
        return ["none"], build.log.of("ERROR")
    engine = trt.Runtime(build.log.logger).deserialize_cuda_engine(plan)
    if engine is None:
        return ["plan", "none"], build.log.of("ERROR")
    context = engine.create_execution_context()
    if context is None:
        return ["plan", "engine", "none"], build.log.of("ERROR")
    bindings = [cuda.mem_alloc(4096), cuda.mem_alloc(4096)]
    runs = [str(context.execute_v2([int(b) for b in bindings])) for _ in range(3)]
    return ["plan", "engine", "context"] + runs, build.log.of("ERROR")


def test_a_builder_that_is_killed_is_gone_in_the_middle(tmp_path):
    code = BUILD + "print('built')"
    for names, status in ((["tiny"], -signal.SIGKILL), (["other"], 0)):
        found = nets.run_python(code, NANOFACE_SIM_FAULTS=json.dumps({"build_kill": names}))
        assert found[0] == status and ("built" in found[1]) is (status == 0)


def test_an_engine_is_named_after_its_file_in_the_store(tmp_path):
    (tmp_path / "stored.onnx").write_bytes(nets.plain("torch-jit-export"))
    code = BUILD.replace("plain()", "plain('torch-jit-export')")
    for name, status in (("stored", 1), ("torch-jit-export", 1), ("another", 0)):
        faults = json.dumps({"build_none": [name]})
        assert nets.run_python(code, NANOFACE_SIM_FAULTS=faults, NANOFACE_SIM_ONNX=str(tmp_path))[0] == status


def test_a_report_is_written_for_each_process_into_a_folder(tmp_path):
    for _ in range(2):
        assert nets.run_python(BENCH + LEAVE, NANOFACE_SIM_REPORT=str(tmp_path))[0] == 0
    assert len(list(tmp_path.glob("*.json"))) == 2


class Heartbeat(threading.Thread):
    """Notes how long it was kept from running."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest_s, self.stopped = 0.0, False

    def run(self):
        last = time.perf_counter()
        while not self.stopped:
            time.sleep(0.002)
            at = time.perf_counter()
            self.longest_s, last = max(self.longest_s, at - last), at


TRIES = 10
HELD = ("runtime", "builder", "context", "serialize", "supports_model")


def stands_still(trt, cuda, held):
    """Whether another thread does in each call: the five that hold the lock where `held`, and three that never do."""
    build = nets.BuildContext(trt)
    assert build.parser.parse(nets.plain())
    plan = build.builder.build_serialized_network(build.network, build.config)
    runtime = trt.Runtime(build.log.logger)
    engine = runtime.deserialize_cuda_engine(plan)
    execution = engine.create_execution_context()
    buffers = [cuda.mem_alloc(4096), cuda.mem_alloc(4096)]
    calls = (
        lambda: trt.Runtime(build.log.logger), lambda: trt.Builder(build.log.logger), engine.create_execution_context,
        engine.serialize, lambda: build.parser.supports_model(nets.plain()),
        lambda: build.builder.build_serialized_network(build.network, build.config),
        lambda: runtime.deserialize_cuda_engine(plan), lambda: execution.execute_v2([int(b) for b in buffers]))
    return [always_stood_still(call, 2 if held and number < len(HELD) else TRIES) for number, call in enumerate(calls)]


def always_stood_still(call, tries):
    """Whether a thread got no turn for 0.1 s each time. On a busy machine it may get none now and then for other reasons."""
    for _ in range(tries):
        heart = Heartbeat()
        heart.start()
        time.sleep(0.01)
        call()
        heart.stopped = True
        heart.join()
        if heart.longest_s < 0.1:
            return False
    return True


@pytest.mark.parametrize("held", [True, False])
def test_the_lock_is_held_where_tensorrt_holds_it_and_nowhere_else(monkeypatch, held):
    monkeypatch.setenv("NANOFACE_SIM_HELD_MS", json.dumps(dict.fromkeys(("first",) + HELD, 120 if held else 0)))
    monkeypatch.setenv("NANOFACE_SIM_BUILD_S", "0.12")
    monkeypatch.setenv("NANOFACE_SIM_LOAD_S", "0.12")
    monkeypatch.setenv("NANOFACE_SIM_DEVICE_MS", '{"*": 120}')
    with nets.simulated() as (trt, cuda, books):
        cuda.init()
        context = cuda.Device(0).retain_primary_context()
        context.push()
        found = stands_still(trt, cuda, held)
        cuda.Context.pop()
        context.detach()
        assert books.report()["clean"]
    assert found == [held] * 5 + [False] * 3


def test_answers_cost_nothing_and_the_modelled_time_passes(tmp_path, monkeypatch):
    stored = np.full((1, 2, 6, 8), 0.25, np.float32)
    np.savez(str(tmp_path / "tiny.npz"), y=stored)
    monkeypatch.setenv("NANOFACE_SIM_HELD_MS", '{"first": 0, "runtime": 0, "builder": 0, "context": 0}')
    with nets.simulated() as (trt, cuda, books):
        cuda.init()
        context = cuda.Device(0).retain_primary_context()
        context.push()
        plan = nets.BuildContext(trt).plan(nets.plain())
        monkeypatch.setenv("NANOFACE_SIM_ANSWERS", str(tmp_path))
        bench = nets.Bench(trt, cuda, plan)
        assert np.array_equal(bench.run(nets.picture()), stored)
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(200):
            bench.run(0.0)
        assert time.process_time() - cpu < 200 * 0.0005
        monkeypatch.setenv("NANOFACE_SIM_DEVICE_MS", '{"tiny": 10}')
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(5):
            bench.run(0.0)
        assert 0.05 < time.perf_counter() - began < 0.5 * stretch() and time.process_time() - cpu < 0.03
        bench.close()
        monkeypatch.setenv("NANOFACE_SIM_ANSWERS", str(tmp_path / "none"))
        with pytest.raises(FileNotFoundError, match="no stored answers for tiny"):
            nets.Bench(trt, cuda, plan)
        cuda.Context.pop()
        context.detach()


MAPPED = """
flags = cuda.host_alloc_flags.DEVICEMAP
hosts = [cuda.pagelocked_zeros(bench.engine.get_binding_shape(i), np.float32, mem_flags=flags) for i in range(2)]
hosts[0][...] = nets.picture()
assert bench.context.execute_async_v2([host.base.get_device_pointer() for host in hosts], bench.stream.handle)
assert np.isnan(hosts[1]).all()
{}
bench.stream.synchronize()
assert np.array_equal(hosts[1], bench.run(hosts[0]))
"""


@pytest.mark.parametrize("early, kinds", [("", []), ("hosts[0][...] = 1", ["race"])])
def test_mapped_bindings_are_read_and_written_where_they_lie(monkeypatch, early, kinds):
    monkeypatch.setenv("NANOFACE_SIM_HELD_MS", NO_WAIT)
    with nets.simulated() as (_, _, books):
        exec(compile(BENCH + MAPPED.format(early) + "del hosts" + LEAVE, "mapped", "exec"), {})
        assert [violation["kind"] for violation in books.report()["violations"]] == kinds


def test_enqueuing_may_cost_processor_time_without_the_lock(monkeypatch):
    monkeypatch.setenv("NANOFACE_SIM_HELD_MS", NO_WAIT)
    with nets.simulated() as (trt, cuda, books):
        cuda.init()
        context = cuda.Device(0).retain_primary_context()
        context.push()
        bench = nets.Bench(trt, cuda, nets.BuildContext(trt).plan(nets.plain()))
        bench.run(0.0)
        monkeypatch.setenv("NANOFACE_SIM_ENQUEUE_MS", '{"tiny": 1}')
        bench.run(0.0)  # finds out how fast this machine is
        monkeypatch.setenv("NANOFACE_SIM_ENQUEUE_MS", '{"tiny": 120}')
        cpu = time.process_time()
        assert not always_stood_still(lambda: bench.run(0.0), TRIES)
        assert time.process_time() - cpu > 0.06
        bench.close()
        cuda.Context.pop()
        context.detach()
        assert books.report()["clean"]
