"""Every limit of the detectors, from both sides: scores, overlaps, sizes, and where a closer look is worth it."""
import math

import cv2
import numpy as np
import pytest

from edge.core.contracts import BGR, Crop
from edge.models.detectors.table import make_detector
from edge.models.detectors.tiles import merge, tile_crops
from edge.models.spec import Detections, Input, whole_frame_crop
from edge.models.warp import Warper
from tests.unit.test_detectors import COUNTS, ENCODE, FAR, NEAR, each_network

THRESHOLDS = {"yunet_s": 0.6, "yunet_n": 0.6, "blazeface_short": 0.5, "blazeface_full": 0.6, "fmr_8and16": 0.6,
              "fmr_16and32": 0.6, "rfb320": 0.9, "faceboxes": 0.6}
LOOK = Input((320, 256), BGR, 1.0, (0.0, 0.0, 0.0))


def answer(network, faces, limit=400):
    """What a network says of a frame at its own threshold."""
    detector = make_detector(network)
    return detector.decode(ENCODE[network](faces), detector.crop(640, 480), detector.threshold, limit)


@each_network
def test_a_face_is_one_from_the_threshold_of_its_network_on(network):
    limit = THRESHOLDS[network]
    assert (answer(network, []).keypoints is None) == (network not in COUNTS)
    assert [len(answer(network, [(NEAR[0], limit + off)]).boxes) for off in (0.005, -0.005)] == [1, 0]


@each_network
def test_two_boxes_are_one_face_from_an_overlap_on(network):
    limit = 0.4 if network.startswith("fmr") else 0.3
    counts = []
    for iou in (limit - 0.01, limit + 0.01):
        x0, y0, x1, y1 = NEAR[0]
        x = (x1 - x0) * (1.0 - iou) / (1.0 + iou)
        counts.append(len(answer(network, [NEAR, ((x0 + x, y0, x1 + x, y1), 0.94)]).boxes))
    assert counts == [2, 1]


def cell(outputs, place, score=0.9, at=0):
    """YuNet's answer with one cell of stride 32 filled in."""
    outputs["cls_32"][0, at] = outputs["obj_32"][0, at] = score
    outputs["bbox_32"][0, at] = place
    return outputs


def decoded(outputs, limit=400):
    detector = make_detector("yunet_s")
    crop = Crop(np.eye(2, 3), (320, 256), BGR, 1.0, (0.0, 0.0, 0.0))
    return detector.decode(outputs, crop, 0.5, limit).boxes


@pytest.mark.parametrize("exponent, side", [(0.0, 32.0), (3.9, 32.0 * math.exp(3.9)), (4.1, 32.0 * math.exp(4.0))])
def test_no_box_grows_beyond_all_bounds(exponent, side):
    (x0, _, x1, _), = decoded(cell(ENCODE["yunet_s"]([]), (0.0, 0.0, exponent, 0.0)))
    assert x1 - x0 == pytest.approx(side, rel=1e-5)


@pytest.mark.parametrize("x, count", [(0.99e5, 1), (1.01e5, 0), (-0.99e5, 1), (-1.01e5, 0)])
def test_a_box_far_outside_is_no_face(x, count):
    assert len(decoded(cell(ENCODE["yunet_s"]([]), (x / 32.0, 0.0, 0.0, 0.0)))) == count


def test_no_more_than_three_hundred_candidates_are_compared():
    outputs = ENCODE["yunet_s"]([])
    outputs["cls_8"][...] = outputs["obj_8"][...] = 0.9
    outputs["bbox_8"][..., 2:] = -3.0  # so small that none touches another
    assert len(decoded(outputs, 1000)) == 300


def test_blazeface_averages_what_it_takes_for_one_face_and_yunet_takes_the_surest():
    shifted = tuple(v + 9.0 for v in NEAR[0]), 0.5
    for network, off in (("blazeface_full", 9.0 * 0.5 / 1.45), ("yunet_s", 0.0)):
        detector = make_detector(network)
        found, alone = (detector.decode(ENCODE[network](faces), detector.crop(640, 480), 0.4, 8).boxes
                        for faces in ([NEAR, shifted], [NEAR]))
        assert np.allclose(found - alone, 2.0 * off, atol=0.05)  # a pixel of the input is two of the frame


# tiles

def scale_of(frame):
    tiles = tile_crops(frame[0], frame[1], LOOK)
    return tiles[0].matrix[0, 0] if tiles else None


@pytest.mark.parametrize("frame, scale", [
    ((383, 200), None), ((385, 200), 1.0),  # from 1.2 times as large on
    ((960, 600), 1.0), ((1280, 600), 0.75), ((3200, 600), 0.3),  # three times as large as the whole view
])
def test_tiles_show_three_times_as_much_where_that_is_more(frame, scale):
    assert scale_of(frame) == (None if scale is None else pytest.approx(scale))


def test_the_outer_tiles_end_where_the_frame_does():
    (first, _, _, last), scale = tile_crops(1280, 600, LOOK)[:4], 0.75
    assert first.matrix.dot((-0.5, -0.5, 1.0)) == pytest.approx((-0.5, -0.5))
    assert last.matrix.dot((1279.5, -0.5, 1.0)) == pytest.approx((319.5, -0.5)) and last.matrix[1, 1] == scale


@pytest.mark.parametrize("size, width, count", [
    ((320, 256), 560, 2), ((320, 256), 561, 3), ((128, 128), 192, 2), ((128, 128), 193, 3)])
def test_neighbours_share_eighty_pixels_or_half_of_a_small_input(size, width, count):
    assert len(tile_crops(width, 128, Input(size, BGR, 1.0, (0.0, 0.0, 0.0)))) == count


def merged(*boxes):
    """One answer from two looks, the second at a tile of a frame of 640x256: the boxes of one look each."""
    crops = [whole_frame_crop(640, 256, LOOK), Crop(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), (320, 256), BGR, 1.0,
                                                    (0.0, 0.0, 0.0))]
    found = [Detections(np.array(part, np.float32).reshape(-1, 4), np.full(len(part), score, np.float32), None)
             for part, score in zip(boxes, (0.8, 0.9))]
    return len(merge(found, crops, (640, 256), 32).boxes)


@pytest.mark.parametrize("share, count", [(0.49, 2), (0.51, 1)])
def test_two_boxes_are_one_face_from_half_of_the_smaller_on(share, count):
    assert merged([(100, 100, 200, 200)], [(200 - 40 * share, 100, 240 - 40 * share, 140)]) == count


@pytest.mark.parametrize("right, size, count", [
    (317.0, 30.0, 1), (318.0, 30.0, 0),  # the tile ends at 319.5: two pixels of it are its border
    (200.0, 75.9, 1), (200.0, 76.1, 0),  # what the neighbours share, without the borders of both
])
def test_a_tile_answers_for_what_it_has_whole(right, size, count):
    assert merged([], [(right - size, 50.0, right, 50.0 + size)]) == count


def test_the_frames_own_border_cuts_nothing_off():
    assert merged([], [(-5.0, -5.0, 30.0, 30.0)]) == 1


@each_network
def test_the_surest_face_is_the_first(network):
    scores = answer(network, [(FAR[0], 0.92), (NEAR[0], 0.97)]).scores
    assert list(scores) == pytest.approx([0.97, 0.92], abs=1e-3)


@pytest.mark.parametrize("off, resized", [(0.0, True), (1 / 70.0, True), (1 / 58.0, False)])
def test_a_frame_that_lands_on_whole_pixels_is_resized_and_else_warped(off, resized):
    """A sixty-fourth of a pixel beside is as good as on it; a warp then samples a thirty-second beside."""
    image = np.random.RandomState(2).randint(0, 256, (48, 64, 3)).astype(np.uint8)
    matrix = np.array([[0.5, 0.0, -0.25 + off], [0.0, 0.5, -0.25]])
    found = np.empty((3, 24, 32), np.float32)
    Warper().fill(image, Crop(matrix, (32, 24), BGR, 1.0, (0.0, 0.0, 0.0)), found)
    assert np.array_equal(found, cv2.resize(image, (32, 24)).transpose(2, 0, 1)) == resized
