"""The mean over frames is numpy's, of each face by itself, and no frame is lost or changes its place."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.packet import Event, Eyes, Face, Frame, Gaze, Iris, Packet, Pose, Roi
from edge.geometry.rotation import distance_deg, exp, from_angles
from edge.stages.mean import Mean

RANDOM = np.random.RandomState(0)
COUNT = 9
POINTS = RANDOM.uniform(0.0, 640.0, (COUNT, 468, 3))
CONTOURS = RANDOM.uniform(0.0, 640.0, (COUNT, 2, 71, 2))
TURNS = RANDOM.uniform(-40.0, 40.0, (COUNT, 3))
PLACES = RANDOM.uniform(-50.0, 800.0, (COUNT, 3))
CENTERS = RANDOM.uniform(0.0, 640.0, (COUNT, 2, 2))
LOOKS = RANDOM.uniform(-30.0, 30.0, (COUNT, 3, 2))
SMILES = RANDOM.uniform(0.0, 1.0, COUNT)


def face(i, track_id=1, **fields):
    ahead = np.array([0.1 * i, 0.0, -1.0])
    whole = Face(
        track_id, Roi(1.0 * i, 0.0, 100.0, 0.0), 0.9, (0.0, 0.0, 1.0 * i, 9.0), POINTS[i],
        Pose(from_angles(*TURNS[i]), PLACES[i], 1.0 * i, from_angles(*-TURNS[i])),
        Eyes(*(Iris(center, 5.0 + i, 0.1 * i) for center in CENTERS[i])), Eyes(*CONTOURS[i]),
        Gaze(*(tuple(look) for look in LOOKS[i]), direction=ahead / np.linalg.norm(ahead)),
        {"mouth_open": SMILES[i], "mouthSmileLeft": SMILES[i]})
    return whole._replace(**fields)


def packet(i, *faces):
    event = Event("blink", i + 1, "end", 1, 0.0, 0.1, 1.0)
    return Packet(Frame(i, 1.0 + i, i / 30.0, np.full((2, 2, 3), i, np.uint8)), faces, events=(event,))


def through(stage, packets):
    """What came at once for each packet, and what came at the end."""
    return [stage.process(one) for one in packets], list(stage.last())


def padded(i, n_pre, n_next):
    return [min(max(k, 0), COUNT - 1) for k in range(i - n_pre, i + n_next + 1)]


@pytest.mark.parametrize("n_pre, n_next", [(1, 1), (0, 1), (1, 0), (3, 2), (0, 15), (15, 15)])
def test_it_is_numpys_mean_with_the_ends_repeated(n_pre, n_next):
    at_once, rest = through(Mean(n_pre, n_next), [packet(i, face(i)) for i in range(COUNT)])
    assert at_once[:n_next] == [None] * min(n_next, COUNT) and len(rest) == min(n_next, COUNT), "so late and no later"
    made = [one for one in at_once if one is not None] + rest
    for i, one in enumerate(made):
        window = padded(i, n_pre, n_next)
        assert (one.frame.seq, one.events[0].id) == (i, i + 1) and one.frame.image[0, 0, 0] == i
        found = one.faces[0]
        assert np.allclose(found.landmarks, POINTS[window].mean(axis=0), rtol=0, atol=1e-9)
        assert np.allclose(found.eye_contours, CONTOURS[window].mean(axis=0), rtol=0, atol=1e-9)
        assert np.allclose(found.pose.translation_mm, PLACES[window].mean(axis=0), rtol=0, atol=1e-9)
        assert np.allclose([iris.center for iris in found.irises], CENTERS[window].mean(axis=0), rtol=0, atol=1e-9)
        assert found.irises.left.radius == pytest.approx(5.0 + np.mean(window))
        assert np.allclose([found.gaze.both, found.gaze.right, found.gaze.left], LOOKS[window].mean(axis=0))
        assert np.linalg.norm(found.gaze.direction) == pytest.approx(1.0)
        assert found.expression == {"mouth_open": SMILES[i], "mouthSmileLeft": pytest.approx(SMILES[window].mean())}
        assert (found.roi.cx, found.box[2], found.pose.residual_px, found.irises.right.score) == (i, i, i, 0.1 * i)
    assert [one.frame.seq for one in made] == list(range(COUNT))


def test_what_came_in_is_left_alone():
    given_points = POINTS.copy()
    through(Mean(1, 1), [packet(i, face(i)) for i in range(COUNT)])
    assert np.array_equal(POINTS, given_points)


def test_a_face_that_is_away_for_a_frame_has_the_mean_of_those_where_it_is():
    there = [0, 1, 3, 4]
    packets = [packet(i, *([face(i)] if i in there else []), face(i, 2)) for i in range(6)]
    at_once, rest = through(Mean(1, 1), packets)
    made = [one for one in at_once if one is not None] + rest
    assert [[one.track_id for one in each.faces] for each in made] == [[1, 2], [1, 2], [2], [1, 2], [1, 2], [2]]
    for i, window in ((0, [0, 0, 1]), (1, [0, 1]), (3, [3, 4]), (4, [3, 4])):
        assert np.allclose(made[i].faces[0].landmarks, POINTS[window].mean(axis=0))
    assert np.allclose(made[2].faces[0].landmarks, POINTS[1:4].mean(axis=0)), "the other one is its own"


def test_what_the_frame_lacks_is_not_made_up_and_what_others_lack_is_left_out():
    bare = dict.fromkeys(("landmarks", "pose", "irises", "eye_contours", "gaze", "expression"))
    shut = face(1)._replace(irises=Eyes(None, face(1).irises.left), gaze=face(1).gaze._replace(right=None),
                            pose=face(1).pose._replace(translation_mm=None, neutral=None), expression={"mouth_open": 0.5})
    at_once, rest = through(Mean(1, 1), [packet(0, face(0, **bare)), packet(1, shut), packet(2, face(2))])
    first, second, third = [one.faces[0] for one in at_once if one is not None] + [one.faces[0] for one in rest]
    assert first == face(0, **bare)
    assert second.irises.right is None and second.gaze.right is None and second.pose.translation_mm is None
    assert second.expression == {"mouth_open": 0.5} and second.pose.neutral is None
    assert np.allclose(second.landmarks, POINTS[1:3].mean(axis=0)) and second.irises.left.radius == pytest.approx(6.5)
    assert third.irises.right.radius == 7.0 and np.allclose(third.pose.translation_mm, PLACES[2])


def test_points_that_nobody_reads_are_left_as_they_are():
    at_once, rest = through(Mean(1, 1, points=False), [packet(i, face(i)) for i in range(3)])
    assert all(np.array_equal(one.faces[0].landmarks, POINTS[i]) for i, one in enumerate(at_once[1:] + rest))
    assert np.allclose(at_once[1].faces[0].pose.translation_mm, PLACES[[0, 0, 1]].mean(axis=0))


def test_after_the_end_it_begins_anew():
    stage = Mean(2, 1)
    assert list(stage.last()) == []
    first = through(stage, [packet(i, face(i)) for i in range(4)])
    again = through(stage, [packet(i, face(i)) for i in range(4)])
    for one, other in zip(first[0][1:] + first[1], again[0][1:] + again[1]):
        assert np.array_equal(one.faces[0].landmarks, other.faces[0].landmarks)


def test_it_holds_no_more_pictures_than_it_waits_for():
    stage = Mean(15, 3)
    for i in range(COUNT):
        stage.process(packet(i, face(i)))
    assert [held.frame.seq for held in stage._held] == list(range(COUNT - 3, COUNT))
    assert all(isinstance(faces, tuple) for faces in stage._before)


ANGLES = st.lists(st.tuples(*[st.floats(-50.0, 50.0)] * 3), min_size=3, max_size=7)


@given(ANGLES, st.tuples(*[st.floats(-3.0, 3.0)] * 3))
@settings(deadline=None, max_examples=60)
def test_the_mean_of_rotations_is_one_between_them_and_turns_with_them(turns, axis):
    def mean(rotations):
        packets = [packet(i, Face(1, Roi(0, 0, 1, 0), 1.0, (0, 0, 1, 1), pose=Pose(r, None, None)))
                   for i, r in enumerate(rotations)]
        return through(Mean(len(packets) - 1, 0), packets)[0][-1].faces[0].pose.rotation

    rotations, turn = [from_angles(*angles) for angles in turns], exp(axis)
    found = mean(rotations)
    assert np.allclose(found.dot(found.T), np.eye(3), atol=1e-6) and np.linalg.det(found) == pytest.approx(1.0, abs=1e-6)
    cost = sum(np.sum((found - one) ** 2) for one in rotations)
    for step in np.vstack([np.eye(3), -np.eye(3)]) * 0.01:
        assert cost <= sum(np.sum((found.dot(exp(step)) - one) ** 2) for one in rotations) + 1e-9, "none near is nearer"
    assert distance_deg(mean([turn.dot(one) for one in rotations]), turn.dot(found)) < 1e-3
    assert distance_deg(mean(rotations[:1] * 4), rotations[0]) < 1e-3
