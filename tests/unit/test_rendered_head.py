"""The head of the rendered films: its projection, sides and truth; the pictures where OpenGL draws without a window."""
import csv
import os

import cv2
import numpy as np
import pytest

from calibration.shapes import film, render
from calibration.shapes.head import FACE_VERTICES, POINTS, IctHead, Pose, on_picture, truth_row
from calibration.shapes.motion import Motion, head_motion, mixture, rest_face, sweep
from calibration.shapes.paint import Look
from calibration.shapes.persons import person_of
from edge.core.errors import ModelError

HEAD = "media/head/ict_head.npz"
pytestmark = pytest.mark.shared(HEAD)
AHEAD, USUAL = Pose(), Look()
BACKGROUND = np.full((480, 640, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def head(shared):
    return IctHead(os.path.join(shared, HEAD))


@pytest.fixture(scope="module")
def renderer(head):
    pytest.importorskip("moderngl")
    try:
        return render.Renderer(head)
    except ModelError as e:
        pytest.skip(str(e))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off", "npz", "npy"])
def test_what_is_no_such_head_is_said_in_one_line(tmp_path, content):
    path = str(tmp_path / "head.npz")
    if content == "npz":
        np.savez(path, neutral=np.zeros((3, 3)))
    elif content == "npy":
        np.save(path[:-4] + ".npy", np.zeros(3))
        os.rename(path[:-4] + ".npy", path)
    elif content is not None:
        (tmp_path / "head.npz").write_bytes(content)
    with pytest.raises(ModelError, match="not the ICT-FaceKit head.*shape_names") as raised:
        IctHead(path)
    assert "\n" not in str(raised.value)


def expression(head, **amounts):
    return np.array([amounts.get(name, 0.0) for name in head.names])


def row_of(head, pose=AHEAD, **amounts):
    return truth_row(head.person(np.zeros(head.identity_count)), expression(head, **amounts), pose)


@pytest.mark.parametrize("pose, moves_x, moves_y", [
    (Pose(yaw=15.0), -1, 0), (Pose(yaw=-15.0), 1, 0), (Pose(pitch=15.0), 0, -1), (Pose(pitch=-15.0), 0, 1),
])
def test_the_nose_goes_where_the_head_turns(head, pose, moves_x, moves_y):
    ahead, turned = row_of(head), row_of(head, pose)
    x, y = (turned["nose_tip_" + k] - ahead["nose_tip_" + k] for k in "xy")
    assert np.sign(np.round([x / 10.0, y / 10.0])).tolist() == [moves_x, moves_y]


def test_a_roll_carries_the_crown_to_the_right(head):
    assert row_of(head, Pose(roll=10.0))["chin_x"] < row_of(head)["chin_x"] - 10.0


def test_the_lens_is_that_of_the_record(head):
    at = on_picture(np.array([[0.0, 0.0, 0.0], [60.0, 30.0, 0.0]]), Pose(translation_mm=(0.0, 0.0, 600.0)))
    assert at.tolist() == [[319.5, 239.5], [379.5, 209.5]]  # the subject's left is the picture's right


@pytest.mark.parametrize("amounts, changed, kept", [
    ({"eyeLookOutLeft": 1.0}, "irisL", "irisR"), ({"eyeLookInRight": 1.0}, "irisR", "irisL"),
])
def test_a_look_to_the_subjects_left_moves_the_iris_to_the_right(head, amounts, changed, kept):
    ahead, aside = row_of(head), row_of(head, **amounts)
    assert aside[changed + "_x"] - ahead[changed + "_x"] > 4.0 and aside[kept + "_x"] == ahead[kept + "_x"]
    assert aside["gaze" + changed[-1] + "_yaw_head"] == pytest.approx(-30.0, abs=0.1)


@pytest.mark.shared("media/shapes")
@pytest.mark.parametrize("clip", ["sweep", "mixture"])
def test_eyes_turn_as_in_the_shared_clips(head, shared, clip):
    with open(os.path.join(shared, "media/shapes", clip + ".csv"), newline="") as f:
        rows = list(csv.DictReader(f))[::40]
    for row in rows:
        pose = Pose(*(float(row[k]) for k in ("yaw", "pitch", "roll")),
                    translation_mm=tuple(float(row[k]) for k in ("tx", "ty", "tz")))
        ours = row_of(head, pose, **{name: float(row[name]) for name in head.names})
        assert set(row) == set(ours) | {"frame", "time_s"}
        for name in ours:
            if name.startswith("gaze"):
                assert ours[name] == pytest.approx(float(row[name]), abs=0.12), name
            elif name.endswith(("_x", "_y")):  # another identity
                assert ours[name] == pytest.approx(float(row[name]), abs=16.0), name


def test_each_shape_moves_alone_and_comes_to_one(head):
    motion = sweep(head.names, np.random.RandomState(0), still=10, each=12)
    assert len(motion.poses) == len(motion.coefficients) == 10 + 12 * len(head.names)
    peaks = dict(zip(head.names, motion.coefficients.max(axis=0)))
    assert peaks.pop("mouthClose") == pytest.approx(0.6) and set(peaks.values()) == {1.0}
    assert (np.count_nonzero(motion.coefficients, axis=1) <= 2).all() and motion.poses[0] == motion.poses[9]


def test_a_mixture_stays_in_range_has_winks_and_no_look_down_in_a_shut_eye(head):
    values = mixture(head.names, 900, np.random.RandomState(1)).coefficients
    right, left, down = (values[:, head.names.index(name)] for name in ("eyeBlinkRight", "eyeBlinkLeft", "eyeLookDownRight"))
    assert values.min() >= 0.0 and values.max() <= 1.0
    assert (right - left).max() > 0.9 and (left - right).max() > 0.9
    assert down[right > 0.99].max() < 0.21


def test_persons_differ_and_a_number_is_always_the_same_one(head):
    one, again, other = (person_of(head, n)[0].with_expression(expression(head)).vertices for n in (3, 3, 4))
    assert (one == again).all() and np.abs(one - other)[FACE_VERTICES].max() > 3.0


def drawn(renderer, head, pose=AHEAD, look=USUAL, **amounts):
    person = head.person(np.zeros(head.identity_count))
    return renderer.picture(person.with_expression(expression(head, **amounts)), pose, look, BACKGROUND).astype(int)


def dark_around(picture, x, y, reach=6):
    part = picture[int(y) - reach:int(y) + reach + 1, int(x) - reach:int(x) + reach + 1].sum(axis=2)
    return np.argwhere(part < 150)[:, ::-1].mean(axis=0) + (int(x) - reach, int(y) - reach)


@pytest.mark.parametrize("pose, amounts", [
    (Pose(), {}), (Pose(yaw=12.0, pitch=-5.0, roll=4.0), {}), (Pose(), {"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}),
])
def test_the_pupils_are_drawn_where_the_truth_has_them(renderer, head, pose, amounts):
    row = row_of(head, pose, **amounts)
    picture = drawn(renderer, head, pose, Look(iris=(0.6, 0.7, 0.8)), **amounts)
    for side in "RL":
        x, y = row["iris" + side + "_x"], row["iris" + side + "_y"]
        assert dark_around(picture, x, y, 4) == pytest.approx([x, y], abs=1.2)


@pytest.mark.parametrize("name, shut, open_", [("eyeBlinkLeft", "L", "R"), ("eyeBlinkRight", "R", "L")])
def test_a_wink_changes_the_eye_of_its_own_side(renderer, head, name, shut, open_):
    row, change = row_of(head), np.abs(drawn(renderer, head, **{name: 1.0}) - drawn(renderer, head)).sum(axis=2)
    at = {side: change[int(row["iris{}_y".format(side)]) - 5:, int(row["iris{}_x".format(side)]) - 10:][:11, :21].mean()
          for side in "RL"}
    assert at[shut] > 60.0 and at[open_] == 0.0


def test_the_silhouette_lies_where_the_points_are(renderer, head):
    pose = Pose(yaw=-10.0, translation_mm=(20.0, 0.0, 540.0))
    row, covered = row_of(head, pose), np.abs(drawn(renderer, head, pose) - BACKGROUND).sum(axis=2) > 12
    for name, _, _ in POINTS:
        assert covered[int(row[name + "_y"]), int(row[name + "_x"])], name
    assert not covered[:, :60].any() and not covered[:40].any()


def test_a_film_has_a_row_of_truth_for_each_of_its_frames(renderer, head, tmp_path):
    person, look, random = person_of(head, 5)
    face = rest_face(head.names, 3)[1]
    motion = Motion(np.tile(face, (4, 1)), head_motion(4, random))
    film.write_film(str(tmp_path / "rest"), person, motion, look, BACKGROUND, renderer)
    with open(str(tmp_path / "rest.csv"), newline="") as f:
        rows = list(csv.DictReader(f))
    clip = cv2.VideoCapture(str(tmp_path / "rest.mp4"))
    pictures = [clip.read()[1] for _ in range(5)]
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3"] and pictures[4] is None
    assert [float(rows[2][name]) for name in head.names] == [round(v, 4) for v in face]
    assert pictures[3].shape == (480, 640, 3)
