"""The TensorRT runner on the simulator of tests/simulator: right answers, and no rule of CUDA or TensorRT broken."""
import threading

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the simulator of TensorRT computes with ONNX Runtime")
pytest.importorskip("onnx", reason="the simulator of TensorRT reads networks with onnx")
from fakes import plans as runner_home
from fakes.simulated import onnx_bytes
from patience import PATIENCE_S

from edge.core.errors import EngineError, FrameError, ModelError
from edge.models.warp import Warper
from edge.runtimes.choose import open_runner
from edge.runtimes.cpu.onnx import OnnxRunner
from edge.runtimes.fallback import FallbackRunner
from edge.runtimes.gpu.runner import TensorRtRunner
from edge.store.models import StoredNetwork, sha256_of
from engines.verify import stills
from engines.verify.agreement import differences

simulator, books, tiny = runner_home.simulator, runner_home.books, runner_home.tiny  # fixtures
frame, crops = runner_home.frame, runner_home.crops
DEFAULT = ("yunet_s", "face_landmark", "mb05", "iris_landmark")
TINY = (2, 3, 12, 16)
HALF = 2e-3  # of the largest value: what FP16 costs the tiny network


@pytest.fixture(params=["pinned", "mapped", "pinned and kernel", "mapped and kernel"])
def ways(request, tmp_path):
    """How the memory and the crops are done."""
    if "kernel" in request.param:
        runner_home.write_cubin(str(tmp_path))
    return {"memory": request.param.split()[0]}


@pytest.fixture
def runner(tiny, ways):
    runner = TensorRtRunner(tiny, **ways)
    runner.open()
    yield runner
    runner.close()


def expected(network, image, asked):
    """What ONNX Runtime says to the same crops."""
    reference = OnnxRunner(network)
    reference.open()
    batch = np.zeros(TINY, np.float32)
    for crop, part in zip(asked, batch):
        Warper().fill(image, crop, part)
    return {name: values.copy() for name, values in reference.infer({"input": batch}).items()}


def assert_close(found, wanted, share=0.02):
    """The kernel and OpenCV round a crop differently, by up to 4 grey levels."""
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == np.float32 and found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, atol=share * np.abs(values).max())


@pytest.mark.parametrize("name", DEFAULT)
def test_a_network_of_the_default_set_sees_what_it_sees_in_onnx_runtime(books, tmp_path, stored_network, name, ways):
    network = stored_network(name)
    plan = runner_home.build(str(tmp_path), network)
    reference, runner = OnnxRunner(network), TensorRtRunner(network, plan, **ways)
    reference.open()
    runner.open()
    assert runner.backend == "tensorrt 8.2 fp16" and runner.model == name
    assert set(runner.outputs) == set(reference.outputs) and runner.inputs == reference.inputs
    image, asked = stills.live_view(network.role, name)
    wanted, found = reference.submit(image, asked).result(), runner.submit(image, asked).result()
    compared = differences(network, wanted, found)
    assert all(d.within for d in compared) and max(d.worst for d in compared) > 0.0, compared
    runner.close()


def test_submit_runs_the_network_on_the_crops_of_a_read_only_frame(runner, tiny, ways):
    for seed in (1, 2, 3):
        assert_close(runner.submit(frame(seed), crops(seed)).result(), expected(tiny, frame(seed), crops(seed)))
    assert ("kernel" in runner.note) == (runner._session.kernel is None)


def test_infer_is_onnx_runtime_within_fp16_and_leaves_the_batch_as_it_was(runner, tiny):
    batch = np.random.RandomState(3).uniform(-2, 2, TINY).astype(np.float32)
    before, reference = batch.copy(), OnnxRunner(tiny)
    reference.open()
    assert_close(runner.infer({"input": batch}), reference.infer({"input": batch}), HALF)
    assert np.array_equal(batch, before)


def test_a_result_holds_until_the_next_submit_whatever_other_runners_do(runner, tiny, ways):
    other = TensorRtRunner(tiny, **ways)
    other.open()
    ticket = runner.submit(frame(1), crops())
    other.submit(frame(2), crops()).result()
    wanted = expected(tiny, frame(1), crops())
    assert_close(ticket.result(), wanted)
    other.close()
    assert_close(ticket.result(), wanted)
    runner.close()
    assert_close(ticket.result(), wanted)


def test_a_second_submit_before_the_first_result_harms_neither(runner, tiny):
    tickets = [runner.submit(frame(seed), crops()) for seed in range(4)]
    results = [ticket.result() for ticket in reversed(tickets)][::-1]
    for seed, found in enumerate(results):
        assert_close(found, expected(tiny, frame(seed), crops()))


def test_device_times_come_once_each_and_warming_up_leaves_none(runner):
    assert runner.take_device_ms() == [] and runner.run_s == 0.0
    for _ in range(3):
        runner.submit(frame(), crops()).result()
    runner.submit(frame(), crops())  # whose result nobody asks for
    runner.infer({"input": np.zeros(TINY, np.float32)})
    times = runner.take_device_ms()
    assert len(times) == 5 and all(ms > 0.0 for ms in times) and runner.take_device_ms() == []
    assert runner.run_s > 0.0


def test_a_thousand_submits_leave_nothing_behind(runner, books):
    def alive():
        return {kind: len(things) for kind, things in ((k, books.ledger.alive(k)) for k in list(books.ledger._alive))}

    images = [frame(seed, (30 + seed, 44)) for seed in range(7)]
    for image in images:
        runner.submit(image, crops()).result()
    before = alive()
    for number in range(1000):
        outputs = runner.submit(images[number % 7], crops(number % 5)).result()
        assert np.isfinite(outputs["features"]).all()
    assert alive() == before and len(runner.take_device_ms()) > 1000
    assert "copies of memory that is not page-locked" not in books.ledger.counts


@pytest.mark.parametrize("memory", ["pinned", "mapped"])
def test_three_workers_share_the_context_and_upload_each_frame_once(tiny, tmp_path, books, memory):
    runner_home.write_cubin(str(tmp_path))
    images = [frame(seed, (40, 60 + seed % 3)) for seed in range(40)]
    wrong, barrier = [], threading.Barrier(3, timeout=PATIENCE_S)
    counts = {}

    def work(number):
        runners = [TensorRtRunner(tiny, memory=memory) for _ in range(2)]
        for runner in runners:
            runner.open()
        barrier.wait()
        counts.setdefault("before", books.ledger.counts["copies"])
        for seed, image in enumerate(images):
            barrier.wait()
            for runner in runners:
                outputs = runner.submit(image, crops(seed % 5)).result()
                if not np.allclose(outputs["mean"], wanted[seed]["mean"], atol=0.05):
                    wrong.append((number, seed))
        barrier.wait()
        counts.setdefault("after", books.ledger.counts["copies"])
        for runner in runners:
            runner.close()

    wanted = [expected(tiny, image, crops(seed % 5)) for seed, image in enumerate(images)]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not wrong and not any(thread.is_alive() for thread in threads)
    results = 0 if memory == "mapped" else 3 * 2 * 2 * len(images)
    records = 3 * 2 * len(images)  # what to crop, for the graph
    assert counts["after"] - counts["before"] == len(images) + records + results


def test_a_frame_that_is_written_to_is_not_taken_for_the_one_before(tiny, tmp_path):
    runner_home.write_cubin(str(tmp_path))
    runner = TensorRtRunner(tiny)
    runner.open()
    image = frame(1).copy()
    first = runner.submit(image, crops()).result()["mean"].copy()
    image[:] = 255 - image
    second = runner.submit(image, crops()).result()
    assert_close(second, expected(tiny, image, crops()))
    assert np.abs(second["mean"] - first).max() > 0.01
    runner.close()


def test_a_picture_that_cannot_be_cropped_costs_one_frame_only(runner, tiny):
    for picture in (np.zeros((40, 60), np.uint8), np.zeros((40, 60, 3), np.float32), np.zeros((0, 60, 3), np.uint8)):
        with pytest.raises(FrameError):
            runner.submit(picture, crops())
    assert_close(runner.submit(frame(), crops()).result(), expected(tiny, frame(), crops()))


def test_what_does_not_fit_is_named_and_the_runner_works_on(runner, tiny):
    for call, text in ((lambda: runner.submit(frame(), crops()[:1]), "2 crops at a time, not 1"),
                       (lambda: runner.infer({"image": np.zeros(TINY, np.float32)}), "image"),
                       (lambda: runner.infer({"input": np.zeros(TINY, np.float64)}), "float64")):
        with pytest.raises(ModelError) as caught:
            call()
        assert text in str(caught.value) and "tiny" in str(caught.value)
    assert_close(runner.submit(frame(), crops()).result(), expected(tiny, frame(), crops()))


def test_it_works_between_open_and_close_only_and_may_be_opened_again(tiny, ways):
    runner = TensorRtRunner(tiny, **ways)
    for _ in range(2):
        for call in (lambda: runner.submit(frame(), crops()), lambda: runner.infer({})):
            with pytest.raises(EngineError) as caught:
                call()
            assert "tiny is not open" in str(caught.value)
        runner.open()
        ticket = runner.submit(frame(), crops())
        runner.close()
        runner.close()
        with pytest.raises(EngineError) as caught:
            ticket.result()
        assert "closed before its result" in str(caught.value)


@pytest.mark.parametrize("shapes", [((1, 146, 2), (1, 146, 2)), ((1, 292), (1, 292)), ((2, 3, 12, 16), (2, 3, 12, 16))],
                         ids=["points", "vectors", "two batches of pictures"])
def test_a_network_with_several_inputs_of_any_shape_is_run_on_tensors(books, tmp_path, shapes, ways):
    path = tmp_path / "numbers.onnx"
    path.write_bytes(onnx_bytes([("Relu", "points", "positive", {}), ("Add", "positive usual", "sum", {})],
                                list(zip(("points", "usual"), shapes)), [("sum", shapes[0])]))
    network = StoredNetwork("numbers", str(path), str(path), {}, "express", sha256_of(str(path)))
    runner_home.build(str(tmp_path), network)
    runner = TensorRtRunner(network, **ways)
    runner.open()
    assert {t.name: t.shape for t in runner.inputs} == dict(zip(("points", "usual"), shapes)) and runner.note == ""
    assert runner.take_device_ms() == [] and runner.run_s == 0.0
    for seed in range(3):
        points, usual = np.random.RandomState(seed).uniform(-2, 2, (2,) + shapes[0]).astype(np.float32)
        assert_close(runner.infer({"points": points, "usual": usual}), {"sum": np.maximum(points, 0) + usual}, HALF)
    for call, text in ((lambda: runner.submit(frame(), crops()), "numbers takes no crops"),
                       (lambda: runner.infer({"points": points}), "has the inputs points, usual, not points")):
        with pytest.raises(ModelError) as caught:
            call()
        assert text in str(caught.value)
    assert len(runner.take_device_ms()) == 3 and runner.run_s > 0.0
    runner.close()


def test_a_thread_may_close_last_that_did_not_open_first(tiny):
    first, steps = TensorRtRunner(tiny), [threading.Event() for _ in range(3)]

    def other():
        steps[0].wait(PATIENCE_S)
        runner = TensorRtRunner(tiny)
        runner.open()
        steps[1].set()
        steps[2].wait(PATIENCE_S)
        assert_close(runner.submit(frame(), crops()).result(), expected(tiny, frame(), crops()))
        runner.close()

    thread = threading.Thread(target=other)
    thread.start()
    first.open()
    steps[0].set()
    assert steps[1].wait(PATIENCE_S)
    first.close()
    steps[2].set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive() and "nanoface-cuda" not in [t.name for t in threading.enumerate()]


def test_under_auto_the_plan_runs(tiny):
    runner = open_runner(tiny, "auto", crops="cpu")
    assert isinstance(runner, FallbackRunner)
    runner.open()
    assert (runner.backend, runner.note) == ("tensorrt 8.2 fp16", "")
    runner.submit(frame(), crops()).result()
    assert len(runner.take_device_ms()) == 1
    runner.close()
