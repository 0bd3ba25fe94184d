import numpy as np
import pytest

from edge.face.centre import EVERY_S, FIRST_S, Centre

REST, SMILE = np.array([10.0, -5.0, 0.2]), np.array([14.0, -5.0, 0.2])
FPS = 30.0


def learned(*parts, **options):
    """The neutral after (measures, what they read as, seconds) one after the other."""
    centre, frame = Centre(np.zeros(3), np.full(3, 0.05), np.zeros(3, bool)), 0
    for measures, doing, seconds in parts:
        for _ in range(int(seconds * FPS)):
            usable, turn = options.get("usable", np.ones(3, bool)), options.get("turn", (0.0, 0.0))
            if not options.get("when_due") or centre.due(frame / FPS):
                centre.learn(measures, usable, doing, turn, frame / FPS)
            frame += 1
    return centre.neutral


def test_the_first_second_is_rest_whatever_it_reads_as():
    np.testing.assert_allclose(learned((REST, 1.0, FIRST_S)), REST, rtol=0.06)


def test_a_smile_held_for_ten_seconds_is_not_the_neutral_face():
    before, after = learned((REST, 0.0, 20.0)), learned((REST, 0.0, 20.0), (SMILE, 1.0, 10.0))
    assert np.abs(after - before).max() < 0.03 * np.abs(SMILE - REST).max()


@pytest.mark.parametrize("reads_as", [0.1, 0.3])
def test_a_face_that_has_changed_for_good_is_learned_within_some_minutes(reads_as):
    after = learned((REST, 0.0, 60.0), (SMILE, reads_as, 300.0))
    assert np.abs(after - SMILE).max() < 0.3 * np.abs(SMILE - REST).max()


@pytest.mark.parametrize("turn", [(40.0, 0.0), (-40.0, 0.0)])
def test_a_head_turned_far_teaches_nothing(turn):
    assert (learned((REST, 0.0, 5.0), turn=turn) == 0.0).all()


def test_a_head_that_turns_fast_and_a_track_that_comes_back_teach_nothing():
    centre = Centre(np.zeros(3), np.full(3, 0.05), np.zeros(3, bool))
    centre.learn(REST, np.ones(3, bool), 0.0, (0.0, 0.0), 0.0)
    before = centre.neutral.copy()
    centre.learn(SMILE, np.ones(3, bool), 0.0, (10.0, 0.0), 1.0 / FPS)
    centre.learn(SMILE, np.ones(3, bool), 0.0, (10.0, 0.0), 30.0)
    assert (centre.neutral == before).all()


def test_the_first_second_is_learned_in_every_frame_and_later_ten_times_a_second():
    centre, due = Centre(np.zeros(3), np.full(3, 0.05), np.zeros(3, bool)), []
    for frame in range(int(5.0 * FPS)):
        if centre.due(frame / FPS):
            due.append(frame)
            centre.learn(REST, np.ones(3, bool), 0.0, (0.0, 0.0), frame / FPS)
    assert due[:int(FIRST_S * FPS)] == list(range(int(FIRST_S * FPS)))
    later = np.diff([frame for frame in due if frame > 1.1 * FIRST_S * FPS])
    assert (later == 3).all() and EVERY_S < 3.0 / FPS
    assert centre.due(0.0)  # a film that begins again


def test_ten_times_a_second_teaches_what_every_frame_does():
    parts = (REST, 0.0, 5.0), (SMILE, 0.1, 60.0)
    np.testing.assert_allclose(learned(*parts, when_due=True), learned(*parts), rtol=1e-3)


def test_what_is_not_known_or_not_usable_is_not_learned():
    measures = np.array([np.nan, np.inf, 0.2])
    assert (learned((measures, 0.0, 2.0), usable=np.array([True, True, False])) == 0.0).all()


def test_whatever_comes_the_neutral_is_finite():
    centre, chance = Centre(np.zeros(3), np.full(3, 0.05), np.zeros(3, bool)), np.random.RandomState(0)
    for _ in range(500):
        centre.learn(chance.choice([np.nan, np.inf, 1e9, 0.0, -3.0], 3), np.ones(3, bool), chance.choice([0.0, 1.0, np.nan]),
                     (chance.uniform(-30.0, 30.0), 0.0), chance.uniform(0.0, 5.0))
        assert np.isfinite(centre.neutral).all()
