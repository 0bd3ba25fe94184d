"""Detectors: a face written into a network's tensors, by the network's own coding, comes out where it was put.

The anchors here are made by plain loops, one by one, as each network's authors describe them.
"""
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.contracts import BGR, RGB, Crop
from edge.models.detectors.table import DETECTORS, make_detector
from edge.models.detectors.tiles import merge, tile_crops
from edge.models.spec import MOST_CANDIDATES, Detections, Input, whole_frame_crop

WIDTH, HEIGHT = 640, 480

# a face: box in input pixels counted from the edge, score
NEAR = ((100.0, 60.0, 180.0, 160.0), 0.95)
FAR = ((20.0, 30.0, 52.0, 66.0), 0.93)


def square(face, share):
    """The same face, scaled to another input."""
    box, score = face
    return tuple(v * share for v in box), score


def centre_size(box):
    x0, y0, x1, y1 = box
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


def points_of(box, count):
    """Made-up keypoints inside a box."""
    x0, y0, x1, y1 = box
    return [(x0 + (x1 - x0) * (k + 1) / (count + 1), y0 + (y1 - y0) * (k + 2) / (count + 3)) for k in range(count)]


def yunet(faces):
    outputs = {}
    for stride in (8, 16, 32):
        cells = (320 // stride) * (256 // stride)
        for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs["{}_{}".format(kind, stride)] = np.zeros((1, cells, columns), np.float32)
    for i, (box, score) in enumerate(faces):
        stride = (32, 8, 16)[i % 3]
        cx, cy, w, h = centre_size(box)
        column, row = int(cx // stride), int(cy // stride)
        cell = row * (320 // stride) + column
        outputs["cls_%d" % stride][0, cell] = score * score / 0.99
        outputs["obj_%d" % stride][0, cell] = 0.99
        outputs["bbox_%d" % stride][0, cell] = (
            cx / stride - column, cy / stride - row, math.log(w / stride), math.log(h / stride))
        points = points_of(box, 5)
        outputs["kps_%d" % stride][0, cell] = [v for x, y in points for v in (x / stride - column, y / stride - row)]
    return outputs


def blazeface(side, grids):
    def encode(faces):
        anchors = []
        for cells, per_cell in grids:
            for row in range(cells):
                for column in range(cells):
                    anchors += [((column + 0.5) / cells, (row + 0.5) / cells)] * per_cell
        outputs = {"regressors": np.zeros((1, len(anchors), 16), np.float32),
                   "scores": np.full((1, len(anchors), 1), -120.0, np.float32)}
        for face in faces:
            box, score = square(face, side / 320)
            cx, cy, w, h = centre_size(box)
            ax, ay = min(anchors, key=lambda a: math.hypot(a[0] * side - cx, a[1] * side - cy))
            at = anchors.index((ax, ay))
            outputs["scores"][0, at] = math.log(score / (1 - score))
            outputs["regressors"][0, at, :4] = cx - ax * side, cy - ay * side, w, h
            outputs["regressors"][0, at, 4:] = [
                v for x, y in points_of(box, 6) for v in (x - ax * side, y - ay * side)]
        return outputs
    return encode


def fmr(levels):
    """`levels`: stride, the scales of its two anchors. Anchors are inclusive of their last pixel, hence the -1."""
    def encode(faces):
        outputs = {}
        for stride, _ in levels:
            rows, columns = -(-240 // stride), -(-320 // stride)
            outputs["cls_%d" % stride] = np.zeros((1, 4, rows, columns), np.float32)
            outputs["bbox_%d" % stride] = np.zeros((1, 8, rows, columns), np.float32)
        for i, (box, score) in enumerate(faces):
            stride, scales = levels[i % 2]
            which = i % 2
            side = 16.0 * scales[which]
            cx, cy, w, h = centre_size(box)
            column, row = int(cx // stride), int(cy // stride)
            first, last = 7.5 - 0.5 * (side - 1), 7.5 + 0.5 * (side - 1)
            ax = ay = first + 0.5 * (last - first)
            outputs["cls_%d" % stride][0, 2 + which, row, column] = score
            outputs["cls_%d" % stride][0, which, row, column] = 1 - score
            outputs["bbox_%d" % stride][0, 4 * which:4 * which + 4, row, column] = (
                (cx - 0.5 - ax - column * stride) / side, (cy - 0.5 - ay - row * stride) / side,
                math.log(w / side), math.log(h / side))
        return outputs
    return encode


def rfb_priors():
    priors = []
    for stride, sides in ((8, (10, 16, 24)), (16, (32, 48)), (32, (64, 96)), (64, (128, 192, 256))):
        for row in range(math.ceil(240 / stride)):
            for column in range(math.ceil(320 / stride)):
                for side in sides:
                    prior = (column + 0.5) * stride / 320, (row + 0.5) * stride / 240, side / 320, side / 240
                    priors.append([min(1.0, v) for v in prior])
    return np.array(priors)


def faceboxes_priors():
    priors = []
    for stride, sides in ((32, (32, 64, 128)), (64, (256,)), (128, (512,))):
        for row in range(math.ceil(240 / stride)):
            for column in range(math.ceil(320 / stride)):
                for side in sides:
                    inside = {32: (0, 0.25, 0.5, 0.75), 64: (0, 0.5)}.get(side, (0.5,))
                    for y in inside:
                        for x in inside:
                            cx, cy = (column + x) * stride, (row + y) * stride
                            priors.append((cx / 320, cy / 240, side / 320, side / 240))
    return np.array(priors)


def ssd(make_priors):
    def encode(faces):
        priors = make_priors()
        outputs = {name: np.zeros((1, len(priors), n), np.float32) for name, n in (("scores", 2), ("boxes", 4))}
        outputs["scores"][..., 0] = 1
        for box, score in faces:
            cx, cy, w, h = np.array(centre_size(box)) / (320, 240, 320, 240)
            far = np.hypot(priors[:, 0] - cx, priors[:, 1] - cy) + np.abs(priors[:, 2] - w)
            px, py, pw, ph = priors[far.argmin()]
            outputs["scores"][0, far.argmin()] = 1 - score, score
            outputs["boxes"][0, far.argmin()] = (
                (cx - px) / pw / 0.1, (cy - py) / ph / 0.1, math.log(w / pw) / 0.2, math.log(h / ph) / 0.2)
        return outputs
    return encode


ENCODE = {
    "yunet_s": yunet,
    "yunet_n": yunet,
    "blazeface_short": blazeface(128, ((16, 2), (8, 6))),
    "blazeface_full": blazeface(192, ((48, 1),)),
    "fmr_8and16": fmr(((8, (2, 1)), (16, (8, 4)))),
    "fmr_16and32": fmr(((16, (8, 4)), (32, (32, 16)))),
    "rfb320": ssd(rfb_priors),
    "faceboxes": ssd(faceboxes_priors),
}
COUNTS = {"yunet_s": 5, "yunet_n": 5, "blazeface_short": 6, "blazeface_full": 6}
NETWORKS = sorted(ENCODE)
each_network = pytest.mark.parametrize("network", NETWORKS)


def on_frame(network, box):
    """From input pixels counted from the edge to frame pixels with centres at integers, for a frame of 640x480."""
    if network.startswith("blazeface"):
        side = {"blazeface_short": 128, "blazeface_full": 192}[network]
        shown, above = side / WIDTH, (side - side * HEIGHT / WIDTH) / 2
        return [(v * side / 320 - (above if k % 2 else 0)) / shown - 0.5 for k, v in enumerate(box)]
    return [v / 0.5 - 0.5 for v in box]


def answer(network, faces, threshold=0.9, limit=8):
    detector = make_detector(network)
    return detector.decode(ENCODE[network](faces), detector.crop(WIDTH, HEIGHT), threshold, limit)


def test_every_detector_is_tested_here():
    assert NETWORKS == sorted(DETECTORS)


@each_network
def test_a_face_comes_out_where_it_was_put(network):
    found = answer(network, [NEAR, FAR])
    assert np.allclose(found.boxes, [on_frame(network, NEAR[0]), on_frame(network, FAR[0])], atol=0.02)
    assert np.allclose(found.scores, [0.95, 0.93], atol=1e-4)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    if network not in COUNTS:
        assert found.keypoints is None
        return
    expected = [[on_frame(network, p) for p in points_of(box, COUNTS[network])] for box, _ in (NEAR, FAR)]
    assert np.allclose(found.keypoints, expected, atol=0.02) and found.keypoints.dtype == np.float32


@each_network
@pytest.mark.parametrize("threshold, limit, scores", [
    (0.9, 8, [0.95, 0.93]), (0.94, 8, [0.95]), (0.96, 8, []), (0.9, 1, [0.95]), (0.9, 0, []), (1.0, 8, []),
])
def test_as_many_as_asked_for_of_those_that_are_sure_enough_the_surest_first(network, threshold, limit, scores):
    found = answer(network, [FAR, NEAR], threshold, limit)
    assert np.allclose(found.scores, scores, atol=1e-4)
    assert found.boxes.shape == (len(scores), 4)
    if network in COUNTS:
        assert found.keypoints.shape == (len(scores), COUNTS[network], 2)


@each_network
def test_a_face_that_several_anchors_see_is_one_face(network):
    twice = tuple(v + 9 for v in NEAR[0]), 0.94
    assert len(answer(network, [NEAR, twice]).boxes) == 1


@each_network
def test_a_threshold_of_zero_still_answers(network):
    detector = make_detector(network)
    outputs = {k: np.zeros_like(v) for k, v in ENCODE[network]([]).items()}
    found = detector.decode(outputs, detector.crop(WIDTH, HEIGHT), 0.0, 5)
    assert 0 < len(found.boxes) <= 5 and np.isfinite(found.boxes).all()


@each_network
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
def test_wild_outputs_are_no_face_or_a_finite_one(network, value):
    detector = make_detector(network)
    outputs = {k: np.full_like(v, value) for k, v in ENCODE[network]([]).items()}
    places = ENCODE[network]([NEAR])
    for key in places:
        if key[:3] in ("bbo", "kps", "box", "reg"):
            places[key][...] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for wild in (outputs, places):
            found = detector.decode(wild, detector.crop(WIDTH, HEIGHT), 0.5, 8)
            assert np.isfinite(found.boxes).all() and not np.isnan(found.scores).any()


@each_network
def test_the_answer_outlives_the_outputs(network):
    detector = make_detector(network)
    outputs = ENCODE[network]([NEAR])
    found = detector.decode(outputs, detector.crop(WIDTH, HEIGHT), 0.9, 8)
    before = [part.copy() for part in found if part is not None]
    for table in outputs.values():
        table[...] = -7
    assert all(np.array_equal(a, b) for a, b in zip(before, [part for part in found if part is not None]))


def test_no_more_candidates_are_compared_than_time_allows():
    outputs = yunet([])
    for stride in (8, 16, 32):
        outputs["cls_%d" % stride][...] = outputs["obj_%d" % stride][...] = 0.9
    detector = make_detector("yunet_s")
    found = detector.decode(outputs, detector.crop(WIDTH, HEIGHT), 0.5, 10000)
    assert 100 < len(found.boxes) <= MOST_CANDIDATES


@pytest.mark.parametrize("network, size, colour, scale, offset", [
    ("yunet_s", (320, 256), BGR, 1, (0, 0, 0)),
    ("yunet_n", (320, 256), BGR, 1, (0, 0, 0)),
    ("blazeface_short", (128, 128), RGB, 2 / 255, (-1, -1, -1)),
    ("blazeface_full", (192, 192), RGB, 2 / 255, (-1, -1, -1)),
    ("fmr_8and16", (320, 240), RGB, 1, (0, 0, 0)),
    ("fmr_16and32", (320, 240), RGB, 1, (0, 0, 0)),
    ("rfb320", (320, 240), RGB, 1 / 128, (-127 / 128,) * 3),
    ("faceboxes", (320, 240), BGR, 1, (-104, -117, -123)),
])
def test_each_network_gets_the_pixels_it_was_trained_on(network, size, colour, scale, offset):
    detector = make_detector(network)
    crop = detector.crop(WIDTH, HEIGHT)
    assert detector.network == network and detector.size == crop.size == size and crop.colour == colour
    assert crop.scale == pytest.approx(scale) and crop.offset == pytest.approx(offset)


def test_a_crop_is_made_once_for_frames_of_one_size():
    detector = make_detector("yunet_s")
    first = detector.crop(640, 480)
    assert detector.crop(640, 480) is first
    assert detector.crop(480, 640) is not first
    assert np.array_equal(detector.crop(640, 480).matrix, first.matrix)


@pytest.mark.parametrize("frame, size, centred, scale, start", [
    ((640, 480), (320, 256), False, 0.5, (0, 0)),
    ((640, 480), (320, 256), True, 0.5, (0, 8)),
    ((480, 640), (128, 128), True, 0.2, (16, 0)),
    ((160, 120), (320, 240), False, 2.0, (0, 0)),  # small pictures are enlarged
])
def test_the_whole_frame_is_shown_at_its_place(frame, size, centred, scale, start):
    matrix = whole_frame_crop(frame[0], frame[1], Input(size, BGR, 1.0, (0, 0, 0), centred)).matrix
    expected = [[scale, 0, 0.5 * scale - 0.5 + start[0]], [0, scale, 0.5 * scale - 0.5 + start[1]]]
    assert np.allclose(matrix, expected)


lengths = st.integers(1, 10000)


@given(lengths, lengths, st.sampled_from([(320, 256), (128, 128)]), st.booleans())
def test_the_frame_fills_one_axis_from_whole_pixel_to_whole_pixel(width, height, size, centred):
    matrix = whole_frame_crop(width, height, Input(size, BGR, 1.0, (0, 0, 0), centred)).matrix
    edges = [(matrix[k, k] * -0.5 + matrix[k, 2] + 0.5, matrix[k, k] * (n - 0.5) + matrix[k, 2] + 0.5)
             for k, n in enumerate((width, height))]
    assert np.allclose(edges, np.round(edges), atol=1e-6)
    assert all(-1e-6 <= low < high <= room + 1e-6 for (low, high), room in zip(edges, size))
    assert any(high - low == pytest.approx(room) for (low, high), room in zip(edges, size))
    if not centred:
        assert np.allclose([low for low, _ in edges], 0, atol=1e-6)


LOOK = Input((320, 256), BGR, 1.0, (0.0, 0.0, 0.0))


def tiled(frame, faces, look=LOOK):
    """What a perfect detector would answer to each crop: every face's visible part, if it sees half of it."""
    crops = (whole_frame_crop(frame[0], frame[1], look),) + tile_crops(frame[0], frame[1], look)
    found = []
    for k, crop in enumerate(crops):
        scale, low = crop.matrix[0, 0], -(crop.matrix[:, 2] + 0.5) / np.diag(crop.matrix)
        high = low + np.array(crop.size) / np.diag(crop.matrix)
        boxes = [np.append(np.maximum(box[:2], low), np.minimum(box[2:], high)) for box in np.array(faces, float)]
        seen = [b for b, face in zip(boxes, faces)
                if min(b[2:] - b[:2]) > 0.5 * (face[2] - face[0]) and min(b[2:] - b[:2]) * scale >= 12]
        score = np.full(len(seen), 0.8 if k == 0 else 0.9, np.float32)
        found.append(Detections(np.array(seen, np.float32).reshape(-1, 4), score, None))
    return merge(found, crops, frame, 32)


@pytest.mark.parametrize("frame, look, count", [
    ((320, 256), LOOK, 0),  # the whole view is as large as the frame
    ((160, 120), LOOK, 0),
    ((370, 290), LOOK, 0),  # hardly larger
    ((1000, 750), LOOK, 16),
    ((4000, 3000), LOOK, 16),  # no more for a larger frame
    ((9000, 300), LOOK, 4),
])
def test_tiles_are_few_and_only_where_they_show_more(frame, look, count):
    assert len(tile_crops(frame[0], frame[1], look)) == count


@given(st.integers(40, 3000), st.integers(40, 3000), st.data())
def test_small_faces_are_found_once_wherever_they_are_in_a_still(width, height, data):
    whole = whole_frame_crop(width, height, LOOK)
    shown = min(1.0, 3 * whole.matrix[0, 0])
    side = data.draw(st.floats(13, 70)) / shown
    if side >= min(width, height) or whole.matrix[0, 0] * side >= 12:
        return  # no room for it, or no need of tiles
    x, y = (data.draw(st.floats(-0.5, n - 0.5 - side)) for n in (width, height))
    found = tiled((width, height), [(x, y, x + side, y + side)])
    if tile_crops(width, height, LOOK):
        assert len(found.boxes) == 1
        assert np.allclose(found.boxes, [(x, y, x + side, y + side)], atol=0.01 * side + 0.01)


@given(st.floats(0, 799), st.floats(0, 599))
def test_a_large_face_is_one_face_though_tiles_cut_it(x, y):
    face = (x, y, x + 400, y + 400)
    assert np.allclose(tiled((1200, 1000), [face]).boxes, [face], atol=0.01)


def test_faces_side_by_side_stay_apart_in_a_still():
    faces = [(100, 100, 140, 140), (135, 100, 175, 140), (100, 150, 140, 190)]
    found = tiled((1000, 750), faces)
    assert sorted(map(tuple, np.round(found.boxes))) == sorted(faces)


def test_the_limit_holds_over_all_tiles():
    found = [Detections(np.array([[10, 10, 30, 30]], np.float32), np.array([0.7], np.float32), None),
             Detections(np.array([[50, 50, 70, 70]], np.float32), np.array([0.9], np.float32), None)]
    crops = [Crop(np.array([[1.0, 0, 0], [0, 1.0, 0]]), (320, 256), BGR, 1.0, (0.0, 0.0, 0.0))] * 2
    assert np.allclose(merge(found, crops, (320, 256), 1).boxes, [[50, 50, 70, 70]])
    assert len(merge(found, crops, (320, 256), 2).boxes) == 2
