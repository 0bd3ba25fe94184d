"""The frame record keeps its contract whatever the packet holds."""
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.packet import END, START, Event, Eyes, Face, Frame, Gaze, Iris, Packet, Pose, Roi
from edge.core.parts import NO_PARTS, POINTS_ONLY, Parts
from edge.geometry.rotation import from_angles
from edge.outputs.record import NOT_FINITE, NOT_MEASURED, encode

ROI = Roi(320.0, 240.0, 200.0, 0.1)
NAN, INF = float("nan"), float("inf")


def face(**fields):
    """A face with everything; `fields` replace parts of it."""
    points = np.linspace(100.0, 300.0, 468 * 3, dtype=np.float32).reshape(468, 3)
    contour = np.linspace(200.0, 250.0, 142).reshape(71, 2)
    full = Face(
        track_id=1, roi=ROI, score=0.98, box=(212.0, 101.5, 390.25, 322.8), landmarks=points,
        pose=Pose(from_angles(3.1, -7.4, 0.2), np.array([4.0, 11.2, 612.0]), 0.8),
        irises=Eyes(Iris(np.array([284.7, 228.1]), 5.9, 0.97), Iris(np.array([354.1, 228.0]), 5.8, 0.96)),
        eye_contours=Eyes(contour, contour + 70.0),
        gaze=Gaze((1.0, -2.2), (1.2, -2.0), (0.8, -2.4), np.array([0.01, 0.04, -0.99])),
        expression={"eye_open_right": 0.93, "eye_open_left": 0.91, "mouth_open": 0.04},
    )
    return full._replace(**fields)


def packet(*faces, captured_at=81234.567, time_s=0.4):
    return Packet(Frame(12, captured_at, time_s, np.zeros((480, 640, 3), np.uint8)), faces)


def one(fields, landmarks=True):
    return encode(packet(face(**fields)), 81234.5904, Parts(landmarks))["faces"][0]


def through_json(record):
    return json.loads(json.dumps(record, allow_nan=False))


def test_the_record_is_the_one_of_the_schema():
    record = encode(packet(face()), 81234.5904, POINTS_ONLY)
    seen = through_json(record)
    assert {k: v for k, v in seen.items() if k != "faces"} == {
        "schema": 1, "frame": 12, "captured_at": 81234.567, "time_s": 0.4, "age_ms": 23.4, "size": [640, 480]}
    found = seen["faces"][0]
    assert sorted(found) == [
        "box", "expression", "eye_contours", "gaze", "id", "iris", "landmarks", "missing", "pose", "score"]
    assert (found["id"], found["score"], found["box"], found["missing"]) == (1, 0.98, [212.0, 101.5, 390.25, 322.8], {})
    assert found["pose"]["translation_mm"] == [4.0, 11.2, 612.0] and found["pose"]["residual_px"] == 0.8
    assert [found["pose"][k] for k in ("yaw", "pitch", "roll")] == [3.1, -7.4, 0.2]
    assert found["iris"] == {"right": {"center": [284.7, 228.1], "radius": 5.9, "score": 0.97},
                             "left": {"center": [354.1, 228.0], "radius": 5.8, "score": 0.96}}
    assert found["gaze"] == {"yaw": 1.0, "pitch": -2.2, "direction": [0.01, 0.04, -0.99],
                             "right": {"yaw": 1.2, "pitch": -2.0}, "left": {"yaw": 0.8, "pitch": -2.4}}
    assert found["expression"] == {"eye_open_right": 0.93, "eye_open_left": 0.91, "mouth_open": 0.04}
    assert np.array(found["landmarks"]).shape == (468, 3)
    assert {k: np.array(v).shape for k, v in found["eye_contours"].items()} == {"right": (71, 2), "left": (71, 2)}


def test_points_come_only_when_asked_for_and_are_not_called_missing():
    found = one({}, landmarks=False)
    assert "landmarks" not in found and "eye_contours" not in found and found["missing"] == {}


def test_a_frame_without_a_face_is_a_whole_record():
    assert encode(packet(), 81234.6, POINTS_ONLY)["faces"] == []


@pytest.mark.parametrize("fields, absent, reason", [
    ({"pose": None}, "pose", NOT_MEASURED),
    ({"pose": None, "missing": {"pose": "no landmarks"}}, "pose", "no landmarks"),
    ({"missing": {"gaze": "both eyes closed"}}, "gaze", "both eyes closed"),  # not trusted, though it is there
    ({"pose": Pose(np.full((3, 3), NAN), None, None)}, "pose", NOT_FINITE),
    ({"landmarks": np.full((468, 3), INF)}, "landmarks", NOT_FINITE),
    ({"irises": None}, "iris", NOT_MEASURED),
    ({"irises": Eyes(None, None)}, "iris", NOT_MEASURED),
    ({"eye_contours": Eyes(None, None)}, "eye_contours", NOT_MEASURED),
    ({"gaze": Gaze((1.0, NAN), None, None, np.array([0.0, 0.0, -1.0]))}, "gaze", NOT_FINITE),
    ({"expression": None}, "expression", NOT_MEASURED),
    ({"score": NAN}, "score", NOT_FINITE),
    ({"box": (0.0, 1.0, INF, 2.0)}, "box", NOT_FINITE),
])
def test_what_is_not_known_is_absent_and_says_why(fields, absent, reason):
    found = one(fields)
    assert absent not in found and found["missing"][absent] == reason


@pytest.mark.parametrize("fields, path, name, reason", [
    ({"pose": Pose(np.eye(3), None, 0.5)}, ("pose", "translation_mm"), "pose.translation_mm", "no camera is known"),
    ({"pose": Pose(np.eye(3), np.array([0, NAN, 1]), 0.5)}, ("pose", "translation_mm"), "pose.translation_mm",
     NOT_FINITE),
    ({"pose": Pose(np.eye(3), np.ones(3), None)}, ("pose", "residual_px"), "pose.residual_px",
     "the pose was not fitted to points"),
    ({"irises": Eyes(None, Iris(np.ones(2), 5.0, 1.0))}, ("iris", "right"), "iris.right", NOT_MEASURED),
    ({"irises": Eyes(Iris(np.ones(2), NAN, 1.0), Iris(np.ones(2), 5.0, 1.0))}, ("iris", "right"), "iris.right",
     NOT_FINITE),
    ({"irises": Eyes(None, Iris(np.ones(2), 5.0, 1.0)), "missing": {"iris.right": "closed"}}, ("iris", "right"),
     "iris.right", "closed"),
    ({"gaze": Gaze((1.0, 2.0), (1.0, 2.0), None, np.ones(3))}, ("gaze", "left"), "gaze.left", NOT_MEASURED),
    ({"expression": {"mouth_open": NAN, "eye_open_right": 1.0}}, ("expression", "mouth_open"), "expression.mouth_open",
     NOT_FINITE),
    ({"missing": {"mouth_open": "covered"}}, ("expression", "mouth_open"), "mouth_open", "covered"),
])
def test_a_part_that_is_not_known_is_absent_and_the_rest_stays(fields, path, name, reason):
    found = one(fields)
    assert found[path[0]] and path[1] not in found[path[0]]
    assert found["missing"][name] == reason


def test_the_packet_is_not_altered():
    reasons = {"iris": "closed"}
    points = np.full((468, 3), 1.23456789)
    encode(packet(face(missing=reasons, landmarks=points, pose=None)), 81234.6, POINTS_ONLY)
    assert reasons == {"iris": "closed"} and (points == 1.23456789).all()


def plain(value):
    if isinstance(value, dict):
        return all(type(k) is str and plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(plain(v) for v in value)
    return type(value) in (int, float, str)


def test_every_number_is_a_plain_one_and_rounded():
    f32 = np.float32
    found = one({"score": f32(0.98765432), "box": tuple(f32(v) for v in (1.23456, -0.0001, 3, 4)),
                 "expression": {"mouth_open": f32(1.0 / 3.0)}, "track_id": np.int64(7)})
    assert plain(found)
    assert (found["id"], found["score"], found["box"], found["expression"]) == (
        7, 0.9877, [1.23, 0.0, 3.0, 4.0], {"mouth_open": 0.3333})
    assert "-0.0" not in json.dumps(found["box"])
    assert max(len(repr(v)) for point in found["landmarks"] for v in point) <= len("100.12")


DEGREES = st.floats(-89.0, 89.0)


@given(yaw=DEGREES, pitch=st.floats(-179.0, 179.0), roll=st.floats(-179.0, 179.0))
def test_angles_are_those_of_the_rotation(yaw, pitch, roll):
    pose = one({"pose": Pose(from_angles(yaw, pitch, roll), None, None)}, landmarks=False)["pose"]
    assert [pose["yaw"], pose["pitch"], pose["roll"]] == pytest.approx([yaw, pitch, roll], abs=1e-3)
    assert np.allclose(pose["rotation"], from_angles(yaw, pitch, roll), atol=1e-6)


NUMBER = st.floats(-1e6, 1e6)
ANYTHING = st.one_of(st.floats(), st.sampled_from([NAN, INF, -INF, 1e308, -1e308, 5e-324]))


def triples(number):
    return st.tuples(number, number, number)


@st.composite
def packets(draw, number):
    """Packets whose numbers are all drawn from `number`; every field may be absent."""
    def maybe(strategy):
        return draw(st.one_of(st.none(), strategy))

    def array(*shape):
        count = int(np.prod(shape))
        return np.array(draw(st.lists(number, min_size=count, max_size=count))).reshape(shape)

    iris = st.builds(Iris, st.tuples(number, number).map(np.array), number, number)
    sight = st.tuples(number, number)
    pose = Pose(array(3, 3), maybe(triples(number).map(np.array)), maybe(number))
    seen = Face(
        1, ROI, draw(number), draw(st.tuples(number, number, number, number)),
        landmarks=draw(st.sampled_from([None, array(4, 3)])), pose=draw(st.sampled_from([None, pose])),
        irises=maybe(st.builds(Eyes, st.one_of(st.none(), iris), st.one_of(st.none(), iris))),
        eye_contours=draw(st.sampled_from([None, Eyes(array(3, 2), None)])),
        gaze=maybe(st.builds(Gaze, sight, st.one_of(st.none(), sight), st.one_of(st.none(), sight),
                             triples(number).map(np.array))),
        expression=maybe(st.dictionaries(st.sampled_from(["mouth_open", "eye_open_left"]), number)),
        missing=draw(st.dictionaries(st.sampled_from(["pose", "iris", "iris.left", "gaze.right"]), st.just("because"))),
    )
    return Packet(Frame(0, draw(number), draw(number), np.zeros((2, 3, 3), np.uint8)), (seen,))


@settings(max_examples=150, deadline=None)
@given(packets(ANYTHING), st.booleans())
def test_no_number_whatever_makes_invalid_json_or_hides_without_a_reason(taken, landmarks):
    found = through_json(encode(taken, 0.0, Parts(landmarks)))["faces"][0]
    asked = ["score", "box", "pose", "iris", "gaze", "expression"]
    asked += ["landmarks", "eye_contours"] if landmarks else []
    for key in asked:
        assert (key in found) != (key in found["missing"])
    assert all(reason for reason in found["missing"].values())


@settings(max_examples=100, deadline=None)
@given(packets(NUMBER))
def test_what_is_read_back_is_what_was_measured(taken):
    record = encode(taken, 0.0, POINTS_ONLY)
    assert through_json(record) == record
    measured, found = taken.faces[0], record["faces"][0]
    assert found["score"] == pytest.approx(measured.score, abs=0.51e-4)
    assert found["box"] == pytest.approx(list(measured.box), abs=0.51e-2)
    if "landmarks" in found:
        assert np.abs(np.array(found["landmarks"]) - measured.landmarks).max() <= 0.51e-2
    if "pose" in found:
        assert np.abs(np.array(found["pose"]["rotation"]) - measured.pose.rotation).max() <= 0.51e-6
        assert all(math.isfinite(found["pose"][k]) for k in ("yaw", "pitch", "roll"))
    for side, value in found.get("iris", {}).items():
        center = getattr(measured.irises, side).center
        assert value["center"] == pytest.approx(list(center), abs=0.51e-2)
    if "gaze" in found:
        assert found["gaze"]["direction"] == pytest.approx(list(measured.gaze.direction), abs=0.51e-6)
        assert [found["gaze"]["yaw"], found["gaze"]["pitch"]] == pytest.approx(list(measured.gaze.both), abs=0.51e-3)
    for name, value in found.get("expression", {}).items():
        assert value == pytest.approx(measured.expression[name], abs=0.51e-4)


def test_shapes_come_only_when_asked_for_and_are_not_called_missing():
    fields = {"expression": {"mouth_open": 0.5, "jawOpen": 0.25, "browDownLeft": NAN},
              "missing": {"eyeBlinkLeft": "turned away"}}
    found = encode(packet(face(**fields)), 0.0, Parts(shapes=True))["faces"][0]
    assert found["expression"] == {"mouth_open": 0.5, "jawOpen": 0.25}
    assert found["missing"] == {"eyeBlinkLeft": "turned away", "expression.browDownLeft": NOT_FINITE}
    found = encode(packet(face(**fields)), 0.0, NO_PARTS)["faces"][0]
    assert found["expression"] == {"mouth_open": 0.5} and found["missing"] == {}


@pytest.mark.parametrize("neutral, told", [
    (None, None), (from_angles(3.0, -2.0, 1.0), {"yaw": 3.0, "pitch": -2.0, "roll": 1.0}), (np.full((3, 3), NAN), None)])
def test_the_turn_from_the_resting_head_is_there_while_a_profile_is_in_use(neutral, told):
    found = one({"pose": Pose(np.eye(3), np.zeros(3), 1.0, neutral)})
    assert found["pose"].get("neutral") == told
    assert ("pose.neutral" in found["missing"]) == (neutral is not None and told is None)


def test_an_event_is_a_record_of_its_own_with_the_times_of_its_frame():
    events = (Event("away", 3, START, 1, 0.25, None, 0.87654, {"zone": "left", "yaw": 21.123456789, "frame": 5}),
              Event("blink", 4, END, None, 0.25, 0.4, NAN, {"side": "both", "depth": np.float32(0.5), "lost": NAN}))
    taken = packet()._replace(events=events)
    assert "events" not in encode(taken, 0.0, NO_PARTS)
    started, ended = through_json(encode(taken, 0.0, Parts(events=True)))["events"]
    assert started == {"schema": 1, "event": "away", "id": 3, "phase": "start", "face": 1, "frame": 12, "time_s": 0.4,
                       "captured_at": 81234.567, "start_s": 0.25, "confidence": 0.8765, "zone": "left", "yaw": 21.123457}
    assert ended == {"schema": 1, "event": "blink", "id": 4, "phase": "end", "frame": 12, "time_s": 0.4,
                     "captured_at": 81234.567, "start_s": 0.25, "end_s": 0.4, "duration_s": 0.15, "side": "both", "depth": 0.5}
