"""From records to one face, whole: which is followed, what is held and eased, and what a mirror changes."""
import math

import numpy as np
import pytest
from fakes.records import blink, face, record
from hypothesis import given
from hypothesis import strategies as st

from edge.core.parts import SHAPES
from edge.geometry.rotation import from_angles
from edge.outputs.live.axes import head_angles
from edge.outputs.live.signals import EASE_S, HOLD_S, SWITCH_S, Follower, at_rest, mirrored, other_side

unit, angle = st.floats(0.0, 1.0), st.floats(-60.0, 60.0)
signals = st.builds(
    lambda yaw, pitch, roll, place, right, left, eyes, shapes: at_rest()._replace(
        rotation=from_angles(yaw, pitch, roll), position_mm=place, gaze={"right": right, "left": left},
        eye_open=dict(zip(("right", "left"), eyes)), shapes=dict(zip(SHAPES, shapes))),
    angle, angle, angle, st.tuples(*[st.floats(-1000.0, 1000.0)] * 3), st.tuples(angle, angle), st.tuples(angle, angle),
    st.tuples(unit, unit), st.lists(unit, min_size=52, max_size=52))


def plain(found):
    return found._replace(rotation=found.rotation.tolist())


@given(signals)
def test_mirrored_twice_is_the_same(face_signals):
    again = mirrored(mirrored(face_signals))
    assert plain(again) == plain(face_signals)


@given(signals)
def test_a_mirror_turns_to_the_other_side_and_swaps_the_sides(face_signals):
    found = mirrored(face_signals)
    (yaw, pitch, roll), (x, y, z) = head_angles(face_signals.rotation), face_signals.position_mm
    np.testing.assert_allclose(head_angles(found.rotation), (-yaw, pitch, -roll), atol=1e-6)
    assert found.position_mm == (-x, y, z) and found.mouth_open == face_signals.mouth_open
    assert found.eye_open["left"] == face_signals.eye_open["right"]
    assert found.gaze["left"] == (-face_signals.gaze["right"][0], face_signals.gaze["right"][1])
    for name in SHAPES:
        assert found.shapes[name] == face_signals.shapes[other_side(name)]


def test_every_shape_has_another_side_that_is_a_shape():
    assert {other_side(name) for name in SHAPES} == set(SHAPES)
    assert other_side("jawLeft") == "jawRight" and other_side("jawOpen") == "jawOpen"


def test_a_face_comes_through_as_it_is():
    found = Follower().follow(record(face(5, 20.0, 15.0, 10.0, (1.0, 2.0, 700.0), (5.0, -3.0), {"jawOpen": 0.5})), 0.0,
                              [blink()])
    np.testing.assert_allclose(head_angles(found.rotation), (20.0, 15.0, 10.0), atol=1e-6)
    assert (found.tracked, found.face, found.position_mm) == (True, 5, (1.0, 2.0, 700.0))
    assert found.gaze["left"] == pytest.approx((5.0, -3.0)) and found.shapes["jawOpen"] == 0.5 and found.events == (blink(),)


def test_a_profiles_rest_is_the_rest():
    turned = face(yaw=20.0)
    turned["pose"]["neutral"] = {"yaw": 3.0, "pitch": 1.0, "roll": 0.0}
    np.testing.assert_allclose(head_angles(Follower().follow(record(turned), 0.0).rotation), (3.0, 1.0, 0.0), atol=1e-6)


@pytest.mark.parametrize("lost", [record(), None, record({"id": 1, "missing": {"pose": "no"}})])
def test_a_lost_face_is_held_then_eased_to_rest(lost):
    follower = Follower()
    follower.follow(record(face(yaw=20.0, place=(30.0, 0.0, 500.0), expression={"jawOpen": 0.8})), 0.0)
    held = follower.follow(lost, HOLD_S)
    assert not held.tracked and head_angles(held.rotation)[0] == pytest.approx(20.0) and held.shapes["jawOpen"] == 0.8
    eased = follower.follow(lost, HOLD_S + EASE_S)
    assert head_angles(eased.rotation)[0] == pytest.approx(20.0 / math.e, rel=1e-3)
    assert eased.shapes["jawOpen"] == pytest.approx(0.8 / math.e, rel=1e-3)
    rest = follower.follow(lost, 20.0)
    assert head_angles(rest.rotation)[0] == pytest.approx(0.0, abs=1e-6) and rest.shapes["jawOpen"] == pytest.approx(0.0)
    assert rest.position_mm == (30.0, 0.0, 500.0)  # nothing is known of where it went


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=30))
def test_easing_depends_on_the_time_and_not_on_how_often_it_is_asked(steps):
    many, once = Follower(), Follower()
    for follower in (many, once):
        follower.follow(record(face(expression={"jawOpen": 1.0})), 0.0)
    now = 0.0
    for step in steps:
        now += step
        last = many.follow(None, now)
    assert last.shapes["jawOpen"] == pytest.approx(once.follow(None, now).shapes["jawOpen"], abs=1e-9)


def test_one_value_that_is_absent_is_held_while_the_rest_goes_on():
    follower, blinking = Follower(), face(yaw=5.0, gaze=(10.0, 0.0))
    follower.follow(record(blinking), 0.0)
    shut = {key: value for key, value in face(yaw=8.0).items() if key not in ("gaze", "iris")}
    found = follower.follow(record(shut), 0.1)
    assert found.tracked and found.gaze["right"] == pytest.approx((10.0, 0.0))
    assert head_angles(found.rotation)[0] == pytest.approx(8.0)


def test_an_eye_without_an_iris_looks_where_both_look():
    one = face(gaze=(10.0, 4.0))
    del one["gaze"]["left"]
    found = Follower().follow(record(one), 0.0)
    assert found.gaze["left"] == pytest.approx((10.0, 4.0))


def large(number, **more):
    return face(number, box=[0.0, 0.0, 600.0, 400.0], **more)


def test_the_largest_face_is_followed_and_kept_while_it_is_there():
    follower = Follower()
    assert follower.follow(record(face(1), large(2)), 0.0).face == 2
    near = face(2)
    assert follower.follow(record(large(1), near), 1.0).face == 2
    assert follower.follow(record(large(1)), 1.5).face == 2  # it may come back
    assert not follower.follow(record(large(1)), 1.5).tracked
    assert follower.follow(record(large(1), near), 1.9).tracked
    assert follower.follow(record(large(1)), 1.9 + SWITCH_S).face == 1
    assert follower.follow(record(large(1), near), 3.5).face == 1


def test_without_shapes_eyes_mouth_and_gaze_make_some():
    told = face(gaze=(15.0, -6.0))
    told["expression"] = {"eye_open_right": 0.0, "eye_open_left": 1.0, "mouth_open": 0.4}
    shapes = Follower().follow(record(told), 0.0).shapes
    assert (shapes["eyeBlinkRight"], shapes["eyeBlinkLeft"], shapes["jawOpen"]) == (1.0, 0.0, 0.4)
    assert shapes["eyeLookOutRight"] == shapes["eyeLookInLeft"] == pytest.approx(0.5)  # to the subject's right
    assert shapes["eyeLookDownRight"] == pytest.approx(0.2) and shapes["eyeLookOutLeft"] == 0.0


def test_before_the_first_face_it_is_at_rest():
    found = Follower().follow(None, 5.0)
    assert not found.tracked and found.face is None and set(found.shapes) == set(SHAPES) and found.eye_open["left"] == 1.0
    assert found.position_mm[2] == at_rest().position_mm[2]
