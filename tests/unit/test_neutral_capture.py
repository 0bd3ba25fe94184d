"""Taking a resting face: what counts, why the rest does not, and that it goes on once that is cured."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.face import capture
from edge.face.capture import NeutralCapture
from edge.face.mesh import POINTS
from edge.face.neutral import Signals, facts_of, of_facts
from edge.geometry import rotation

FPS = 30.0
FACE = np.random.RandomState(5).uniform(-70.0, 70.0, (POINTS, 3))
MOUTH = np.zeros((POINTS, 3))
MOUTH[capture.LIPS] = (0.0, -1.0, 0.0)
BROWS = np.zeros((POINTS, 3))
BROWS[capture.BROWS] = (0.0, 1.0, 0.0)
REST = Signals(1, 0.99, 120.0, rotation.from_angles(2.0, -3.0, 1.0), (0.0, 0.0, 600.0), FACE, (0.25, 0.26),
               ((2.0, 1.0), (3.0, 1.0)), ((-1.0, 0.5), (1.0, 0.5)), 0.02)


def turned(yaw_deg):
    return REST._replace(rotation=rotation.from_angles(yaw_deg, -3.0, 1.0))


def feed(machine, script, began_s=0.0):
    """`script`: (seconds, function of the time since then -> faces) ...; the progress of each frame, up to the last one."""
    told, at_s = [], began_s
    for seconds, faces_at in script:
        since_s = at_s
        while at_s < since_s + seconds - 1e-9:
            told.append(machine.feed(faces_at(at_s - since_s), at_s))
            at_s += 1.0 / FPS
            if told[-1].taken or told[-1].failed:
                return told
    return told


def rest(t):
    return [REST]


BAD = {
    capture.NOBODY: lambda t: [],
    capture.SEVERAL: lambda t: [REST, REST._replace(face=2)],
    capture.DARK: lambda t: [REST._replace(light=8.0)],
    capture.UNSURE: lambda t: [REST._replace(score=0.5)],
    capture.NO_POSE: lambda t: [REST._replace(rotation=None)],
    capture.TURNED: lambda t: [turned(40.0)],
    capture.MOVING: lambda t: [turned(2.0 + 4.0 * np.sin(6.0 * t))],
    capture.SHUT: lambda t: [REST._replace(lids=(0.03, 0.04))],
    capture.ONE_SHUT: lambda t: [REST._replace(lids=(0.25, 0.04))],
    capture.NO_LIDS: lambda t: [REST._replace(lids=(None, 0.25))],
    capture.OPEN_MOUTH: lambda t: [REST._replace(mouth=0.5)],
    capture.GRIMACE: lambda t: [REST._replace(still=FACE + 4.0 * np.sin(12.0 * t) * MOUTH)],
    capture.WANDERING: lambda t: [REST._replace(looks=((40.0, 0.0), (42.0, 0.0)))],
}
ALSO = [
    ("a nose that comes nearer", capture.MOVING, lambda t: [REST._replace(place_mm=(0.0, 0.0, 600.0 - 60.0 * t))]),
    ("points that are not finite", capture.UNSURE, lambda t: [REST._replace(still=None)]),
    ("a score that is no number", capture.UNSURE, lambda t: [REST._replace(score=float("nan"))]),
    ("raised brows", capture.GRIMACE, lambda t: [REST._replace(still=FACE + 5.0 * np.sin(12.0 * t) * BROWS)]),
]
CASES = [(reason, reason, faces) for reason, faces in BAD.items()] + ALSO


@pytest.mark.parametrize("reason, faces", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_no_resting_face_is_refused_with_the_reason_and_a_rest_behind_it_is_taken(reason, faces):
    machine = NeutralCapture("me", "face_attention", 1.0)
    refused = feed(machine, [(1.0, faces)])
    assert not any(progress.taken for progress in refused)
    assert {progress.reason for progress in refused[12:]} >= {reason}
    assert machine.why == reason
    last = feed(machine, [(4.0, rest)], began_s=1.0)[-1]
    assert last.taken is not None and np.abs(last.taken.neutral.still - FACE).max() < 1e-9


def test_it_gives_up_and_says_what_was_in_the_way():
    last = feed(NeutralCapture("me", "face_attention", 3.0), [(60.0, BAD[capture.SHUT])])[-1]
    assert last.taken is None and last.failed == capture.SHUT


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_it_takes_as_long_as_it_was_told(seconds):
    told = feed(NeutralCapture("me", "face_attention", seconds), [(10.0, rest)])
    assert seconds <= len(told) / FPS <= seconds + 2.0 * capture.WARM_UP_S + 0.1
    done = [progress.done for progress in told]
    assert done == sorted(done) and done[-1] == 1.0


def test_a_blink_is_left_out_and_tells_what_shut_is():
    def blinking(t):
        return [REST._replace(lids=(0.02, 0.03)) if 0.9 < t < 1.1 else REST]

    last = feed(NeutralCapture("me", "face_attention", 2.0), [(5.0, blinking)])[-1]
    assert last.taken.neutral.lids == ((0.25, 0.02), (0.26, 0.03))


def test_without_a_blink_shut_is_the_usual_share_of_open():
    last = feed(NeutralCapture("me", "face_attention", 1.0), [(5.0, rest)])[-1]
    assert [closed / opened for opened, closed in last.taken.neutral.lids] == pytest.approx([0.25, 0.25])


@pytest.mark.parametrize("between", [BAD[capture.SEVERAL], lambda t: [REST._replace(face=2)]], ids=["two at once", "another"])
def test_nothing_of_one_face_is_mixed_into_another(between):
    other = REST._replace(face=2, still=FACE * 1.2)
    machine = NeutralCapture("me", "face_attention", 1.0)
    last = feed(machine, [(0.9, rest), (0.2, between), (3.0, lambda t: [other])])[-1]
    assert np.allclose(last.taken.neutral.still, FACE * 1.2)


def test_a_grimace_that_came_first_does_not_keep_the_face_out():
    def grimace(t):
        return [REST._replace(still=FACE + 8.0 * MOUTH)]

    last = feed(NeutralCapture("me", "face_attention", 3.0), [(1.5, grimace), (8.0, rest)])[-1]
    assert np.allclose(last.taken.neutral.still, FACE)


@pytest.mark.parametrize("fps, reason", [(4.0, capture.SLOW), (12.0, "")])
def test_too_few_pictures_a_second_are_refused(fps, reason):
    machine = NeutralCapture("me", "face_attention", 2.0)
    told = [machine.feed([REST], i / fps) for i in range(16)]
    assert told[-1].reason == reason


@pytest.mark.parametrize("seconds, moving_s, whole", [(0.7, 0.0, False), (1.0, 0.0, True), (1.0, 3.0, False)])
def test_a_film_that_ends_is_enough_where_most_of_it_rests(seconds, moving_s, whole):
    machine = NeutralCapture("me", "face_attention", 3.0)
    feed(machine, [(seconds, rest), (moving_s, BAD[capture.MOVING])])
    last = machine.finish()
    assert (last.taken is not None) == whole and bool(last.failed) != whole


def test_one_picture_is_enough_and_shut_eyes_are_refused_in_it():
    good, bad = (NeutralCapture("me", "face_attention", 3.0, stills=True) for _ in range(2))
    assert good.feed([REST], 0.0).reason == "" and good.finish().taken.frames == 1
    assert bad.feed(BAD[capture.SHUT](0.0), 0.0).reason == capture.SHUT
    assert bad.finish().failed == capture.SHUT


def test_nothing_at_all_is_refused():
    assert NeutralCapture("me", "face_attention", 3.0).finish().failed


SIGNALS = st.builds(
    lambda face, score, light, yaw, lids, look, mouth, known: REST._replace(
        face=face, score=score, light=light, rotation=rotation.from_angles(yaw, 0.0, 0.0) if known else None,
        lids=lids, looks=(look, None), mouth=mouth),
    st.integers(1, 2), st.floats(0, 1), st.floats(0, 255), st.floats(-60, 60),
    st.tuples(*[st.one_of(st.none(), st.floats(0, 0.5))] * 2),
    st.one_of(st.none(), st.tuples(st.floats(-50, 50), st.floats(-50, 50))), st.floats(0, 1), st.booleans())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.lists(SIGNALS, max_size=2), st.floats(0, 0.3)), max_size=60))
def test_whatever_is_seen_it_ends_with_a_whole_face_or_a_reason(script):
    machine, at_s, last = NeutralCapture("me", "face_attention", 0.5), 0.0, None
    for faces, gap_s in script:
        at_s += gap_s
        last = machine.feed(faces, at_s)
        assert 0.0 <= last.done <= 1.0
        if last.taken or last.failed:
            break
    else:
        last = machine.finish()
    assert (last.taken is None) == bool(last.failed)
    if last.taken is not None:
        assert np.array_equal(of_facts(dict(facts_of(last.taken), name="me")).still, np.round(FACE, 3))
