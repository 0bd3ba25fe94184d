"""A runner that is right agrees on every network, and no runner that lies in any way gets through."""

import numpy as np
import pytest
from fakes.verify_home import DEFAULT, NETWORKS, damaged, home_of, home_with, rounded

from edge.core.contracts import BGR, RGB, Runner
from edge.runtimes.choose import open_runner
from edge.runtimes.cpu.runner import Finished
from engines.verify import references, verify
from engines.verify.agreement import quantities_of

RUNTIMES = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def home(tmp_path_factory, stored_network):
    pytest.importorskip("onnxruntime")
    return home_with(tmp_path_factory.mktemp("verify") / "home", [stored_network(name) for name in DEFAULT])


@pytest.fixture
def opened(home):
    """(network, runtime) -> StoredNetwork of `home` and its runner, open until the test ends."""
    runners = []

    def make(name, runtime="onnxruntime", **files):
        pytest.importorskip(runtime)
        stored = verify.locate(home, name)._replace(**files)
        runners.append(open_runner(stored, runtime))
        runners[-1].open()
        return stored, runners[-1]
    yield make
    for runner in runners:
        runner.close()


def wrong(found):
    return [d.quantity for d in found if not d.within]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_agrees_on_every_runtime_of_the_cpu(name, runtime, stored_network):
    pytest.importorskip("onnxruntime")
    pytest.importorskip(runtime)
    stored = stored_network(name)
    runner = open_runner(stored, runtime)
    runner.open()
    found = verify.verify_runner(runner, stored, home_of(stored))
    runner.close()
    quantities = quantities_of(stored, references.cases(home_of(stored), name)[0].outputs)
    assert {d.quantity for d in found} == {prefix + q for q in quantities for prefix in ("", verify.CROPPED)}
    assert all(d.worst <= 0.02 * d.tolerance for d in found), found
    assert verify.fault_of(found) == "" and set(verify.recorded(found)) == {d.quantity for d in found}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_rounded_to_half_precision_agrees_with_room_to_spare(name, stored_network, tmp_path):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    stored = stored_network(name)
    rounded(stored.file, tmp_path / "half.onnx")
    runner = open_runner(stored._replace(cpu_file=str(tmp_path / "half.onnx")), "onnxruntime")
    runner.open()
    found = verify.verify_runner(runner, stored, home_of(stored))
    runner.close()
    assert 0.0 < max(d.worst / d.tolerance for d in found) < 0.5, found


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_lost_half_a_layer_does_not_agree(name, share, stored_network, tmp_path):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    stored = stored_network(name)
    damaged(stored.file, tmp_path / "lost.onnx", share)
    runner = open_runner(stored._replace(cpu_file=str(tmp_path / "lost.onnx")), "onnxruntime")
    runner.open()
    assert wrong(verify.verify_runner(runner, stored, home_of(stored)))
    runner.close()


class Liar(Runner):
    """A runner in whose ear and mouth a test may put something."""

    backend = "a liar"

    def __init__(self, true, feed=None, answer=None, image=None, crops=None):
        self._true, self.inputs, self.outputs, self.model = true, true.inputs, true.outputs, true.model
        self._feed, self._answer, self._image, self._crops = (
            change or (lambda value: value) for change in (feed, answer, image, crops))

    def open(self):
        """It is."""

    def close(self):
        """The true one is closed where it was opened."""

    def infer(self, feeds):
        true = self._true.infer({k: np.ascontiguousarray(self._feed(v.copy())) for k, v in feeds.items()})
        return self._answer({k: v.copy() for k, v in true.items()})

    def submit(self, image, crops):
        return Finished(dict(self._true.submit(self._image(image), tuple(self._crops(c) for c in crops)).result()))


def each(change):
    """Every output through `change`."""
    return lambda outputs: {name: change(values) for name, values in outputs.items()}


def exchanged(outputs):
    """The memory of the first two outputs exchanged, as far as it reaches."""
    first, second = sorted(outputs)[:2] if "cls_8" not in outputs else ("cls_8", "obj_8")
    together = np.concatenate([outputs[second].reshape(-1), outputs[first].reshape(-1)])
    for name in (first, second):
        outputs[name], together = together[:outputs[name].size].reshape(outputs[name].shape), together[outputs[name].size:]
    return outputs


class Late:
    """Answers with what was asked before."""

    def __init__(self):
        self._last = None

    def __call__(self, outputs):
        last, self._last = self._last, outputs
        return outputs if last is None else last


def one_value(value):
    def change(outputs):
        name = sorted(outputs)[-1]
        outputs[name].reshape(-1)[7 % outputs[name].size] = value
        return outputs
    return change


LIES = {
    "red and blue exchanged": dict(feed=lambda f: f[:, ::-1]),
    "moved by a pixel": dict(feed=lambda f: np.roll(f, 1, axis=3)),
    "mirrored": dict(feed=lambda f: f[:, :, :, ::-1]),
    "upside down": dict(feed=lambda f: f[:, :, ::-1]),
    "channels last": dict(feed=lambda f: f.transpose(0, 2, 3, 1).reshape(f.shape)),
    "never filled": dict(feed=np.zeros_like),
    "the scale forgotten": dict(feed=lambda f: f * 100.0),
    "nothing written": dict(answer=each(np.zeros_like)),
    "half written": dict(answer=each(lambda v: np.where(np.arange(v.size).reshape(v.shape) < v.size // 2, v, 0))),
    "one NaN": dict(answer=one_value(np.nan)),
    "one infinity": dict(answer=one_value(np.inf)),
    "outputs exchanged": dict(answer=exchanged),
    "an output missing": dict(answer=lambda o: dict(list(o.items())[1:])),
    "rows the wrong way round": dict(answer=each(lambda v: v.reshape(-1)[::-1].reshape(v.shape))),
    "a tenth too much": dict(answer=each(lambda v: v * 1.1)),
}


@pytest.mark.parametrize("lie", sorted(LIES))
@pytest.mark.parametrize("name", DEFAULT)
def test_a_runner_that_lies_is_caught_in_it(name, lie, opened, home):
    stored, runner = opened(name)
    found = verify.verify_runner(Liar(runner, **LIES[lie]), stored, home)
    assert any(not q.startswith(verify.CROPPED) for q in wrong(found)), found
    assert verify.fault_of(found) and "\n" not in verify.fault_of(found)


@pytest.mark.parametrize("name", DEFAULT)
def test_a_runner_that_answers_one_question_late_is_caught_in_it(name, opened, home):
    stored, runner = opened(name)
    assert wrong(verify.verify_runner(Liar(runner, answer=Late()), stored, home))


def test_a_runner_that_takes_one_eye_for_both_is_caught_in_it(opened, home):
    stored, runner = opened("iris_landmark")
    for lie in (dict(feed=lambda f: f[[0, 0]]), dict(feed=lambda f: f[[1, 0]]), dict(answer=each(lambda v: v[[0, 0]]))):
        assert wrong(verify.verify_runner(Liar(runner, **lie), stored, home))


def moved(crop, pixels):
    matrix = crop.matrix.copy()
    matrix[0, 2] += pixels
    return crop._replace(matrix=matrix)


CROP_LIES = {
    "the other colours": dict(crops=lambda c: c._replace(colour=RGB if c.colour == BGR else BGR)),
    "half the scale": dict(crops=lambda c: c._replace(scale=c.scale * 0.5)),
    "another offset": dict(crops=lambda c: c._replace(offset=tuple(o + 60 * c.scale for o in c.offset))),
    "a pixel beside": dict(crops=lambda c: moved(c, 1.0)),
    "the inverse of the matrix": dict(crops=lambda c: c._replace(matrix=verify.stills.regions.invert(c.matrix))),
    "the frame upside down": dict(image=lambda image: np.ascontiguousarray(image[::-1])),
    "a black frame": dict(image=np.zeros_like),
    "the rows of the frame shifted": dict(image=lambda image: np.roll(image.reshape(-1), 96).reshape(image.shape)),
}


@pytest.mark.parametrize("lie", sorted(CROP_LIES))
@pytest.mark.parametrize("name", DEFAULT)
def test_a_runner_that_fills_its_input_in_another_way_is_caught_in_submit_alone(name, lie, opened, home):
    stored, runner = opened(name)
    found = wrong(verify.verify_runner(Liar(runner, **CROP_LIES[lie]), stored, home))
    assert found and all(q.startswith(verify.CROPPED) for q in found)


@pytest.mark.parametrize("name", DEFAULT)
def test_a_crop_that_is_a_rounding_off_agrees(name, opened, home):
    """The kernel on the board samples exactly, OpenCV on a grid of 1/32 pixel."""
    stored, runner = opened(name)
    assert not wrong(verify.verify_runner(Liar(runner, crops=lambda c: moved(c, 1.0 / 64)), stored, home))


def test_the_frame_that_submit_gets_is_like_those_of_the_pipeline(opened, home):
    seen = []
    stored, runner = opened("mb05")
    verify.verify_runner(Liar(runner, image=lambda image: seen.append(image) or image), stored, home)
    assert seen[0].shape == (480, 640, 3) and seen[0].dtype == np.uint8 and seen[0].flags.c_contiguous
