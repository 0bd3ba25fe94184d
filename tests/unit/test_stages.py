"""Stages on made-up runners: what each fills in, what it drops, and why a value is missing."""
import numpy as np
import pytest

from edge.core.contracts import BGR, Crop, Runner, Ticket
from edge.core.errors import FrameError
from edge.core.packet import Eyes, Face, Frame, Iris, Packet, Roi
from edge.face import head as heads
from edge.geometry import rotation
from edge.geometry.camera import CameraGuess, from_fov
from edge.geometry.filters import OneEuroSettings
from edge.models.face_landmark import FaceLandmark
from edge.models.iris_landmark import IrisLandmark
from edge.models.spec import Detections
from edge.stages.align import Align, AlignSettings
from edge.stages.detect import Detect, DetectSettings
from edge.stages.express import Express, ExpressSettings
from edge.stages.iris import IrisStage
from edge.stages.pose import PoseStage
from edge.stages.tracks import Tracks

IMAGE = np.zeros((480, 640, 3), np.uint8)
FOV = 60.0


class Answer(Ticket):
    def __init__(self, outputs):
        self.outputs = outputs

    def result(self):
        return self.outputs


class FakeRunner(Runner):
    """Answers with what `respond(crops)` says; counts."""

    def __init__(self, respond):
        self.respond, self.calls = respond, 0

    def open(self):
        pass

    def submit(self, image, crops):
        self.calls += 1
        return Answer(self.respond(crops))

    def infer(self, feeds):
        raise NotImplementedError

    def close(self):
        pass


class FakeDetector:
    threshold = 0.5

    def crop(self, width, height):
        return Crop(np.eye(2, 3), (width, height), BGR, 1.0, (0.0, 0.0, 0.0))

    def decode(self, outputs, crop, threshold, limit):
        boxes = np.array([box for box, score in outputs["faces"] if score >= threshold], np.float32).reshape(-1, 4)
        scores = np.array([score for _, score in outputs["faces"] if score >= threshold], np.float32)
        return Detections(boxes[:limit], scores[:limit], None)


def frame(seq=0, time_s=0.0):
    return Packet(Frame(seq, time_s, time_s, IMAGE))


def mesh_in_crop():
    """468 points in 192 px units: the measured head seen from the front, so placed that its region stays where it is."""
    points = np.zeros((468, 3))
    table = np.array(heads.measured_head.TABLE)
    face = table[:, 1:] * (1.0, -1.0, -1.0)
    low, high = face[:, :2].min(axis=0), face[:, :2].max(axis=0)
    scale = 128.0 / (high - low).max()
    face = face * scale
    face[:, :2] += 96.0 - (low + high) / 2 * scale
    points[:, :2] = 96.0
    points[table[:, 0].astype(int)] = face
    return points


def mesh_outputs(presence=9.0):
    return {"landmarks": mesh_in_crop().reshape(1, -1).astype(np.float32), "presence": np.array([[presence]], np.float32)}


def tracker(detector_answers, mesh=lambda crops: mesh_outputs(), max_faces=1, refresh_s=1.0):
    tracks, aligner = Tracks(1.0), FaceLandmark()
    finder = FakeRunner(lambda crops: {"faces": detector_answers.pop(0) if len(detector_answers) > 1 else detector_answers[0]})
    fitter = FakeRunner(mesh)
    detect = Detect(finder, FakeDetector(), aligner, tracks, DetectSettings(max_faces, None, refresh_s))
    return detect, Align(fitter, aligner, tracks, AlignSettings(0.5)), finder, fitter


FACE, OTHER = ((250, 150, 350, 270), 0.9), ((40, 60, 140, 180), 0.8)


def test_the_detector_sleeps_while_a_track_holds():
    detect, align, finder, fitter = tracker([[FACE]])
    ids = [align.process(detect.process(frame(i, i / 30))).faces[0].track_id for i in range(20)]
    assert ids == [1] * 20 and finder.calls == 1
    assert detect.counters() == {"skipped": 19}
    assert fitter.calls == 21  # a new face is fitted twice


def test_the_detector_looks_again_every_second_while_there_is_room_for_more():
    detect, align, finder, _ = tracker([[FACE], [FACE, OTHER]], max_faces=2)
    counts = [len(align.process(detect.process(frame(i, i / 30))).faces) for i in range(40)]
    assert counts == [1] * 30 + [2] * 10 and finder.calls == 2


def test_a_lost_face_is_looked_for_at_once_and_keeps_its_id():
    logits = [9.0, 9.0, 9.0, -9.0, 9.0, 9.0]
    detect, align, finder, _ = tracker([[FACE]], lambda crops: mesh_outputs(logits.pop(0)))
    found = [[f.track_id for f in align.process(detect.process(frame(i, i / 30))).faces] for i in range(4)]
    assert found == [[1], [1], [], [1]] and finder.calls == 2


def test_two_regions_on_one_head_become_one_face():
    near = ((255, 155, 355, 275), 0.7)
    detect, align, _, _ = tracker([[FACE, near]], max_faces=2)
    assert len(align.process(detect.process(frame())).faces) == 1


@pytest.mark.parametrize("mesh", [
    {"landmarks": np.full((1, 1404), np.nan, np.float32), "presence": np.array([[9.0]], np.float32)},
    {"landmarks": np.full((1, 1404), 96.0, np.float32), "presence": np.array([[9.0]], np.float32)},
    mesh_outputs(-0.1),
], ids=["not a number", "collapsed", "not present"])
def test_what_cannot_be_a_face_is_dropped(mesh):
    detect, align, _, _ = tracker([[FACE]], lambda crops: mesh)
    assert align.process(detect.process(frame())).faces == ()


@pytest.mark.parametrize("box", [(-400, -400, -300, -300), (10, 10, 20, 20), (5000, 0, 5100, 100)])
def test_regions_outside_the_picture_or_too_small_are_dropped(box):
    detect, align, _, fitter = tracker([[(box, 0.9)]])
    assert align.process(detect.process(frame())).faces == () and fitter.calls == 0


def test_a_frame_that_fails_in_align_leaves_the_loop_open_for_the_next():
    calls = []

    def mesh(crops):
        calls.append(1)
        if len(calls) == 3:
            raise FrameError("boom")
        return mesh_outputs()

    detect, align, _, _ = tracker([[FACE]], mesh)
    align.process(detect.process(frame(0)))
    with pytest.raises(FrameError):
        align.process(detect.process(frame(1, 1 / 30)))
    assert align.process(detect.process(frame(2, 2 / 30))).faces[0].track_id == 1


def posed_face(yaw, pitch, roll, t, camera):
    model = heads.measured()
    table = np.array(heads.measured_head.TABLE)
    r = rotation.FLIP.dot(rotation.from_angles(yaw, pitch, roll))
    x = table[:, 1:].dot(r.T) + t
    landmarks = np.zeros((468, 3))
    indices = table[:, 0].astype(int)
    landmarks[indices, :2] = x[:, :2] / x[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    # the mesh's depth is that of the head as seen along its own line of sight
    view = rotation.toward(np.array(t, float))
    landmarks[indices, 2] = (x - t).dot(view)[:, 2] * camera.fx / t[2]
    return model, Face(1, Roi(320, 240, 200, 0.0), 0.9, (200, 150, 400, 330), landmarks=landmarks)


@pytest.mark.parametrize("yaw, pitch, roll", [(0, 0, 0), (30, 0, 0), (-25, 15, 10), (0, -20, -40)])
@pytest.mark.parametrize("t", [(0, 0, 600), (150, -90, 700)])
def test_without_a_network_the_pose_is_that_of_the_points(yaw, pitch, roll, t):
    model, face = posed_face(yaw, pitch, roll, t, from_fov(640, 480, FOV))
    stage = PoseStage(None, model, CameraGuess(None, FOV), 1)
    stage.open()
    pose = stage.process(frame().with_faces((face,))).faces[0].pose
    assert rotation.distance_deg(pose.rotation, rotation.from_angles(yaw, pitch, roll)) < 2.5  # weak perspective
    assert np.allclose(pose.translation_mm, t, atol=3.0) and pose.residual_px < 0.6


@pytest.mark.parametrize("every", [2, 3])
def test_between_two_fused_frames_the_pose_follows_the_points(every):
    stage = PoseStage(None, heads.measured(), CameraGuess(None, FOV), every)
    for i in range(7):
        angles = (4.0 * i, -2.0 * i, 3.0 * i)
        _, face = posed_face(*angles, t=(20 * i, 0, 600), camera=from_fov(640, 480, FOV))
        pose = stage.process(frame(i).with_faces((face,))).faces[0].pose
        assert rotation.distance_deg(pose.rotation, rotation.from_angles(*angles)) < 2.5
        assert np.allclose(pose.translation_mm, (20 * i, 0, 600), atol=6.0)
    assert stage.counters()["skipped"] == 7 - len(range(0, 7, every))


def test_points_that_fit_no_head_leave_the_pose_missing():
    stage = PoseStage(None, heads.measured(), CameraGuess(None, FOV), 1)
    face = Face(1, Roi(320, 240, 200, 0.0), 0.9, (0, 0, 1, 1), landmarks=np.full((468, 3), np.nan))
    out = stage.process(frame().with_faces((face,))).faces[0]
    assert out.pose is None and "pose" in out.missing


def eye_outputs():
    iris = np.zeros((2, 5, 3), np.float32)
    iris[:, :, :2] = np.array([[32, 32], [38, 32], [32, 26], [26, 32], [32, 38]])
    return {"iris": iris.reshape(2, 15), "contour": np.full((2, 213), 32, np.float32)}


def test_both_eyes_come_back_unmirrored_from_one_batch():
    _, face = posed_face(0, 0, 0, (0, 0, 600), from_fov(640, 480, FOV))
    face = face._replace(steady_corners=False, missing={"iris.right": "the network's answer is no eye", "box": "a reason"})
    out = IrisStage(FakeRunner(lambda crops: eye_outputs()), IrisLandmark()).process(frame().with_faces((face,))).faces[0]
    for iris, (a, b) in zip(out.irises, ((33, 133), (362, 263))):
        middle = (face.landmarks[a, :2] + face.landmarks[b, :2]) / 2
        assert np.allclose(iris.center, middle, atol=0.01) and iris.score == pytest.approx(1.0)
    assert out.irises.right.center[0] < out.irises.left.center[0]  # the subject's right eye is at the image's left
    # also where a network before it gave contours whose corners follow the iris, and did not find one
    assert out.steady_corners and out.missing == {"box": "a reason"}


def test_eyes_of_a_few_pixels_are_missing():
    _, face = posed_face(0, 0, 0, (0, 0, 6000), from_fov(640, 480, FOV))
    out = IrisStage(FakeRunner(lambda crops: eye_outputs()), IrisLandmark()).process(frame().with_faces((face,))).faces[0]
    assert out.irises is None and "small" in out.missing["iris"]


def expressive_face(opening, gaze_px=0.0):
    from tests.unit.test_eyes import contour

    model, face = posed_face(0, 0, 0, (0, 0, 600), from_fov(640, 480, FOV))
    face = PoseStage(None, model, CameraGuess(None, FOV), 1).process(frame().with_faces((face,))).faces[0]
    marks, sides = face.landmarks, ((33, 133), (362, 263))
    middles = [(marks[a, :2] + marks[b, :2]) / 2 for a, b in sides]
    widths = [np.linalg.norm(marks[a] - marks[b]) for a, b in sides]
    irises = Eyes(*(Iris(m + (gaze_px, 0), 5.0, 1.0) for m in middles))
    lids = Eyes(*(contour(opening, w, at=m - (w / 2, 0)) for w, m in zip(widths, middles)))
    return face._replace(irises=irises, eye_contours=lids)


def express(openings, smoothing=None, **more):
    stage = Express(ExpressSettings(CameraGuess(None, FOV), smoothing))
    return [stage.process(frame(i, i / 30).with_faces((expressive_face(o, **more),))).faces[0]
            for i, o in enumerate(openings)]


def test_a_blink_shuts_the_eyes_and_takes_the_irises_and_the_gaze_with_it():
    faces = express([0.25] * 30 + [0.02] * 3 + [0.25] * 3)
    opened = [f.expression["eye_open_left"] for f in faces]
    assert min(opened[:30]) > 0.9 and max(opened[30:33]) < 0.1 and opened[-1] > 0.9
    shut = faces[31]
    assert shut.irises == Eyes(None, None) and shut.gaze is None
    assert shut.missing["gaze"] == "both eyes closed" and shut.missing["iris.right"] == "eye closed"


def test_a_wink_keeps_the_gaze_of_the_other_eye_and_says_why_one_is_missing():
    stage = Express(ExpressSettings(CameraGuess(None, FOV), None))
    for i in range(30):
        stage.process(frame(i, i / 30).with_faces((expressive_face(0.25),)))
    half = expressive_face(0.25)
    half = half._replace(eye_contours=Eyes(expressive_face(0.02).eye_contours.right, half.eye_contours.left))
    out = stage.process(frame(30, 1.0).with_faces((half,))).faces[0]
    assert out.gaze.right is None and out.gaze.left is not None
    assert out.missing["gaze.right"] == out.missing["iris.right"] == "eye closed" and "gaze" not in out.missing


def with_lids(right, left, gaze_px=(0.0, 0.0)):
    """Each eye's own lids, and where its iris stands."""
    eyes = [expressive_face(opening, gaze_px=px) for opening, px in zip((right, left), gaze_px)]
    return eyes[0]._replace(irises=Eyes(eyes[0].irises.right, eyes[1].irises.left),
                            eye_contours=Eyes(eyes[0].eye_contours.right, eyes[1].eye_contours.left))


def test_lids_that_fall_or_rise_fast_hide_the_iris_and_lids_that_stay_low_do_not():
    lids = [0.25] * 30 + [0.15, 0.02, 0.02, 0.12, 0.25, 0.25, 0.25] + [0.15] * 10
    faces = express(lids)
    seen = [f.gaze is not None for f in faces]
    assert seen == [True] * 30 + [False] * 4 + [True] * 3 + [False] * 2 + [True] * 8
    assert faces[30].missing["gaze"] == "both eyes blink" and faces[30].missing["iris.left"] == "eye blinks"
    assert faces[31].missing["gaze"] == "both eyes closed"


def test_the_gaze_does_not_jump_where_one_eye_shuts_and_is_that_of_the_open_one():
    stage = Express(ExpressSettings(CameraGuess(None, FOV), None))
    apart = (-2.0, 2.0)  # the two eyes are measured to look past each other
    frames = [with_lids(0.25, 0.25, apart)] * 30 + [with_lids(0.25, 0.02, apart)] * 5
    frames += [with_lids(0.25, 0.02, (0.0, 0.0))] * 5
    faces = [stage.process(frame(i, i / 30).with_faces((face,))).faces[0] for i, face in enumerate(frames)]
    open_yaw, wink, moved = faces[29].gaze.both[0], faces[34].gaze, faces[39].gaze
    assert abs(wink.right[0] - open_yaw) > 5.0 and abs(wink.both[0] - open_yaw) < 0.5 and wink.left is None
    assert moved.both[0] - wink.both[0] == pytest.approx(moved.right[0] - wink.right[0], abs=1.0)


@pytest.mark.parametrize("settings, expected", [
    ({"events": True}, ["right"]), ({"events": False}, []), ({"events": True, "learn": False}, [])],
    ids=["asked for", "not asked for", "unrelated stills"])
def test_a_stage_tells_events_to_who_asked_and_what_goes_on_at_the_end(settings, expected):
    stage = Express(ExpressSettings(CameraGuess(None, FOV), None, **settings))
    lids = [(0.25, 0.25)] * 30 + [(0.02, 0.25)] * 8 + [(0.25, 0.25)] * 10
    packets = [stage.process(frame(i, i / 30).with_faces((with_lids(*pair),))) for i, pair in enumerate(lids)]
    events = [event for packet in packets for event in packet.events]
    assert [event.values["side"] for event in events if event.name == "blink"] == expected
    last = stage.last_events()
    assert [event.face for event in last if event.name == "presence"] == ([1, None] if expected else [])
    assert all(event.values["cut"] for event in last) and stage.last_events() == ()


@pytest.mark.parametrize("px, sign", [(-2.0, 1), (2.0, -1)])
def test_an_iris_toward_the_images_left_looks_with_a_positive_yaw(px, sign):
    gaze = express([0.25], gaze_px=px)[0].gaze
    assert sign * gaze.both[0] > 5 and abs(gaze.both[1]) < 15
    assert np.linalg.norm(gaze.direction) == pytest.approx(1.0) and gaze.direction[2] < 0
    assert np.sign(gaze.direction[0]) == -sign


@pytest.mark.parametrize("steady", [True, False])
def test_corners_that_follow_the_iris_do_not_turn_the_gaze(steady):
    face = expressive_face(0.25)._replace(steady_corners=steady)
    for contour in face.eye_contours:
        contour[[0, 8], 0] += 1.0
    stage = Express(ExpressSettings(CameraGuess(None, FOV), None))
    out = stage.process(frame().with_faces((face,))).faces[0]
    assert (abs(out.gaze.both[0]) > 3.0) == steady and (abs(out.gaze.both[0]) < 0.5) != steady


def test_smoothing_can_be_switched_off_and_changes_no_still_face():
    plain, smooth = express([0.25] * 5), express([0.25] * 5, OneEuroSettings(1.0, 0.5, 1.0))
    assert np.allclose(plain[-1].landmarks, smooth[-1].landmarks, atol=1e-6)
    assert rotation.distance_deg(plain[-1].pose.rotation, smooth[-1].pose.rotation) < 1e-4


def test_irises_of_eyes_whose_lids_nobody_saw_stay_and_the_reason_is_the_lids():
    seen = expressive_face(0.25)
    bare, half = seen._replace(eye_contours=None), seen._replace(eye_contours=Eyes(None, seen.eye_contours.left))
    stage = Express(ExpressSettings(CameraGuess(None, FOV), None))
    out, other = stage.process(frame().with_faces((bare, half._replace(track_id=2)))).faces
    assert out.irises == bare.irises and out.gaze is None and out.expression.keys() == {"mouth_open"}
    assert out.missing == dict.fromkeys(("eye_open_right", "eye_open_left", "gaze"), "no eye contours")
    assert other.irises == half.irises and other.gaze.right is None and other.gaze.left is not None
    assert other.missing == dict.fromkeys(("eye_open_right", "gaze.right"), "no eye contours")


@pytest.mark.parametrize("answer, scale, interval", [
    (eye_outputs(), 1.0, 2), (eye_outputs(), 0.01, 1), ({k: v * np.nan for k, v in eye_outputs().items()}, 1.0, 1),
], ids=["left out", "too small", "no eye"])
def test_irises_that_a_stage_before_filled_stay_where_the_network_gives_none(answer, scale, interval):
    stage, known = IrisStage(FakeRunner(lambda crops: answer), IrisLandmark()), expressive_face(0.25)
    stage.interval = interval
    known = known._replace(landmarks=known.landmarks * scale)
    out, lacking = stage.process(frame().with_faces((known, known._replace(irises=None, eye_contours=None)))).faces
    assert out is known and lacking.irises is None and "iris" in lacking.missing


def test_a_stage_says_which_fields_of_a_face_it_fills():
    for stage in (Detect, Align, PoseStage, IrisStage, Express):
        assert set(stage.fills) <= set(Face._fields), stage
    filled = [field for stage in (PoseStage, IrisStage, Express) for field in stage.fills]
    assert sorted(filled + list(FaceLandmark.fills)) == ["expression", "eye_contours", "gaze", "irises", "landmarks", "pose"]


def test_what_was_not_measured_is_missing_with_its_reason():
    bare = Face(1, Roi(320, 240, 200, 0.0), 0.9, (0, 0, 1, 1))
    out = Express(ExpressSettings(CameraGuess(None, FOV), None)).process(frame().with_faces((bare,))).faces[0]
    assert out.gaze is None and out.expression is None
    assert out.missing["gaze"] == "no head pose" and out.missing["expression"] == "no landmarks"
