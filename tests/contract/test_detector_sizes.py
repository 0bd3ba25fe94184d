"""The detectors' networks at other sizes than they are stored in: the same answers, on both runtimes of a CPU."""
import os
from importlib.util import find_spec

import numpy as np
import pytest

from edge.geometry import boxes as upright
from edge.models.detectors.table import DETECTORS, MULTIPLES, scaled_detector
from edge.runtimes.choose import open_runner, open_sized
from edge.sources import portrait

RUNTIMES = [name for name in ("onnxruntime", "openvino") if find_spec(name)]
pytestmark = pytest.mark.skipif(not RUNTIMES, reason="there is no runtime of a CPU")
SCALES = (0.5, 1.0)


@pytest.fixture(scope="module")
def frame():
    return portrait.render(portrait.load(), 0)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("network", sorted(MULTIPLES))
def test_the_face_is_found_in_its_place_at_every_size(stored_network, frame, network, runtime):
    runner = open_sized(stored_network(network, any_size=True), runtime, (32, 32))
    runner.open()
    found = []
    for scale in SCALES:
        detector = scaled_detector(network, scale)
        crop = detector.crop(frame.shape[1], frame.shape[0])
        found.append(detector.decode(runner.submit(frame, (crop,)).result(), crop, detector.threshold, 5))
    assert [len(one.boxes) for one in found] == [1] * len(SCALES)
    assert upright.iou(found[0].boxes, found[1].boxes)[0, 0] > 0.8
    runner.close()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("network", ["yunet_s", "yunet_n"])
def test_at_the_stored_size_its_outputs_are_those_of_the_stored_network(stored_network, frame, network, runtime):
    stored = open_runner(stored_network(network), runtime)
    stored.open()
    height, width = stored.inputs[0].shape[2:]
    free = open_sized(stored_network(network, any_size=True), runtime, (width, height))
    free.open()
    values = np.random.RandomState(1).uniform(0, 255, (1, 3, height, width)).astype(np.float32)
    wanted = {name: array.copy() for name, array in stored.infer({"input": values}).items()}
    got = free.infer({"input": values})
    assert set(got) == set(wanted)
    for name, array in wanted.items():
        assert np.abs(got[name] - array).max() <= 1e-5
    stored.close(), free.close()


@pytest.mark.parametrize("network", ["fmr_8and16", "fmr_16and32", "rfb320", "faceboxes"])
def test_a_network_converted_at_a_size_says_what_the_open_one_says_there(stored_network, models_home, network, tmp_path):
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    from engines import convert
    from engines.fetch.fetch import cached_path
    from engines.manifest.read import read_manifest

    entry = read_manifest().network(network)
    files = [cached_path(models_home, source) for source in entry.sources]
    shape = [1, 3, 128, 160]
    if not all(os.path.exists(path) for path in files):
        pytest.skip("the weights of {} are not in the cache".format(network))
    fixed = convert.convert(entry.kind, files, dict(entry.options, input=shape))
    session = ort.InferenceSession(convert.serialise(fixed), providers=["CPUExecutionProvider"])
    values = np.random.RandomState(2).uniform(0, 255, shape).astype(np.float32)
    values = values * entry.input.scale + np.array(entry.input.offset, np.float32).reshape(3, 1, 1)
    wanted = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"input": values.astype(np.float32)})))
    free = open_sized(stored_network(network, any_size=True), "onnxruntime", (160, 128))
    free.open()
    for name, array in free.infer({"input": values.astype(np.float32)}).items():
        assert array.shape == wanted[name].shape and np.abs(array - wanted[name]).max() < 1e-3
    free.close()


def test_the_others_are_those_with_one_size_alone():
    assert set(DETECTORS) - set(MULTIPLES) == {"blazeface_short", "blazeface_full"}
