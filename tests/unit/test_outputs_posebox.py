"""The box around a head stands where the pose says, as the camera sees it."""
import cv2
import numpy as np
import pytest

from edge.app.camera import camera_of
from edge.config.load import load_config
from edge.core.packet import Face, Frame, Packet, Pose, Roi
from edge.geometry.camera import Camera, CameraGuess, from_fov
from edge.geometry.rotation import FLIP, from_angles
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.pictures import posebox
from edge.outputs.pictures.posebox import CORNERS, FRONT, PoseBox, seen_at
from edge.outputs.spec import parse_output

SIZE = (640, 480)
CAMERAS = [from_fov(640, 480, 60.0), Camera(500.0, 520.0, 300.0, 260.0, 640, 480, (0.1, -0.05, 0.002, 0.001))]


def face(pose, box=(220.0, 140.0, 420.0, 340.0), track_id=1):
    return Face(track_id, Roi(320.0, 240.0, 250.0, 0.0), 0.9, box, pose=pose)


def packet(*faces, size=SIZE):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image.flags.writeable = False
    return Packet(Frame(0, 1.0, 0.0, image), faces)


def painter(camera=CAMERAS[0], mirror=False, first=False):
    return PoseBox(OutputOptions(True, mirror, True, lambda: 30.0, camera=lambda: CameraGuess(camera, 60.0)), first)


def pose(yaw=0.0, pitch=0.0, roll=0.0, place=(0.0, 0.0, 600.0)):
    return Pose(from_angles(yaw, pitch, roll), None if place is None else np.array(place, np.float64), 1.0)


@pytest.fixture
def wordless(monkeypatch):
    monkeypatch.setattr(posebox, "_label", lambda *rest: (0, 0, 0, 0))


def lines(picture):
    """Where something of the colour of the front's edges is."""
    return np.argwhere((np.abs(picture.astype(int) - FRONT) < 40).all(axis=2))[:, ::-1]


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("turned", [(0, 0, 0), (25, -15, 10), (-40, 20, -30)])
def test_the_corners_are_where_the_camera_sees_them(camera, turned, wordless):
    one = pose(*turned, place=(30.0, -20.0, 700.0))
    pixels, depths = seen_at(face(one), camera, CORNERS)
    in_camera = np.array([FLIP.dot(one.rotation).dot(corner) + one.translation_mm for corner in CORNERS])
    rays = np.array([camera.ray(pixel) for pixel in pixels])
    assert np.abs(rays[:, :2] - in_camera[:, :2] / in_camera[:, 2:]).max() < 2e-4
    assert np.allclose(depths, in_camera[:, 2])
    drawn = lines(painter(camera).paint(packet(face(one))))
    for corner in pixels[4:]:
        assert np.abs(drawn - corner).max(axis=1).min() < 3.0, "the front's corners are drawn"


def test_a_turned_head_moves_the_front_to_where_it_looks():
    def middle(yaw):
        return lines(painter().paint(packet(face(pose(yaw)))))[:, 0].mean()

    assert middle(30.0) < middle(0.0) - 20 < middle(-30.0) - 40, "yaw > 0: to the picture's left"


def test_a_mirror_turns_the_box_and_not_the_words(monkeypatch):
    one = packet(face(pose(30.0, place=(-60.0, 0.0, 600.0)), box=(160.0, 140.0, 320.0, 340.0)))
    assert not np.array_equal(painter(mirror=True).paint(one), painter().paint(one)[:, ::-1])
    monkeypatch.setattr(posebox, "_label", lambda *rest: (0, 0, 0, 0))
    assert np.array_equal(painter(mirror=True).paint(one), painter().paint(one)[:, ::-1])


def test_every_face_or_the_first_one_that_has_a_pose():
    faces = (face(pose(place=(-200.0, 0.0, 700.0)), (60.0, 140.0, 220.0, 340.0)),
             face(pose(place=(200.0, 0.0, 700.0)), (420.0, 140.0, 580.0, 340.0), 2), face(None, track_id=3))
    assert lines(painter().paint(packet(*faces)))[:, 0].max() > 400
    assert lines(painter(first=True).paint(packet(*faces)))[:, 0].max() < 320
    assert not painter().paint(packet(faces[2])).any() and not painter().paint(packet()).any()


@pytest.mark.parametrize("one", [
    pose(place=None), pose(90.0, place=(0.0, 0.0, 60.0)), pose(place=(0.0, 0.0, 20.0)), pose(place=(0.0, 0.0, -5.0)),
    pose(place=(5000.0, 0.0, 600.0)), pose(place=(0.0, 0.0, 1e6)), pose(place=(np.nan, 0.0, 600.0)),
    Pose(np.full((3, 3), np.nan), np.array([0.0, 0.0, 600.0]), 1.0)])
@pytest.mark.parametrize("box", [(220.0, 140.0, 420.0, 340.0), (-500.0, -80.0, -20.0, 40.0), (10.0, 10.0, 10.0, 10.0)])
@pytest.mark.parametrize("size", [SIZE, (33, 17)])
def test_no_pose_stops_the_picture(one, box, size):
    made = painter().paint(packet(face(one, box), size=size))
    assert made.shape == (size[1], size[0], 3) and made.dtype == np.uint8


def test_words_of_two_faces_do_not_lie_over_each_other():
    taken, canvas = [], np.zeros((480, 640, 3), np.uint8)
    for i in range(3):
        box = (200.0 + 30 * i, 140.0, 360.0 + 30 * i, 340.0)
        taken.append(posebox._label(canvas, face(pose(1.0), box), False, 7.0, taken))
    for i, (left, top, right, foot) in enumerate(taken):
        assert 0 <= left < right <= 640 and 0 <= top < foot <= 480
        assert all(right <= other[0] or other[2] <= left or foot <= other[1] or other[3] <= top for other in taken[:i])


def test_the_output_writes_it(tmp_path):
    path = str(tmp_path / "a.png")
    output = make_output(parse_output("pose:" + path + "?faces=first"), OutputOptions(True, False, True, lambda: 30.0))
    output.open()
    output.emit(packet(face(pose())))
    output.close()
    assert len(lines(cv2.imread(path))) > 100


@pytest.mark.parametrize("facts, fx", [
    ({"fov_deg": 90.0}, 320.0), ({}, from_fov(640, 480, 60.0).fx), ({"fov_deg": "x", "camera": {"fx": "a"}}, 554.256),
    ({"fov_deg": 90, "camera": CAMERAS[1]._asdict()}, 500.0)])
def test_a_replay_has_the_camera_of_its_recording(facts, fx):
    assert camera_of(load_config(None, {}, None), facts).of_size(640, 480).fx == pytest.approx(fx, abs=1e-3)
