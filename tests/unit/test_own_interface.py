"""A network of one's own against the one that it is like: by names and shapes, before anything runs."""
import numpy as np
import pytest

from edge.core.contracts import BGR, Tensor
from edge.core.errors import FrameError, ModelError
from edge.core.interface import Interface, same_values
from edge.core.roles import LIKE_ONLY, NETWORKS
from edge.models.detectors.ssd300x7 import Ssd300x7
from edge.models.detectors.table import DETECTORS, OF_ANY_SIZE, make_detector
from edge.models.interfaces import interfaces
from engines.manifest.read import read_manifest

MESH = interfaces()["face_landmark"]
YUNET = interfaces()["yunet_s"]


def test_the_table_has_what_the_manifest_says_of_each_network_and_what_only_an_own_one_can_be():
    manifest = read_manifest()
    known = interfaces()
    assert set(known) == {name for names in NETWORKS.values() for name in names} | {n for v in LIKE_ONLY.values() for n in v}
    assert set(OF_ANY_SIZE) == set(LIKE_ONLY["detect"]) and not set(OF_ANY_SIZE) & set(DETECTORS)
    for name in set(known) - set(OF_ANY_SIZE):
        entry = manifest.networks[name]
        assert known[name].input == entry.input.shape, name
        unread = {"landmarks"} if name == "mb05" else set()  # its 68 points
        assert dict(known[name].outputs) == {k: v for k, v in entry.outputs.items() if k not in unread}, name


@pytest.mark.parametrize("found, wanted, same", [
    ((1, 1404), (1, 1404), True), ((1, 1, 1, 1404), (1, 1404), True), ((1404,), (1, 1404), True),
    ((1, 468, 3), (1, 1404), True),
    ((1, 3, 468), (1, 1404), False), ((1, 1405), (1, 1404), False), ((1, 1404, 2), (1, 1404), False), ((1, 1), (1, 1), True),
    ((), (1, 1), True), ((2,), (1, 1), False), ((1, 4, 30, 40), (1, 4, 30, 40), True), ((1, 30, 40, 4), (1, 4, 30, 40), False),
    ((1, 4, 1200), (1, 4, 30, 40), True), ((1, 1200, 4), (1, 4, 30, 40), False), ((1, 4800), (1, 4, 30, 40), True),
    ((2, 71, 3), (2, 213), True), ((1, 1, 200, 7), (1, 1, 0, 7), True), ((200, 7), (1, 1, 0, 7), True),
    ((1, 200, 5), (1, 1, 0, 7), False), ((0, 7), (1, 1, 0, 7), False), ((1, 1, 1, 7), (1, 1, 0, 7), True),
    ((7,), (1, 1, 0, 7), False),
    ((0, 1404), (1, 1404), False),
])
def test_shapes_whose_numbers_stand_in_the_same_order_are_the_same_and_no_others(found, wanted, same):
    assert same_values(found, wanted) is same


@pytest.mark.parametrize("interface, outputs, names", [
    (MESH, {"landmarks": (1, 1404), "presence": (1, 1)}, {"landmarks": "landmarks", "presence": "presence"}),
    (MESH, {"preds": (1, 1404), "confs": (1, 1)}, {"landmarks": "preds", "presence": "confs"}),
    (MESH, {"a": (1, 7), "confs": (1,), "preds": (1, 468, 3)}, {"landmarks": "preds", "presence": "confs"}),
    (MESH, {"presence": (1, 1), "another": (1, 1), "x": (1, 1404)}, {"landmarks": "x", "presence": "presence"}),
    (MESH, {"presence": (1, 1404), "landmarks": (1, 1)}, {"landmarks": "presence", "presence": "landmarks"}),
])
def test_outputs_are_found_by_their_names_else_by_the_only_shape_that_fits(interface, outputs, names):
    assert interface.names_in([Tensor(n, s) for n, s in outputs.items()], "my.onnx") == names


@pytest.mark.parametrize("interface, outputs, text", [
    (MESH, {"a": (1, 10), "b": (1, 1)},
     "my.onnx has outputs a (1, 10) and b (1, 1); face_landmark needs landmarks (1, 1404) and presence (1, 1)"),
    (MESH, {"only": (1, 1404)}, "outputs only (1, 1404); face_landmark needs landmarks (1, 1404) and presence (1, 1)"),
    (MESH, {"p": (1, 1404), "q": (1, 1), "r": (1, 1)}, "by these names where shapes are alike"),
    (YUNET, {"o%d" % i: shape for i, shape in enumerate(YUNET.outputs.values())}, "by these names where shapes are alike"),
    (interfaces()["ssd300x7"], {"boxes": (200, 5), "labels": (200,)},
     "my.onnx has outputs boxes (200, 5) and labels (200); ssd300x7 needs detections (1, 1, any, 7)"),
])
def test_outputs_that_do_not_fit_are_one_line_with_what_there_is_and_what_is_needed(interface, outputs, text):
    with pytest.raises(ModelError) as refused:
        interface.names_in([Tensor(n, s) for n, s in outputs.items()], "my.onnx")
    assert text in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("interface, found, shape", [
    (MESH, (1, 3, 192, 192), (1, 3, 192, 192)), (MESH, (None, 3, 192, 192), (1, 3, 192, 192)),
    (interfaces()["iris_landmark"], (None, 3, 64, 64), (2, 3, 64, 64)),
    (interfaces()["ssd300x7"], (1, 3, 384, 384), (1, 3, 384, 384)),
    (interfaces()["ssd300x7"], (None, 3, 300, 400), (1, 3, 300, 400)),
])
def test_an_open_batch_is_that_of_the_network_that_it_is_like(interface, found, shape):
    assert interface.sized(found, "my.onnx") == shape


@pytest.mark.parametrize("found, text", [
    ((1, 192, 192, 3), "my.onnx takes (1, 192, 192, 3), and face_landmark takes (1, 3, 192, 192): put the channels first"),
    ((1, 3, None, None), "my.onnx takes (1, 3, any, any), and face_landmark takes (1, 3, 192, 192): fix height and width"),
    ((4, 3, 192, 192), "its batch is 1"), ((1, 3, 256, 256), "fix height and width"), ((192, 192), "my.onnx takes (192, 192)"),
    ((), "my.onnx takes ()"),
])
def test_an_input_that_does_not_fit_is_one_line(found, text):
    with pytest.raises(ModelError) as refused:
        MESH.sized(found, "my.onnx")
    assert text in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(ModelError):
        interfaces()["ssd300x7"].sized((1, 3, None, 384), "my.xml")


def rows(*boxes, **ends):
    """(1, 1, N, 7): boxes, then what ends them and rows of old numbers."""
    table = np.zeros((1, 1, 200, 7), np.float32)
    table[..., 0, len(boxes):, 0] = -1
    table[0, 0, len(boxes) + 1:] = 0.9
    for i, row in enumerate(boxes):
        table[0, 0, i] = row
    return {"detections": table}


@pytest.mark.parametrize("width, height", [(640, 480), (480, 640), (384, 384), (1920, 1080), (100, 50)])
def test_boxes_are_shares_of_the_frame_whatever_its_aspect_as_the_frame_fills_the_input(width, height):
    detector = make_detector("ssd300x7", size=(384, 384))
    crop = detector.crop(width, height)
    assert (crop.size, crop.colour, crop.scale, crop.offset) == ((384, 384), BGR, 1.0, (0.0, 0.0, 0.0))
    corners = np.array([[-0.5, -0.5, 1], [width - 0.5, height - 0.5, 1]]).dot(crop.matrix.T)
    assert corners.tolist() == [pytest.approx([-0.5, -0.5]), pytest.approx([383.5, 383.5])]
    found = detector.decode(rows((0, 0, 0.8, 0.25, 0.2, 0.5, 0.6), (0, 1, 0.9, 0.7, 0.1, 0.8, 0.3), (0, 0, 0.2, 0, 0, 1, 1)),
                            crop, detector.threshold, 5)
    assert found.scores.tolist() == pytest.approx([0.9, 0.8]) and found.keypoints is None
    shares = (found.boxes + 0.5) / [width, height, width, height]  # a pixel's centre lies at an integer
    assert shares.tolist() == [pytest.approx([0.7, 0.1, 0.8, 0.3], abs=1e-5), pytest.approx([0.25, 0.2, 0.5, 0.6], abs=1e-5)]


def test_what_stands_behind_the_end_and_what_is_no_number_is_no_face_and_neighbours_are_left_as_they_are():
    detector = Ssd300x7("ssd300x7", 384, 384)
    crop = detector.crop(640, 480)
    assert len(detector.decode(rows(), crop, 0.5, 5).boxes) == 0
    nan, inf = float("nan"), float("inf")
    wild = rows((0, 0, nan, 0.1, 0.1, 0.2, 0.2), (0, 0, 0.9, nan, 0, 1, 1), (0, 0, 0.9, -inf, 0, inf, 1),
                (0, 0, 0.7, 0, 0, 0.5, 0.5))
    assert detector.decode(wild, crop, 0.5, 5).scores.tolist() == pytest.approx([0.7])
    beside = rows((0, 0, 0.9, 0.1, 0.1, 0.5, 0.5), (0, 0, 0.8, 0.3, 0.1, 0.7, 0.5))  # an IoU of a third
    assert len(detector.decode(beside, crop, 0.5, 5).boxes) == 2
    with pytest.raises(FrameError, match="ssd300x7"):
        detector.decode({"detections": np.zeros((1, 5), np.float32)}, crop, 0.5, 5)


def test_an_interface_says_whether_its_size_is_that_of_the_file():
    assert interfaces()["ssd300x7"].free_size and not MESH.free_size
    assert isinstance(MESH, Interface)
