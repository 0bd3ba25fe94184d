"""The frame record is read back as it was written, and what is no record is one clear error."""
import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_record import face, one, packet

from edge.core.errors import EdgeError, InputError
from edge.core.packet import END, Event, Eyes, Gaze, Iris, Pose
from edge.core.parts import POINTS_ONLY, Parts
from edge.core.records import EVENT_KEYS, Angles, read_event, read_face, read_line, read_record
from edge.geometry.rotation import from_angles
from edge.outputs.record import encode

NOW = 81234.5904
SMALL = st.floats(-3000.0, 3000.0)
ANGLE = st.floats(-179.0, 179.0)
UNIT = st.floats(0.0, 1.0)
WORDS = st.text(max_size=20)


def arrays(*shape):
    return st.integers(0, 2 ** 31).map(lambda seed: np.random.RandomState(seed).uniform(-900.0, 900.0, shape))


def maybe(strategy):
    return st.one_of(st.none(), strategy)


IRIS = st.builds(Iris, arrays(2), st.floats(0.0, 90.0), UNIT)
SIGHT = st.tuples(ANGLE, ANGLE)
TURN = st.builds(from_angles, st.floats(-89.0, 89.0), ANGLE, ANGLE)
POSE = st.builds(Pose, TURN, maybe(arrays(3)), maybe(UNIT), maybe(TURN))
FACES = st.builds(
    face, track_id=st.integers(0, 10 ** 9), score=UNIT, box=st.tuples(SMALL, SMALL, SMALL, SMALL),
    landmarks=maybe(arrays(468, 3)), pose=maybe(POSE), irises=maybe(st.builds(Eyes, maybe(IRIS), maybe(IRIS))),
    eye_contours=maybe(st.builds(Eyes, maybe(arrays(71, 2)), maybe(arrays(71, 2)))),
    gaze=maybe(st.builds(Gaze, SIGHT, maybe(SIGHT), maybe(SIGHT), arrays(3))),
    expression=maybe(st.dictionaries(WORDS, UNIT, max_size=4)),
    missing=st.dictionaries(st.sampled_from(["gaze", "iris.left", "pose", "score", "eye_open_left", "landmarks"]), WORDS))


def near(found, value, digits):
    """Also of what is not known."""
    if found is None or value is None:
        return found is None and value is None
    return np.allclose(np.array(found), np.array(value), rtol=0.0, atol=0.500001 * 10.0 ** -digits)


def same_eyes(found, eyes, missing, quantity, same):
    """None where neither eye is known, or where the writer does not trust it."""
    expected = {side: None if eyes is None or quantity + "." + side in missing else getattr(eyes, side)
                for side in ("right", "left")}
    if all(value is None for value in expected.values()):
        return found is None
    return found is not None and all(same(getattr(found, side), value) for side, value in expected.items())


def same_iris(found, iris):
    if found is None or iris is None:
        return found is None and iris is None
    return near(found.center, iris.center, 2) and near(found.radius, iris.radius, 2) and near(found.score, iris.score, 4)


@given(faces=st.lists(FACES, max_size=2), time_s=st.floats(0.0, 1e6))
def test_what_was_written_is_read(faces, time_s):
    record = json.loads(json.dumps(encode(packet(*faces, time_s=time_s), NOW, POINTS_ONLY), allow_nan=False))
    found = read_record(json.dumps(record))
    assert found == read_record(record) == read_record(json.dumps(record).encode("utf-8"))
    assert (found.frame, found.size, found.captured_at, found.file) == (12, (640, 480), 81234.567, "")
    assert near(found.time_s, time_s, 6) and near(found.age_ms, 23.4, 3) and len(found.faces) == len(faces)
    for read, wrote in zip(found.faces, faces):
        told = wrote.missing
        assert read.id == wrote.track_id and near(read.score, None if "score" in told else wrote.score, 4)
        assert near(read.box, wrote.box, 2) and set(told.items()) <= set(read.missing.items())
        assert near(read.landmarks, None if "landmarks" in told else wrote.landmarks, 2)
        assert same_eyes(read.irises, wrote.irises, told, "iris", same_iris)
        assert same_eyes(read.eye_contours, wrote.eye_contours, told, "eye_contours", lambda a, b: near(a, b, 2))
        same_pose(read.pose, None if "pose" in told else wrote.pose)
        same_gaze(read.gaze, None if "gaze" in told else wrote.gaze)
        known = {k: v for k, v in (wrote.expression or {}).items() if k not in told}
        assert set(read.expression) == set(known) and all(near(read.expression[k], v, 4) for k, v in known.items())


def same_pose(read, wrote):
    assert (read is None) == (wrote is None)
    if wrote is not None:
        assert near(read.rotation, wrote.rotation, 6)
        assert np.allclose(from_angles(read.yaw, read.pitch, read.roll), wrote.rotation, atol=1e-4)
        assert near(read.translation_mm, wrote.translation_mm, 2) and near(read.residual_px, wrote.residual_px, 2)
        assert (read.neutral is None) == (wrote.neutral is None)
        if wrote.neutral is not None:
            assert np.allclose(from_angles(*read.neutral), wrote.neutral, atol=1e-4)


def same_gaze(read, wrote):
    assert (read is None) == (wrote is None)
    if wrote is not None:
        assert near((read.yaw, read.pitch), wrote.both, 3) and near(read.direction, wrote.direction, 6)
        assert near(read.right, wrote.right, 3) and near(read.left, wrote.left, 3)


@given(faces=st.lists(FACES, max_size=2))
def test_the_library_reads_the_writers_arrays_as_it_would_read_their_lists(faces):
    whole = packet(*faces)
    written = json.dumps(encode(whole, NOW, POINTS_ONLY))
    assert read_record(encode(whole, NOW, POINTS_ONLY, as_lists=False)) == read_record(written)


def test_the_values_have_names_and_shapes():
    found = read_face(one({}))
    assert (found.id, found.score, found.box) == (1, 0.98, (212.0, 101.5, 390.25, 322.8))
    assert found.landmarks.shape == (468, 3) and found.landmarks.dtype == np.float64
    assert (found.pose.yaw, found.pose.pitch, found.pose.roll) == (3.1, -7.4, 0.2)
    assert found.pose.translation_mm.tolist() == [4.0, 11.2, 612.0] and found.pose.rotation.shape == (3, 3)
    assert found.irises.right.center.tolist() == [284.7, 228.1] and found.irises.left.radius == 5.8
    assert found.gaze.right == Angles(1.2, -2.0) and (found.gaze.yaw, found.gaze.pitch) == (1.0, -2.2)
    assert (found.eye_open_right, found.eye_open_left, found.mouth_open) == (0.93, 0.91, 0.04)
    assert found.eye_contours.left.shape == (71, 2) and found.missing == {}


def test_two_faces_can_be_compared():
    first, again, other = (read_face(one(fields)) for fields in ({}, {}, {"landmarks": np.zeros((468, 3))}))
    assert (first == again, first != again, first == other, first != other) == (True, False, False, True)
    assert first in [other, again] and first.pose == again.pose and first.gaze != again.pose and first != "a face"


def test_what_is_not_known_is_none():
    found = read_face({"id": 3})
    assert found == found._replace(expression={}) and found.id == 3
    assert [value for name, value in found._asdict().items() if name not in ("id", "expression", "missing")] == 8 * [None]
    assert (found.eye_open_right, found.mouth_open, found.missing) == (None, None, {})


def test_keys_of_a_later_version_are_passed_over():
    record = encode(packet(face()), NOW, POINTS_ONLY)
    later = copy.deepcopy(record)
    later.update(hands=[1, {"a": None}])
    later["faces"][0].update(blush=0.4)
    later["faces"][0]["pose"].update(neck=[1, 2])
    later["faces"][0]["iris"].update(third="eye")
    assert read_record(later) == read_record(record)


@pytest.mark.parametrize("parts, told, missing", [
    (Parts(shapes=True, coarse=True), {"jawOpen", "cheekPuff"}, {"mouthPucker", "mouthSmileLeft"}),
    (Parts(shapes=True), {"jawOpen"}, {"mouthSmileLeft"}),
    (Parts(), set(), set()),
])
def test_coarse_shapes_are_in_the_records_of_who_wants_them_alone(parts, told, missing):
    whole = face(expression={"jawOpen": 0.5, "cheekPuff": 0.25, "mouth_open": 0.5},
                 missing={"mouthPucker": "the mouth is hidden", "mouthSmileLeft": "the mouth is hidden"})
    record = encode(packet(whole), NOW, parts, coarse=frozenset({"cheekPuff", "mouthPucker"}))["faces"][0]
    assert set(record["expression"]) == told | {"mouth_open"}
    assert {name for name in record["missing"] if name.startswith("mouth")} == missing


def broken(path, value):
    record = json.loads(json.dumps(encode(packet(face(missing={"x": "y"})), NOW, POINTS_ONLY)))
    at = record
    for key in path[:-1]:
        at = at[key]
    if value is KeyError:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return record


F = ("faces", 0)


@pytest.mark.parametrize("path, value, told", [
    (("schema",), 2, "schema 2"), (("schema",), KeyError, "schema None"), (("schema",), True, "schema True"),
    (("frame",), 1.5, "frame must be a whole number, it is 1.5"), (("frame",), -1, "frame must be a whole number"),
    (("size",), [640], "size must be [width, height]"), (("size",), "640x480", "size must be [width, height], it is a text"),
    (("faces",), {}, "faces must be a list, it is an object"), (F, 7, "faces[0] must be an object, it is 7"),
    (("time_s",), "now", "time_s must be a finite number, it is a text"), (("file",), 3, "file must be a text"),
    (("time_s",), float("nan"), "time_s must be a finite number"),
    (F + ("id",), KeyError, "faces[0].id must be a whole number, it is null"),
    (F + ("score",), None, "faces[0].score must be a finite number, it is null"),
    (F + ("score",), True, "faces[0].score must be a finite number, it is true or false"),
    (F + ("box",), [1, 2, 3], "faces[0].box must be 4 numbers"), (F + ("box",), [1, 2, 3, "4"], "faces[0].box"),
    (F + ("landmarks",), [[1, 2, 3]], "faces[0].landmarks must be 468 x 3 numbers"),
    (F + ("landmarks", 7), [1, 2], "faces[0].landmarks must be 468 x 3 numbers"),
    (F + ("landmarks", 7), [1, 2, None], "faces[0].landmarks must be 468 x 3 numbers"),
    (F + ("landmarks", 7), [1, 2, float("inf")], "faces[0].landmarks must be 468 x 3 numbers"),
    (F + ("pose", "yaw"), KeyError, "faces[0].pose.yaw must be a finite number, it is null"),
    (F + ("pose", "rotation"), KeyError, "faces[0].pose.rotation must be 3 x 3 numbers"),
    (F + ("pose", "translation_mm"), [1, 2], "faces[0].pose.translation_mm must be 3 numbers"),
    (F + ("iris", "right"), [], "faces[0].iris.right must be an object, it is a list"),
    (F + ("iris", "left", "radius"), "5", "faces[0].iris.left.radius"),
    (F + ("gaze", "direction"), None, "faces[0].gaze.direction must be 3 numbers, it is null"),
    (F + ("gaze", "left", "pitch"), KeyError, "faces[0].gaze.left.pitch"),
    (F + ("expression", "mouth_open"), "wide", "faces[0].expression.mouth_open"),
    (F + ("eye_contours", "right"), [[1, 2]], "faces[0].eye_contours.right must be 71 x 2 numbers"),
    (F + ("missing",), [], "faces[0].missing must be an object"), (F + ("missing", "x"), 1, "faces[0].missing.x"),
    (("frame",), -10 ** 5000, "frame must be a whole number, it is "),
    (("time_s",), 10 ** 400, "time_s must be a finite number, it is 1000"), (("schema",), 10 ** 5000, "has the schema "),
    (F + ("score",), -10 ** 400, "faces[0].score must be a finite number, it is -1000"),
    (F + ("landmarks", 7), [1, 2, 10 ** 400], "faces[0].landmarks must be 468 x 3 numbers"),
    (F + ("landmarks", 7), [1, 2, "x" * 10 ** 6], "faces[0].landmarks must be 468 x 3 numbers"),  # numpy would take 5 GB
    (F + ("landmarks", 7), [1, 2, (3,)], "faces[0].landmarks"), (F + ("box",), [1, True, 2, 3], "faces[0].box must be 4"),
    (F + ("missing",), {"x" * 10 ** 6: 1}, "faces[0].missing.xxx"), (F + ("expression",), {"a\nb": []}, "a\\nb must be"),
], ids=lambda value: "huge" if isinstance(value, int) and abs(value) > 2 ** 64 else None)
def test_what_is_wrong_is_named(path, value, told):
    with pytest.raises(InputError) as error:
        read_record(broken(path, value))
    assert told in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "null", '{"schema": 1', "[" * 100000, b"\xff", '{"schema": "1"}',
                                  '{"schema": [' + "1," * 1000 + "1]}"], ids=range(10))
def test_what_is_no_record_at_all_is_one_line(text):
    with pytest.raises(EdgeError) as error:
        read_record(text)
    assert isinstance(error.value, ValueError) and "\n" not in str(error.value) and len(str(error.value)) < 200


VALUE = st.one_of(WORDS, st.booleans(), st.integers(-9, 9))
EVENTS = st.builds(
    Event, WORDS, st.integers(0, 10 ** 9), st.just(END), maybe(st.integers(0, 99)), SMALL, SMALL, UNIT,
    st.dictionaries(WORDS.filter(lambda key: key not in EVENT_KEYS), VALUE, max_size=3))


@given(EVENTS)
def test_an_event_that_was_written_is_read(event):
    record = encode(packet()._replace(events=(event,)), NOW, Parts(events=True))["events"][0]
    line = json.dumps(record, allow_nan=False)
    found = read_event(line)
    assert found == read_event(record) == read_line(line.encode("utf-8"))
    assert found[:4] == event[:4] and (found.frame, found.time_s, found.captured_at) == (12, 0.4, 81234.567)
    assert near((found.start_s, found.end_s, found.confidence), (event.start_s, event.end_s, event.confidence), 4)
    assert near(found.duration_s, event.end_s - event.start_s, 6) and found.values == dict(event.values)


def test_a_line_of_either_kind_is_read_as_what_it_is():
    lines = [json.dumps(record) for record in (encode(packet(), NOW, POINTS_ONLY), BLINK)]
    assert [type(read_line(line)).__name__ for line in lines] == ["FrameRecord", "Event"]
    with pytest.raises(InputError, match="of an event, 'blink', and of no frame: read_event or read_line reads it"):
        read_record(lines[1])
    with pytest.raises(InputError, match="no record of an event: read_record or read_line"):
        read_event(lines[0])


BLINK = {"schema": 1, "event": "blink", "id": 3, "phase": "end", "start_s": 0.1}


@pytest.mark.parametrize("change, reported", [
    ({"phase": "middle"}, "phase must be start or end"), ({"id": None}, "id must be a whole number, it is null"),
    ({"face": -1}, "face must be a whole number"), ({"start_s": "0"}, "start_s must be a finite number, it is a text"),
    ({"event": 5}, "event must be a text"), ({"schema": 2}, "has the schema 2"),
])
def test_what_is_no_event_record_is_one_clear_error(change, reported):
    assert read_event(BLINK).name == "blink"
    with pytest.raises(InputError, match=reported):
        read_line(dict(BLINK, **change))


def test_a_face_tells_its_shapes_alone():
    told = {"expression": {"mouth_open": 0.5, "jawOpen": 0.25, "of_later": 1.0}, "id": 1}
    assert read_face(told).shapes == {"jawOpen": 0.25} and read_face({"id": 1}).shapes == {}
