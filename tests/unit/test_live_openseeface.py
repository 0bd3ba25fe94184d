"""OpenSeeFace's packets, read by a decoder that was written from the description of the format alone."""
import csv
import io
import os
import struct
from collections import namedtuple

import cv2
import numpy as np
import pytest

from edge.core import clock
from edge.geometry.rotation import FLIP, exp, from_angles
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.live import axes
from edge.outputs.live.openseeface.features import RunningMedian, Usual
from edge.outputs.live.openseeface.packet import Encoder, pose_of
from edge.outputs.live.openseeface.points import MESH, MIRRORED
from edge.outputs.spec import parse_output

CANONICAL = "media/head/canonical_face_model.obj"
NAMES = ("eye_l eye_r eyebrow_steepness_l eyebrow_updown_l eyebrow_quirk_l eyebrow_steepness_r eyebrow_updown_r "
         "eyebrow_quirk_r mouth_corner_updown_l mouth_corner_inout_l mouth_corner_updown_r mouth_corner_inout_r mouth_open "
         "mouth_wide").split()
Seen = namedtuple("Seen", "time id size open success error quaternion euler translation confidence marks points features")
WIDTH, HEIGHT, FOCAL, AWAY_MM = 640, 480, 554.0, 600.0
EYES = {"right": (33, 133), "left": (362, 263)}  # corners
NO_OPTIONS = OutputOptions(landmarks=False, mirror=False, blocking=False, fps=lambda: 30.0)


def decoded(datagram):
    assert len(datagram) % 1785 == 0
    faces = []
    for at in range(0, len(datagram), 1785):
        v = struct.unpack("<di4fBf4f3f3f68f136f210f14f", datagram[at:at + 1785])
        faces.append(Seen(v[0], v[1], v[2:4], v[4:6], v[6], v[7], v[8:12], v[12:15], v[15:18], np.array(v[18:86]),
                          np.array(v[86:222]).reshape(68, 2), np.array(v[222:432]).reshape(70, 3),
                          dict(zip(NAMES, v[432:446]))))
    return faces


def unity(seen):
    """What the reference receiver makes of it: rotation x, y, z in degrees around 0, and position."""
    (ex, ey, ez), (tx, ty, tz) = seen.euler, seen.translation
    turned = [((angle + 180.0) % 360.0) - 180.0 for angle in (-(ex + 180.0), -ey, ez - 90.0)]
    return turned, (-ty, tx, -tz)


def looks(seen, eye):
    """Right (+) and up (+) of the picture, degrees in the head's axes: from the centre of the eyeball to the pupil."""
    x, y, z = seen.points[66 + eye] - seen.points[68 + eye]
    return np.degrees(np.arctan2(-x, -z)), np.degrees(np.arctan2(-y, -z))


@pytest.fixture(scope="module")
def head(shared):
    """(468, 3) points of MediaPipe's canonical face, millimetres in the head frame."""
    with open(os.path.join(shared, CANONICAL)) as f:
        return 10.0 * np.array([line.split()[1:4] for line in f if line.startswith("v ")], float)


def face_of(head, yaw=0.0, pitch=0.0, roll=0.0, at=(0.0, 0.0, AWAY_MM), look=None, moved=None, **more):
    """A face of the record. `look`: yaw and pitch of the eyes, None: no irises. `moved`: mesh point -> mm it moves by."""
    points = head.copy()
    for index, way in (moved or {}).items():
        points[index] += way
    rotation = from_angles(yaw, pitch, roll)

    def seen(place):
        x, y, z = FLIP.dot(rotation).dot(place) + at
        return FOCAL * x / z + (WIDTH - 1) / 2.0, FOCAL * y / z + (HEIGHT - 1) / 2.0, (z - at[2]) * FOCAL / at[2]

    face = {"id": 1, "score": 0.9, "landmarks": np.array([seen(place) for place in points]),
            "pose": {"rotation": rotation.tolist(), "translation_mm": list(at), "residual_px": 1.5},
            "expression": {"eye_open_right": 0.75, "eye_open_left": 0.25}}
    if look is not None:
        face["iris"] = {}
        for side, (outer, inner) in EYES.items():
            middle, depth = (points[outer] + points[inner]) / 2.0, 0.385 * np.linalg.norm(points[outer] - points[inner])
            direction = from_angles(look[0], look[1], 0.0)[:, 2]
            place = middle - (0.0, 0.0, depth) + direction * depth / direction[2]
            face["iris"][side] = {"center": list(seen(place)[:2]), "radius": 5.0, "score": 0.8}
    face.update(more)
    return face


def record(*faces, **more):
    return dict({"frame": 7, "captured_at": 100.0, "size": [WIDTH, HEIGHT], "faces": list(faces)}, **more)


def sent(*faces, **options):
    return decoded(Encoder(**options).datagram(record(*faces), 1234567890.25))


R = np.sqrt(0.5)


@pytest.mark.parametrize("turn, at, euler, quaternion, translation", [
    ((0, 0, 0), (0, 0, 4), (180, 0, 90), (R, R, 0, 0), (0, 0, -4)),
    ((-20, 0, 0), (0, 0, 4), (180, 20, 90), (.6964, .6964, -.1228, -.1228), (0, 0, -4)),
    ((20, 0, 0), (0, 0, 4), (180, -20, 90), (.6964, .6964, .1228, .1228), (0, 0, -4)),
    ((0, -15, 0), (0, 0, 4), (-165, 0, 90), (.7011, .7011, -.0923, .0923), (0, 0, -4)),
    ((0, 15, 0), (0, 0, 4), (165, 0, 90), (.7011, .7011, .0923, -.0923), (0, 0, -4)),
    ((0, 0, 10), (0, 0, 4), (180, 0, 80), (.7660, .6428, 0, 0), (0, 0, -4)),
    ((0, 0, 0), (1, 0.5, 4), (180, 0, 90), (R, R, 0, 0), (-0.5, -1, -4)),
], ids=["frontal", "right", "left", "down", "up", "roll", "beside"])
def test_every_pose_of_the_description_is_as_it_says(turn, at, euler, quaternion, translation):
    found = pose_of({"rotation": from_angles(*turn).tolist(), "translation_mm": [139.0 * t for t in at], "residual_px": 2.5})
    off = [(a - b + 180.0) % 360.0 - 180.0 for a, b in zip(found.euler, euler)]
    assert np.abs(off).max() < 1e-6
    assert found.quaternion == pytest.approx(quaternion, abs=1e-4)
    assert found.translation == pytest.approx(translation, abs=1e-9)
    assert found.success and found.error_px == 2.5


def test_the_angles_are_opencvs_and_the_matrix_is_a_rotation():
    random = np.random.RandomState(1)
    for _ in range(300):
        turned = axes.openseeface_rotation(exp(random.normal(size=3)))
        assert np.linalg.det(turned) == pytest.approx(1.0)
        off = np.array(axes.rq_angles(turned)) - cv2.RQDecomp3x3(turned)[0]
        assert np.abs((off + 180.0) % 360.0 - 180.0).max() < 1e-4


def test_a_mirror_of_the_66_points_is_its_own_inverse_and_keeps_the_middle():
    assert (MIRRORED[MIRRORED] == np.arange(70)).all()
    assert [i for i in range(70) if MIRRORED[i] == i] == [8, 27, 28, 29, 30, 33, 50, 55, 60, 64]
    assert len(set(MESH)) == 66


@pytest.mark.shared(CANONICAL)
def test_a_packet_holds_what_the_record_says(head):
    face = face_of(head, at=(30.0, 20.0, AWAY_MM), look=(0.0, 0.0))
    seen, = sent(face)
    assert seen.time == 1234567890.25 and seen.size == (WIDTH, HEIGHT) and seen.id == 0
    assert seen.open == (0.75, 0.25) and seen.success == 1 and seen.error == 1.5
    assert seen.marks[:66] == pytest.approx(face["landmarks"][MESH, :2], abs=1e-3)
    assert seen.marks[66] == pytest.approx(face["iris"]["right"]["center"], abs=1e-3)
    assert seen.marks[67] == pytest.approx(face["iris"]["left"]["center"], abs=1e-3)
    assert seen.confidence[:66] == pytest.approx(0.9) and seen.confidence[66:] == pytest.approx(0.8)
    assert seen.translation == pytest.approx((-20.0 / 139.0, -30.0 / 139.0, -AWAY_MM / 139.0), abs=1e-5)
    assert seen.features == {name: 0.0 for name in NAMES}  # all is usual in the first frame


@pytest.mark.shared(CANONICAL)
@pytest.mark.parametrize("turn", [(0, 0, 0), (15, 0, 0), (0, -10, 0), (-10, 10, 20)])
def test_the_3d_points_are_the_heads_whatever_the_pose(head, turn):
    seen, = sent(face_of(head, *turn, look=(0.0, 0.0)))
    expected = (head[MESH] - head[4]) * (-1.0, -1.0, -1.0) / 139.0
    assert np.abs(seen.points[:66] - expected).max() < 0.02
    assert seen.points[0, 0] > 0.3 > -0.3 > seen.points[16, 0]  # the subject's right is at +X
    assert seen.points[8, 1] > 0.3 > seen.points[27, 1]  # chin, bridge: Y is down on the wire
    assert seen.points[30] == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)
    for eye, (a, b) in enumerate(((36, 39), (42, 45))):
        middle = (seen.points[a] + seen.points[b]) / 2.0
        apart = np.linalg.norm(seen.points[a] - seen.points[b])
        assert seen.points[68 + eye] - middle == pytest.approx((0.0, 0.0, 0.385 * apart), abs=1e-3)


@pytest.mark.shared(CANONICAL)
@pytest.mark.parametrize("turn, axis, sign", [
    # Unity is left-handed: y > 0 turns an avatar to its right, as the subject whose nose goes to the picture's left
    ((20, 0, 0), 1, 1), ((-20, 0, 0), 1, -1), ((0, -15, 0), 0, -1), ((0, 15, 0), 0, 1), ((0, 0, 10), 2, -1),
    ((0, 0, -10), 2, 1),
])
def test_the_receivers_formulas_give_the_turn_back_about_one_axis(head, turn, axis, sign):
    turned, position = unity(sent(face_of(head, *turn))[0])
    assert turned[axis] == pytest.approx(sign * max(map(abs, turn)), abs=1e-3)
    assert [turned[i] for i in range(3) if i != axis] == pytest.approx([0.0, 0.0], abs=1e-3)
    assert position == pytest.approx((0.0, 0.0, AWAY_MM / 139.0), abs=1e-4)


@pytest.mark.shared(CANONICAL)
@pytest.mark.parametrize("turn", [(0, 0, 0), (12, 5, 8)])
@pytest.mark.parametrize("look", [(0, 0), (20, 0), (-20, 0), (0, 15), (0, -15)])
def test_the_eyes_look_where_the_irises_do(head, turn, look):
    seen, = sent(face_of(head, *turn, look=look))
    for eye in (0, 1):
        right, up = looks(seen, eye)
        assert right == pytest.approx(-look[0], abs=6.0) and up == pytest.approx(look[1], abs=6.0)


@pytest.mark.shared(CANONICAL)
def test_the_gaze_of_the_record_is_that_of_the_3d_pupils(head):
    gaze = {"yaw": 0.0, "pitch": 0.0, "right": {"yaw": 12.0, "pitch": -7.0}, "left": {"yaw": -12.0, "pitch": 7.0}}
    seen, = sent(face_of(head, 12.0, 5.0, 8.0, look=(0.0, 0.0), gaze=gaze))
    assert looks(seen, 0) == pytest.approx((-12.0, -7.0), abs=0.3)
    assert looks(seen, 1) == pytest.approx((12.0, 7.0), abs=0.3)


@pytest.mark.shared(CANONICAL)
@pytest.mark.parametrize("pose", [dict(yaw=25.0), dict(pitch=-15.0), dict(roll=20.0), dict(at=(-80.0, 40.0, 450.0))])
def test_a_head_that_turns_or_moves_has_no_other_features(head, pose):
    encoder = Encoder()
    for _ in range(30):
        encoder.datagram(record(face_of(head)), 0.0)
    for _ in range(5):
        seen, = decoded(encoder.datagram(record(face_of(head, **pose)), 0.0))
    assert max(map(abs, seen.features.values())) < 0.2


@pytest.mark.shared(CANONICAL)
def test_an_iris_that_is_not_known_has_no_place_in_the_picture_and_looks_with_the_other(head):
    face = face_of(head, look=(15.0, 5.0), gaze={"yaw": 15.0, "pitch": 5.0, "left": {"yaw": 15.0, "pitch": 5.0}})
    del face["iris"]["right"]
    seen, = sent(face)
    assert seen.marks[66].tolist() == [0.0, 0.0] and seen.confidence[66] == 0.0
    assert seen.confidence[67] == pytest.approx(0.8)
    assert looks(seen, 0) == pytest.approx((-15.0, 5.0), abs=1.0)
    assert looks(sent(face_of(head))[0], 0) == pytest.approx((0.0, 0.0), abs=1e-3)  # nor any gaze: straight ahead


@pytest.mark.shared(CANONICAL)
@pytest.mark.parametrize("pose", [None, {"rotation": np.eye(3).tolist()}])
def test_without_a_pose_the_fit_has_failed_and_its_values_are_zero(head, pose):
    face = face_of(head, look=(0.0, 0.0))
    face["pose"] = pose
    seen, = sent(face)
    assert seen.success == 0 and seen.error == 99999.0
    assert not any(seen.quaternion + seen.euler + seen.translation) and not seen.points.any()
    assert seen.marks[:66].any() and seen.open == (0.75, 0.25)


@pytest.mark.parametrize("landmarks", [np.zeros((468, 3)), np.full((468, 3), 1e300), np.full((468, 3), 5.0)])
def test_points_that_are_no_face_make_a_failed_packet(landmarks):
    face = {"id": 3, "landmarks": landmarks, "pose": {"rotation": np.eye(3).tolist(), "translation_mm": [0, 0, 600]}}
    seen, = sent(face)
    assert seen.success == 0 and not seen.points.any() and not any(seen.features.values())


@pytest.mark.shared(CANONICAL)
def test_the_faces_come_by_their_places_from_0_and_nothing_comes_without_a_face(head):
    encoder = Encoder(id_offset=10)

    def ids(*tracks):
        return [(seen.id, round(float(seen.marks[30, 0]))) for seen in decoded(encoder.datagram(record(*tracks), 0.0))]

    def at(x, track):
        return face_of(head, at=(float(x), 0.0, AWAY_MM), id=track)

    a, b, c = at(-60, 1), at(0, 2), at(60, 3)
    assert [found for found, _ in ids(a)] == [10]
    two = ids(b, a)
    assert [found for found, _ in two] == [10, 11] and two[0][1] < two[1][1]
    assert [found for found, _ in ids(b)] == [11]  # it keeps its place
    assert [found for found, _ in ids(b, c)] == [10, 11]  # who comes takes the place that is free
    assert encoder.datagram(record(), 0.0) == b"" and encoder.datagram(record({"id": 9, "score": 1.0}), 0.0) == b""


@pytest.mark.shared(CANONICAL)
def test_a_datagram_holds_36_faces_and_the_rest_is_counted(head):
    encoder = Encoder()
    faces = [face_of(head, id=i) for i in range(1, 41)]
    datagram = encoder.datagram(record(*faces), 0.0)
    assert [seen.id for seen in decoded(datagram)] == list(range(36)) and encoder.left_out == 4
    assert len(datagram) <= 65507


@pytest.mark.shared(CANONICAL)
def test_a_mirror_swaps_the_sides_and_turns_the_head_to_the_other(head):
    face = face_of(head, 15.0, 5.0, 8.0, at=(40.0, 10.0, AWAY_MM), look=(10.0, 0.0))
    plain, turned = sent(face)[0], sent(face, mirror=True)[0]
    assert turned.open == plain.open[::-1]
    assert turned.marks[0] == pytest.approx((WIDTH - 1 - plain.marks[16][0], plain.marks[16][1]), abs=1e-3)
    assert turned.points[0] == pytest.approx(plain.points[16] * (-1.0, 1.0, 1.0), abs=1e-6)
    (x, y, z), place = unity(plain)
    assert unity(turned)[0] == pytest.approx((x, -y, -z), abs=1e-3)
    assert unity(turned)[1] == pytest.approx((-place[0], place[1], place[2]), abs=1e-5)
    assert looks(turned, 0)[0] == pytest.approx(-looks(plain, 1)[0], abs=1e-3)
    twice = face_of(head, look=None)
    assert sent(twice, mirror=True)[0].marks[66].tolist() == [0.0, 0.0]


UPPER, LOWER = {"r": (160, 158), "l": (385, 387)}, {"r": (153, 144), "l": (373, 380)}
SHUT = {side: dict([(i, (0.0, -3.0, 0.0)) for i in UPPER[side]] + [(i, (0.0, 3.0, 0.0)) for i in LOWER[side]])
        for side in "rl"}


@pytest.mark.shared(CANONICAL)
@pytest.mark.parametrize("moved, feature, sign", [
    (SHUT["r"], "eye_r", -1), (SHUT["l"], "eye_l", -1),
    ({i: (0.0, 5.0, 0.0) for i in (70, 63, 105, 66, 107)}, "eyebrow_updown_r", 1),
    ({i: (0.0, -5.0, 0.0) for i in (336, 296, 334, 293, 300)}, "eyebrow_updown_l", -1),
    ({107: (0.0, 6.0, 0.0)}, "eyebrow_steepness_r", 1), ({336: (0.0, 6.0, 0.0)}, "eyebrow_steepness_l", 1),
    ({105: (0.0, 6.0, 0.0)}, "eyebrow_quirk_r", 1), ({334: (0.0, 6.0, 0.0)}, "eyebrow_quirk_l", 1),
    ({61: (0.0, -8.0, 0.0)}, "mouth_corner_updown_r", 1), ({291: (0.0, 8.0, 0.0)}, "mouth_corner_updown_l", -1),
    ({61: (-8.0, 0.0, 0.0)}, "mouth_corner_inout_r", 1), ({291: (-8.0, 0.0, 0.0)}, "mouth_corner_inout_l", -1),
    ({i: (0.0, -15.0, 0.0) for i in (317, 14, 87)}, "mouth_open", 1),
    ({61: (-6.0, 0.0, 0.0), 291: (6.0, 0.0, 0.0)}, "mouth_wide", 1),
])
def test_what_moves_moves_its_feature_and_no_other_sides(head, moved, feature, sign):
    encoder = Encoder()

    def features(at_s, **more):
        turned = record(face_of(head, 8.0, -5.0, 12.0, **more), captured_at=at_s)
        return decoded(encoder.datagram(turned, 0.0))[0].features

    for i in range(30):
        assert not any(features(i / 30.0).values())
    found = features(1.0, moved=moved)
    assert found[feature] == pytest.approx(0.8 * sign)
    other = feature[:-1] + {"l": "r", "r": "l"}[feature[-1]] if feature[-2] == "_" else None
    assert other is None or abs(found[other]) < 0.5
    for i in range(30):
        found = features(1.0 + i / 30.0)
    assert abs(found[feature]) < 0.05  # and comes back


@pytest.mark.shared(CANONICAL)
def test_where_the_record_has_no_openings_the_lids_tell_them(head):
    encoder = Encoder()
    for _ in range(30):
        encoder.datagram(record(face_of(head, expression={})), 0.0)
    seen, = decoded(encoder.datagram(record(face_of(head, expression={}, moved=SHUT["r"])), 0.0))
    assert seen.open[0] == pytest.approx(0.2, abs=0.01) and seen.open[1] > 0.9


def told(usual, series, start_s=0.0):
    """A run of one measure, the mouth's opening."""
    return [usual.update(np.full(14, value), start_s + i / 30.0)[12] for i, value in enumerate(series)]


def test_what_is_usual_is_the_median_and_the_extremes_are_learnt():
    usual = Usual()
    assert told(usual, [1.0] * 900 + [1.1]) == [0.0] * 901  # within 15 % nothing begins
    assert told(usual, [2.0] * 20)[-1] == pytest.approx(1.0, abs=1e-3)
    assert told(usual, [1.5] * 20)[-1] == pytest.approx(0.5, abs=0.02)
    assert told(usual, [3.0] * 10)[-1] == pytest.approx(1.0, abs=1e-3)
    assert told(usual, [1.5] * 20)[-1] == pytest.approx(0.25, abs=0.02)
    assert told(usual, [0.5] * 10)[-1] == pytest.approx(-1.0, abs=1e-3)
    assert told(usual, [0.75] * 20)[-1] == pytest.approx(-0.5, abs=0.02)


def test_an_extreme_that_does_not_come_again_decays_by_15_percent_at_most():
    usual = Usual()
    told(usual, [1.0] * 3000 + [2.0])
    assert told(usual, [1.8])[-1] < 0.9
    told(usual, [1.0] * 8000)
    assert told(usual, [1.85] * 20)[-1] == pytest.approx(1.0, abs=0.02)
    assert told(usual, [1.8] * 20)[-1] < 0.99


def test_what_is_usual_follows_a_new_face_until_it_is_frozen():
    usual = Usual(freeze_s=100.0)
    told(usual, [1.0] * 300)
    told(usual, [3.0] * 2000, 10.0)
    assert abs(told(usual, [3.0] * 20, 80.0)[-1]) < 0.01
    told(usual, [9.0] * 9000, 101.0)
    assert told(usual, [3.0] * 30, 500.0)[-1] == pytest.approx(0.0, abs=0.01)
    assert told(usual, [9.0], 600.0)[-1] > 0.7


@pytest.mark.parametrize("count", [1, 2, 14, 15, 16, 225, 1000, 60000])
def test_the_running_median_is_near_the_true_one_in_little_memory(count):
    values = np.random.RandomState(count).normal(size=(count, 3))
    median = RunningMedian(3)
    for row in values:
        found = median.add(row)
    below = (values <= found).mean(axis=0)
    assert (np.abs(below - 0.5) <= 0.5 / count + 0.06).all()
    assert median.bytes < 20000


def test_the_time_is_the_wall_clocks_at_the_capture(monkeypatch):
    monkeypatch.setattr(clock, "wall", lambda: 5000.0)
    monkeypatch.setattr(clock, "monotonic", lambda: 103.0)
    output, datagrams = make_output(parse_output("openseeface://127.0.0.1"), NO_OPTIONS), []
    monkeypatch.setattr(output._target, "send", datagrams.append)
    random = np.random.RandomState(0).uniform(0.0, 400.0, (468, 3))
    output.emit(record({"id": 1, "landmarks": random.tolist()}))  # of this process, too
    output.emit(record())
    output.tick()
    assert [decoded(datagram)[0].time for datagram in datagrams] == [4997.0]
    assert output.landmarks and not output.shapes and not output.events


@pytest.mark.shared(CANONICAL)
def test_the_table_has_a_name_for_each_of_its_columns(head, tmp_path):
    path = str(tmp_path / "log.csv")
    output = make_output(parse_output("openseeface-csv:" + path), NO_OPTIONS)
    output.open()
    face = face_of(head, 5.0, look=(0.0, 0.0))
    for item in (record(face), record(frame=8), record(face, dict(face, id=2), frame=9)):
        output.emit(item)
    output.close()
    with io.open(path, newline="") as f:
        text = f.read()
    assert text.count("\r\n") == text.count("\n") == 4
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert {len(row) for row in rows} == {25 + 3 * 68 + 3 * 70 + 14} and len(set(rows[0])) == len(rows[0])
    first = dict(zip(rows[0], rows[1]))
    assert [first[name] for name in "Frame Width FPS FaceID Success3D".split()] == ["8", "640", "30.0", "0", "True"]
    assert [row[rows[0].index("FaceID")] for row in rows[1:]] == ["0", "0", "1"]
    seen, = sent(face)
    assert float(first["Euler.Y"]) == pytest.approx(seen.euler[1], abs=1e-4)
    assert float(first["Landmark[67].Y"]) == pytest.approx(seen.marks[67][1], abs=1e-3)
    assert float(first["Point3D[69].Z"]) == pytest.approx(seen.points[69][2], abs=1e-5)
