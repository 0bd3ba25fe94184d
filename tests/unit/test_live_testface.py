"""The moving test face: it does what its texts say, measured as a person's would be."""
import json

import numpy as np
import pytest

from edge.core.parts import SHAPES, Parts
from edge.face import eyes, gaze
from edge.face.mesh import EYE_CORNERS, NOSE_TIP, distance
from edge.geometry.camera import Camera
from edge.outputs.live.testface import ACTS, CYCLE_S, FOCAL, HEIGHT, RATE, WIDTH, MovingFace, act_at
from edge.outputs.record import encode

CAMERA = Camera(FOCAL, FOCAL, 0.5 * WIDTH - 0.5, 0.5 * HEIGHT - 0.5, WIDTH, HEIGHT)
FRAMES = int(round(CYCLE_S * RATE))


@pytest.fixture(scope="module")
def cycle():
    """[(act, how far, packet)] of all that it does once."""
    face = MovingFace()
    return [act_at(n / RATE) + (face.packet(100.0 + n / RATE),) for n in range(FRAMES)]


def of(cycle, text, low, high):
    """The faces of one act within a part of it."""
    return [packet.faces[0] for act, u, packet in cycle if act.text.startswith(text) and low <= u <= high]


def nose(face):
    """Pixels of its tip against the middle of the eyes' corners."""
    corners = [index for pair in EYE_CORNERS for index in pair]
    return face.landmarks[NOSE_TIP, :2] - face.landmarks[corners, :2].mean(0)


def opened(face, side):
    width = distance(face.landmarks, EYE_CORNERS[side])
    return eyes.lid_distance(face.eye_contours[side], width)


def test_it_turns_as_it_says(cycle):
    right, left = (of(cycle, "turns", *part)[0] for part in ((0.24, 0.3), (0.74, 0.8)))
    assert nose(right)[0] < -20.0 and nose(left)[0] > 20.0  # its right is the picture's left
    up, down = (of(cycle, "looks up", *part)[0] for part in ((0.24, 0.3), (0.74, 0.8)))
    assert nose(up)[1] < nose(of(cycle, "turns", 0.0, 0.01)[0])[1] < nose(down)[1]
    lean = of(cycle, "leans", 0.24, 0.3)[0].landmarks[[33, 263], :2]
    assert lean[0, 1] < lean[1, 1]  # leaning to its left lowers its left eye


def test_its_pose_is_that_of_its_points(cycle):
    import cv2

    rest = MovingFace()._rest
    for _, _, packet in cycle[::20]:
        for face in packet.faces:
            still = [1, 33, 263, 133, 362, 168, 10, 127, 356]
            _, turn, place = cv2.solvePnP(rest[still], face.landmarks[still, :2], CAMERA.matrix(), None)
            found = np.diag([1.0, -1.0, -1.0]).dot(cv2.Rodrigues(turn)[0])
            np.testing.assert_allclose(found, face.pose.rotation, atol=0.02)
            np.testing.assert_allclose(place.ravel(), face.pose.translation_mm, atol=4.0)


def test_its_irises_stand_where_its_gaze_says(cycle):
    for face in of(cycle, "looks with its eyes", 0.0, 1.0):
        for side, contour, iris in zip((face.gaze.right, face.gaze.left), face.eye_contours, face.irises):
            found = gaze.of_eye(iris.center, 0.5 * (contour[0] + contour[8]), face.pose, CAMERA)
            np.testing.assert_allclose(gaze.angles(found), side, atol=4.0)


def test_a_wink_shuts_one_eye_and_a_blink_both(cycle):
    open_right, open_left = (opened(of(cycle, "turns", 0.0, 0.01)[0], side) for side in (0, 1))
    left = of(cycle, "winks", 0.3, 0.45)[0]
    assert opened(left, 1) < 0.5 * open_left and opened(left, 0) > 0.9 * open_right
    both = of(cycle, "blinks", 0.45, 0.55)[0]
    assert max(opened(both, 0) / open_right, opened(both, 1) / open_left) < 0.4 and both.gaze is None
    told = [event for _, _, packet in cycle for event in packet.events]
    assert [(event.name, event.values["side"]) for event in told] == [("blink", "both"), ("blink", "left"), ("blink", "right")]
    assert all(0.0 < event.end_s - event.start_s < 0.5 for event in told)


def test_its_mouth_opens_and_smiles(cycle):
    def gap(face):
        return np.linalg.norm(face.landmarks[13, :2] - face.landmarks[14, :2])

    def width(face):
        return np.linalg.norm(face.landmarks[61, :2] - face.landmarks[291, :2])

    rest = of(cycle, "turns", 0.0, 0.01)[0]
    assert gap(rest) < 2.0 and gap(of(cycle, "opens", 0.2, 0.3)[0]) > 15.0
    assert width(of(cycle, "smiles", 0.2, 0.3)[0]) > width(rest) + 5.0


def test_it_is_gone_for_a_while_and_comes_back_as_another(cycle):
    ids = [face.track_id for _, _, packet in cycle for face in packet.faces]
    gone = [packet for act, _, packet in cycle if not packet.faces]
    assert set(ids) == {1} and len(gone) == int(RATE)
    again = MovingFace()
    for n in range(FRAMES + 1):
        last = again.packet(n / RATE)
    assert last.faces[0].track_id == 2 and last.frame.seq == FRAMES


def test_its_records_are_whole_json_and_have_all_shapes(cycle):
    for n, (_, _, packet) in enumerate(cycle):
        found = encode(packet, packet.frame.captured_at, Parts(True, True, True))
        assert json.loads(json.dumps(found, allow_nan=False)) == found and found["frame"] == n
        for face in found["faces"]:
            assert set(SHAPES) <= set(face["expression"]) and all(0.0 <= v <= 1.0 for v in face["expression"].values())
            assert np.array(face["landmarks"]).shape == (468, 3) and len(face["eye_contours"]["left"]) == 71
            assert "gaze" in face or face["missing"]["gaze"]


def test_every_act_has_a_text_and_a_time():
    assert all(act.text and act.lasts_s > 0.0 for act in ACTS) and act_at(CYCLE_S + 0.1)[0] is ACTS[0]
