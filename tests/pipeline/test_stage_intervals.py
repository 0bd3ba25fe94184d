"""What can run less often while tracking goes on: irises, pose, detector; and idling while nobody is there."""
import pytest
from fakes.tracker import Tracker, good, mesh, yunet

from edge.core.packet import LEFT_OUT
from edge.core.parts import NO_PARTS, POINTS_ONLY
from edge.outputs.record import encode

NOBODY = {"detect": yunet(None), "align": mesh(-9.0)}


def test_irises_that_are_left_out_say_so_and_the_rest_of_the_face_is_there():
    tracker = Tracker().open()
    for seq in range(4):
        tracker.track(seq)
    tracker.iris.interval = 2
    records = [encode(tracker.track(seq), 0.0, POINTS_ONLY)["faces"][0] for seq in range(4, 12)]
    whole, without = records[1::2], records[0::2]
    if "iris" not in whole[0]:
        whole, without = without, whole

    assert all(face["missing"] == {} and "gaze" in face for face in whole)
    for face in without:
        assert set(face["missing"].values()) == {LEFT_OUT}
        assert set(face["missing"]) == {"iris", "gaze", "eye_contours", "eye_open_right", "eye_open_left"}
        assert "pose" in face and "landmarks" in face and set(face["expression"]) == {"mouth_open"}
    assert tracker.runners["iris"].calls == 4 + 4 and tracker.iris.counters() == {"skipped": 4}
    tracker.iris.interval = 1
    assert all("iris" in encode(tracker.track(seq), 0.0, NO_PARTS)["faces"][0] for seq in range(12, 16))


def test_a_pose_that_is_fused_half_as_often_is_still_one_of_each_frame():
    tracker = Tracker(pose_every=5).open()
    for seq in range(20):
        tracker.track(seq)
    assert tracker.runners["pose"].calls == 4
    tracker.pose.interval = 10
    records = [encode(tracker.track(seq), 0.0, NO_PARTS)["faces"][0] for seq in range(20, 60)]
    assert tracker.runners["pose"].calls == 8
    assert all("pose" in face and face["missing"] == {} for face in records)


@pytest.mark.parametrize("every, calls", [(1, 30), (2, 15)])
def test_the_detector_looks_at_every_second_frame_where_nobody_is(every, calls):
    tracker = Tracker(**NOBODY).open()
    tracker.detect.interval = every
    for seq in range(30):
        tracker.track(seq)
    assert tracker.runners["detect"].calls == pytest.approx(calls, abs=1)


@pytest.mark.parametrize("every, calls", [(1, 10), (2, 5)])
def test_the_detector_looks_half_as_often_for_more_faces(every, calls):
    tracker = Tracker(max_faces=2).open()
    tracker.detect.interval = every
    for seq in range(300):
        tracker.track(seq)
    assert tracker.runners["detect"].calls == pytest.approx(calls, abs=1)


def idle_at(fps, appears_after_s, **more):
    """A tracker that has seen nobody for 12 s, then a face; the time until a record has it, and the tracker."""
    tracker = Tracker(idle_after_s=10.0, **dict(NOBODY, **more)).open()
    first = int(12.0 * fps + appears_after_s * fps)
    for seq in range(first):
        assert tracker.track(seq, seq / fps).faces == ()
    tracker.answers.update(good())
    for seq in range(first, first + 2 * int(fps) + 2):
        if tracker.track(seq, seq / fps).faces:
            return (seq - first) / fps, seq, tracker
    raise AssertionError("never found")


@pytest.mark.parametrize("fps", [5.0, 7.0, 10.0, 12.0, 15.0, 20.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0, 90.0])
@pytest.mark.parametrize("appears_after_s", [0.0, 0.1, 0.21, 0.3])
def test_a_face_that_comes_while_nobody_was_there_is_found_within_350_ms(fps, appears_after_s):
    took_s, seq, tracker = idle_at(fps, appears_after_s)
    assert took_s <= 0.35
    calls = tracker.runners["align"].calls
    for i in range(seq + 1, seq + 31):
        assert len(tracker.track(i, i / fps).faces) == 1, "tracked in every frame from the next one on"
    assert tracker.runners["align"].calls == calls + 30


@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0, 60.0])
def test_idle_is_about_three_detections_a_second(fps):
    tracker = Tracker(idle_after_s=10.0, **NOBODY).open()
    for seq in range(int(10 * fps)):
        tracker.track(seq, seq / fps)
    assert tracker.runners["detect"].calls == int(10 * fps), "every frame, for ten seconds"
    for seq in range(int(10 * fps), int(20 * fps)):
        assert tracker.track(seq, seq / fps).faces == ()
    assert 28 <= tracker.runners["detect"].calls - int(10 * fps) <= 34


def test_a_file_is_looked_at_in_every_frame():
    tracker = Tracker(idle_after_s=None, **NOBODY).open()
    for seq in range(600):
        tracker.track(seq)
    assert tracker.runners["detect"].calls == 600


def test_who_leaves_is_looked_for_in_every_frame_for_ten_seconds_more():
    tracker = Tracker(idle_after_s=10.0).open()
    for seq in range(900):
        tracker.track(seq)
    tracker.answers.update(NOBODY)
    before = tracker.runners["detect"].calls
    for seq in range(900, 900 + 300):
        tracker.track(seq)
    assert tracker.runners["detect"].calls - before >= 297
    before = tracker.runners["detect"].calls
    for seq in range(1200, 1300):
        tracker.track(seq)
    assert tracker.runners["detect"].calls - before <= 12


def test_with_room_for_more_faces_nothing_idles_while_one_is_tracked():
    tracker = Tracker(idle_after_s=10.0, max_faces=2).open()
    for seq in range(900):
        assert len(tracker.track(seq).faces) == 1
    assert tracker.runners["detect"].calls == 30, "tracking.refresh_s, as ever"


def test_a_clock_that_jumps_back_wakes_the_detector():
    tracker = Tracker(idle_after_s=10.0, **NOBODY).open()
    for seq in range(400):
        tracker.track(seq)
    before = tracker.runners["detect"].calls
    for seq in range(400, 410):
        tracker.track(seq, (seq - 400) / 30.0)
    assert tracker.runners["detect"].calls - before == 10
