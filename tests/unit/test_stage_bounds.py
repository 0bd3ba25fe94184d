"""Every limit of the stages, from both sides: what lies just inside is taken, what lies just outside is not.

Also the defaults that the stages get: each is tested by what it does to a face.
"""
import math
import os

import numpy as np
import pytest

from edge.config.load import load_config
from edge.core.contracts import BGR, Crop
from edge.core.packet import Eyes, Face, Frame, Iris, Packet, Pose, Roi
from edge.core.parts import NO_PARTS
from edge.face import head as heads
from edge.geometry import rotation as rot
from edge.geometry.camera import CameraGuess, from_fov
from edge.geometry.filters import OneEuroSettings
from edge.models.face_landmark import FaceLandmark
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.models.spec import Detections, Input
from edge.outputs.record import encode
from edge.stages.align import Align, AlignSettings
from edge.stages.detect import Detect, DetectSettings
from edge.stages.express import Express, ExpressSettings
from edge.stages.iris import IrisStage
from edge.stages.pose import PoseNetwork, PoseStage
from edge.stages.tracks import Sighting, Tracks
from tests.unit.test_eyes import contour
from tests.unit.test_stages import FOV, IMAGE, FakeRunner, posed_face
from tests.unit.test_tracks import step

DEFAULTS = load_config(None, {}, {"NANOFACE_CONFIG": os.devnull})
REGION = Roi(320.0, 240.0, 192.0, 0.0)  # one pixel of the network's input is one of the frame
SIDE = 128.0  # of the made-up face: its next region is as large as this one


def packet(faces=(), time_s=0.0, size=None):
    image = IMAGE if size is None else np.zeros((size[1], size[0], 3), np.uint8)
    return Packet(Frame(0, time_s, time_s, image), tuple(faces))


def moved_for(iou, side):
    """How far a square of that side is moved when it overlaps its old place by `iou`."""
    return side * (1.0 - iou) / (1.0 + iou)


# align

def mesh(grown=1.0, eyes=(0.2, 0.0, 0.0), depth=0.1, moved=(0.0, 0.0), presence=0.9):
    """The network's answer: a square face `grown` times SIDE; the distance of its eyes, its depth and its shift are shares
    of the region."""
    points = np.zeros((468, 3))
    for index, x, y in ((234, -0.5, 0.0), (454, 0.5, 0.0), (10, 0.0, -0.5), (152, 0.0, 0.5)):
        points[index, :2] = (x * grown * SIDE, y * grown * SIDE)
    points[33], points[263] = np.array(eyes) * -96.0, np.array(eyes) * 96.0
    points[1, 2] = depth * 192.0
    points[:, :2] += 96.0 + np.array(moved) * 192.0
    logit = math.log(presence / (1.0 - presence))
    return {"landmarks": points.reshape(1, -1).astype(np.float32), "presence": np.array([[logit]], np.float32)}


def aligned(answer, *regions, presence=0.5):
    """The faces that stay of tracked ones in these regions."""
    stage = Align(FakeRunner(lambda crops: answer), FaceLandmark(), Tracks(1.0), AlignSettings(presence))
    return stage.process(packet(Face(i + 1, roi, 0.0, (0, 0, 1, 1)) for i, roi in enumerate(regions))).faces


@pytest.mark.parametrize("inside, outside", [
    ({"grown": 1.79}, {"grown": 1.81}), ({"grown": 0.46}, {"grown": 0.44}),
    ({"eyes": (0.061, 0, 0)}, {"eyes": (0.059, 0, 0)}), ({"eyes": (0.0, 0.0, 0.061)}, {"eyes": (0.0, 0.0, 0.059)}),
    ({"depth": 3.99}, {"depth": 4.01}), ({"depth": -3.99}, {"depth": -4.01}),
    ({"moved": (0.49, 0)}, {"moved": (0.51, 0)}), ({"moved": (0, -0.49)}, {"moved": (0, -0.51)}),
    ({"presence": 0.501}, {"presence": 0.499}),
], ids=str)
def test_points_are_a_face_up_to_a_limit_of_size_shape_place_and_presence(inside, outside):
    presence = DEFAULTS.tracking.presence
    assert [len(aligned(mesh(**case), REGION, presence=presence)) for case in (inside, outside)] == [1, 0]


@pytest.mark.parametrize("inside, outside", [
    (REGION._replace(size=24.0), REGION._replace(size=23.9)),
    (Roi(-19.0, 240.0, 100.0, 0.0), Roi(-21.0, 240.0, 100.0, 0.0)),  # a share of 0.31 and of 0.29 in the picture
    (Roi(320.0, 499.0, 100.0, 0.0), Roi(320.0, 501.0, 100.0, 0.0)),
], ids=str)
def test_a_region_is_looked_at_up_to_a_limit_of_size_and_place(inside, outside):
    assert [len(aligned(mesh(), roi)) for roi in (inside, outside)] == [1, 0]


@pytest.mark.parametrize("iou, faces", [(0.34, 2), (0.36, 1)])
def test_two_regions_found_one_face_from_an_overlap_on(iou, faces):
    assert len(aligned(mesh(), REGION, REGION._replace(cx=REGION.cx + moved_for(iou, SIDE)))) == faces


def test_of_two_faces_in_one_place_the_tracked_one_stays_and_then_the_surer_one():
    stage = Align(FakeRunner(lambda crops: mesh(presence=0.7 if crops[0].matrix[0, 2] > -224.5 else 0.9)), FaceLandmark(),
                  Tracks(1.0), AlignSettings(0.5))
    beside = REGION._replace(cx=REGION.cx + 4.0)  # surer
    for ids, stays in (((0, 0), 0.9), ((7, 0), 0.7), ((7, 8), 0.7), ((8, 7), 0.9)):
        found, = stage.process(packet(Face(i, roi, 0.0, (0, 0, 1, 1)) for i, roi in zip(ids, (REGION, beside)))).faces
        assert found.score == pytest.approx(stays, abs=1e-6), ids


def test_only_tracks_are_lost():
    stage = Align(FakeRunner(lambda crops: mesh(presence=0.1)), FaceLandmark(), Tracks(1.0), AlignSettings(0.5))
    for ids, lost in (((), 0), ((0,), 0), ((3, 0), 1), ((3, 4), 3)):
        stage.process(packet(Face(i, REGION, 0.0, (0, 0, 1, 1)) for i in ids))
        assert stage.counters() == {"lost": lost}


def test_the_next_region_is_half_as_large_again_as_the_face():
    face, = aligned(mesh(0.9), REGION)
    assert face.roi == pytest.approx((320.0, 240.0, 1.5 * 0.9 * SIDE, 0.0), abs=1e-3)
    turned, = aligned(mesh(0.9, eyes=(0.2, -0.1, 0.0)), REGION)
    assert turned.roi.angle == pytest.approx(math.atan2(-0.1, 0.2), abs=1e-5)
    assert face.box == pytest.approx((320 - 0.45 * SIDE, 240 - 0.45 * SIDE, 320 + 0.45 * SIDE, 240 + 0.45 * SIDE), abs=1e-3)


# detect and tracks

class OneAnswer:
    """A detector that always sees the same boxes, and maybe eyes in them."""

    threshold, input = 0.5, Input((160, 160), BGR, 1.0, (0.0, 0.0, 0.0))

    def __init__(self, *boxes):
        self.boxes, self.eyes, self.looked_at = np.array(boxes, np.float32).reshape(-1, 4), None, []

    def crop(self, width, height):
        return Crop(np.eye(2, 3), (width, height), BGR, 1.0, (0.0, 0.0, 0.0))

    def decode(self, outputs, crop, threshold, limit):
        self.looked_at.append(crop.size)
        return Detections(self.boxes, np.full(len(self.boxes), 0.9, np.float32), self.eyes)


def detect(tracks, settings, *boxes):
    runner = FakeRunner(lambda crops: {})
    return Detect(runner, OneAnswer(*boxes), FaceLandmark(), tracks, settings), runner


@pytest.mark.parametrize("iou, faces", [(0.29, 2), (0.31, 1)])
def test_a_detection_is_the_tracked_face_from_an_overlap_on(iou, faces):
    tracks = Tracks(1.0)
    step(tracks, 0.0, [Sighting(0, Roi(300.0, 200.0, 90.0, 0.0), (0, 0, 1, 1))])
    x = moved_for(iou, 60.0)  # the face is two thirds of its region
    stage, _ = detect(tracks, DetectSettings(2, None, 0.0), (270 + x, 170, 330 + x, 230))
    found = stage.process(packet(time_s=0.1)).faces
    assert len(found) == faces and found[0].box == pytest.approx((270, 170, 330, 230))


def test_a_new_region_stands_as_the_eyes_do():
    detector = OneAnswer((270, 170, 330, 250))
    detector.eyes = np.array([[[280, 200], [320, 240], [9, 9]]], np.float32)  # the subject's right and left one, and a nose
    stage = Detect(FakeRunner(lambda crops: {}), detector, FaceLandmark(), Tracks(1.0), DetectSettings(1, None, 1.0))
    face, = stage.process(packet()).faces
    assert face.roi == pytest.approx((300.0, 210.0, 120.0, math.radians(45.0))) and detector.looked_at == [(640, 480)]


@pytest.mark.parametrize("closer, size, looks", [(False, (640, 480), 1), (True, (640, 320), 1 + 5 * 2), (True, (160, 160), 1)])
def test_a_closer_look_is_one_at_each_tile_too(closer, size, looks):
    detector = OneAnswer((70, 70, 80, 80))
    stage = Detect(FakeRunner(lambda crops: {}), detector, FaceLandmark(), Tracks(1.0),
                   DetectSettings(1, None, 1.0, closer_look=closer))
    assert len(stage.process(packet(size=size)).faces) == 1 and len(detector.looked_at) == looks


def looks(settings, fps, until_s, every=1, tracked=False):
    """When the detector looked at frames in which nobody is, or one face is tracked."""
    tracks, times = Tracks(1.0), []
    stage, runner = detect(tracks, settings)
    stage.interval = every
    for i in range(int(until_s * fps) + 1):
        before = runner.calls
        stage.process(packet(time_s=i / fps))
        tracks.commit(i / fps, [Sighting(1, REGION, (0, 0, 1, 1))] if tracked else [])
        times += [i / fps] * (runner.calls - before)
    return np.array(times)


@pytest.mark.parametrize("fps", [30.0, 50.0])
def test_where_nobody_is_for_long_a_look_is_due_just_within_its_limit(fps):
    times = looks(DetectSettings(1, None, 1.0, DEFAULTS.governor.idle_after_s), fps, 15.0)
    busy, idle = times[times < 10.0], times[times >= 10.0]
    assert len(busy) == 10.0 * fps  # each frame of the first ten seconds
    gaps = np.diff(idle)
    assert gaps.max() <= 0.34 + 1e-9 and gaps.min() + 1.0 / fps > 0.34 - 1e-9


@pytest.mark.parametrize("every, tracked, expected", [
    (1, True, [0.0, 0.1, 1.1, 2.1, 3.1]), (2, True, [0.0, 2.0]), (3, False, [0.0, 0.3, 0.6, 0.9])])
def test_the_interval_of_the_looks(every, tracked, expected):
    settings = DetectSettings(2, None, DEFAULTS.tracking.refresh_s)
    times = looks(settings, 10.0, 3.95 if tracked else 1.1, every, tracked)
    if every == 1:
        times, expected = np.diff(times), [1.0, 1.0, 1.0]
    assert list(times) == pytest.approx(expected)


@pytest.mark.parametrize("after_s, iou, same", [(1.0, 0.31, True), (1.0, 0.29, False), (1.01, 1.0, False), (0.99, 1.0, True)])
def test_a_lost_face_keeps_its_id_for_a_time_and_near_its_place(after_s, iou, same):
    tracks, x = Tracks(DEFAULTS.tracking.lost_after_s), moved_for(iou, 60.0)
    step(tracks, 0.0, [Sighting(0, REGION, (100, 100, 160, 160))])
    step(tracks, 0.03, [])
    assert step(tracks, after_s, [Sighting(0, REGION, (100 + x, 100, 160 + x, 160))]) == [1 if same else 2]


@pytest.mark.parametrize("gap_steps, moved_px", [(1.49, 0.0), (1.51, 5.1), (5.49, 44.9), (5.6, 45.0)])
def test_a_region_moves_on_from_a_gap_of_one_and_a_half_intervals_and_up_to_half_its_size(gap_steps, moved_px):
    tracks = Tracks(1.0)
    for i in range(2):
        step(tracks, 0.1 * i, [Sighting(1, Roi(100.0 + 10.0 * i, 100.0, 90.0, 0.0), (0, 0, 1, 1))])
    (_, roi), = tracks.regions_at(0.1 + 0.1 * gap_steps)
    assert roi.cx == pytest.approx(110.0 + moved_px)


@pytest.mark.parametrize("stills, faces", [(False, 1), (True, 32)])
def test_as_many_faces_are_taken_as_the_defaults_say(stills, faces):
    tracking = DEFAULTS.tracking
    stage, _ = detect(Tracks(1.0), DetectSettings(tracking.max_faces_stills if stills else tracking.max_faces, None, 1.0),
                      *[(10 * i, 0, 10 * i + 9, 9) for i in range(40)])
    assert len(stage.process(packet()).faces) == faces


# pose

def params(rotation):
    values = np.zeros((1, 62))
    values[0, :12] = np.concatenate([rotation, np.zeros((3, 1))], axis=1).reshape(-1)
    return {"params": values}


@pytest.mark.parametrize("roll", [0.0, 30.0, -50.0])
def test_each_of_the_three_estimators_has_a_third_of_the_say(roll):
    """The network alone errs, by nine degrees."""
    model, face = posed_face(0, 0, roll, (0, 0, 6000), CameraGuess(None, FOV).of_size(640, 480))
    upright = rot.in_plane(math.radians(-roll))
    network = FakeRunner(lambda crops: params(upright.dot(rot.from_angles(0, 0, roll)).dot(rot.from_angles(9, 0, 0))))
    network = PoseNetwork(network, Mb05({"mean": [0.0] * 12, "std": [1.0] * 12}))
    pose = PoseStage(network, model, CameraGuess(None, FOV), 1).process(packet([face])).faces[0].pose
    off = rot.angles(rot.from_angles(0, 0, roll).T.dot(pose.rotation))
    assert off == pytest.approx((3.0, 0.0, 0.0), abs=0.15)


def test_all_estimators_are_asked_in_every_fifth_frame():
    stage = PoseStage(None, heads.measured(), CameraGuess(None, FOV), DEFAULTS.tracking.pose_every)
    _, face = posed_face(0, 0, 0, (0, 0, 600), CameraGuess(None, FOV).of_size(640, 480))
    skipped = [stage.counters()["skipped"] for _ in range(11) if stage.process(packet([face]))]
    assert skipped == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8]


def test_a_camera_that_nobody_measured_sees_sixty_degrees():
    model, face = posed_face(0, 0, 0, (0, 0, 600), from_fov(640, 480, 60.0))
    pose = PoseStage(None, model, CameraGuess(None, DEFAULTS.camera.fov_deg), 1).process(packet([face])).faces[0].pose
    assert pose.translation_mm[2] == pytest.approx(600.0, abs=5.0)


# iris

def eye_answer(limbus=(6.0, 6.0, 6.0, 6.0), contour_at=32.0):
    iris = np.full((2, 5, 3), 32.0, np.float32)
    for k, (x, y) in enumerate(((1, 0), (0, -1), (-1, 0), (0, 1))):
        iris[:, k + 1, :2] += np.array((x, y)) * limbus[k]
    return {"iris": iris.reshape(2, 15), "contour": np.full((2, 213), contour_at, np.float32)}


def eyed_face(width_px):
    marks = np.zeros((468, 3))
    for corner, x in ((33, 280.0), (133, 280.0 + width_px), (362, 360.0 - width_px), (263, 360.0)):
        marks[corner, :2] = (x, 240.0)
    return Face(1, REGION, 0.9, (0, 0, 1, 1), landmarks=marks)


def irises_of(answer, width_px=64.0 / 2.3):
    stage = IrisStage(FakeRunner(lambda crops: answer), IrisLandmark())
    return stage.process(packet([eyed_face(width_px)])).faces[0]


@pytest.mark.parametrize("width_px, seen", [(6.05, True), (5.95, False)])
def test_an_eye_of_six_pixels_is_large_enough(width_px, seen):
    assert (irises_of(eye_answer(), width_px).irises is not None) == seen


@pytest.mark.parametrize("where, seen", [(639.0, True), (641.0, False), (-639.0, True), (-641.0, False)])
def test_a_point_ten_inputs_away_is_no_part_of_an_eye(where, seen):
    assert (irises_of(eye_answer(contour_at=where)).irises is not None) == seen


def test_the_radius_is_the_mean_of_four_and_the_score_says_how_well_they_agree():
    iris = irises_of(eye_answer(limbus=(5.0, 7.0, 5.0, 7.0))).irises.right  # an input pixel is one of the frame
    assert iris.radius == pytest.approx(6.0, abs=1e-5) and iris.score == pytest.approx(1.0 - 1.0 / 6.0, abs=1e-5)


@pytest.mark.parametrize("every, skipped", [(1, [0, 0, 0, 0]), (2, [1, 1, 2, 2]), (3, [1, 2, 2, 3])])
def test_irises_are_looked_for_in_every_so_manieth_frame(every, skipped):
    stage = IrisStage(FakeRunner(lambda crops: eye_answer()), IrisLandmark())
    stage.interval = every
    for i, count in enumerate(skipped):
        face, = stage.process(packet([eyed_face(64.0 / 2.3)])).faces
        assert stage.counters() == {"skipped": count} and (face.irises is not None) == ((i + 1) % every == 0)


# express

def expressive(distance, yaw=0.0, pitch=0.0, track_id=1):
    """A face whose lids stand `distance` of the eyes' width apart."""
    _, face = posed_face(0, 0, 0, (0, 0, 600), CameraGuess(None, FOV).of_size(640, 480))
    marks, sides = face.landmarks, ((33, 133), (362, 263))
    widths = [np.linalg.norm(marks[a] - marks[b]) for a, b in sides]
    middles = [(marks[a, :2] + marks[b, :2]) / 2 for a, b in sides]
    return face._replace(
        track_id=track_id, pose=Pose(rot.from_angles(yaw, pitch, 0.0), np.array([0.0, 0.0, 600.0]), 0.1),
        irises=Eyes(*(Iris(m, 5.0, 1.0) for m in middles)),
        eye_contours=Eyes(*(contour(distance, w, at=m - (w / 2, 0)) for w, m in zip(widths, middles))))


def expressed(stage, time_s, *faces):
    return stage.process(packet(faces, time_s)).faces


def express(learn=True, smoothing=None):
    return Express(ExpressSettings(CameraGuess(None, FOV), smoothing, learn=learn))


@pytest.mark.parametrize("distance, openness", [(0.06, 0.0), (0.0942, 0.19), (0.0978, 0.21), (0.15, 0.5), (0.24, 1.0)])
def test_the_usual_eye_is_shut_below_a_fifth(distance, openness):
    """0.24 of its width is open, a quarter of that is shut."""
    face, = expressed(express(learn=False), 0.0, expressive(distance))
    assert [face.expression["eye_open_" + side] for side in ("right", "left")] == pytest.approx([openness] * 2, abs=1e-6)
    assert (face.irises.right is None) == (face.irises.left is None) == (openness < 0.2)


@pytest.mark.parametrize("yaw, right, left", [(-49.5, True, True), (-50.5, False, True), (50.5, True, False)])
def test_beyond_fifty_degrees_the_nose_hides_the_far_eye(yaw, right, left):
    face, = expressed(express(), 0.0, expressive(0.24, yaw))
    assert [name in face.expression for name in ("eye_open_right", "eye_open_left")] == [right, left]
    assert {key for key in face.missing if key.startswith("eye_open")} == {
        "eye_open_" + name for name, there in (("right", right), ("left", left)) if not there}


@pytest.mark.parametrize("yaw, pitch, learned", [
    (29.5, 0, True), (30.5, 0, False), (-30.5, 0, False), (0, 19.5, True), (0, 20.5, False), (0, -20.5, False)])
def test_lids_are_learned_of_a_face_that_looks_nearly_here(yaw, pitch, learned):
    stage = express()
    expressed(stage, 0.0, expressive(0.36, yaw, pitch))
    face, = expressed(stage, 0.0, expressive(0.24))
    assert (face.expression["eye_open_left"] < 0.9) == learned


def test_without_a_pose_both_eyes_are_taken_as_seen_from_the_front():
    stage = express()
    for distance, openness in ((0.36, 1.0), (0.24, 0.6)):
        face, = expressed(stage, 0.0, expressive(distance)._replace(pose=None))
        assert [face.expression["eye_open_" + side] for side in ("right", "left")] == pytest.approx([openness] * 2, abs=0.02)


@pytest.mark.parametrize("gone_s, known", [(4.95, True), (5.05, False)])
def test_what_was_learned_of_a_face_is_kept_for_five_seconds_after_it_went(gone_s, known):
    stage = express()
    expressed(stage, 0.0, expressive(0.36))
    expressed(stage, gone_s, expressive(0.24, track_id=2))
    face, = expressed(stage, gone_s, expressive(0.24))
    assert (face.expression["eye_open_left"] < 0.9) == known


def filtered(moved, unit, settings):
    """How far a value goes in one frame of 1/30 s after a rest when it is moved so far: Casiez et al. 2012."""
    r = 2.0 * math.pi / 30.0 * settings.derivative_cutoff_hz
    speed = r / (r + 1.0) * abs(moved) * 30.0 / unit
    r = 2.0 * math.pi / 30.0 * (settings.min_cutoff_hz + settings.beta * speed)
    return r / (r + 1.0) * moved


def smoothed(settings, moved_px=1.0, turned_deg=3.0, shifted_mm=6.0):
    """A face at rest and what is told of it when it has moved in the next frame."""
    stage, face = express(smoothing=settings), expressive(0.24)
    expressed(stage, 0.0, face)
    pose = Pose(rot.from_angles(turned_deg, 0, 0), face.pose.translation_mm + (shifted_mm, 0.0, 0.0), 0.1)
    irises = Eyes(*(Iris(iris.center + moved_px, iris.radius, 1.0) for iris in face.irises))
    moved = face._replace(landmarks=face.landmarks + moved_px, irises=irises, pose=pose)
    return face, expressed(stage, 1.0 / 30.0, moved)[0]


def test_points_move_in_units_of_the_face_the_head_in_radians_and_shares_of_its_distance():
    settings = OneEuroSettings(0.5, 3.0, 2.0)
    before, now = smoothed(settings)
    assert np.allclose(now.landmarks - before.landmarks, filtered(1.0, before.roi.size, settings))
    assert np.allclose(now.irises.left.center - before.irises.left.center, filtered(1.0, before.roi.size, settings))
    assert now.pose.translation_mm[0] == pytest.approx(filtered(6.0, 600.0, settings))
    assert rot.angles(now.pose.rotation)[0] == pytest.approx(math.degrees(filtered(math.radians(3.0), 1.0, settings)))


def test_points_that_nobody_reads_stay_as_they_are_and_everything_else_is_smoothed_as_ever():
    settings, face = OneEuroSettings(0.5, 3.0, 2.0), expressive(0.24)
    moved = face._replace(landmarks=face.landmarks + 1.0, irises=Eyes(*(Iris(i.center + 1.0, 5.0, 1.0) for i in face.irises)))
    found = []
    for points in (True, False):
        stage = Express(ExpressSettings(CameraGuess(None, FOV), settings, points=points))
        expressed(stage, 0.0, face)
        found += expressed(stage, 1.0 / 30.0, moved)
    (with_points, without), raw = found, moved.landmarks
    assert without.landmarks is raw and abs(with_points.landmarks - raw).min() > 0.1
    assert encode(packet([without]), 0.0, NO_PARTS) == encode(packet([with_points]), 0.0, NO_PARTS)


@pytest.mark.parametrize("moved_share, share", [(1e-6, 0.173), (0.001, 0.241), (0.005, 0.430), (0.05, 0.850)])
def test_the_defaults_calm_a_face_at_rest_and_follow_one_that_moves(moved_share, share):
    """`moved_share` of the size of a region of 200 pixels, in one frame."""
    smoothing = DEFAULTS.smoothing
    settings = OneEuroSettings(smoothing.min_cutoff_hz, smoothing.beta, smoothing.derivative_cutoff_hz)
    moved_px = moved_share * 200.0
    before, now = smoothed(settings, moved_px)
    assert smoothing.enabled and (now.landmarks - before.landmarks)[0, 0] / moved_px == pytest.approx(share, abs=0.002)


@pytest.mark.parametrize("gap_s, fresh", [(0.49, False), (0.51, True)])
def test_a_value_older_than_half_a_second_is_not_used(gap_s, fresh):
    stage, face = express(smoothing=OneEuroSettings(0.1, 0.0, 1.0)), expressive(0.24)
    expressed(stage, 0.0, face)
    turned = face.pose._replace(rotation=rot.from_angles(3.0, 0, 0))
    found, = expressed(stage, gap_s, face._replace(landmarks=face.landmarks + 1.0, pose=turned))
    assert np.allclose(found.landmarks, face.landmarks + 1.0) == fresh
    assert (rot.distance_deg(found.pose.rotation, turned.rotation) < 1e-6) == fresh
