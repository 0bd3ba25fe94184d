"""The loop of tracking: ids live as long as their face, regions move on over lost frames, nobody waits for ever."""
import threading

import pytest
from patience import PATIENCE_S

from edge.core.packet import Roi
from edge.stages.tracks import Sighting, Tracks


def sighting(x, y=100.0, track_id=0, size=90.0):
    half = size / 3
    return Sighting(track_id, Roi(x, y, size, 0.0), (x - half, y - half, x + half, y + half))


def step(tracks, time_s, sightings):
    tracks.hand_over()
    return tracks.commit(time_s, sightings)


def test_ids_start_at_one_stay_and_are_never_used_again():
    tracks = Tracks(lost_after_s=0.1)
    assert step(tracks, 0.0, [sighting(100), sighting(400)]) == [1, 2]
    assert step(tracks, 0.1, [sighting(101, track_id=1)]) == [1]
    assert step(tracks, 9.0, [sighting(101, track_id=1), sighting(400)]) == [1, 3]
    assert [i for i, _ in tracks.regions_at(9.1)] == [1, 3]


@pytest.mark.parametrize("x, after_s, expected", [
    (105, 0.5, 1),  # seen again where it was lost, soon
    (105, 3.0, 2),  # too late
    (300, 0.5, 2),  # elsewhere
])
def test_a_face_that_comes_back_soon_keeps_its_id(x, after_s, expected):
    tracks = Tracks(lost_after_s=1.0)
    step(tracks, 0.0, [sighting(100)])
    step(tracks, 0.03, [])
    assert step(tracks, after_s, [sighting(x)]) == [expected]


@pytest.mark.parametrize("time_s, expected", [(0.2, 110.0), (0.3, 120.0), (0.4, 130.0), (60.0, 155.0)])
def test_a_region_moves_on_over_lost_frames_only_and_not_for_ever(time_s, expected):
    tracks = Tracks(lost_after_s=1.0)
    step(tracks, 0.0, [sighting(100)])
    step(tracks, 0.1, [sighting(110, track_id=1)])
    (_, roi), = tracks.regions_at(time_s)
    assert roi.cx == pytest.approx(expected)


def test_pictures_of_their_own_hold_nothing_but_count_on():
    tracks = Tracks(lost_after_s=1.0, memory=False)
    assert step(tracks, 0.0, [sighting(100)]) == [1]
    assert tracks.regions_at(0.1) == []
    assert step(tracks, 1.0, [sighting(100)]) == [2]


def test_a_failed_frame_changes_nothing():
    tracks = Tracks(lost_after_s=1.0)
    step(tracks, 0.0, [sighting(100)])
    assert step(tracks, 0.1, None) == []
    assert [i for i, _ in tracks.regions_at(0.2)] == [1]


def test_detect_waits_until_the_last_frame_is_sealed():
    tracks, seen = Tracks(lost_after_s=1.0), []
    tracks.hand_over()
    waiter = threading.Thread(target=lambda: seen.append(tracks.regions_at(0.1)))
    waiter.start()
    waiter.join(0.05)
    assert waiter.is_alive() and not seen
    tracks.commit(0.0, [sighting(100)])
    waiter.join(PATIENCE_S)
    assert [i for i, _ in seen[0]] == [1]


def test_closing_wakes_the_waiting_thread():
    tracks = Tracks(lost_after_s=1.0)
    tracks.hand_over()
    waiter = threading.Thread(target=tracks.regions_at, args=(0.1,))
    waiter.start()
    tracks.close()
    waiter.join(PATIENCE_S)
    assert not waiter.is_alive()
