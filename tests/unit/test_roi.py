"""Regions: there and back again, and the crop's corners where MediaPipe's rule puts them."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.packet import Roi
from edge.geometry import roi as regions

rois = st.builds(Roi, st.floats(-500, 2000), st.floats(-500, 2000), st.floats(8, 2000), st.floats(-math.pi, math.pi))


@given(rois, st.booleans(), st.floats(-1000, 3000), st.floats(-1000, 3000))
def test_a_point_comes_back_from_the_crop(roi, mirror, x, y):
    m = regions.matrix(roi, 192, mirror)
    there = regions.apply(m, np.array([[x, y]]))
    assert np.allclose(regions.apply(regions.invert(m), there), [[x, y]], atol=1e-5)


@given(rois, st.booleans())
def test_the_centre_goes_to_the_centre_and_the_side_to_the_side(roi, mirror):
    m = regions.matrix(roi, 64, mirror)
    assert np.allclose(regions.apply(m, np.array([[roi.cx, roi.cy]])), [[32, 32]], atol=1e-6)
    right = np.array([[roi.cx + math.cos(roi.angle) * roi.size / 2, roi.cy + math.sin(roi.angle) * roi.size / 2]])
    assert np.allclose(regions.apply(m, right), [[0 if mirror else 64, 32]], atol=1e-5)


@pytest.mark.parametrize("right, left, degrees", [((0, 0), (10, 0), 0), ((0, 0), (10, 10), 45), ((0, 0), (0, -5), -90)])
def test_the_eye_line_is_measured_clockwise(right, left, degrees):
    assert math.degrees(regions.eye_angle(np.array(right), np.array(left))) == pytest.approx(degrees)


def test_a_region_is_scaled_from_the_longer_side():
    assert regions.around((10, 20, 50, 100), 1.5, 0.25) == Roi(30, 60, 120, 0.25)


@pytest.mark.parametrize("roi, share", [
    (Roi(50, 50, 20, 0), 1.0), (Roi(0, 50, 20, 0), 0.5), (Roi(0, 0, 20, 0), 0.25), (Roi(-50, 50, 20, 0), 0.0),
])
def test_the_visible_share_of_a_region(roi, share):
    assert regions.visible_share(roi, 100, 100) == pytest.approx(share)


@pytest.mark.parametrize("a, b, iou", [
    ((0, 0, 10, 10), (0, 0, 10, 10), 1.0), ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3), ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),
])
def test_overlap_of_two_boxes(a, b, iou):
    assert regions.overlap(a, b) == pytest.approx(iou)
