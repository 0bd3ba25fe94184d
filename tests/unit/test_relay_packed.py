"""What the relay makes a record of is what the tracker knew, whatever a stage left in the packet."""
import marshal

import numpy as np
import pytest
from fakes.recordings import IMAGE, face, packets

from edge.core.packet import Eyes, Frame, Gaze, Iris, Packet, Pose
from edge.core.parts import Parts
from edge.core.records import Recorded
from edge.outputs.record import encode
from edge.outputs.relay import messages, packed

NAN = float("nan")
POINTS = np.linspace(-5.0, 700.0, 468 * 3)
EVENTS = [{"event": "blink", "id": 1}, {"event": "nod", "id": 2}]
ODD = {
    "float32": dict(landmarks=POINTS.astype(np.float32).reshape(468, 3)),
    "columns": dict(landmarks=POINTS.reshape(3, 468).T, eye_contours=Eyes(POINTS[:142].reshape(2, 71).T, None)),
    "other types": dict(landmarks=POINTS.astype(int).reshape(468, 3), score=np.float32(0.5), box=np.arange(4.0)),
    "lists": dict(pose=Pose(np.eye(3).tolist(), (1.0, 2.0, 3.0), None), landmarks=POINTS.reshape(468, 3).tolist()),
    "scalars": dict(track_id=np.int64(3), expression={"jawOpen": np.float32(0.1), "mouth_open": np.float64(0.2), "a": 1}),
    "no value": dict(expression={"jawOpen": None, "mouth_open": 0.5}, pose=None, gaze=None, irises=None, eye_contours=None),
    "neutral": dict(pose=Pose(np.eye(3)[::-1], None, np.float32(0.3), np.eye(3, dtype=np.float32))),
    "not finite": dict(expression={"jawOpen": NAN}, score=float("inf"), landmarks=np.full((468, 3), NAN),
                       gaze=Gaze((NAN, 1.0), None, (1.0, 2.0), np.zeros(3)), irises=Eyes(None, Iris(np.zeros(2), NAN, 0.5))),
    "reasons": dict(missing={"gaze": "turned away", "caf\u00e9": "\u4e2d", "jawOpen": "no"}),
}


def through(packet, points=True, events=()):
    kind, sent = messages.unpack(packed.pack(packet, list(events), 1.5, points))
    assert kind == messages.FRAME and sent.at == 1.5 and sent.points == points
    return sent.packet


def assert_same(packet, points=True):
    for parts in (Parts(points), Parts(points, shapes=True), Parts(points, shapes=True, coarse=True)):
        there, here = (encode(one, 2000.0, parts, coarse={"mouth_open"}) for one in (through(packet, points), packet))
        assert there == here and repr(there) == repr(here), "also in their order"


def test_a_run_comes_as_it_was_with_and_without_its_points():
    for packet in packets():
        assert_same(packet)
        assert_same(packet, points=False)


@pytest.mark.parametrize("what", sorted(ODD))
@pytest.mark.parametrize("points", [True, False])
def test_what_a_stage_should_not_leave_there_is_told_in_the_same_way(what, points):
    for faces in ((face(1, 100.0, **ODD[what]),), (face(1, 50.0), face(2, 100.0, **ODD[what]))):
        assert_same(Packet(Frame(np.int64(7), np.float64(1.0), 0.5, IMAGE, "caf\udce9.jpg"), faces), points)


def test_events_come_as_they_are_and_no_picture_does():
    packet = Packet(Frame(7, 1.0, 0.5, IMAGE), (face(1, 100.0),))
    assert through(packet, events=EVENTS).events == tuple(EVENTS) and through(packet).events == ()
    assert through(packet).frame.image.shape == (480, 640, 0)
    assert len(packed.pack(packet, [], 1.0, False)) < 1500


@pytest.mark.parametrize("points", [True, False])
def test_a_face_of_a_replay_is_its_record(points):
    recorded = encode(Packet(Frame(7, 1.0, 0.5, IMAGE), (face(1, 100.0),)), 2.0, Parts(True, True), as_lists=False)
    packet = Packet(Frame(7, 1.0, 0.5, IMAGE, "", Recorded(0.5, recorded, (), ())), (face(9, 9.0),))
    assert through(packet, points).frame.recorded.record["faces"][0]["id"] == 1
    assert_same(packet, points)


def test_a_usual_frame_is_no_pickle():
    assert marshal.loads(packed.pack(Packet(Frame(7, 1.0, 0.5, IMAGE), (face(1, 100.0),)), [], 1.0, True))[0] == messages.FRAME
