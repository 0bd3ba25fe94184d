"""Lids: the opening is measured whatever the size and turn of the eye, and the range is that of the person."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.face import eyes


def contour(opening, width=30.0, angle=0.0, at=(100.0, 80.0)):
    """71 points whose lids stand `opening` times the width apart all along their middle."""
    x = np.linspace(0, width, 9)
    points = np.zeros((71, 2))
    points[0:9, 0] = x
    points[1:8, 1] = opening * width / 2
    points[9:16, 0] = x[1:8]
    points[9:16, 1] = -opening * width / 2
    c, s = math.cos(angle), math.sin(angle)
    return points.dot(np.array([[c, s], [-s, c]])) + at


@given(st.floats(0.0, 0.6), st.floats(5, 300), st.floats(-3, 3))
def test_the_lid_distance_knows_no_size_and_no_turn(opening, width, angle):
    assert eyes.lid_distance(contour(opening, width, angle), width) == pytest.approx(opening, abs=1e-9)


@pytest.mark.parametrize("points, width", [(np.zeros((71, 2)), 30.0), (contour(0.3), 0.0)])
def test_an_eye_without_width_has_no_opening(points, width):
    assert eyes.lid_distance(points, width) is None


@pytest.mark.parametrize("steady, corners, lids, skin, moved", [
    (True, (2.0, 0.5), (7.0, 3.0), (4.0, 4.0), (2.0, 0.5)),  # that of the corners, whatever the others do
    (False, (2.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),  # corners that follow the iris along the eye
    (False, (0.0, 0.0), (1.0, 3.0), (0.0, 0.0), (1.0, 0.0)),  # lids that follow the gaze up and down
    (False, (0.0, 0.4), (0.0, 0.0), (2.0, 0.0), (0.0, 0.2)),
    (False, (0.0, 0.0), (0.0, 0.0), (2.0, 0.6), (0.0, 0.3)),
])
@pytest.mark.parametrize("angle", [0.0, 0.7, -2.5])
def test_the_middle_of_an_eye_stays_where_points_move_that_follow_its_gaze(steady, corners, lids, skin, moved, angle):
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    points = contour(0.3, 30.0, angle)
    points[16:32] = np.dot((15.0, 0.0), turn) + (100.0, 80.0)
    still = np.array(eyes.middle(points, steady))
    for which, by in (([0, 8], corners), ([k for k in range(16) if k % 8], lids), (range(16, 32), skin)):
        points[which] += np.dot(by, turn)
    assert np.allclose(still, np.dot((15.0, 0.0), turn) + (100.0, 80.0))
    assert np.allclose(eyes.middle(points, steady) - still, np.dot(moved, turn), atol=1e-9)


def test_an_eye_without_width_has_a_middle():
    assert eyes.middle(np.full((71, 2), 7.0), False) == (7.0, 7.0)


@pytest.mark.parametrize("open_level", [0.16, 0.24, 0.33])
def test_every_eye_learns_to_be_fully_open_and_fully_shut(open_level):
    learned, t = eyes.EyeRange(), 0.0
    for i in range(600):
        shut = i % 100 > 94
        learned.learn(0.15 * open_level if shut else open_level, t)
        t += 1 / 30
    assert learned.openness(open_level) > 0.95
    assert learned.openness(0.16 * open_level) < 0.05
    assert 0.3 < learned.openness(0.6 * open_level) < 0.7


def test_a_blink_is_seen_from_the_first_second():
    learned = eyes.EyeRange()
    for i in range(30):
        learned.learn(0.2, i / 30)
    assert learned.openness(0.2) > 0.9 and learned.openness(0.05) < 0.2


def test_eyes_shut_for_a_minute_do_not_become_open():
    learned = eyes.EyeRange()
    for i in range(30):
        learned.learn(0.25, i / 30)
    for i in range(1800):
        learned.learn(0.03, 1 + i / 30)
    assert learned.openness(0.03) < 0.1 and learned.openness(0.25) > 0.9


@given(st.lists(st.floats(0.0, 1.0), max_size=50), st.floats(0.0, 1.0))
def test_openness_stays_between_zero_and_one(history, now):
    learned = eyes.EyeRange()
    for i, distance in enumerate(history):
        learned.learn(distance, i / 30)
    assert 0.0 <= learned.openness(now) <= 1.0


@pytest.mark.parametrize("points, share", [((2, 3, 4, 5, 6, 10, 11, 12, 13, 14), 0.2), ((1, 7, 9, 15, 16, 40, 70), 0.0)])
def test_the_middle_of_the_lids_counts_and_their_ends_do_not(points, share):
    for point in points:
        lids = contour(0.3)
        lids[point, 1] += 1.5 if point < 8 else -1.5  # wider by 0.05 of the width at this one of five places
        assert eyes.lid_distance(lids, 30.0) == pytest.approx(0.3 + 0.05 * share, abs=1e-9)


def levels(learned):
    """The distances that are shut and open: openness is straight between the two."""
    low, high = learned.openness(0.1), learned.openness(0.11)
    assert 0.0 < low < high < 1.0
    shut = 0.1 - 0.01 * low / (high - low)
    return shut, shut + 0.01 / (high - low)


def after(*parts):
    """A range that learned: (distance, seconds) each; at 0 the first distance is seen once."""
    learned, t = eyes.EyeRange(), 0.0
    learned.learn(parts[0][0], t)
    for distance, seconds in parts:
        for _ in range(int(round(seconds * 10))):
            t += 0.1
            learned.learn(distance, t)
    return learned


ONE_TAU = 1.0 - 1.0 / math.e


@pytest.mark.parametrize("parts, open_level", [
    ([(0.145, 0)], 0.145), ([(0.143, 0)], 0.24),  # the first one is believed above 0.6 of the usual level
    ([(0.2, 10), (0.3, 1.5)], 0.2 + 0.1 * ONE_TAU),  # rises within 1.5 s
    ([(0.3, 10), (0.25, 6.0)], 0.3 - 0.05 * ONE_TAU),  # falls within 6 s
    ([(0.3, 10), (0.179, 30)], 0.3), ([(0.3, 10), (0.181, 600)], 0.181),  # below 0.6 of it the eye is closing
    ([(0.9, 0)], 0.45), ([(0.145, 0), (0.09, 600)], 0.12),  # no eye opens further, or less far
])
def test_the_open_level_follows_in_its_time_and_within_limits(parts, open_level):
    assert levels(after(*parts))[1] == pytest.approx(open_level, abs=1e-4)


@pytest.mark.parametrize("parts, share", [
    ([(0.24, 1)], 0.25),  # before a shut eye was seen
    ([(0.24, 1), (0.024, 0.1)], 0.1), ([(0.24, 1), (0.0, 0.1)], 0.05),  # as it was seen, but for lashes
    ([(0.24, 60), (0.0, 0.1), (0.24, 60)], 0.05 + 0.2 * ONE_TAU),  # is forgotten within a minute
])
def test_the_shut_level_is_what_was_seen_and_is_forgotten_slowly(parts, share):
    assert levels(after(*parts))[0] == pytest.approx(share * 0.24, abs=1e-4)


def test_at_first_the_level_is_a_running_mean_and_a_gap_counts_as_a_second():
    early = after((0.2, 0))
    early.learn(0.3, 0.5)
    assert levels(early)[1] == pytest.approx(0.2 + 0.1 * ONE_TAU)
    late = after((0.2, 10))
    late.learn(0.3, 110.0)
    assert levels(late)[1] == pytest.approx(0.3 - 0.1 * math.exp(-1.0 / 1.5))


@pytest.mark.parametrize("fps", [10, 30, 60])
@pytest.mark.parametrize("fall_s, low, blinks", [
    (0.08, 0.1, True), (0.2, 0.3, True), (0.08, 0.9, False), (1.0, 0.3, False)],
    ids=["a blink", "a slow wink", "lids that quiver", "lids that sink"])
def test_an_eye_blinks_while_its_lids_move_fast(fps, fall_s, low, blinks):
    motion = eyes.LidMotion()
    shares = [1.0 - (1.0 - low) * min(1.0, max(0.0, (i / fps - 1.0) / fall_s)) for i in range(4 * fps)]
    moving = [motion.blinks(share, i / fps) for i, share in enumerate(shares)]
    assert any(moving) == blinks
    assert not any(moving[:fps]) and not any(moving[3 * fps:])  # open, and low but at rest


def test_lids_of_frames_far_apart_or_at_one_time_say_nothing_of_their_speed():
    motion = eyes.LidMotion()
    assert not motion.blinks(1.0, 0.0) and not motion.blinks(0.2, 5.0)
    assert not motion.blinks(0.6, 5.0)
