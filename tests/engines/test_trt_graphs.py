"""The runner's CUDA graph on the simulator: one launch a frame, the same outputs; plain calls where no graph can be made."""
import json
import threading

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the simulator of TensorRT computes with ONNX Runtime")
pytest.importorskip("onnx", reason="the simulator of TensorRT reads networks with onnx")
from fakes import plans as runner_home
from patience import PATIENCE_S

from edge.core.errors import FrameError
from edge.runtimes.gpu import graph as graphs
from edge.runtimes.gpu import plan as plan_module
from edge.runtimes.gpu.runner import TensorRtRunner
from engines.build import child

simulator, books, tiny = runner_home.simulator, runner_home.books, runner_home.tiny  # fixtures
frame, crops = runner_home.frame, runner_home.crops
NOTE = "kernels launched one by one, no CUDA graph: "


@pytest.fixture(params=["pinned", "mapped", "pinned and kernel", "mapped and kernel"])
def ways(request, tmp_path):
    if "kernel" in request.param:
        runner_home.write_cubin(str(tmp_path))
    return {"memory": request.param.split()[0], "crops": "auto" if "kernel" in request.param else "cpu"}


@pytest.fixture
def opened():
    """Opens runners, and closes them at the end."""
    runners = []

    def make(network, **options):
        runners.append(TensorRtRunner(network, **options))
        runners[-1].open()
        return runners[-1]
    yield make
    for runner in runners:
        runner.close()


def outputs(runner, seed):
    """Of a frame whose pixels, size, place on the device and crops all differ from those before."""
    found = runner.submit(frame(seed, (40 + seed, 60)), crops(seed)).result()
    return {name: values.copy() for name, values in found.items()}


def assert_same(found, wanted):
    assert set(found) == set(wanted)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def counted(books, call):
    """What `call` added to the simulator's counts."""
    before = dict(books.ledger.counts)
    call()
    after = books.ledger.counts
    return {what: after[what] - before.get(what, 0) for what in after if after[what] != before.get(what, 0)}


def test_a_frame_is_one_launch_and_its_outputs_are_those_of_plain_calls_to_the_bit(books, tiny, ways, opened):
    plain, runner = opened(tiny, graphs="off", **ways), opened(tiny, **ways)
    assert (plain.note, runner.note) == ("", "") and plain._session.graph is None and runner._session.graph is not None
    for seed in range(6):
        assert_same(outputs(runner, seed), outputs(plain, seed))
    assert "graph launches" not in counted(books, lambda: outputs(plain, 1))
    assert counted(books, lambda: outputs(runner, 1))["graph launches"] == 1
    assert len(runner.take_device_ms()) == len(plain.take_device_ms()) == 7


def test_a_graph_that_is_left_alone_is_not_launched_until_it_is_used_again(books, tiny, ways, opened):
    runner = opened(tiny, **ways)
    wanted = outputs(runner, 3)
    assert runner.use_graph(False) is True
    assert "graph launches" not in counted(books, lambda: assert_same(outputs(runner, 3), wanted))
    assert runner.use_graph(True) is True
    assert counted(books, lambda: assert_same(outputs(runner, 3), wanted))["graph launches"] == 1
    assert opened(tiny, graphs="off", **ways).use_graph(True) is False


def test_infer_beside_a_graph_of_crops_gives_what_it_gives_without(tiny, ways, opened):
    batch = np.random.RandomState(3).uniform(-2, 2, (2, 3, 12, 16)).astype(np.float32)
    found = opened(tiny, **ways).infer({"input": batch})
    assert_same(found, opened(tiny, graphs="off", **ways).infer({"input": batch}))


def test_a_plan_whose_graph_was_measured_to_be_slower_is_launched_call_by_call(tiny, tmp_path, opened):
    for graph, used in ((False, False), (None, True), (True, True)):
        runner_home.reseal(str(tmp_path), tiny, graphs=graph)
        runner = opened(tiny)
        assert (runner._session.graph is not None) == used and "CUDA graph" not in runner.note


def damage(patch, what):
    """Make the recording, or what comes of it, fail in one of the ways in which it may."""
    from pycuda import driver

    original = plan_module.LoadedPlan.enqueue

    def enqueue(self, addresses, stream):
        from nanoface_simulator.streams import lines
        if lines[stream].capture is not None and what == "allocates":
            driver.mem_alloc(4)
        if lines[stream].capture is not None and what == "leaves out":
            return
        original(self, addresses, stream)
    patch.setattr(plan_module.LoadedPlan, "enqueue", enqueue)


FAILURES = {
    "refused": ({"capture": True}, "cuStreamBeginCapture_v2: CUDA_ERROR_NOT_SUPPORTED"),
    "not instantiated": ({"instantiate": True}, "cuGraphInstantiate: CUDA_ERROR_NOT_SUPPORTED"),
    "allocates": ({}, "cuMemAlloc failed: operation not permitted when stream is capturing"),
    "leaves out": ({}, "it gives other outputs"),
}


@pytest.mark.parametrize("what", sorted(FAILURES))
def test_where_no_graph_can_be_made_the_calls_are_plain_and_the_note_says_why(
        books, tiny, ways, opened, monkeypatch, what):
    faults, text = FAILURES[what]
    monkeypatch.setenv("NANOFACE_SIM_FAULTS", json.dumps(faults))
    wanted = outputs(opened(tiny, graphs="off", **ways), 2)
    with pytest.MonkeyPatch.context() as patch:
        damage(patch, what)
        runner = opened(tiny, **ways)
    assert runner.note == NOTE + text and runner._session.graph is None
    assert_same(outputs(runner, 2), wanted)
    assert [v["kind"] for v in books.report()["violations"]] == ["capture"] * (what == "allocates")
    books.ledger.clear()


def test_a_launch_that_is_refused_later_costs_no_frame_and_is_noted(tiny, ways, opened, monkeypatch):
    runner = opened(tiny, **ways)
    wanted = outputs(runner, 2)
    monkeypatch.setattr(graphs.Graph, "launch", lambda self: self._check("cuGraphLaunch", 999))
    assert_same(outputs(runner, 2), wanted)
    assert runner.note == NOTE + "cuGraphLaunch: CUDA_ERROR_UNKNOWN" and runner._session.graph is None
    assert_same(outputs(runner, 2), wanted)


@pytest.mark.parametrize("missing", ["the library", "a function"])
def test_a_driver_without_graphs_is_nothing_to_speak_of(tiny, ways, opened, monkeypatch, missing):
    monkeypatch.setattr(graphs, "LIBRARY", "libnowhere.so.1" if missing == "the library" else None)
    runner = opened(tiny, **ways)
    assert runner.note == "" and runner._session.graph is None and np.isfinite(outputs(runner, 1)["mean"]).all()


def test_a_picture_that_cannot_be_cropped_costs_one_frame_only(tiny, tmp_path, opened):
    runner_home.write_cubin(str(tmp_path))
    runner = opened(tiny)
    wanted = outputs(runner, 2)
    with pytest.raises(FrameError):
        runner.submit(np.broadcast_to(np.uint8(0), (1, (1 << 20) + 1, 3)), crops())
    assert_same(outputs(runner, 2), wanted)


def test_threads_that_open_while_others_record_break_nothing(books, tiny, tmp_path):
    runner_home.write_cubin(str(tmp_path))
    wrong, gate = [], threading.Barrier(3, timeout=PATIENCE_S)

    def work():
        for _ in range(4):
            gate.wait()
            runner = TensorRtRunner(tiny)
            runner.open()
            if runner.note or runner._session.graph is None or not np.isfinite(outputs(runner, 1)["mean"]).all():
                wrong.append(runner.note)
            runner.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not wrong and not any(thread.is_alive() for thread in threads)
    assert books.ledger.counts["captures"] == 12


def test_the_build_times_both_ways_in_turns(tiny, opened, books):
    runner, found = opened(tiny, crops="cpu"), {}
    counts = counted(books, lambda: found.update(child.times_of_ways(runner, 8)))
    assert counts["graph launches"] == 8 + child.WARM_UPS and counts["executions"] == 2 * counts["graph launches"]
    assert found["graphs"] in (True, False) and all(
        found[way][clock]["p50"] > 0.0 for way in ("measured", "measured_otherwise") for clock in ("device_ms", "host_ms"))
    alone = child.times_of_ways(opened(tiny, crops="cpu", graphs="off"), 4)
    assert set(alone) == {"measured", "graphs"} and alone["graphs"] is None and alone["measured"]["device_ms"]["p95"] > 0.0


@pytest.mark.parametrize("graph_ms, taken", [(2.0, True), (3.1, True), (4.0, False)])
def test_a_graph_is_taken_unless_it_is_clearly_slower(graph_ms, taken, monkeypatch):
    ms = {True: graph_ms, False: 3.0}

    class Timed:
        inputs, graph, due = (), False, []

        def use_graph(self, use):
            self.graph = use
            return True

        def infer(self, feeds):
            clock[0] += ms[self.graph] / 1000.0
            self.due.append(ms[self.graph])

        def take_device_ms(self):
            taken, self.due = self.due, []
            return taken

    clock = [0.0]
    monkeypatch.setattr(child.clock, "monotonic", lambda: clock[0])
    found = child.times_of_ways(Timed(), 8)
    assert found["graphs"] is taken and found["measured"]["host_ms"]["p50"] == ms[taken]
    assert found["measured_otherwise"]["device_ms"]["p50"] == ms[not taken]
